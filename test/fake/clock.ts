// Time that stands still until a test moves it. No real waiting anywhere.
import type { Clock } from "../../lib/docker/types.ts";

/** When it begins, in Unix time: far from what `now()` begins with, so that one taken for the other is seen. */
const BEGIN = 1_700_000_000_000;

export class FakeClock implements Clock {
  #now = BEGIN;
  #waits: { at: number; resolve: () => void }[] = [];

  now(): number {
    return this.#now - BEGIN;
  }

  unix(): number {
    return this.#now;
  }

  /** How many waits are pending, and when the next one ends (ms from now). */
  get pending(): number {
    return this.#waits.length;
  }

  get next(): number | null {
    return this.#waits.length === 0 ? null : Math.min(...this.#waits.map((each) => each.at)) - this.#now;
  }

  wait(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const entry = { at: this.#now + ms, resolve };
      this.#waits.push(entry);
      signal?.addEventListener("abort", () => {
        this.#waits = this.#waits.filter((each) => each !== entry);
        resolve();
      }, { once: true });
    });
  }

  /** Moves time; waits that end on the way resolve in their order. */
  advance(ms: number): void {
    this.#now += ms;
    const due = this.#waits.filter((each) => each.at <= this.#now).sort((a, b) => a.at - b.at);
    this.#waits = this.#waits.filter((each) => each.at > this.#now);
    due.forEach((each) => each.resolve());
  }
}

/** Waits, in real time, until something is so; long, for a machine that is busy. Fails with what was last seen. */
export async function until<T>(
  what: string,
  look: () => T | false | null | undefined,
  ms = 60_000,
): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = look();
    if (found !== false && found !== null && found !== undefined) return found as T;
    if (Date.now() > end) {
      throw new Error(`not so within ${ms} ms: ${what} (last seen: ${JSON.stringify(found)})`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
