// Between the event stream and a consumer that may be slow: a bounded queue that drops events for a resync rather
// than grow or hold the engine up. Owns no connection.
import type { Followed } from "./types.ts";

/** A queue with one reader. */
export class Mailbox {
  #queue: Followed[] = [];
  #wake: (() => void) | undefined;
  readonly #most: number;

  /** `most`: entries kept. */
  constructor(most: number) {
    this.#most = most;
  }

  put(item: Followed): void {
    // Two looks in a row find the same: one is enough.
    if (item.kind === "resync" && this.#queue.at(-1)?.kind === "resync") return;
    const full = this.#queue.length >= this.#most;
    if (full) this.#overflow();
    // What overflowed is told by the resync; a change of the connection is told all the same.
    if (!full || item.kind === "connected" || item.kind === "disconnected") this.#queue.push(item);
    this.#wake?.();
  }

  /** The next entry; null once the signal has aborted. */
  async take(signal: AbortSignal): Promise<Followed | null> {
    while (!signal.aborted) {
      const item = this.#queue.shift();
      if (item !== undefined) return item;
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#wake = undefined;
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#wake = done;
        signal.addEventListener("abort", done, { once: true });
      });
    }
    return null;
  }

  /** All that is queued gives way to what still matters: whether there is a connection, and that something was lost. */
  #overflow(): void {
    const state = this.#queue.findLast((each) => each.kind === "connected" || each.kind === "disconnected");
    this.#queue = state === undefined ? [] : [state];
    this.#queue.push({
      kind: "resync",
      reason: `more than ${this.#most} events waited to be taken, and were dropped`,
    });
  }
}
