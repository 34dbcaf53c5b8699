// Which links' frames must leave one by one, because a scheduler on their lan counts packets. Pure; the last step of
// parsing, when all vnodes are known: what one vnode sends is delayed or lost at another's link.
import type { Shape, VnodeSpec } from "./types.ts";

/** True when a shape needs the kernel's netem scheduler. */
export function needsNetem(shape: Shape): boolean {
  return (shape.delayUs ?? 0) > 0 || (shape.lossPercent ?? 0) > 0;
}

/** The vnodes with `oneSegment` on every link of a lan on which any link is delayed or lossy. */
export function withSegments(vnodes: readonly VnodeSpec[]): readonly VnodeSpec[] {
  const all = vnodes.flatMap((vnode) => vnode.links);
  const counting = new Set(
    all.filter((link) => needsNetem(link.egress) || needsNetem(link.ingress)).map((link) => link.lan),
  );
  if (counting.size === 0) return vnodes;
  return vnodes.map((vnode) => ({
    ...vnode,
    links: vnode.links.map((link) => counting.has(link.lan) ? { ...link, oneSegment: true } : link),
  }));
}
