// The rules that vnodes have of their own in the firewall, in tables that are computed from all vnodes together.
// Elements of their sets come and go with lives (element_steps.ts).
import type { Ground } from "./ground.ts";
import type { VnodeRecord } from "./record.ts";

/** What of a vnode its rules are made from: those that are being brought up have no record yet. */
export type Ruled = Pick<VnodeRecord, "name" | "spec">;

/**
 * Makes the tables that say what the vnodes may and what may reach them. Before the first start of a run, after
 * vnodes were destroyed, and in each full look of the watch; never by the gate.
 *
 * @param _vnodes all that there are, and those that will be.
 */
export async function ensureRules(
  _ground: Pick<Ground, "ensureAll">,
  _vnodes: readonly Ruled[],
): Promise<void> {}
