// Tells what is being done when it takes over a second: a spinner on a terminal that somebody sits before, else (a pipe,
// a boot console) a plain line now and then.
// Owns one line of stderr; results and errors are not its business.
import process from "node:process";

/** Milliseconds before anything is shown: what is quicker needs no word. */
const QUIET_MS = 1_000;
/** Milliseconds between the plain lines. */
const STILL_MS = 5_000;
const FRAME_MS = 100;
const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

/** What is going on now. */
export interface Progress {
  /** Names what is being done; "" when nothing is. */
  set(text: string): void;
  /** Clears the spinner's line, for `write` to print something of its own. */
  clear(): void;
  /** Ends it; nothing is shown afterwards. */
  stop(): void;
}

/** What a progress line is written to, and when. */
export interface ProgressOptions {
  readonly stream?: { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };
  readonly quiet?: boolean;
  /** Somebody sits before the stream, if it is a terminal. @default {true} */
  readonly attended?: boolean;
  /** Milliseconds since some fixed moment. @default {performance.now} */
  readonly now?: () => number;
  /** Calls `tick` every `ms` until the answer is called. @default {setInterval, not keeping the process alive} */
  readonly every?: (ms: number, tick: () => void) => () => void;
}

/** Shows progress on stderr. */
export function createProgress(options: ProgressOptions = {}): Progress {
  const { stream = process.stderr, quiet = false, attended = true } = options;
  const { now = () => performance.now(), every = interval } = options;
  if (quiet) return { set() {}, clear() {}, stop() {} };
  const spinner = attended && stream.isTTY === true && process.env.TERM !== "dumb";
  let text = "";
  let since = 0;
  let told = 0;
  let frame = 0;
  let shown = false;
  let cancel: (() => void) | undefined;
  const clear = () => {
    if (shown) stream.write("\r\x1b[K");
    shown = false;
  };
  const tick = () => {
    const elapsed = now() - since;
    if (text === "" || elapsed < QUIET_MS) return;
    if (spinner) {
      const line = `${FRAMES[frame++ % FRAMES.length]} ${text} (${Math.round(elapsed / 1_000)} s)`;
      stream.write(`\r\x1b[K${line.slice(0, (stream.columns ?? 80) - 1)}`);
      shown = true;
    } else if (now() - told >= STILL_MS) {
      told = now();
      stream.write(`still at it after ${Math.round(elapsed / 1_000)} s: ${text}\n`);
    }
  };
  const stop = () => {
    clear();
    cancel?.();
    cancel = undefined;
    text = "";
  };
  return {
    clear,
    stop,
    set(next) {
      if (next === "") return stop();
      if (next !== text) since = told = now();
      text = next;
      cancel ??= every(spinner ? FRAME_MS : QUIET_MS, tick);
    },
  };
}

function interval(ms: number, tick: () => void): () => void {
  const timer = setInterval(tick, ms);
  timer.unref?.();
  return () => clearInterval(timer);
}
