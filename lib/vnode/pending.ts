// What a running life has yet to be given inside. A change takes several commands and may be cut off within: until it
// is through, the record keeps each spec that something inside may still be as, so that the next run finishes it.
// Used by up.ts; what the steps are is inside.ts's.
import type { Host } from "../host/types.ts";
import { insideChanges } from "./inside.ts";
import { effectiveSpec } from "./live.ts";
import { amendRecord, type VnodeRecord } from "./record.ts";
import type { Step } from "./step.ts";

/** What of a record it is about. */
type Part = Pick<VnodeRecord, "spec" | "live" | "pending">;

/** The next record, with the specs that a life that runs by the one before may still be as inside. */
export function withPending<Next extends Part>(before: Part, next: Next): Next & Part {
  const after = effectiveSpec(next);
  const specs = [...(before.pending ?? []), effectiveSpec(before)]
    .filter((spec) => insideChanges(spec, after).length > 0);
  return specs.length === 0 ? next : { ...next, pending: specs };
}

/** The steps that give a life what it lacks. */
export function pendingSteps(record: Part): Step[] {
  const after = effectiveSpec(record);
  return (record.pending ?? []).flatMap((spec) => insideChanges(spec, after));
}

/** Takes down that the life has been given all. Does nothing where nothing was pending. */
export async function settlePending(host: Host, record: VnodeRecord): Promise<void> {
  if (record.pending === undefined) return;
  const same = JSON.stringify(record.pending);
  await amendRecord(host, record, (now) => {
    const { pending, ...rest } = now;
    // Another change may be under way by now.
    return JSON.stringify(pending) === same ? rest : now;
  });
}
