// Which links' frames must leave one by one, because a scheduler on their lan counts packets. Pure; the last step of
// parsing, when all vnodes are known: what one vnode sends is delayed or lost at another's link.
import type { LinkSpec, Shape, VnodeSpec } from "./types.ts";

/** True when a shape needs the kernel's netem scheduler: all but a rate and its queue. */
export function needsNetem(shape: Shape): boolean {
  const { delayUs, jitterUs, lossPercent, lossModel, duplicatePercent, corruptPercent, reorderPercent } =
    shape;
  return lossModel !== undefined ||
    [delayUs, jitterUs, lossPercent, duplicatePercent, corruptPercent, reorderPercent].some((one) =>
      (one ?? 0) > 0
    );
}

/** True when a shape counts packets, so that each of them must be one frame. */
export function countsPackets(shape: Shape): boolean {
  return needsNetem(shape) || (shape.queue !== undefined && "packets" in shape.queue);
}

/** The lans on which any of these links is shaped by packets. */
export function countingLans(links: readonly LinkSpec[]): ReadonlySet<string> {
  return new Set(
    links.filter((link) => countsPackets(link.egress) || countsPackets(link.ingress)).map((link) => link.lan),
  );
}

/** The vnodes with `oneSegment` on every link of a lan on which any link is shaped by packets. */
export function withSegments(vnodes: readonly VnodeSpec[]): readonly VnodeSpec[] {
  const counting = countingLans(vnodes.flatMap((vnode) => vnode.links));
  if (counting.size === 0) return vnodes;
  return vnodes.map((vnode) => ({
    ...vnode,
    links: vnode.links.map((link) => counting.has(link.lan) ? { ...link, oneSegment: true } : link),
  }));
}
