// What was changed live, over the spec: every wiring is made from what comes out here. Owns how the two are put
// together; the record (record.ts) keeps them. Pure.
import type { VnodeSpec } from "../config/types.ts";
import { flappedSpec } from "./flap.ts";
import type { Live, VnodeRecord } from "./record.ts";

/**
 * The spec with what was changed live over it, as it is at a moment.
 *
 * @param nowMs Unix time in milliseconds, for links that flap. @default {now}
 */
export function effectiveSpec(
  record: Pick<VnodeRecord, "spec" | "live">,
  nowMs: number = Date.now(),
): VnodeSpec {
  return flappedSpec(liveSpec(record), nowMs);
}

/** The spec with what was changed live over it, schedules as they are written. */
export function liveSpec(record: Pick<VnodeRecord, "spec" | "live">): VnodeSpec {
  return record.spec;
}

/** What stays of the live changes when a vnode is given another spec; undefined for none. */
export function keptLive(
  before: Pick<VnodeRecord, "spec" | "live"> | null,
  _after: VnodeSpec,
): Live | undefined {
  return before?.live;
}
