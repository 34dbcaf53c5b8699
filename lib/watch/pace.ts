// How often a vnode that ends soon after each boot is booted again: at once the first time, then ever more seldom.
// Pure but for the clock; the waiting itself is the watch's.
import type { Clock, ContainerState } from "../docker/types.ts";

/** A life this long is a life: the next boot is at once again. */
const STEADY_MS = 10_000;
const LONGEST_PAUSE_MS = 60_000;

/** Remembers, per vnode, how many lives in a row were short. */
export class Pace {
  readonly #clock: Clock;
  readonly #short = new Map<
    string,
    { readonly lives: number; readonly last: string; readonly next: number }
  >();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until the boot after the life that `state` tells of; 0 is now. Asking twice counts once. */
  pause(vnode: string, state: Pick<ContainerState, "startedAt" | "finishedAt">): number {
    const lived = Date.parse(milliseconds(state.finishedAt)) - Date.parse(milliseconds(state.startedAt));
    // Never started, or without times: nothing to be learnt from.
    if (!(lived >= 0 && lived < STEADY_MS)) {
      this.#short.delete(vnode);
      return 0;
    }
    const before = this.#short.get(vnode);
    if (before?.last === state.finishedAt) return Math.max(0, before.next - this.#clock.now());
    const lives = (before?.lives ?? 0) + 1;
    const pause = lives === 1 ? 0 : Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** (lives - 2));
    this.#short.set(vnode, { lives, last: state.finishedAt, next: this.#clock.now() + pause });
    return pause;
  }

  /** Forgets vnodes that are gone. */
  keep(vnodes: ReadonlySet<string>): void {
    for (const vnode of this.#short.keys()) if (!vnodes.has(vnode)) this.#short.delete(vnode);
  }
}

/** Docker's times have nanoseconds, which not every parser of dates takes. */
export function milliseconds(time: string): string {
  return time.replace(/(\.\d{3})\d+/, "$1");
}
