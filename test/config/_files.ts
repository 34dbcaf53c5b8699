// Files of a directory for configuration tests: a Look that reads them from memory.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LoadOptions } from "../../lib/config/load.ts";

/** The folder of these tests. */
export const HERE: string = dirname(fileURLToPath(import.meta.url));
/** The repository. */
export const ROOT: string = join(HERE, "../..");

/** A Look at files in memory: path → text. */
export function lookAt(files: Readonly<Record<string, string>>): LoadOptions["look"] {
  return {
    readText: (path) => Promise.resolve(files[path] ?? null),
    list(path) {
      const names = Object.keys(files).filter((name) => dirname(name) === path);
      return Promise.resolve(
        names.length === 0 ? null : names.map((name) => name.slice(path.length + 1)).sort(),
      );
    },
  };
}

/** A folder of the tests as if it were /etc/berth. */
export function etcBerth(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const sub of ["", "vnodes.d"]) {
    const from = join(folder, sub);
    if (!existsSync(from)) continue;
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      if (entry.isFile()) {
        files[join("/etc/berth", sub, entry.name)] = readFileSync(join(from, entry.name), "utf8");
      }
    }
  }
  return files;
}
