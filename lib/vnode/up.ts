// From a spec to a running, wired vnode: lans, container, record, the gate's batches, start, and a look at
// what stands. Each step does nothing when it is done already, so a run that was cut off is just run again.
import type { LanSpec, VnodeSpec } from "../config/types.ts";
import type { Container } from "../docker/types.ts";
import { forgetGate, prepareGate } from "../gate/prepare.ts";
import { BerthError } from "../log/error.ts";
import { bodyDigest, containerBody } from "./container.ts";
import type { Ground, Outcome } from "./ground.ts";
import { waitsForStart } from "./inside.ts";
import { handOver, requirePorts } from "./handover.ts";
import { insideDifference } from "./inside_state.ts";
import { refuseLackingLans } from "./kernel_features.ts";
import { ensureLans, keepLans, lansOfRecords, removeLonelyLans, tellLans } from "./lans.ts";
import { lifeOf } from "./life.ts";
import { droppedLive, effectiveSpec, keptLive } from "./live.ts";
import { alignSegments } from "./live_changes.ts";
import { LABEL_BODY, LABEL_VNODE } from "./names.ts";
import { resolvPath } from "./paths.ts";
import { pendingSteps, settlePending, withPending } from "./pending.ts";
import { preflight } from "./preflight.ts";
import {
  type Live,
  readRecord,
  readRecords,
  type VnodeRecord,
  want,
  type Wanted,
  writeRecord,
} from "./record.ts";
import { resolvText } from "./resolv.ts";
import { ensureRules, leavesChains } from "./rules.ts";
import { type Begun, checkAll, said, wireRunning } from "./running.ts";
import { startVnode } from "./start.ts";
import { refreshPeers, resolverOf } from "./topology.ts";
import { forEachInTurn } from "./turn.ts";
import { unwire, wire } from "./wire.ts";
import { lansOf, wiringOf } from "./wiring.ts";

export interface UpOptions {
  /** Make containers anew even when they are as the spec says. @default {false} */
  readonly recreate?: boolean;
  /** Create and prepare, but do not start. @default {false} */
  readonly createOnly?: boolean;
  /** Only what can be given to a life that runs: whatever else is refused. @default {false} */
  readonly live?: boolean;
  /** In a plan: holds all that is inside against the spec, not only what changed in it. @default {false} */
  readonly inside?: boolean;
}

/**
 * Brings vnodes up. Lans first, all at once; then the vnodes, several at a time.
 *
 * @returns one outcome a vnode; failures are in them, not thrown. Throws only where none could be tried.
 */
export async function up(
  ground: Ground,
  declared: readonly VnodeSpec[],
  lans: readonly LanSpec[],
  options: UpOptions = {},
): Promise<Outcome[]> {
  const names = new Set(declared.map((spec) => spec.name));
  const records = await readRecords(ground.host);
  await preflight(ground.host, ground.docker, declared, ground.mode, records);
  const before = records.filter((record) => names.has(record.name));
  const others = records.filter((record) => !names.has(record.name));
  const all = [...others.map((record) => record.spec), ...declared];
  const specs = declared.map(resolverOf(all, [...lansOfRecords(others), ...lans]));
  const used = lans.filter((one) => specs.some((spec) => spec.links.some((link) => link.lan === one.name)));
  if (ground.mode === "apply") await refuseLackingLans(ground.host, used);
  const made = await ensureLans(ground, used);
  await ensureRules(ground, [...others, ...specs.map((spec) => ({ name: spec.name, spec }))]);
  if (ground.mode === "apply") await tellLans(ground.host, used, others);
  const { api } = await ground.docker.version();
  const given = new Map((await handOver(ground, before, specs)).map((one) => [one.vnode, one]));
  const begun = await forEachInTurn(
    ground,
    specs,
    async (spec) => {
      requirePorts(spec, others);
      const { did = [], error } = given.get(spec.name) ?? {};
      if (error !== undefined) throw error;
      const one = await upOne(ground, spec, lansOf(spec, lans), api, options);
      return { ...one, changed: one.changed || did.length > 0, did: [...did, ...one.did] };
    },
    (spec, error): Begun => ({ vnode: spec.name, changed: false, did: [], error }),
  );
  const outcomes = await checkAll(ground, begun);
  // A chain that one of them had before is free by now.
  if (ground.mode === "apply" && leavesChains(before, specs)) {
    await ensureRules(ground, await readRecords(ground.host));
  }
  // Neither what was made for a vnode that came to nothing (no such image) stays, nor a lan that all have left.
  if (ground.mode === "apply") {
    const failed = outcomes.some((one) => one.error !== undefined);
    await removeLonelyLans(ground.host, [...lansOfRecords(before), ...(failed ? made : [])]);
    // One that failed has names at the others, too, and no record: they are made without it.
    const touched = outcomes.filter((one) => one.changed || one.error !== undefined);
    await refreshPeers(ground, touched.map((one) => one.vnode));
    await alignSegments(ground, new Set(used.map((lan) => lan.name)));
  }
  return outcomes;
}

async function upOne(
  ground: Ground,
  spec: VnodeSpec,
  lans: readonly LanSpec[],
  api: string,
  options: UpOptions,
): Promise<Begun> {
  const did: string[] = [];
  const step = (verb: string, why: string) => {
    did.push(`${verb}: ${why}`);
    ground.onStep?.({ resource: `vnode ${spec.name}`, verb, why });
  };
  const body = containerBody(spec, api);
  // An unreadable record is written anew.
  const record = await readRecord(ground.host, spec.name).catch(() => null);
  const old = await existing(ground, spec, record);
  const keep = old !== null && !options.recreate && old.labels[LABEL_BODY] === bodyDigest(body);
  if (options.live === true) requireLive(spec, old, keep);
  if (!keep) {
    step(
      old === null ? "create" : "replace",
      old === null ? "no container" : "the spec differs from the container",
    );
  }
  if (keep && old.name !== spec.name) step("update", `named "${old.name}", wanted "${spec.name}"`);
  if (ground.mode === "plan") {
    if (!options.createOnly && !(keep && old.state.running)) step("update", "not running");
    else if (keep && old.state.running) did.push(...await planWiring(ground, spec, record, old, options));
    return { vnode: spec.name, changed: did.length > 0, did };
  }
  const container = keep ? old : await makeContainer(ground, spec, body, old, record);
  if (keep && container.name !== spec.name) {
    await ground.docker.renameContainer(container.id, spec.name);
  }
  await writeResolv(ground, spec);
  // A container that is made and not to be started is not wanted up: the watch would start it. One that is to be
  // started is so from its first record on: a run that is cut off before the start must not pass for a halt.
  const wanted = keep || !options.createOnly ? record?.wanted : undefined;
  const first = options.createOnly ? "halted" : "up";
  const plain = recordOf(spec, lans, container, wanted ?? saidNow(first, ground.by), keptLive(record, spec));
  // A life that begins is given the whole spec anyway.
  const goesOn = keep && record !== null && container.state.running;
  const next = goesOn ? withPending(record, plain) : plain;
  if (JSON.stringify(next) !== JSON.stringify(record)) await writeRecord(ground.host, next);
  if (JSON.stringify(record?.lans) !== JSON.stringify(lans)) await keepLans(ground, lans);
  await prepareGate(ground.host, next);
  const dropped = droppedLive(record, spec).join(", ");
  if (dropped !== "") {
    ground.log.warn("The spec goes over what was changed live", { vnode: spec.name, what: dropped });
  }
  if (goesOn) {
    const what = waitsForStart(record.spec, spec).join(", ");
    if (what !== "") ground.log.warn("Stays until the next start", { vnode: spec.name, what });
  }
  if (options.createOnly) return { vnode: spec.name, changed: did.length > 0, did };
  await want(ground.host, next, "up", ground.by);
  if (!container.state.running) {
    step("update", "not running");
    await startVnode(ground.host, ground.docker, container.id, ground.signal);
  }
  // Whether all stands, one look tells of all; what a life is given inside, it is given while it is its turn.
  if (next.pending === undefined) {
    return { vnode: spec.name, changed: did.length > 0, did, running: next };
  }
  const steps = await wireRunning(ground, next, pendingSteps(next));
  await settlePending(ground.host, next);
  for (const one of steps) ground.onStep?.(one);
  did.push(...steps.map(said));
  return { vnode: spec.name, changed: did.length > 0, did };
}

/** A live change makes no container and starts none. */
function requireLive(spec: VnodeSpec, old: Container | null, keep: boolean): void {
  if (keep && old?.state.running === true) return;
  const message = old === null
    ? "It has not been made yet"
    : !keep
    ? "Its image, command, environment or control address differ from its container's: it needs a new one"
    : "It does not run: its next start takes what the spec says";
  throw new BerthError({
    code: "refused",
    object: `vnode ${spec.name}`,
    message,
    next: `berth vnode up ${spec.name}`,
  });
}

/** The vnode's container: of its name, or the recorded one where somebody renamed it. */
async function existing(
  ground: Ground,
  spec: VnodeSpec,
  record: VnodeRecord | null,
): Promise<Container | null> {
  const named = await ground.docker.inspectContainer(spec.name);
  refuseForeign(spec, named);
  if (named !== null || record === null) return named;
  const recorded = await ground.docker.inspectContainer(record.containerId);
  return recorded?.labels[LABEL_VNODE] === spec.name ? recorded : null;
}

/** A container of that name that is not a vnode is somebody else's. */
function refuseForeign(spec: VnodeSpec, container: Container | null): void {
  if (container === null || container.labels[LABEL_VNODE] === spec.name) return;
  throw new BerthError({
    code: "refused",
    object: `vnode ${spec.name}`,
    message: `A container "${spec.name}" exists and is not a vnode of berth's`,
    next: `docker rename ${spec.name} OTHER, or give the vnode another name`,
  });
}

async function makeContainer(
  ground: Ground,
  spec: VnodeSpec,
  body: Record<string, unknown>,
  old: Container | null,
  record: VnodeRecord | null,
): Promise<Container> {
  const { docker, host } = ground;
  // The image first: a failed create must never cost the vnode that is there.
  if ((await docker.inspectImage(spec.image)) === null) {
    ground.log.info("Pulling image", { vnode: spec.name, image: spec.image });
    await docker.pullImage(spec.image, undefined, { signal: ground.signal, timeoutMs: 1_800_000 });
  }
  await writeResolv(ground, spec);
  if (old !== null) {
    await docker.removeContainer(old.id, { force: true });
    // By what it was: its control address may be another by now.
    await unwire(host, spec.name, { force: "all", spec: record?.spec ?? spec });
    await forgetGate(host, old.id);
  }
  const { id, warnings } = await docker.createContainer(spec.name, body);
  for (const warning of warnings) ground.log.warn("Engine warns", { vnode: spec.name, warning });
  const made = await docker.inspectContainer(id);
  if (made === null) {
    throw new BerthError({
      code: "docker",
      object: `vnode ${spec.name}`,
      message: "Its new container is gone at once",
      next: "docker events",
    });
  }
  return made;
}

async function writeResolv(ground: Ground, spec: VnodeSpec): Promise<void> {
  const path = resolvPath(spec.name);
  const text = await resolvText(ground.host);
  // Where the file was lost, an engine that binds it all the same has made a directory in its place.
  if ((await ground.host.stat(path))?.kind === "directory") await ground.host.remove(path);
  const found = await ground.host.readText(path);
  if (found === text) return;
  if (found === null) return await ground.host.writeText(path, text, { mode: 0o644 });
  // In place: the vnode that runs has this very file bound, and would not see one renamed over it.
  await ground.host.writeInPlace(path, text);
}

function saidNow(state: Wanted["state"], by: string): Wanted {
  return { state, by, at: new Date().toISOString() };
}

function recordOf(
  spec: VnodeSpec,
  lans: readonly LanSpec[],
  container: Container,
  wanted: VnodeRecord["wanted"],
  live: Live | undefined,
): VnodeRecord {
  return {
    version: 1,
    name: spec.name,
    containerId: container.id,
    spec,
    lans,
    wanted,
    hostsPath: hostsPathOf(container),
    ...(live !== undefined && { live }),
  };
}

/** Before its first start a container has no hosts file yet; it will stand beside its log. */
function hostsPathOf(container: Container): string {
  if (container.hostsPath !== "") return container.hostsPath;
  const raw = container.raw as { LogPath?: string; HostnamePath?: string; ResolvConfPath?: string };
  const sibling = [raw.HostnamePath, raw.ResolvConfPath, raw.LogPath].find((path) =>
    path !== undefined && path !== ""
  );
  return sibling === undefined
    ? `/var/lib/docker/containers/${container.id}/hosts`
    : `${sibling.slice(0, sibling.lastIndexOf("/"))}/hosts`;
}

async function planWiring(
  ground: Ground,
  spec: VnodeSpec,
  record: VnodeRecord | null,
  container: Container,
  options: UpOptions,
): Promise<string[]> {
  const life = await lifeOf(ground.host, container.id, container.state.pid);
  if (life === null) return [];
  const next = { spec, live: keptLive(record, spec) };
  const wiring = wiringOf(effectiveSpec(next));
  const inside = options.inside === true
    ? await insideDifference(ground.host, wiring, life.pid)
    : record === null
    ? []
    : pendingSteps(withPending(record, next));
  const { steps } = await wire(ground.host, wiring, life, {
    plan: true,
    inside,
    names: true,
    hostsPath: record?.hostsPath,
  });
  for (const one of steps) ground.onStep?.(one);
  return steps.map(said);
}
