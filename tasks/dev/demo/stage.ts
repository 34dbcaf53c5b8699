// The stage of the demonstration: numbered steps, commands as an operator types them, their output as it comes.
// Owns the look of it all; what is shown, and what it proves, is ../demo.ts'.
import { painter } from "../../../lib/cli/terminal.ts";
import { fileURLToPath } from "node:url";
import type { Sandbox } from "../../../test/sandbox/harness.ts";
import { run as runHere } from "../_run.ts";

/** What a shown command came to. */
export interface Shown {
  readonly stdout: string;
  readonly ms: number;
}

export interface ShowOptions {
  /** Milliseconds; then the demonstration fails. @default {60000} */
  readonly deadlineMs?: number;
  /** Exit codes that are no failure. @default {[0]} */
  readonly okExit?: readonly number[];
}

/** Where the demonstration plays. */
export interface Stage {
  /** Runs one numbered step, and tells its seconds. */
  step<T>(title: string, play: () => Promise<T>): Promise<T>;
  /** Shows a command, runs it in the vhost, shows what it says. @throws {Error} when it fails. */
  show(box: Sandbox, command: string, options?: ShowOptions): Promise<Shown>;
  /** Shows and runs the build. @throws {Error} when it fails. */
  build(): Promise<void>;
  /** Shows a text as if it were a command's output. */
  text(lines: string): void;
  /** What was just seen to be true. */
  proves(sentence: string): void;
  /** A line that goes away again on a terminal, and is not shown elsewhere. */
  passing(line: string): void;
}

const BUILD = fileURLToPath(new URL("../build.ts", import.meta.url));
const INDENT = "     ";
/** What berth says every few seconds while it works and no terminal listens; here it is a passing line. */
const PROGRESS = /^still at it after /;

/** A stage on standard output. Colours and passing lines only on a terminal. */
export function createStage(): Stage {
  const out = process.stdout;
  const paint = painter(out);
  let number = 0;
  let passes = false;

  const write = (line: string) => {
    out.write(`${passes ? "\r\x1b[K" : ""}${line}\n`);
    passes = false;
  };
  const passing = (line: string) => {
    if (!out.isTTY) return;
    out.write(`\r\x1b[K${INDENT}${paint.dim(line.slice(0, (out.columns || 80) - INDENT.length - 1))}`);
    passes = true;
  };
  const output = (line: string) => PROGRESS.test(line) ? passing(line) : write(`${INDENT}${line}`.trimEnd());

  return {
    passing,
    text: (lines) => lines.split("\n").forEach((line) => write(`${INDENT}${line}`.trimEnd())),
    proves: (sentence) => write(`   ${paint.green("✓")} ${sentence}`),
    async build() {
      write(`   ${paint.cyan("$")} ${paint.bold("npx deno task build")}`);
      passing("building");
      const ran = await runHere([process.execPath, "run", "-A", BUILD], { deadlineMs: 180_000 });
      ran.output.trimEnd().split("\n").filter((line) => line !== "").forEach(output);
      if (ran.exit !== 0) throw new Error(`The build ended with exit code ${ran.exit ?? ran.signal}`);
    },
    async step(title, play) {
      const begun = performance.now();
      write(`\n${paint.bold(`${++number}  ${title}`)}`);
      const result = await play();
      write(`   ${paint.dim(`${((performance.now() - begun) / 1000).toFixed(1)} s`)}`);
      return result;
    },
    async show(box, command, options = {}) {
      write(`   ${paint.cyan("$")} ${paint.bold(command)}`);
      const begun = performance.now();
      const { exit, stdout } = await run(box, command, output, options.deadlineMs ?? 60_000);
      if (passes) out.write("\r\x1b[K");
      passes = false;
      if (!(options.okExit ?? [0]).includes(exit)) {
        throw new Error(`"${command}" ended with exit code ${exit}`);
      }
      return { stdout, ms: performance.now() - begun };
    },
  };
}

/** Runs a command line in the vhost and hands on each line of its output, both streams, as it comes. */
function run(
  box: Sandbox,
  command: string,
  onLine: (line: string) => void,
  deadlineMs: number,
): Promise<{ exit: number; stdout: string }> {
  const child = box.clone.start(["/bin/bash", "-c", command], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  const rests: string[] = [];
  const lines = (stream: NodeJS.ReadableStream, index: number, keep: boolean) => {
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      if (keep) stdout += chunk;
      const parts = ((rests[index] ?? "") + chunk).split("\n");
      rests[index] = parts.pop()!;
      parts.forEach(onLine);
    });
  };
  lines(child.stdout!, 0, true);
  lines(child.stderr!, 1, false);
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      reject(new Error(`"${command}" did not end within ${deadlineMs / 1000} s`));
    }, deadlineMs);
    const end = (exit: number) => {
      clearTimeout(late);
      rests.filter((rest) => rest !== "").forEach(onLine);
      rests.length = 0;
      resolve({ exit, stdout });
    };
    // What a command leaves running (the engine, the watch) may hold its output open: its own end counts.
    child.once("exit", (code) => setTimeout(() => end(code ?? -1), 300));
    child.once("close", (code) => end(code ?? -1));
    child.once("error", reject);
  });
}
