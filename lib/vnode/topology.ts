// Vnodes and lans together: what of a vnode's network follows from the others (routes, names, gateway), and whom a
// change of one concerns. A record's spec is complete, so that gate and watch need nothing of this.
import type { LanSpec, VnodeSpec } from "../config/types.ts";
import type { Ground } from "./ground.ts";

/**
 * A vnode's spec with all that follows from the others filled in.
 *
 * @param _all all vnodes that there are and will be, this one among them.
 */
export function resolveNetwork(
  _all: readonly VnodeSpec[],
  _lans: readonly LanSpec[],
  spec: VnodeSpec,
): VnodeSpec {
  return spec;
}

/**
 * Brings the other vnodes of the same experiments up to date after some came, changed or went: record, the gate's
 * batches, names, and what differs inside of those that run.
 *
 * @param _changed names; those that went have no record any more.
 */
export async function refreshPeers(_ground: Ground, _changed: readonly string[]): Promise<void> {}
