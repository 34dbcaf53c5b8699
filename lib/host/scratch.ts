// A private directory that goes when the process does: for the copies of operators' scripts.
// Not for state: nothing in it outlives the run, except after SIGKILL.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** berth's own, 0700; emptied by a reboot. */
const RUN_DIRECTORY = "/run/berth";

/** A directory of our own, mode 0700, and how it is removed before the process ends. */
export interface Scratch {
  readonly path: string;
  /** Removes it with all that is in it. Does nothing where it is gone. */
  remove(): void;
}

/**
 * Makes a private directory; it is removed at exit, also by `process.exit`.
 *
 * Below TMPDIR where that is set; else below /run/berth for root. Not in /tmp for root: a runtime that looks for
 * node_modules, package.json or tsconfig.json walks upwards, and in /tmp anybody may put them.
 */
export function makeScratch(prefix: string): Scratch {
  const own = process.env.TMPDIR === undefined && process.getuid?.() === 0;
  const base = own ? RUN_DIRECTORY : tmpdir();
  if (own) mkdirSync(base, { recursive: true, mode: 0o700 });
  const path = mkdtempSync(join(base, `${prefix}-`));
  const gone = () => rmSync(path, { recursive: true, force: true });
  process.once("exit", gone);
  return {
    path,
    remove() {
      process.off("exit", gone);
      gone();
    },
  };
}
