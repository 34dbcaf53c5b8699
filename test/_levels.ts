// Which test files there are, and at what level each runs. The level is the folder's; design rules for the
// levels stand in docs/architecture.md. Used by the runner and its own tests.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** In the order they run. */
export const LEVELS = ["unit", "laws", "smoke", "sandbox", "vm"] as const;
export type Level = typeof LEVELS[number];

/** How many files of a level run at a time, on two cores: throw-away vhosts mostly wait, an emulated machine has one. */
export const AT_ONCE: Readonly<Record<Level, number>> = { unit: 2, laws: 1, smoke: 1, sandbox: 2, vm: 2 };

/** Milliseconds a file may take when it does not say `// deadline: 600s`. */
export const DEADLINE_MS = 300_000;

export interface TestFile {
  /** From the top of the checkout: "test/host/exec.test.ts". */
  readonly path: string;
  readonly level: Level;
  /** What its comment `// deadline: 600s` says. */
  readonly deadlineMs: number | undefined;
  /** Suites that have tests and are never run; uvu would say nothing of them. */
  readonly forgotten: readonly string[];
}

/** All test files under `root`/test, sorted by path. */
export function testFiles(root: string): readonly TestFile[] {
  return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts") && !path.includes("fixtures/"))
    .sort()
    .map((path) => {
      const text = readFileSync(join(root, "test", path), "utf8");
      return {
        path: `test/${path}`,
        level: levelOf(`test/${path}`),
        deadlineMs: deadlineOf(text),
        forgotten: forgottenSuites(text),
      };
    });
}

/** The level of a path, by its first folder under test/. */
export function levelOf(path: string): Level {
  const folder = path.split("/")[1] ?? "";
  return (["laws", "smoke", "sandbox", "vm"] as const).find((level) => level === folder) ?? "unit";
}

/** What a comment `// deadline: 600s` among the first lines says, in milliseconds. */
export function deadlineOf(text: string): number | undefined {
  const found = text.split("\n").slice(0, 10).join("\n").match(/^\/\/ deadline: (\d+)s$/m);
  return found ? Number(found[1]) * 1000 : undefined;
}

/** Names of uvu suites in a file that are declared and never `.run()`. */
export function forgottenSuites(text: string): readonly string[] {
  const names = [...text.matchAll(/^(?:export )?const (\w+) = suite(?:<.*>)?\(/gm)].map((found) => found[1]!);
  if (/^import \{[^}]*\btest\b[^}]*\} from "uvu"/m.test(text)) names.push("test");
  return names.filter((name) => !new RegExp(`\\b${name}\\.run\\(`).test(text));
}
