// Down the other way: halt (the disk stays), boot, reboot; destroy.ts leaves nothing. What is wanted is recorded
// before Docker is told, so that the watch does not bring back what an operator has just stopped.
import { prepareGate } from "../gate/prepare.ts";
import { BerthError } from "../log/error.ts";
import { forEach, type Ground, type Outcome } from "./ground.ts";
import { lackingFeatures, refuseLacking, refuseLackingLans } from "./kernel_features.ts";
import { knownRecord } from "./known.ts";
import { ensureLans, lansOfRecords } from "./lans.ts";
import { effectiveSpec } from "./live.ts";
import { LABEL_VNODE } from "./names.ts";
import { readRecord, readRecords, want } from "./record.ts";
import { ensureRules } from "./rules.ts";
import { type Begun, checkAll, wireRunning } from "./running.ts";
import { overStaleTask, startVnode } from "./start.ts";
import { forEachInTurn } from "./turn.ts";
import { unwire } from "./wire.ts";

const fails = (vnode: string, error: unknown): Outcome => ({ vnode, changed: false, did: [], error });

/** Stops vnodes and takes their wiring away; they stay halted until somebody wants them up. */
export async function halt(
  ground: Ground,
  names: readonly string[],
  graceSeconds?: number,
): Promise<Outcome[]> {
  return await forEachInTurn(ground, names, async (name): Promise<Outcome> => {
    const record = await knownRecord(ground, name);
    const container = await ground.docker.inspectContainer(record.containerId);
    const runs = container?.state.running === true;
    if (runs) ground.onStep?.({ resource: `vnode ${name}`, verb: "update", why: "running, wanted halted" });
    if (ground.mode === "plan") return { vnode: name, changed: runs, did: runs ? ["halt"] : [] };
    await want(ground.host, record, "halted", ground.by);
    if (runs) await ground.docker.stopContainer(record.containerId, { graceSeconds, timeoutMs: 120_000 });
    const { steps } = await unwire(ground.host, name, { spec: record.spec });
    return { vnode: name, changed: runs || steps.length > 0, did: runs ? ["halted"] : [] };
  }, fails);
}

/** How all vnodes are halted. */
export interface HaltAllOptions {
  /** Milliseconds for all of them together; towards its end nobody is given grace any more. */
  readonly withinMs: number;
  /** Seconds between the stop signal and the kill. @default {10, Docker's own} */
  readonly graceSeconds?: number;
  /** @default {the time since the process began} */
  readonly now?: () => number;
}

/** Docker's own grace where nobody asks for another (docker stop --time). */
const GRACE_SECONDS = 10;
/** Milliseconds that are kept for kills at the end of the time for all. */
const KILL_MS = 10_000;

/**
 * Halts all vnodes that run, the one that started last first, several at a time. What is wanted of them stays: they
 * come back with the next boot. No watch may run: it would take the stops for an operator's.
 */
export async function haltAll(ground: Ground, options: HaltAllOptions): Promise<Outcome[]> {
  const now = options.now ?? (() => performance.now());
  const until = now() + options.withinMs;
  const { docker, host } = ground;
  const running = (await docker.listContainers({ label: LABEL_VNODE, all: true }))
    .filter(({ state }) => state === "running" || state === "paused" || state === "restarting");
  const seen = await forEach(
    running,
    async ({ id, labels }) => ({
      name: labels[LABEL_VNODE]!,
      id,
      state: (await docker.inspectContainer(id))?.state,
    }),
    ({ id, labels }) => ({ name: labels[LABEL_VNODE]!, id, state: undefined }),
  );
  // ISO 8601 with as many digits as the engine likes: the order of text is the order of time.
  const newestFirst = seen.sort((a, b) => (a.state?.startedAt ?? "") < (b.state?.startedAt ?? "") ? 1 : -1);
  return await forEach(newestFirst, async ({ name, id, state }): Promise<Outcome> => {
    ground.onStep?.({ resource: `vnode ${name}`, verb: "update", why: "running" });
    if (ground.mode === "plan") return { vnode: name, changed: true, did: ["halt"] };
    const leftMs = Math.max(0, until - now());
    const seconds = Math.max(0, Math.floor((leftMs - KILL_MS) / 1000));
    const graceSeconds = Math.min(options.graceSeconds ?? GRACE_SECONDS, seconds);
    // A frozen process cannot heed a signal, and would take its whole grace.
    if (state?.paused === true) await docker.killContainer(id, "KILL", { timeoutMs: KILL_MS });
    else await docker.stopContainer(id, { graceSeconds, timeoutMs: Math.max(leftMs, KILL_MS) });
    const record = await readRecord(host, name).catch(() => null);
    await unwire(host, name, record === null ? {} : { spec: record.spec });
    return { vnode: name, changed: true, did: ["halted"] };
  }, ({ name }, error) => fails(name, error));
}

/** Starts vnodes that were made before, from their records; no configuration is needed. */
export async function boot(ground: Ground, names: readonly string[]): Promise<Outcome[]> {
  const records = await Promise.all(names.map((name) => knownRecord(ground, name)));
  // By vnode: what one link lacks must not keep the others down.
  const lacking = ground.mode === "apply"
    ? await lackingFeatures(ground.host, records.map((record) => effectiveSpec(record)))
    : new Map<string, never>();
  if (ground.mode === "apply") await refuseLackingLans(ground.host, lansOfRecords(records));
  await ensureLans(ground, lansOfRecords(records));
  await ensureRules(ground, await readRecords(ground.host));
  const begun = await forEachInTurn(ground, records, async ({ name }): Promise<Begun> => {
    const record = await knownRecord(ground, name); // as it is by now
    const container = await ground.docker.inspectContainer(record.containerId);
    if (container === null) {
      throw new BerthError({
        code: "missing",
        object: `vnode ${record.name}`,
        message: "Its container is gone",
        next: `berth vnode up ${record.name} makes it anew`,
      });
    }
    const starts = !container.state.running;
    if (starts) ground.onStep?.({ resource: `vnode ${record.name}`, verb: "update", why: "not running" });
    if (ground.mode === "plan") return { vnode: record.name, changed: starts, did: starts ? ["boot"] : [] };
    if (starts) refuseLacking(name, lacking.get(name));
    const next = await want(ground.host, record, "up", ground.by) ?? record;
    await prepareGate(ground.host, next);
    if (starts) await startVnode(ground.host, ground.docker, record.containerId);
    return { vnode: record.name, changed: starts, did: starts ? ["booted"] : [], running: next };
  }, (record, error) => fails(record.name, error));
  return await checkAll(ground, begun);
}

/** Restarts vnodes. */
export async function reboot(
  ground: Ground,
  names: readonly string[],
  graceSeconds?: number,
): Promise<Outcome[]> {
  return await forEachInTurn(ground, names, async (name): Promise<Outcome> => {
    const record = await knownRecord(ground, name);
    ground.onStep?.({ resource: `vnode ${name}`, verb: "update", why: "reboot asked for" });
    if (ground.mode === "plan") return { vnode: name, changed: true, did: ["reboot"] };
    await want(ground.host, record, "up", ground.by);
    await overStaleTask(
      ground.host,
      ground.docker,
      record.containerId,
      () => ground.docker.restartContainer(record.containerId, { graceSeconds, timeoutMs: 120_000 }),
    );
    await wireRunning(ground, record);
    return { vnode: name, changed: true, did: ["rebooted"] };
  }, fails);
}
