// What this process's standard error is. Owns one look at a descriptor, and nothing else: the log decides by it how
// its lines look.
import { fstatSync } from "node:fs";

/** Device and inode of standard error; null where it is closed. */
export function stderrFile(): { readonly dev: number; readonly ino: number } | null {
  try {
    const { dev, ino } = fstatSync(2);
    return { dev, ino };
  } catch {
    return null;
  }
}
