// What operators want, read off the live event stream and put into the records. An engine that shuts down or
// crashes tells the same events as an operator's stop: what it says on its way out is not believed.
import type { Clock, EngineEvent } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import type { Log } from "../log/log.ts";
import { LABEL_VNODE } from "../vnode/names.ts";
import { readRecord, type VnodeRecord, want } from "../vnode/record.ts";
import { Deaths } from "./deaths.ts";

export interface WishesParts {
  readonly host: Host;
  readonly log: Log;
  readonly clock: Clock;
  /** True when the engine takes a connection made just now: one that is going down does not. */
  readonly engineTakesCalls: () => Promise<boolean>;
  /** After a lost connection: true when the engine died without an orderly end. */
  readonly engineCrashed: () => Promise<boolean>;
  /** True while berth itself keeps that vnode stopped, for the engine's sake. @default {never} */
  readonly held?: (vnode: string) => Promise<boolean>;
}

/** A stop this fresh may be the first half of a `docker restart` that a crash of the engine cut off. */
const RESTART_MS = 5_000;

interface Stop {
  readonly record: VnodeRecord;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Takes live events and losses of the connection, and keeps `wanted` right. */
export class Wishes {
  readonly #parts: WishesParts;
  readonly #deaths = new Deaths();
  /** Stops by Docker that no start has followed yet. */
  readonly #stops = new Map<string, Stop>();
  /** Containers known to run. */
  readonly #running = new Set<string>();
  #leaving = false;

  constructor(parts: WishesParts) {
    this.#parts = parts;
  }

  /** True from the moment the engine was seen going down until it is back: nothing is started meanwhile. */
  get engineLeaves(): boolean {
    return this.#leaving;
  }

  connected(): void {
    this.#leaving = false;
  }

  /** A life that berth itself ends, since the engine has forgotten it: its `die` says nothing of what is wanted. */
  ends(id: string): void {
    this.#running.delete(id);
  }

  /** Containers that a list shows as running. */
  saw(ids: Iterable<string>): void {
    for (const id of ids) this.#running.add(id);
  }

  /** Takes one event. Told from before the connection (`live` is false), it only counts as history. */
  async take(event: EngineEvent, live: boolean): Promise<void> {
    const verdict = this.#deaths.judge(event);
    // A start that failed, or a task that a crash left, may end with a `die` of a container that never ran.
    const ran = event.action !== "die" || this.#running.delete(event.id);
    if (event.action === "start") this.#running.add(event.id);
    if (!ran) return;
    const vnode = event.attributes[LABEL_VNODE];
    if (verdict === null || vnode === undefined || !live) return;
    const { host, log, clock } = this.#parts;
    const record = await readRecord(host, vnode);
    // A container that was replaced says nothing about the one that took its place.
    if (record === null || record.containerId !== event.id) return;
    if (verdict.state === "up") this.#stops.delete(vnode);
    if (record.wanted.state === verdict.state) return;
    if (verdict.state === "halted" && !(await this.#parts.engineTakesCalls())) {
      this.#leaving = true;
      log.info("Engine is going down: what is wanted stays", { vnode });
      return;
    }
    if (verdict.byDocker && await this.#parts.held?.(vnode)) {
      log.info("Stopped by berth for the engine's sake: what is wanted stays", { vnode });
      return;
    }
    const next = await want(host, record, verdict.state, verdict.by, saidAt(event));
    if (next?.wanted.by !== verdict.by) return;
    log.info("Wanted", { vnode, state: verdict.state, by: verdict.by });
    if (verdict.state === "halted" && verdict.byDocker) this.#stops.set(vnode, { record, at: clock.now() });
  }

  /** The connection is lost: a stop that a crash may have cut off from its start is taken back. */
  async disconnected(): Promise<void> {
    const { host, log, clock } = this.#parts;
    const fresh = [...this.#stops].filter(([, stop]) => clock.now() - stop.at <= RESTART_MS);
    this.#stops.clear();
    this.#running.clear();
    if (fresh.length === 0 || !(await this.#parts.engineCrashed())) return;
    for (const [vnode, { record }] of fresh) {
      await want(host, record, "up", `${record.wanted.by}, before the engine crashed`);
      log.info("Wanted", { vnode, state: "up", by: "the engine crashed within its restart" });
    }
  }
}

/** When an event happened; the engine is on this machine, so its clock is ours. */
function saidAt(event: EngineEvent): Date {
  return new Date(Number(BigInt(event.timeNano) / 1_000_000n));
}
