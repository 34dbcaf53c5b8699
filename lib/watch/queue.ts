// A queue keyed by name: what is asked for while it waits is one run; one run per key at a time; a key asked for
// during its own run is run once more. Failures come back after a growing pause, for ever, and never hold others up.
import type { Clock } from "../docker/types.ts";

/** A key that failed, for status. */
export interface Failing {
  readonly key: string;
  readonly reason: string;
  readonly tries: number;
  /** Milliseconds since the epoch. */
  readonly nextTry: number;
}

export interface QueueOptions {
  readonly work: (key: string) => Promise<void>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Runs at once. @default {8} */
  readonly atOnce?: number;
  /** First pause after a failure; doubled each time up to 60 s, with up to a quarter of jitter. @default {500} */
  readonly firstPauseMs?: number;
  readonly random?: () => number;
  /** Told each failure and each recovery (`null`). */
  readonly onFailing?: (key: string, failing: Failing | null, error: unknown) => void;
}

/** The longest pause between two tries. */
const LONGEST_PAUSE_MS = 60_000;

export interface Queue {
  /** Asks for a run of a key, now: a pause after failures is cut short. */
  add(key: string): void;
  /** What fails at present. */
  failing(): readonly Failing[];
  /** Resolves when nothing waits and nothing runs (pauses after failures do not count). */
  idle(): Promise<void>;
}

/** Makes a queue. It ends with its signal: what runs is finished, nothing new is begun. */
export function createQueue(options: QueueOptions): Queue {
  const { work, clock, signal, atOnce = 8, firstPauseMs = 500, random = Math.random, onFailing } = options;
  const waiting = new Set<string>();
  const running = new Set<string>();
  const failing = new Map<string, Failing>();
  const pauses = new Map<string, AbortController>();
  let idlers: (() => void)[] = [];

  const pump = () => {
    for (const key of waiting) {
      if (running.size >= atOnce || signal.aborted) break;
      if (running.has(key)) continue;
      waiting.delete(key);
      running.add(key);
      pauses.get(key)?.abort();
      pauses.delete(key);
      void run(key);
    }
    if (running.size > 0 || (waiting.size > 0 && !signal.aborted)) return;
    for (const resolve of idlers) resolve();
    idlers = [];
  };

  const run = async (key: string) => {
    try {
      await work(key);
      if (failing.delete(key)) onFailing?.(key, null, null);
    } catch (error) {
      pause(key, error);
    } finally {
      running.delete(key);
      pump();
    }
  };

  const pause = (key: string, error: unknown) => {
    const tries = (failing.get(key)?.tries ?? 0) + 1;
    const ms = Math.min(LONGEST_PAUSE_MS, firstPauseMs * 2 ** (tries - 1)) * (1 + random() / 4);
    const reason = error instanceof Error ? error.message : String(error);
    failing.set(key, { key, reason, tries, nextTry: clock.unix() + ms });
    onFailing?.(key, failing.get(key)!, error);
    // Asked for during its own run, it may have been paused before: one pause a key.
    pauses.get(key)?.abort();
    const timer = new AbortController();
    pauses.set(key, timer);
    clock.wait(ms, timer.signal).then(() => {
      if (!timer.signal.aborted && !signal.aborted) add(key);
    });
  };

  const add = (key: string) => {
    pauses.get(key)?.abort();
    pauses.delete(key);
    waiting.add(key);
    pump();
  };

  signal.addEventListener("abort", () => {
    for (const timer of pauses.values()) timer.abort();
    pump();
  }, { once: true });

  return {
    add,
    failing: () => [...failing.values()],
    idle: () =>
      new Promise((resolve) => {
        idlers.push(resolve);
        pump();
      }),
  };
}
