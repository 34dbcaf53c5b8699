// The chains that vnodes have of their own in the firewall, computed from all vnodes together. The table they stand in
// is the host's (berth host firewall); elements of its sets come and go with lives (element_steps.ts).
import type { VnodeSpec } from "../config/types.ts";
import { vnodeChains } from "../resource/vnode_chains.ts";
import type { Ground } from "./ground.ts";
import type { VnodeRecord } from "./record.ts";
import { ownChains } from "./vnode_rules.ts";

/** What of a vnode its rules are made from: those that are being brought up have no record yet. */
export type Ruled = Pick<VnodeRecord, "name" | "spec">;

/**
 * Makes the chains of vnodes with rules of their own. Before the first start of a run, after
 * vnodes were destroyed, and in each full look of the watch; never by the gate.
 *
 * @param vnodes all that there are, and those that will be.
 */
export async function ensureRules(
  ground: Pick<Ground, "ensureAll">,
  vnodes: readonly Ruled[],
): Promise<void> {
  await ground.ensureAll([vnodeChains(vnodes.flatMap(({ spec }) => ownChains(spec)))]);
}

/** Whether chains of the ones are none of the others any more: they can go once no element leads to them. */
export function leavesChains(
  before: readonly Pick<VnodeRecord, "spec">[],
  after: readonly VnodeSpec[],
): boolean {
  const kept = new Set(after.flatMap(ownChains).map(({ name }) => name));
  return before.some(({ spec }) => ownChains(spec).some(({ name }) => !kept.has(name)));
}
