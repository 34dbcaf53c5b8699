// A private directory that goes when the process does: for the copies of operators' scripts.
// Not for state: nothing in it outlives the run, except after SIGKILL or a power cut (it lies in a temporary place).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** A directory of our own, mode 0700, and how it is removed before the process ends. */
export interface Scratch {
  readonly path: string;
  /** Removes it with all that is in it. Does nothing where it is gone. */
  remove(): void;
}

/** Makes a private directory below TMPDIR; it is removed at exit, whoever ends the process by `process.exit`. */
export function makeScratch(prefix: string): Scratch {
  const path = mkdtempSync(join(tmpdir(), `${prefix}-`));
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
