// Vnodes that should run by now, held against their wiring: one alone, or many by one look at the host. Normally finds
// the gate's work in place. Used by up.ts and halt.ts after their starts; the wiring itself is wire.ts's.
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { forEach, type Ground, type Outcome } from "./ground.ts";
import { isAlive, type Life, lifeOf, parseGeneration } from "./life.ts";
import { readLife } from "./life_note.ts";
import { effectiveSpec } from "./live.ts";
import type { VnodeRecord } from "./record.ts";
import type { Step } from "./step.ts";
import { readWholeView } from "./redirects.ts";
import { wire } from "./wire.ts";
import { wiringOf } from "./wiring.ts";

/**
 * Makes sure that a vnode that should run by now is wired; normally finds the gate's work in place.
 *
 * @param inside what a life that ran before is given inside.
 * @throws {BerthError} when it does not run, with its exit code and Docker's reason.
 */
export async function wireRunning(ground: Ground, record: VnodeRecord, inside: readonly Step[] = []) {
  const container = await ground.docker.inspectContainer(record.containerId);
  if (container === null || !container.state.running) {
    const { exitCode, error } = container?.state ?? { exitCode: null, error: "its container is gone" };
    throw new BerthError({
      code: "not-converged",
      object: `vnode ${record.name}`,
      message: `It does not keep running: exit code ${exitCode}${error === "" ? "" : `, ${error}`}`,
      next: `docker logs ${record.name}`,
    });
  }
  const life = await lifeOf(ground.host, container.id, container.state.pid);
  if (life === null) return [];
  const { steps } = await wire(ground.host, wiringOf(effectiveSpec(record)), life, {
    hostsPath: record.hostsPath,
    names: true,
    inside,
  });
  return steps;
}

/** What became of one of many. */
interface Checked {
  readonly record: VnodeRecord;
  /** What was mended. */
  readonly steps: readonly Step[];
  readonly error?: unknown;
}

/**
 * The same for many vnodes, by one look at the host for all: a look costs as much as there are interfaces. Only those
 * that differ are looked at again, alone. Failures are in the answer.
 */
async function wireAll(ground: Ground, records: readonly VnodeRecord[]): Promise<Checked[]> {
  if (records.length === 0) return [];
  const { host } = ground;
  const view = await readWholeView(host);
  return await forEach(records, async (record): Promise<Checked> => {
    const life = await settledLife(host, record, view.bootId);
    if (life === null) return { record, steps: await wireRunning(ground, record) };
    const wiring = wiringOf(effectiveSpec(record));
    const { steps } = await wire(host, wiring, life, { view, hostsPath: record.hostsPath, names: true });
    return { record, steps };
  }, (record, error) => ({ record, steps: [], error }));
}

/** What has become of one vnode so far: with `running`, its wiring is still to be looked at. */
export type Begun = Outcome & { readonly running?: VnodeRecord };

/** Looks at the wiring of all that were begun, at once, and puts what was found to what was done before. */
export async function checkAll(ground: Ground, begun: readonly Begun[]): Promise<Outcome[]> {
  const checked = await wireAll(ground, begun.flatMap(({ running }) => running ?? []));
  const byName = new Map(checked.map((one) => [one.record.name, one]));
  return begun.map(({ running: _, ...outcome }) => {
    const { steps = [], error } = byName.get(outcome.vnode) ?? {};
    for (const one of steps) ground.onStep?.(one);
    const did = [...outcome.did, ...steps.map(said)];
    return { ...outcome, changed: did.length > 0, did, ...(error !== undefined && { error }) };
  });
}

/** A step, in words. */
export function said(step: Step): string {
  return `${step.verb} ${step.resource}: ${step.why}`;
}

/** The life that was wired last, when it is the record's container's and goes on. Asks no engine. */
export async function settledLife(look: Look, record: VnodeRecord, bootId: string): Promise<Life | null> {
  const last = await readLife(look, record.name);
  if (last === null) return null;
  const { container, pid, startTime } = parseGeneration(last.generation);
  if (container !== record.containerId.slice(0, 12)) return null;
  if (!(await isAlive(look, last.generation, bootId))) return null;
  return { containerId: record.containerId, pid, startTime, bootId };
}
