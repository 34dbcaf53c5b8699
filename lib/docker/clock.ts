// The system's clock, and deadlines on any clock. Owns no policy: callers say how long.
import type { Clock } from "./types.ts";

/** The real time. A wait keeps the process alive until it ends or its signal aborts. */
export const systemClock: Clock = {
  now: () => performance.now(),
  unix: () => Date.now(),
  wait(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    });
  },
};

/** Thrown (as the reason of an abort) when a deadline passed. */
export class DeadlinePassed extends Error {
  readonly ms: number;
  constructor(ms: number) {
    super(`no answer within ${ms} ms`);
    this.name = "DeadlinePassed";
    this.ms = ms;
  }
}

/** What a piece of work under a deadline is given. */
export interface Deadline {
  /** Aborted by the deadline or by the caller's own signal. */
  readonly signal: AbortSignal;
  /** A sign of life: the time starts anew. */
  touch(): void;
}

/**
 * Runs work that must end (or show a sign of life) within `ms`; 0 is for ever.
 *
 * @throws {DeadlinePassed} when it did not; the signal's own reason when the caller's signal aborted.
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal | undefined,
  work: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const inner = new AbortController();
  let timer = new AbortController();
  const arm = () => {
    if (ms <= 0) return;
    const mine = timer = new AbortController();
    clock.wait(ms, mine.signal).then(() => {
      if (!mine.signal.aborted) inner.abort(new DeadlinePassed(ms));
    });
  };
  const touch = () => {
    timer.abort();
    if (!inner.signal.aborted) arm();
  };
  const forward = () => inner.abort(signal?.reason);
  if (signal?.aborted) forward();
  signal?.addEventListener("abort", forward, { once: true });
  const ended = new Promise<never>((_, reject) => {
    const refuse = () => reject(inner.signal.reason);
    if (inner.signal.aborted) refuse();
    else inner.signal.addEventListener("abort", refuse, { once: true });
  });
  // Its rejection is only of interest to the race below, which may be over already.
  ended.catch(() => {});
  arm();
  try {
    inner.signal.throwIfAborted();
    // The race: work that overlooks its signal must not hold the caller.
    return await Promise.race([work({ signal: inner.signal, touch }), ended]);
  } finally {
    timer.abort();
    signal?.removeEventListener("abort", forward);
  }
}
