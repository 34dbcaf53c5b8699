// Where throw-away vhosts and their cache stand on the machine, and how an owner is told alive from dead.
// Owns names and the collection of leftovers; starts nothing but keeper.sh's `clean`.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

/** The checkout this module stands in. It has the same path inside a clone. */
export const CHECKOUT = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
/** Packages, prepared layers, Debian roots and the test image. Safe to delete while no sandbox runs. */
export const CACHE = join(CHECKOUT, "node_modules/.cache/berth");
/** What runs as pid 1 of a clone, and what cleans up after it. */
export const KEEPER = fileURLToPath(new URL("keeper.sh", import.meta.url));

const PREFIX = "berth-sandbox-";
let count = 0;

/** The folder that holds the clones' directories: $BERTH_SANDBOX_DIR, or the temporary folder. Not a tmpfs. */
export function sandboxFolder(): string {
  const folder = process.env["BERTH_SANDBOX_DIR"] ?? tmpdir();
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Field 22 of /proc/PID/stat, which tells two processes with the same pid apart; null where it is gone or a zombie. */
export function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie is dead: whether its parent has looked yet is no matter.
    return fields[0] === "Z" || fields[0] === "X" ? null : fields[19] ?? null;
  } catch {
    return null; // no such process
  }
}

/** A name no other clone has, which tells who owns it: `berth-sandbox-PID-STARTTIME-N`. */
export function newName(): string {
  return `${PREFIX}${process.pid}-${startTime(process.pid)}-${++count}`;
}

/** True for a name of `newName` whose owner is gone. False for other names. */
export function isAbandoned(name: string): boolean {
  const found = /^berth-sandbox-(\d+)-(\d+)-\d+$/.exec(name);
  return found !== null && startTime(Number(found[1])) !== found[2];
}

/**
 * Removes directories and cgroups of clones whose owner is gone and whose keeper was killed as well.
 * Does nothing where there are none.
 */
export function collectLeftovers(): readonly string[] {
  const folder = sandboxFolder();
  const names = readdirSync(folder).filter(isAbandoned).filter((name) => !isKept(folder, name));
  for (const name of names) {
    spawnSync("/bin/bash", [KEEPER, "clean", join(folder, name), name, "no", layerWork(name)], {
      stdio: "ignore",
    });
  }
  const works = join(CACHE, "work");
  const left = existsSync(works)
    ? readdirSync(works).filter(isAbandoned).filter((name) => !existsSync(join(folder, name)))
    : [];
  for (const name of left) rmSync(join(works, name), { recursive: true, force: true });
  return names;
}

/** The work directory that the read-only overlay of a prepared layer wants; on the cache's file system. */
export function layerWork(name: string): string {
  return join(CACHE, "work", name);
}

function isKept(folder: string, name: string): boolean {
  if (existsSync(join(folder, name, "kept"))) return true;
  // A keeper that still cleans up must not be raced: its pid stands in the directory.
  try {
    const [pid, start] = readFileSync(join(folder, name, "keeper"), "utf8").trim().split(" ");
    return startTime(Number(pid)) === start;
  } catch {
    return false; // killed before it was written
  }
}
