// Figures of a long run: a test prints them, the runner keeps them in docs/results. Owns the line they travel on.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { join } from "node:path";
import process from "node:process";

const WORD = "RESULT ";

/** What one run came to: numbers, and the seed it can be had again with. */
export type Figures = Readonly<Record<string, unknown>>;

/** Tells the runner the figures of one run, to be kept with others of its kind. Does nothing else. */
export function record(kind: string, figures: Figures): void {
  if (!/^[a-z][a-z0-9-]*$/.test(kind)) throw new Error(`Not a file's name: "${kind}"`);
  process.stdout.write(`\n${WORD}${JSON.stringify({ kind, figures })}\n`);
}

/** The figures that a test file's output tells, by kind, in their order. */
export function recorded(output: string): ReadonlyMap<string, readonly Figures[]> {
  const found = new Map<string, Figures[]>();
  for (const line of output.split("\n").filter((one) => one.startsWith(WORD))) {
    const { kind, figures } = JSON.parse(line.slice(WORD.length)) as { kind: string; figures: Figures };
    found.set(kind, [...found.get(kind) ?? [], figures]);
  }
  return found;
}

/** Of what tree and on what machine a run was. */
export function circumstances(): Figures {
  const git = (...args: string[]) => spawnSync("git", args, { encoding: "utf8" }).stdout?.trim();
  return {
    commit: git("rev-parse", "HEAD") || null,
    changed: git("status", "--porcelain", "--untracked-files=no") !== "",
    date: new Date().toISOString(),
    cores: availableParallelism(),
    kernel: release(),
  };
}

/** Writes docs/results/KIND.json below `root`; what an earlier run had written there is replaced. */
export function writeResult(root: string, kind: string, run: Figures, runs: readonly unknown[]): void {
  const folder = join(root, "docs/results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${kind}.json`), `${JSON.stringify({ ...run, runs }, null, 2)}\n`);
}
