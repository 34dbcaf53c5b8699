// What must stand before a vnode can be wired, and what must not stand in its way: told in words of the first that
// lacks. Pure; asked by wire.ts under the vnode's lock, before anything is changed.
import { BerthError } from "../log/error.ts";
import { VNODE_SETS, VNODES_TABLE } from "../resource/firewall_vnodes.ts";
import { requireDevices } from "./devices.ts";
import { parseLinkAlias } from "./names.ts";
import type { Seen } from "./step.ts";
import type { FoundLink, InsideLink } from "./view.ts";
import { CONTROL_INSIDE, type LinkWiring, type Wiring } from "./wiring.ts";

/** Whether an interface of the right name carries our mark, or is ours without it yet: made, and then we were killed. */
function isOurs(wiring: Wiring, link: LinkWiring, found: FoundLink): boolean {
  const mark = parseLinkAlias(found.ifalias);
  if (mark !== null) return mark.vnode === wiring.vnode && mark.link === link.name;
  if (found.ifalias !== undefined || found.flags.includes("UP")) return false;
  const kind = found.linkinfo?.info_kind;
  return found.ifname === link.ifb ? kind === "ifb" : kind === "veth" && found.master === link.bridge;
}

/**
 * The control interface inside: by its MAC. Where a container is on other Docker networks too, engines before 28 give
 * eth0 to any of them (test/sandbox/routes.test.ts).
 */
export function controlInside(
  wiring: Wiring,
  inside: ReadonlyMap<string, InsideLink>,
): InsideLink | undefined {
  return [...inside.values()].find((link) => link.address === wiring.control.mac) ??
    inside.get(CONTROL_INSIDE);
}

/**
 * What must stand before a vnode can be wired: its lans and devices, the control network's table and port.
 *
 * @throws {BerthError} code `missing`, `refused` or `not-converged`, with the next step.
 */
export function requireGround(wiring: Wiring, seen: Seen): void {
  const object = `vnode ${wiring.vnode}`;
  requireDevices(wiring, seen);
  for (const link of wiring.links) {
    if (link.kind === "device") continue;
    const [kind, name] = link.kind === "macvlan" ? ["device", link.parent!] : ["bridge", link.bridge];
    const found = seen.view.links.get(name);
    if (found !== undefined && (kind === "device" || found.linkinfo?.info_kind === "bridge")) continue;
    throw new BerthError({
      code: "missing",
      object,
      message: `Cannot attach ${link.name}: ${kind} "${name}" of lan "${link.lan}" is missing`,
      next: `berth vnode up ${wiring.vnode}`,
    });
  }
  for (const link of wiring.links) {
    for (const name of [link.end, link.ifb]) {
      const found = name === null ? undefined : seen.view.links.get(name);
      if (found !== undefined && !isOurs(wiring, link, found)) {
        throw new BerthError({
          code: "refused",
          object,
          message: `Cannot make ${link.name}: an interface "${found.ifname}" is there and is not berth's ` +
            `(alias "${found.ifalias ?? ""}")`,
          next: `ip link set ${found.ifname} name OTHER, or delete it`,
        });
      }
    }
  }
  if (seen.view.control === null || !seen.view.elements.has(`${VNODES_TABLE}/${VNODE_SETS.known}`)) {
    throw new BerthError({
      code: "missing",
      object,
      message: "Cannot register it on the control network: berth's nftables table is missing",
      next: "berth host firewall",
    });
  }
  const inside = seen.inside === null ? undefined : controlInside(wiring, seen.inside);
  if (inside !== undefined && inside.address !== wiring.control.mac) {
    throw new BerthError({
      code: "not-converged",
      object,
      message: `${CONTROL_INSIDE} has MAC ${inside.address}, wanted ${wiring.control.mac}`,
      next: `berth vnode up ${wiring.vnode} --recreate`,
    });
  }
}
