// Runs a program for the developers' tasks and the test runner: output kept, deadline kept, whole process
// group killed. Owns nothing of the product: what berth itself runs on a vhost goes through lib/host.
import { spawn } from "node:child_process";

/** What a program said and how it ended. */
export interface Ran {
  /** Exit code; null when a signal ended it. */
  readonly exit: number | null;
  readonly signal: string | null;
  /** True when the deadline ended it. */
  readonly late: boolean;
  readonly stdout: string;
  /** stdout and stderr in the order they came. */
  readonly output: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly cwd?: string;
  /** The whole environment. @default {the caller's own} */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds before the process group gets SIGKILL. @default {120000} */
  readonly deadlineMs?: number;
}

const running = new Set<number>();

/** Runs `argv` in a process group of its own, with nothing on standard input. Never throws. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const begun = performance.now();
  return new Promise((resolve) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      cwd: options.cwd,
      env: options.env ?? process.env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let output = "";
    let late = false;
    let settled = false;
    const group = child.pid;
    if (group !== undefined) running.add(group);
    const settle = (exit: number | null, signal: string | null) => {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      if (group !== undefined) {
        // What the program left running in its group must not outlive it.
        killGroup(group);
        running.delete(group);
      }
      resolve({ exit, signal, late, stdout, output, ms: performance.now() - begun });
    };
    const deadline = setTimeout(() => {
      late = true;
      if (group !== undefined) killGroup(group);
      // A grandchild in a session of its own may hold the pipes open for ever: do not wait for them.
      setTimeout(() => settle(null, "SIGKILL"), 1000);
    }, options.deadlineMs ?? 120_000);
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => output += text);
    child.on("error", (error: Error) => {
      output += `${error.message}\n`;
      settle(127, null);
    });
    child.on("exit", (exit: number | null, signal: string | null) => {
      // The pipes' last bytes come with "close"; it may never come when a grandchild holds them.
      const grace = setTimeout(() => settle(exit, signal), 1000);
      child.on("close", () => {
        clearTimeout(grace);
        settle(exit, signal);
      });
    });
  });
}

function killGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // Already gone.
  }
}

/** Kills every process group still running. For the signal handlers of the callers. */
export function killAll(): void {
  for (const group of running) killGroup(group);
}

/** "1.2 s". */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Writes a line to standard output. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
