// What the bench makes before it measures: the bare hello, compiled as the executable is, and the lab's bundle.
// Both stand in dist/.bench and are made again when their source or the compiler changes.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BUN, bundle, compile, distDirectory } from "../_bundle.ts";
import { BuildError } from "../build.ts";
import type { Ran } from "../_run.ts";

/** The least a program of this runtime can be. */
const HELLO = `process.stdout.write("hello\\n");\n`;

function benchDirectory(): string {
  const directory = join(distDirectory(), ".bench");
  mkdirSync(directory, { recursive: true });
  return directory;
}

function must(what: string, ran: Ran): void {
  if (ran.exit !== 0) throw new BuildError(`${what}: exit ${ran.exit ?? ran.signal}\n${ran.output}`);
}

/** Path of the bare hello, compiled with the same flags as dist/berth. */
export async function hello(): Promise<string> {
  const source = join(benchDirectory(), "hello.cjs");
  const made = join(benchDirectory(), "hello");
  const old = existsSync(source) && existsSync(made) && readFileSync(source, "utf8") === HELLO &&
    statSync(made).mtimeMs > statSync(BUN).mtimeMs;
  if (old) return made;
  writeFileSync(source, HELLO);
  must("Cannot compile the bare hello", await compile(source, made));
  return made;
}

/** Path of the lab, one file for Bun's runtime. */
export async function labBundle(): Promise<string> {
  const made = join(benchDirectory(), `lab-${process.pid}.cjs`);
  const entry = "tasks/dev/bench/lab.ts";
  must("Cannot bundle the lab", await bundle(made, { entry, version: "bench", commit: "bench" }));
  return made;
}
