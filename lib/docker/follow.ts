// Follows the engine's events for ever, over its deaths and rebirths. Subscribes first and says `resync` then, so that
// a consumer who lists on `resync` and reacts to events misses nothing. Owns no reaction.
import { withDeadline } from "./clock.ts";
import { ENDPOINTS } from "./endpoints.ts";
import { callError } from "./errors.ts";
import { eventKey, parseEvent, sinceParameter } from "./events.ts";
import { LineSplitter } from "./lines.ts";
import { Mailbox } from "./mailbox.ts";
import { type Caller, dockerSays, readBody } from "./request.ts";
import type { Clock, Followed, FollowOptions } from "./types.ts";

/** What berth follows unless told otherwise. */
export const FOLLOWED_TYPES = ["container", "network", "daemon"] as const;

/** As many as the engine itself keeps for a slow listener (runtimes: 1024, then dropped without a word). */
const BUFFER = 1024;
const PING_MS = 10_000;
/** For the headers of the stream and for a ping. */
const ANSWER_MS = 10_000;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 10_000;
/** The engine repeats at most its backlog of 256; four times that to be safe. */
const REMEMBERED = 1024;

/** Milliseconds before try number `failures` (from 0): doubling, with up to half of it taken off by chance. */
export function retryDelay(failures: number, random: () => number): number {
  const whole = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 20));
  return Math.max(FIRST_RETRY_MS, Math.round(whole * (1 - random() / 2)));
}

/** The stream of what happens. Nothing is opened before the first `next()`; several may run at once. */
export async function* follow(caller: Caller, options: FollowOptions): AsyncGenerator<Followed, void, void> {
  const ending = new AbortController();
  const end = () => ending.abort();
  if (options.signal.aborted) return;
  options.signal.addEventListener("abort", end, { once: true });
  const mailbox = new Mailbox(options.buffer ?? BUFFER);
  const running = new Follower(caller, mailbox, options, ending.signal).run();
  try {
    for (let item = await mailbox.take(ending.signal); item; item = await mailbox.take(ending.signal)) {
      yield item;
    }
  } finally {
    options.signal.removeEventListener("abort", end);
    ending.abort();
    await running;
  }
}

class Follower {
  readonly #clock: Clock;
  readonly #types: readonly string[];
  readonly #pingMs: number;
  /** Nanoseconds of the newest event seen. The engine is on this machine: its clock is ours. */
  #last: string;
  readonly #seen = new Set<string>();

  constructor(
    readonly caller: Caller,
    readonly mailbox: Mailbox,
    readonly options: FollowOptions,
    readonly signal: AbortSignal,
  ) {
    this.#clock = options.clock ?? caller.clock;
    this.#types = options.types ?? FOLLOWED_TYPES;
    this.#pingMs = options.pingMs ?? PING_MS;
    this.#last = options.since ?? `${Math.floor(this.#clock.unix())}000000`;
  }

  /** Connects, and connects again. Ends, soon, when the signal aborts; never throws. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.signal.aborted) {
      const started = this.#clock.now();
      const reason = await this.#connection();
      if (this.signal.aborted) return;
      // An engine that dies as soon as it is asked is no success.
      if (this.#clock.now() - started >= LAST_RETRY_MS) failures = 0;
      const retryMs = retryDelay(failures++, this.options.random ?? Math.random);
      this.mailbox.put({ kind: "disconnected", reason, retryMs });
      await this.#clock.wait(retryMs, this.signal);
    }
  }

  /** One connection from its first call to its end. Answers with why it ended. */
  async #connection(): Promise<string> {
    const over = new AbortController();
    const end = () => over.abort(this.signal.reason);
    this.signal.addEventListener("abort", end, { once: true });
    const { Client } = await import("undici");
    // Its own client: a stream blocks every request behind it. Made anew each time, so that a new socket is found.
    const client = new Client("http://engine", {
      connect: { socketPath: this.caller.socket },
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    try {
      return await withDeadline(this.#clock, 0, over.signal, () => this.#stream(client, over));
    } catch (error) {
      const about = { object: "engine", doing: ENDPOINTS.events.doing, socket: this.caller.socket };
      return callError(error, about).message;
    } finally {
      this.signal.removeEventListener("abort", end);
      over.abort();
      // Nothing waits for it: the connection is of no use any more, however long its end takes.
      client.destroy().catch(() => {});
    }
  }

  async #stream(client: import("undici").Client, over: AbortController): Promise<string> {
    // Asked anew: the engine that comes back may be another one.
    const version = await this.caller.version({ fresh: true, signal: over.signal, timeoutMs: ANSWER_MS });
    const query = { since: sinceParameter(this.#last), filters: JSON.stringify({ type: this.#types }) };
    const path = this.caller.address(ENDPOINTS.events, { query }, version);
    const sent = await withDeadline(
      this.#clock,
      ANSWER_MS,
      over.signal,
      () => client.request({ method: "GET", path, signal: over.signal }),
    );
    if (sent.statusCode !== 200) {
      const body = readBody(await withDeadline(this.#clock, ANSWER_MS, over.signal, () => sent.body.text()));
      return `The engine refuses its events: ${dockerSays(body) || `status ${sent.statusCode}`}`;
    }
    this.mailbox.put({ kind: "connected", version });
    this.mailbox.put({ kind: "resync", reason: "connected" });
    const reading = this.#read(sent.body);
    // Its end by abort is of no interest when the liveness check was first.
    reading.catch(() => {});
    return await Promise.race([reading, this.#silence(over.signal)]);
  }

  async #read(body: AsyncIterable<Uint8Array>): Promise<string> {
    const lines = new LineSplitter();
    for await (const chunk of body) lines.push(chunk).forEach((line) => this.#take(line));
    return "The engine closed the stream of events";
  }

  #take(line: string): void {
    if (line.trim() === "") return;
    let event;
    try {
      event = parseEvent(line);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.mailbox.put({ kind: "resync", reason: `an event could not be read: ${why}` });
      return;
    }
    // `since` is inclusive: what was told before a reconnection is told again.
    const key = eventKey(event);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value!);
    if (BigInt(event.timeNano) > BigInt(this.#last)) this.#last = event.timeNano;
    this.mailbox.put({ kind: "event", event });
  }

  /** Ends when the engine gives no sign of life: a dead daemon need not close its stream. */
  async #silence(signal: AbortSignal): Promise<string> {
    for (;;) {
      await this.#clock.wait(this.#pingMs, signal);
      signal.throwIfAborted();
      try {
        await withDeadline(
          this.#clock,
          ANSWER_MS,
          signal,
          ({ signal }) => this.caller.call(ENDPOINTS.ping, {}, { signal, timeoutMs: 0 }),
        );
      } catch (error) {
        signal.throwIfAborted();
        const about = { object: "engine", doing: ENDPOINTS.ping.doing, socket: this.caller.socket };
        return callError(error, about).message;
      }
    }
  }
}
