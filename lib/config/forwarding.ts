// Which vnodes hand on packets for others. Pure; a last step of parsing, when all vnodes are known: another's route may
// lead by one.
import type { VnodeSpec } from "./types.ts";

/**
 * The vnodes with `forwarding` on all of them: as it is written, else true where routes are computed and there are two
 * links to hand on between, or where another vnode's written route leads by it.
 */
export function withForwarding(vnodes: readonly VnodeSpec[]): readonly VnodeSpec[] {
  // By lan: the same address may stand on two.
  const hops = new Set(vnodes.flatMap((vnode) =>
    vnode.routes.flatMap(({ via, dev }) => [
      ...vnode.links.filter((link) => dev === undefined || link.name === dev).map((link) =>
        `${link.lan} ${via}`
      ),
      `control ${via}`,
    ])
  ));
  return vnodes.map((vnode) => {
    if (vnode.forwarding !== undefined) return vnode;
    const isHop = hops.has(`control ${vnode.control.address}`) ||
      vnode.links.some((link) =>
        link.addresses.some((text) => hops.has(`${link.lan} ${text.slice(0, text.indexOf("/"))}`))
      );
    return { ...vnode, forwarding: isHop || (vnode.routing === "static" && vnode.links.length > 1) };
  });
}
