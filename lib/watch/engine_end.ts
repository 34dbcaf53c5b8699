// Whether an engine that is gone ended in order or crashed: an orderly dockerd removes its pid file at its end.
// Looks only; what follows from it is wishes.ts's.
import type { Clock } from "../docker/types.ts";
import type { Look } from "../host/types.ts";

/** dockerd's own. */
const PID_FILE = "/var/run/docker.pid";
/** Milliseconds a process that is being killed may still be seen. */
const DYING_MS = 1000;

/** True when the pid file names a process that is gone; false when the file is gone, or the process stays. */
export async function engineCrashed(look: Look, clock: Clock): Promise<boolean> {
  const end = clock.now() + DYING_MS;
  for (;;) {
    const text = await look.readText(PID_FILE);
    if (text === null) return false;
    const comm = await look.readText(`/proc/${Number(text.trim())}/comm`).catch(() => null);
    if (comm?.trim() !== "dockerd") return true;
    if (clock.now() >= end) return false;
    await clock.wait(50);
  }
}
