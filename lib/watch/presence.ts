// Whether a watch runs, which one, and how to start one: a lock that the kernel releases with its holder, and a
// file in which the watch says how it is. Used by boot and status.
import type { Host, Lock, Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { hasInit } from "../host/facts.ts";
import { BOOT_UNIT, UNIT_FOLDER, WATCH_UNIT } from "../resource/rc/systemd_units.ts";
import { HALTED_NOTE, WATCH_LOCK, WATCH_LOG } from "../resource/rc/sysv_scripts.ts";
import { RUN_DIRECTORY } from "../vnode/paths.ts";
import type { WatchState } from "./watch.ts";
import { startTimeOf } from "../vnode/life.ts";

export { WATCH_LOCK };

/** What the watch says of itself. */
export const WATCH_STATE = `${RUN_DIRECTORY}/watch.json`;

/** How the running watch is; with the pid, and the pid's start time so that a stale file is known as such. */
export interface WatchPresence extends WatchState {
  readonly pid: number;
  readonly startTime: string;
}

/** What the running watch says, or null when none runs. */
export async function readWatch(look: Look): Promise<WatchPresence | null> {
  const text = await look.readText(WATCH_STATE);
  if (text === null) return null;
  try {
    const told = JSON.parse(text) as WatchPresence;
    return (await startTimeOf(look, told.pid)) === told.startTime ? told : null;
  } catch {
    return null; // A file that cannot be read says as little as none.
  }
}

/** Milliseconds a started watch is given to take its lock and connect. */
const START_MS = 20_000;
/** Milliseconds for systemd to start its unit: its TimeoutStartSec, and somewhat more. */
const UNIT_MS = 150_000;

/** What became of the wish for a watch: one ran, one was started, or systemd starts it when the boot is over. */
export type WatchStart = "running" | "started" | "follows";

/**
 * Makes sure that a watch runs: has systemd start its unit where there is one, else starts one in a session of its
 * own. Does nothing when one runs.
 *
 * @param berth how berth is started: one path, or a runtime with its arguments.
 * @throws {BerthError} code `not-converged` when it does not come up, with the end of its log.
 */
export async function ensureWatch(
  host: Host,
  berth: readonly string[],
  wait: (ms: number) => Promise<void>,
): Promise<WatchStart> {
  if ((await readWatch(host)) !== null) return "running";
  // Whatever becomes of this start: who guards the watch may go on trying.
  await forgetHalted(host);
  if (await hasInit(host) === "systemd" && await host.stat(`${UNIT_FOLDER}/${WATCH_UNIT}`) !== null) {
    return await startUnit(host);
  }
  await host.exec({
    // The log is opened by the shell, since a detached process has no one left to read a pipe.
    argv: [
      "setsid",
      "-f",
      "sh",
      "-c",
      `cd / && exec "$@" >>${WATCH_LOG} 2>&1 </dev/null`,
      "sh",
      ...berth,
      "watch",
    ],
  });
  for (let waited = 0; waited < START_MS; waited += 50) {
    if ((await readWatch(host)) !== null) return "started";
    await wait(50);
  }
  throw notUp(`It did not come up within ${START_MS / 1000} s`, (await host.readText(WATCH_LOG)) ?? "");
}

/** Within the boot's own unit the watch's waits for its end: to wait for the watch there would be for ever. */
async function startUnit(host: Host): Promise<WatchStart> {
  const { stdout } = await host.query({
    argv: ["systemctl", "show", "-p", "ActiveState", "--value", BOOT_UNIT],
  });
  if (stdout.trim() === "activating") return "follows";
  // What made it fail before may be mended; its start limit must not stand in the way.
  await host.exec({ argv: ["systemctl", "reset-failed", WATCH_UNIT], okExit: [0, 1, 5] });
  try {
    await host.exec({ argv: ["systemctl", "start", WATCH_UNIT], timeoutMs: UNIT_MS });
    return "started";
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== "command-failed") throw error;
    const argv = ["journalctl", "-u", WATCH_UNIT, "-n", "20", "--no-pager", "-o", "cat"];
    const said = await host.exec({ argv, okExit: [0, 1] }).catch(() => null);
    throw notUp("systemd could not start it", said?.stdout ?? "");
  }
}

function notUp(how: string, log: string): BerthError {
  return new BerthError({
    code: "not-converged",
    object: "watch",
    message: `${how}; its log ends: "${log.trim().split("\n").slice(-3).join(" | ")}"`,
    next: "berth watch shows what it says",
  });
}

/** Milliseconds a watch is given to finish what is half done. */
const END_MS = 60_000;

/** Notes that all vnodes are halted: nobody is to start a watch by himself, which would boot them again. */
export async function noteHalted(host: Host): Promise<void> {
  await host.writeText(HALTED_NOTE, "by berth halt\n", { mode: 0o600 });
}

/** Takes that note away: a watch is wanted. Does nothing where there is none. */
export async function forgetHalted(host: Host): Promise<void> {
  await host.remove(HALTED_NOTE);
}

/** Has the watch that runs make a full look; false where none runs. */
export async function nudgeWatch(host: Host): Promise<boolean> {
  const watch = await readWatch(host);
  if (watch === null) return false;
  await host.exec({ argv: ["kill", "-HUP", String(watch.pid)], okExit: [0, 1] });
  return true;
}

/** A watch that was ended. */
export interface EndedWatch {
  /** False where none ran. */
  readonly ran: boolean;
  /** The watch's own: as long as it is held none can start. */
  readonly lock: Lock;
}

/**
 * Ends the watch that runs, if one does; vnodes are not touched. Waits until its lock is free, and takes it.
 *
 * @throws {BerthError} code `not-converged` when it does not end.
 */
export async function endWatch(host: Host, wait: (ms: number) => Promise<void>): Promise<EndedWatch> {
  let told: WatchPresence | null = null;
  for (let waited = 0; waited < END_MS; waited += 50) {
    try {
      const lock = await host.lock(WATCH_LOCK);
      return { ran: told !== null, lock };
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== "locked") throw error;
    }
    // One that is just starting holds the lock and does not tell its pid yet.
    const running = await readWatch(host);
    if (running !== null && running.pid !== told?.pid) {
      told = running;
      await host.exec({ argv: ["kill", "-TERM", String(told.pid)], okExit: [0, 1] });
    }
    await wait(50);
  }
  throw new BerthError({
    code: "not-converged",
    object: "watch",
    message: `It did not end within ${END_MS / 1000} s`,
    next: `Look at what it does in ${WATCH_LOG}, end it, then run this again`,
  });
}
