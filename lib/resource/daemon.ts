// Starts a daemon that tells when it is ready, notices at once when it dies before that, and quotes its last words.
// Which daemon, and how it is started, is the caller's business.
import { startField } from "../host/facts.ts";
import type { Host } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import type { DaemonStart } from "./types.ts";

/** Lines of a log that a message quotes. */
const QUOTED_LINES = 3;
/** Milliseconds between two looks at the process. */
const LOOK_MS = 20;

/**
 * Starts it; answers when it is ready. `signal: null`: to its end, whatever happens (roll-back).
 *
 * @throws {BerthError} code `docker`, with the end of its log, when it ends or does not get ready.
 */
export async function startDaemon(
  host: Host,
  { start, pidFile, log, next }: DaemonStart,
  signal?: AbortSignal | null,
): Promise<void> {
  const began = performance.now();
  const died = new AbortController();
  let isOver = false;
  const over = host.exec(start, { signal: AbortSignal.any([died.signal, ...(signal ? [signal] : [])]) })
    .then(() => null, (error: unknown) => error)
    .finally(() => isOver = true);
  while (pidFile !== undefined && !isOver && !died.signal.aborted) {
    if (await hasEnded(host, pidFile)) died.abort();
    else await Promise.race([over, new Promise((resolve) => setTimeout(resolve, LOOK_MS))]);
  }
  const error = await over;
  if (error === null) return;
  if (!died.signal.aborted && !(error instanceof BerthError && error.code === "command-failed")) throw error;
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const said = lastWords((await host.exec(log, { signal: null }).catch(() => null))?.stdout ?? "");
  throw new BerthError({
    code: "docker",
    object: `command ${start.argv[0]}`,
    message: (died.signal.aborted
      ? `It ended ${seconds} s after its start`
      : `It did not get ready within ${seconds} s`) +
      (said === "" ? "; its log says nothing" : `; the end of its log: ${said}`),
    next,
    ...(died.signal.aborted ? {} : { cause: error }), // we stopped the waiting ourselves: that tells nothing
  });
}

/** True when a process stands in the file that is gone, or is a zombie nobody has waited for. */
async function hasEnded(host: Host, pidFile: string): Promise<boolean> {
  const pid = Number((await host.readText(pidFile))?.trim() || 0);
  if (!(pid > 0)) return false;
  const stat = await host.readText(`/proc/${pid}/stat`).catch(() => null); // it ended while it was read
  return stat === null || startField(stat) === null || /^\S+ \(.*\) [ZX] /s.test(stat);
}

/** The last lines of a log that are more than informative, without the time and level of logrus. Pure. */
export function lastWords(log: string): string {
  const lines = log.split("\n").filter((line) => line.trim() !== "");
  const grave = lines.filter((line) => !/^time="[^"]*" level=(info|debug) /.test(line));
  return (grave.length === 0 ? lines : grave).slice(-QUOTED_LINES)
    .map((line) => line.replace(/^time="[^"]*" level=\w+ msg=/, "").trim()).join("; ");
}
