// One vnode put right: look at its container by identity, then wire the life that runs or take away what
// stands for lives that are over. Never holds the vnode's lock across a call of Docker's. Tells whether the
// vnode is to be booted; booting is another queue's work, so that a clean-up never waits behind a start.
import type { Docker } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import type { Log } from "../log/log.ts";
import { lifeOf } from "../vnode/life.ts";
import { effectiveSpec } from "../vnode/live.ts";
import { readRecord, want } from "../vnode/record.ts";
import type { HostView } from "../vnode/view.ts";
import { milliseconds } from "./pace.ts";
import { clearStaleTask } from "../vnode/start.ts";
import { livingGenerations, unwire, wire } from "../vnode/wire.ts";
import { wiringOf } from "../vnode/wiring.ts";

export interface ReconcileParts {
  readonly host: Host;
  readonly docker: Docker;
  readonly log: Log;
  /** A look at the kernel made for many vnodes at once. */
  readonly view?: HostView;
  /** Told the container of a life that is ended by us, before it is. */
  readonly onEnds?: (containerId: string) => void;
}

/** What a look at one vnode came to. */
export interface Reconciled {
  /** "wired": it runs and is wired. "down": it does not run. "none": berth has no record of it. */
  readonly state: "wired" | "down" | "none";
  readonly changed: boolean;
  /** Wanted up, there, and not running. */
  readonly boot: boolean;
}

/** Deadline of an inspect: it blocks while the gate holds the container's start. */
const INSPECT_MS = 40_000;

/**
 * Ends a life that Docker does not know: its engine was killed while it started the container. Seen alive, and
 * Docker asked *after* that (an inspect waits for a start that is under way) says that nothing runs.
 *
 * @returns the generation that was ended, or null.
 */
async function endStaleLife(parts: ReconcileParts, vnode: string, id: string): Promise<string | null> {
  const { host, docker, log } = parts;
  const [generation] = await livingGenerations(host, vnode, parts.view);
  if (generation === undefined) return null;
  const again = await docker.inspectContainer(id, { timeoutMs: INSPECT_MS });
  if (again !== null && again.state.pid !== 0) return null;
  if (!(await livingGenerations(host, vnode)).includes(generation)) return null;
  log.warn("Ends a life that the engine has forgotten", { vnode, generation });
  parts.onEnds?.(id);
  await clearStaleTask(host, docker, id);
  return generation;
}

/** Puts one vnode right. Does nothing when everything is. */
export async function reconcile(parts: ReconcileParts, vnode: string): Promise<Reconciled> {
  const { host, docker, log } = parts;
  const record = await readRecord(host, vnode);
  if (record === null) return { state: "none", changed: false, boot: false };
  const container = await docker.inspectContainer(record.containerId, { timeoutMs: INSPECT_MS });
  const { spec } = record;
  if (container !== null && container.state.pid > 0) {
    // Started while nobody watched: whoever did that wants it up.
    if (
      record.wanted.state === "halted" &&
      Date.parse(milliseconds(container.state.startedAt)) > Date.parse(record.wanted.at)
    ) {
      await want(host, record, "up", "docker start");
      log.info("Wanted", { vnode, state: "up", by: "docker start", seen: "late" });
    }
    const life = await lifeOf(host, container.id, container.state.pid);
    if (life !== null) {
      const wired = await wire(host, wiringOf(effectiveSpec(record)), life, {
        hostsPath: record.hostsPath,
        ...(parts.view !== undefined && { view: parts.view }),
      });
      for (const step of wired.steps) {
        log.info("Wired", { vnode, resource: step.resource, verb: step.verb, why: step.why });
      }
      // A life that ended between the look and the lock: the next event, or the next look, deals with it.
      if (wired.generation !== null) return { state: "wired", changed: wired.changed, boot: false };
    }
  }
  let force = container === null ? "all" : undefined;
  if (container !== null && container.state.pid === 0) {
    force = await endStaleLife(parts, vnode, container.id) ?? undefined;
  }
  const unwired = await unwire(host, vnode, {
    spec,
    ...(force !== undefined && { force }),
    ...(parts.view !== undefined && { view: parts.view }),
  });
  for (const step of unwired.steps) log.info("Unwired", { vnode, resource: step.resource, why: step.why });
  const dead = container !== null && !container.state.running;
  // Read again: what is wanted may have changed while Docker was asked.
  const wanted = (await readRecord(host, vnode))?.wanted.state;
  return { state: "down", changed: unwired.changed, boot: dead && wanted === "up" };
}
