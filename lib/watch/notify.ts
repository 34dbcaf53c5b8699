// What the watch tells systemd: that it is ready, that it lives, that it ends (sd_notify(3)). By a systemd-notify
// child, since Node has no datagram socket of that family. Says nothing where nobody listens.
import type { Clock } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import type { Log } from "../log/log.ts";
import type { WatchState } from "./watch.ts";

export interface NotifierParts {
  readonly host: Host;
  readonly log: Log;
  readonly clock: Clock;
  /** Ends the signs of life. */
  readonly signal: AbortSignal;
  /** Where NOTIFY_SOCKET and WATCHDOG_USEC stand. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds between full looks: much more without one is no life. */
  readonly resyncMs: number;
}

/** Milliseconds after which a watch without an engine counts as ready: it waits for one, as is its office. */
const READY_MS = 30_000;
/** Milliseconds that a full look may take, beside the time until it is due: its calls have deadlines of their own. */
const LOOK_MS = 600_000;
/** Signs of life in the time in which systemd wants one (sd_watchdog_enabled(3) advises two). */
const SIGNS = 3;

/** Speaks to systemd for one watch. */
export interface Notifier {
  /** Begins: counts the time until ready, and gives signs of life. */
  start(): void;
  /** To be told each state; the first full look makes the watch ready. */
  told(state: WatchState): void;
  /** The watch ends. */
  stopping(): Promise<void>;
}

/** Makes a notifier; one that does nothing where no init system listens. */
export function createNotifier(parts: NotifierParts): Notifier {
  const { host, log, clock, signal, env } = parts;
  const socket = env.NOTIFY_SOCKET;
  if (socket === undefined || socket === "") {
    return { start() {}, told() {}, stopping: () => Promise.resolve() };
  }
  let isReady = false;
  let connected = false;
  let status = "Waits for the engine";
  let sign = clock.now();
  const notify = (...words: readonly string[]) =>
    // With no signal: it is said at the very end, too.
    host.exec({ argv: ["systemd-notify", ...words], env: { NOTIFY_SOCKET: socket }, timeoutMs: 10_000 }, {
      signal: null,
    }).then(() => {}, (error) => log.warn("Cannot tell systemd", { error: String(error) }));
  const ready = () => {
    if (isReady || signal.aborted) return;
    isReady = true;
    void notify("--ready", `--status=${status}`);
  };
  return {
    start() {
      sign = clock.now();
      void clock.wait(READY_MS, signal).then(ready);
      const everyMs = Number(env.WATCHDOG_USEC ?? 0) / 1000 / SIGNS;
      if (!(everyMs > 0)) return;
      void (async () => {
        while (!signal.aborted) {
          // Without an engine there is nothing to look at.
          const isAlive = !connected || clock.now() - sign < parts.resyncMs * 2 + LOOK_MS;
          if (isAlive) await notify("WATCHDOG=1");
          else log.error("No full look for long: gives no sign of life", { ms: clock.now() - sign });
          await clock.wait(everyMs, signal);
        }
      })();
    },
    told(state) {
      sign = clock.now();
      connected = state.connected;
      const before = status;
      const looked = state.lastResync !== null;
      status = !connected
        ? "Waits for the engine"
        : looked
        ? `Watches ${state.vnodes} vnodes`
        : "Takes its first full look";
      if (!isReady && looked) ready();
      else if (isReady && status !== before) void notify(`--status=${status}`);
    },
    stopping: () => notify("STOPPING=1", "--status=Ends; no vnode is touched"),
  };
}
