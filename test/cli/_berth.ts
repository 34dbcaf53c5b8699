// Runs berth from source as a user would, and compares what it says with golden files.
// Golden files are made anew by `UPDATE=1`; they are read in review together with the code that changed them.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";

/** The top of the checkout. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** What is put before a command line: deno from source, or the executable that BERTH names. */
export const BERTH: readonly string[] = process.env.BERTH
  ? [process.env.BERTH]
  : [process.execPath, "run", "-A", "--no-check", join(ROOT, "lib/cli/main.ts")];

/** What a run said. */
export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is run. */
export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Called with the process when it has said this on stdout. */
  readonly when?: readonly [said: string, then: (kill: (signal: NodeJS.Signals) => void) => void];
}

/** Runs a command line of berth. Fails the test when it takes over 20 s. */
export function berth(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run([...BERTH, ...argv], options);
}

/** Runs any program. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "/root", ...options.env };
    const child = spawn(argv[0]!, argv.slice(1), { cwd: options.cwd ?? ROOT, env });
    // Not child.kill: under Deno it sends one signal and no second.
    const kill = (signal: NodeJS.Signals) => {
      if (child.exitCode === null && child.signalCode === null) process.kill(child.pid!, signal);
    };
    let [stdout, stderr, told] = ["", "", false];
    const late = setTimeout(() => {
      kill("SIGKILL");
      reject(new Error(`${argv.join(" ")} takes over 20 s; it said: ${stdout}${stderr}`));
    }, 20_000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (options.when === undefined || told || !stdout.includes(options.when[0])) return;
      told = true;
      options.when[1](kill);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(late);
      // Deno's child_process tells an exit code of 143 as death by SIGTERM; a shell does the reverse.
      resolve({ exit: code ?? 128 + (constants.signals[signal ?? "SIGKILL"] ?? 0), stdout, stderr });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

/** Compares a text with test/golden/NAME.txt. */
export function golden(name: string, text: string): void {
  const path = join(ROOT, "test/golden", `${name}.txt`);
  if (process.env.UPDATE === "1") {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return;
  }
  assert.ok(existsSync(path), `test/golden/${name}.txt is missing; UPDATE=1 makes it`);
  assert.fixture(text, readFileSync(path, "utf8"), `test/golden/${name}.txt differs; UPDATE=1 makes it anew`);
}

/** Runs jobs some at a time, so that a file of spawns uses both cores and no more. */
export async function inParallel<Item>(
  items: readonly Item[],
  job: (item: Item) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await job(item);
  };
  await Promise.all([worker(), worker(), worker()]);
}
