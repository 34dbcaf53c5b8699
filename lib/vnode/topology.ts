// Vnodes and lans together: what of a vnode's network follows from the others (routes, names), and whom a change of
// one concerns. A record's spec is complete, so that gate and watch need nothing of this. Paths are nets.ts's, the
// names hosts.ts's.
import type { LanSpec, VnodeSpec } from "../config/types.ts";
import { prepareGate } from "../gate/prepare.ts";
import { locked } from "../host/locked.ts";
import { forEach, type Ground } from "./ground.ts";
import { namesFrom } from "./hosts.ts";
import { insideChanges } from "./inside.ts";
import { lansOfRecords } from "./lans.ts";
import { effectiveSpec } from "./live.ts";
import { routesFrom, standpointOf, type Topology, topologyOf } from "./nets.ts";
import { vnodeLockPath } from "./paths.ts";
import { amendRecord, readRecord, readRecords, type VnodeRecord } from "./record.ts";
import { readWholeView } from "./redirects.ts";
import { settledLife } from "./running.ts";
import type { HostView } from "./view.ts";
import { wire } from "./wire.ts";
import { wiringOf } from "./wiring.ts";

/** Fills in a spec what follows from the other vnodes of its experiment. */
export type Resolve = (spec: VnodeSpec) => VnodeSpec;

/** What was written of a spec: without what was filled in from the others. */
function written(spec: VnodeSpec): VnodeSpec {
  const { names: _, ...rest } = spec;
  return { ...rest, routes: spec.routes.filter((route) => route.computed !== true) };
}

/**
 * How to complete specs; each experiment's topology is made once. Whether they were completed before makes no
 * difference.
 *
 * @param all all vnodes that there are and will be, with those that will be asked for.
 */
export function resolverOf(all: readonly VnodeSpec[], lans: readonly LanSpec[]): Resolve {
  const topologies = new Map<string, Topology>();
  const topologyAt = (experiment: string): Topology => {
    const known = topologies.get(experiment);
    if (known !== undefined) return known;
    const members = all.filter((one) => (one.experiment ?? "") === experiment).map(written);
    const made = topologyOf(members, lans);
    topologies.set(experiment, made);
    return made;
  };
  return (spec) => {
    const own = written(spec);
    const standpoint = standpointOf(topologyAt(spec.experiment ?? ""), spec.name);
    const routes = own.routing === "static" ? routesFrom(standpoint) : [];
    const names = namesFrom(standpoint);
    return {
      ...own,
      routes: [...own.routes, ...routes.map((route) => ({ ...route, computed: true as const }))],
      ...(names.length > 0 && { names }),
    };
  };
}

/** Milliseconds that a vnode's start or another change of its wiring is waited for. */
const LOCK_MS = 10_000;

/**
 * Brings the other vnodes of the same experiments up to date after some came, changed or went: record, the gate's
 * batches, names, and what differs inside of those that run. What fails is told in the log: the vnodes that the
 * command is about are as they should be.
 *
 * @param changed names; those that went have no record any more. Does nothing where there are none.
 */
export async function refreshPeers(ground: Ground, changed: readonly string[]): Promise<void> {
  if (changed.length === 0) return;
  const records = await readRecords(ground.host);
  const resolve = resolverOf(records.map((record) => record.spec), lansOfRecords(records));
  const stale = records.filter((record) =>
    JSON.stringify(resolve(record.spec)) !== JSON.stringify(record.spec)
  );
  if (stale.length === 0) return;
  const view = await readWholeView(ground.host);
  await forEach(stale, (found) => refresh(ground, found, resolve, view), (record, error) => {
    const reason = error instanceof Error ? error.message : String(error);
    ground.log.warn("Names or routes are not up to date", { vnode: record.name, reason });
  });
}

async function refresh(ground: Ground, found: VnodeRecord, resolve: Resolve, view: HostView): Promise<void> {
  const { host } = ground;
  // No start may come between: it would take the batches before, and not be seen running yet.
  const given = await locked(host, vnodeLockPath(found.name), { waitMs: LOCK_MS }, async () => {
    // As it is by now: another command may have changed it, destroyed it, or made it anew.
    const record = await readRecord(host, found.name);
    if (record === null || record.containerId !== found.containerId) return null;
    const next: VnodeRecord = { ...record, spec: resolve(record.spec) };
    await prepareGate(host, next);
    const life = await settledLife(host, record, view.bootId);
    if (life !== null) {
      const { steps } = await wire(host, wiringOf(effectiveSpec(next)), life, {
        view,
        locked: true,
        hostsPath: record.hostsPath,
        names: true,
        inside: insideChanges(effectiveSpec(record), effectiveSpec(next)),
      });
      for (const step of steps) ground.onStep?.(step);
    }
    return next;
  });
  if (given === null) return;
  // Last: a run that was cut off before is found stale again.
  const after = await amendRecord(host, found, (now) => ({ ...now, spec: resolve(now.spec) }));
  // A record is changed under no lock of ours: what was written between must not be lost for the gate.
  if (after !== null && JSON.stringify(after) !== JSON.stringify(given)) await prepareGate(host, after);
}
