// One life of a container: what tells the process that runs now from the one that ran before.
// Read from /proc only, so that the gate can know it while dockerd holds its own lock.
import type { Look } from "../host/types.ts";

/** Container id, init pid, the pid's start time (clock ticks since boot) and the boot id. */
export interface Life {
  readonly containerId: string;
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
}

/**
 * The generation as it stands in interface aliases: 12 digits of the id, pid, start time, 8 of the boot id.
 * The gate's script makes the same string.
 */
export function generationOf(life: Life): string {
  return `${life.containerId.slice(0, 12)}.${life.pid}.${life.startTime}.${life.bootId.slice(0, 8)}`;
}

/** The parts of a generation: 12 digits of the container's id, pid, start time, 8 digits of the boot id. */
export function parseGeneration(
  generation: string,
): { readonly container: string; readonly pid: number; readonly startTime: string; readonly boot: string } {
  const [container = "", pid = "", startTime = "", boot = ""] = generation.split(".");
  return { container, pid: Number(pid) || 0, startTime, boot };
}

/** Field 22 of /proc/PID/stat, or null when there is no such process (a zombie counts as none). */
export async function startTimeOf(look: Look, pid: number): Promise<string | null> {
  if (pid <= 0) return null;
  const stat = await look.readText(`/proc/${pid}/stat`).catch(() => null);
  if (stat === null) return null;
  // The command name, field 2, may hold spaces and brackets: count from its last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? null : fields[19] ?? null;
}

/** The boot id of the running kernel. */
export async function readBootId(look: Look): Promise<string> {
  return ((await look.readText("/proc/sys/kernel/random/boot_id")) ?? "").trim();
}

/** The life that a pid is, or null when the process is gone. */
export async function lifeOf(look: Look, containerId: string, pid: number): Promise<Life | null> {
  const startTime = await startTimeOf(look, pid);
  return startTime === null ? null : { containerId, pid, startTime, bootId: await readBootId(look) };
}

/** Whether the process of a generation string still lives. */
export async function isAlive(look: Look, generation: string, bootId: string): Promise<boolean> {
  const { pid, startTime, boot } = parseGeneration(generation);
  return boot === bootId.slice(0, 8) && startTime !== "" && (await startTimeOf(look, pid)) === startTime;
}
