// Small facts of the machine that many parts ask for. Read through a Look, remembered where they cannot change
// while this process lives.
import { BerthError } from "../log/error.ts";
import type { Look } from "./types.ts";

const bootIds = new WeakMap<Look, Promise<string>>();

/** The kernel's id of this boot. Reads /proc/sys/kernel/random/boot_id once a look. */
export function bootId(look: Look): Promise<string> {
  let known = bootIds.get(look);
  if (known === undefined) {
    known = look.readText("/proc/sys/kernel/random/boot_id").then((text) => {
      if (text !== null) return text.trim();
      throw new BerthError({
        code: "missing",
        object: "file /proc/sys/kernel/random/boot_id",
        message: "Cannot tell which boot this is: /proc is not mounted",
        next: "Mount proc on /proc",
      });
    });
    bootIds.set(look, known);
  }
  return known;
}

/**
 * A process's start time in clock ticks since boot, as text, or null where there is no such process.
 * Field 22 of /proc/PID/stat (proc(5)); the command's name before it may hold spaces and parentheses.
 */
export async function processStart(look: Look, pid: number): Promise<string | null> {
  let text: string | null;
  try {
    text = await look.readText(`/proc/${pid}/stat`);
  } catch (error) {
    // The process ended between open and read.
    if ((error as { code?: string }).code === "ESRCH") return null;
    throw error;
  }
  return text === null ? null : startField(text);
}

/** Field 22 of a /proc/PID/stat line, or null where the line is none. */
export function startField(stat: string): string | null {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).trim().split(" ");
  return fields[19] ?? null; // fields[0] is field 3, the state
}

/** Which init system runs: systemd only where it is process 1 (sd_booted(3)), else sysvinit's scripts, else none. */
export async function hasInit(look: Look): Promise<"systemd" | "sysvinit" | null> {
  if ((await look.stat("/run/systemd/system"))?.kind === "directory") return "systemd";
  // A container of Debian has /etc/init.d too: only a running sysvinit (or busybox init) of its own counts.
  const first = (await look.readText("/proc/1/comm"))?.trim();
  return first === "init" && (await look.stat("/etc/inittab")) !== null ? "sysvinit" : null;
}
