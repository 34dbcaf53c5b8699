// The watch: Docker's events in, wired vnodes out. follower → queue → reconcile → wire; a second queue boots what
// is wanted up and does not run. Events only say whom to look at; what is done follows from the look alone, so
// a lost event costs time, never correctness.
import type { Clock, Docker, EngineEvent, Followed } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import type { Log } from "../log/log.ts";
import type { Ensurer } from "../resource/ensure.ts";
import { ensureLans, lansOfRecords, mendLans } from "../vnode/lans.ts";
import { LABEL_VNODE } from "../vnode/names.ts";
import { liveSpec } from "../vnode/live.ts";
import { readRecord, readRecords, type VnodeRecord } from "../vnode/record.ts";
import { ensureRules } from "../vnode/rules.ts";
import { endForgottenTask, readShims, startVnode } from "../vnode/start.ts";
import { readWholeView } from "../vnode/redirects.ts";
import { preparedContainers, prepareGate } from "../gate/prepare.ts";
import { Flaps } from "./flaps.ts";
import { Held } from "./held.ts";
import { collectOrphans } from "./orphans.ts";
import { Pace } from "./pace.ts";
import { createQueue, type Failing } from "./queue.ts";
import { reconcile } from "./reconcile.ts";
import { Wishes } from "./wishes.ts";

export interface WatchOptions {
  readonly host: Host;
  readonly docker: Docker;
  readonly log: Log;
  readonly ensureAll: Ensurer["ensureAll"];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Milliseconds between full looks when nothing happens. */
  readonly resyncMs: number;
  /** True when the engine takes a connection made just now: one that is going down does not. */
  readonly engineTakesCalls: () => Promise<boolean>;
  /** After a lost connection: true when the engine died without an orderly end. @default {never} */
  readonly engineCrashed?: () => Promise<boolean>;
  /** Puts the ground right that vnodes stand on (firewall, control network), before each full look. */
  readonly mendGround?: () => Promise<void>;
  /** Told after each full look and whenever something fails or recovers. */
  readonly onState?: (state: WatchState) => void | Promise<void>;
  /** Given the way to ask for a full look (SIGHUP does). */
  readonly onReady?: (resync: (reason: string) => void) => void;
}

/** What the watch knows of itself, for `berth status`. */
export interface WatchState {
  readonly connected: boolean;
  readonly engine: string | null;
  /** ISO 8601; null before the first. */
  readonly lastResync: string | null;
  readonly resyncReason: string | null;
  readonly vnodes: number;
  readonly degraded: readonly Failing[];
}

/** Actions after which a vnode is looked at. Others (exec_*, top, resize …) say nothing about wiring. */
const LOOK_AT = new Set([
  "start",
  "die",
  "stop",
  "restart",
  "destroy",
  "pause",
  "unpause",
  "rename",
  "oom",
  "create",
]);

/** Milliseconds until it is looked again whether berth still keeps a vnode stopped. */
const HELD_MS = 1_000;

/** Watches until the signal aborts. Vnodes are not touched by its end. */
export async function watch(options: WatchOptions): Promise<void> {
  const { host, docker, log, clock, signal } = options;
  const held = new Held(host, clock);
  const wishes = new Wishes({
    host,
    log,
    clock,
    engineTakesCalls: options.engineTakesCalls,
    engineCrashed: options.engineCrashed ?? (() => Promise.resolve(false)),
    held: (vnode) => held.holds(vnode),
  });
  const onEnds = (id: string) => wishes.ends(id);
  const pace = new Pace(clock);
  let state: WatchState = {
    connected: false,
    engine: null,
    lastResync: null,
    resyncReason: null,
    vnodes: 0,
    degraded: [],
  };
  // One telling after the other, so that the last one stands; a full disk must not end the watch.
  let telling = Promise.resolve();
  const tell = (change: Partial<WatchState>) => {
    state = {
      ...state,
      ...change,
      degraded: [...wiring.failing(), ...booting.failing(), ...looks.failing().map(ofLook)],
    };
    const told = state;
    telling = telling.then(async () => await options.onState?.(told)).catch((error) =>
      log.warn("Cannot tell how the watch is", { error: String(error) })
    );
    return telling;
  };
  const onFailing = (what: string) => (key: string, failing: Failing | null, error: unknown) => {
    if (failing === null) log.info("Recovered", { vnode: key, what });
    else {
      const detail = error instanceof BerthError ? error.toJSON() : { message: String(error) };
      log.warn("Degraded", { vnode: key, what, tries: failing.tries, ...detail });
    }
    void tell({});
  };

  const booting = createQueue({
    clock,
    signal,
    atOnce: 4,
    firstPauseMs: 1000,
    onFailing: onFailing("boot"),
    work: (vnode) => bootAgain(vnode),
  });
  const wiring = createQueue({
    clock,
    signal,
    onFailing: onFailing("wire"),
    work: async (vnode) => {
      schedule(vnode, await readRecord(host, vnode));
      const result = await reconcile({ host, docker, log, onEnds }, vnode);
      if (result.boot) booting.add(vnode);
    },
  });

  const flaps = new Flaps(clock, signal, (vnode) => wiring.add(vnode));
  const schedule = (vnode: string, record: VnodeRecord | null) =>
    flaps.keep(vnode, record?.wanted.state === "up" ? liveSpec(record) : null);

  // Outside the queue: others' boots must not wait for it. What is wanted is looked at again then.
  const later = (vnode: string, ms: number) =>
    void clock.wait(ms, signal).then(() => signal.aborted || booting.add(vnode));

  const bootAgain = async (vnode: string) => {
    const record = await readRecord(host, vnode);
    // An engine that goes down would start it only to leave it behind.
    if (record === null || record.wanted.state !== "up" || wishes.engineLeaves) return;
    if (await held.holds(vnode)) return later(vnode, HELD_MS);
    const container = await docker.inspectContainer(record.containerId);
    if (container === null || container.state.running) return wiring.add(vnode);
    const pauseMs = pace.pause(vnode, container.state);
    if (pauseMs > 0) {
      log.warn("Ends soon after each boot", { vnode, exitCode: container.state.exitCode, pauseMs });
      return later(vnode, pauseMs);
    }
    await ensureLans(options, record.lans);
    await prepareGate(host, record);
    if (await startVnode(host, docker, record.containerId)) {
      log.info("Booted", { vnode });
    }
    wiring.add(vnode);
  };

  const resync = async (reason: string) => {
    const began = clock.now();
    const faults: unknown[] = [];
    // What is wrong with one thing keeps no other from being put right.
    const attempt = (work: Promise<unknown> | undefined) => work?.catch((error) => void faults.push(error));
    await attempt(options.mendGround?.());
    // In this order: what is listed later may hold more, and what it lacks is gone, not yet to come.
    const prepared = await preparedContainers(host);
    const unreadable: string[] = [];
    const records = await readRecords(host, (error, vnode) => {
      unreadable.push(vnode);
      log.warn("Unreadable record: all that may be its vnode's is left alone", {
        vnode,
        error: String(error),
      });
    });
    // Its own queue tells that it fails, as long as it does.
    for (const vnode of unreadable) wiring.add(vnode);
    pace.keep(new Set(records.map((record) => record.name)));
    flaps.only(new Set(records.map((record) => record.name)));
    for (const record of records) schedule(record.name, record);
    await attempt(ensureRules(options, records));
    faults.push(
      ...await mendLans(options, lansOfRecords(records.filter((one) => one.wanted.state === "up"))),
    );
    const shims = await readShims(host);
    const containers = await docker.listContainers({ all: true });
    wishes.saw(
      containers.filter((one) => one.state === "running" || one.state === "paused").map((one) => one.id),
    );
    const view = await readWholeView(host);
    await attempt((async () => {
      const known = new Set(containers.map((one) => one.id));
      for (const step of await collectOrphans(host, view, records, { unreadable, prepared, known })) {
        log.info("Collected", { resource: step.resource, why: step.why });
      }
    })());
    // One look for all: those whose wiring stands in it need no look of their own.
    await Promise.all(records.map(async (record) => {
      try {
        const result = await reconcile({ host, docker, log, view, onEnds }, record.name);
        if (result.boot) return booting.add(record.name);
        const shim = shims.get(record.containerId);
        if (result.state !== "down" || shim === undefined) return;
        onEnds(record.containerId);
        if (await endForgottenTask(host, docker, record.containerId, shim)) {
          log.warn("Ended a task that the engine has forgotten", { vnode: record.name });
        }
      } catch {
        // The queue looks again by itself, and reports and retries what fails.
        wiring.add(record.name);
      }
    }));
    log.info("Resynced", { reason, vnodes: records.length, ms: clock.now() - began });
    await tell({
      lastResync: new Date(clock.unix()).toISOString(),
      resyncReason: reason,
      vnodes: records.length,
    });
    if (faults.length > 0) throw faults[0];
  };

  const onEvent = async (event: EngineEvent, connectedAt: number) => {
    const vnode = event.attributes[LABEL_VNODE];
    if (event.type !== "container" || vnode === undefined) return;
    // Told from before the connection: by an engine that came back, about what its crash did.
    const live = Number(BigInt(event.timeNano || "0") / 1_000_000n) >= connectedAt;
    await wishes.take(event, live).catch((error) =>
      log.warn("Cannot take up event", { vnode, action: event.action, error: String(error) })
    );
    // Looked at in any case: events only say whom.
    if (LOOK_AT.has(event.action)) wiring.add(vnode);
  };

  // Full looks run one at a time, off the stream: events go on being read meanwhile.
  const looks = createQueue({ clock, signal, atOnce: 1, onFailing: onFailing("resync"), work: resync });
  options.onReady?.((reason) => looks.add(reason));
  const now = new AbortController();
  signal.addEventListener("abort", () => now.abort(), { once: true });
  void (async () => {
    while (!signal.aborted) {
      await clock.wait(options.resyncMs, now.signal);
      if (!signal.aborted && state.connected) looks.add("interval");
    }
  })();

  let connectedAt = clock.unix();
  for await (const told of docker.follow({ signal, clock }) as AsyncIterable<Followed>) {
    switch (told.kind) {
      case "connected":
        connectedAt = clock.unix();
        wishes.connected();
        log.info("Connected", { engine: told.version.version, api: told.version.api });
        await tell({ connected: true, engine: told.version.version });
        break;
      case "resync":
        looks.add(told.reason);
        break;
      case "event":
        await onEvent(told.event, connectedAt);
        break;
      case "disconnected":
        log.warn("Disconnected", { reason: told.reason, retryMs: told.retryMs });
        await tell({ connected: false });
        await wishes.disconnected().catch((error) =>
          log.warn("Cannot take back stops", { error: String(error) })
        );
        break;
    }
  }
  await Promise.all([wiring.idle(), booting.idle(), looks.idle()]);
  await telling;
}

/** A full look that fails is no vnode's failure. */
function ofLook(failing: Failing): Failing {
  return { ...failing, key: `full look (${failing.key})` };
}
