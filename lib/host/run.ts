// Runs one command to its end: output collected, deadline, abort, process group killed. The lean runner starts it
// with child_process; run_zx.ts starts it with zx and hands the child to the same `collect`.
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import {
  commandFailed,
  commandInterrupted,
  commandTimedOut,
  DEFAULT_TIMEOUT_MS,
  environmentOf,
  startedArgv,
} from "./command.ts";
import type { Command, Output } from "./types.ts";

/** Starts a command and answers with what it said, whatever its exit code. */
export type Runner = (command: Command, options?: RunOptions) => Promise<Output>;

/** What a run listens to beside the command's own deadline. */
export interface RunOptions {
  /** Kills the process group when aborted. */
  readonly signal?: AbortSignal;
}

/**
 * Milliseconds of silence after which the output of a command that has ended counts as complete although somebody
 * (a daemon it left behind) still holds the pipe open.
 */
const QUIET_AFTER_EXIT_MS = 200;

/** The runner without zx: for the gate and the watch, where each millisecond and megabyte counts. */
export const runLean: Runner = (command, options = {}) => {
  const [program, ...args] = startedArgv(command);
  if (options.signal?.aborted) return Promise.reject(commandInterrupted(command));
  const started = performance.now();
  const child = spawn(program!, args, {
    cwd: "/",
    env: environmentOf(command),
    detached: true,
    stdio: [command.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  return collect(child, command, started, options);
};

/** Fails on any exit code the command does not count as success. @throws {BerthError} code `command-failed`. */
export function orFail(command: Command, output: Output): Output {
  if (!(command.okExit ?? [0]).includes(output.exit)) throw commandFailed(command, output);
  return output;
}

/** Follows a started child, which leads its own process group, to its end. */
export function collect(
  child: ChildProcess,
  command: Command,
  started: number,
  options: RunOptions = {},
): Promise<Output> {
  const timeoutMs = command.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    const out: Uint8Array[] = [];
    const err: Uint8Array[] = [];
    let quiet: ReturnType<typeof setTimeout> | undefined;
    let exit = -1;
    let failure: Error | null = null;

    const text = (chunks: readonly Uint8Array[]) => Buffer.concat(chunks).toString("utf8");
    const stop = (why: () => Error) => {
      failure ??= why();
      killGroup(child);
      // A grandchild in a session of its own survives the group's kill and may hold the pipe: end without it.
      if (quiet === undefined) awaitQuiet();
    };
    const abort = () => stop(() => commandInterrupted(command));
    const deadline = setTimeout(() => stop(() => commandTimedOut(command, timeoutMs, text(err))), timeoutMs);
    options.signal?.addEventListener("abort", abort, { once: true });

    let finished = false;
    function finish(): void {
      if (finished) return;
      finished = true;
      clearTimeout(deadline);
      clearTimeout(quiet);
      options.signal?.removeEventListener("abort", abort);
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.stdin?.destroy();
      if (failure !== null) reject(failure);
      else resolve({ exit, stdout: text(out), stderr: text(err), ms: performance.now() - started });
    }
    // When the timer fires, a busy process may not have read what waits in the pipe: one more round of reading first.
    function awaitQuiet(): void {
      clearTimeout(quiet);
      const mine = quiet = setTimeout(
        () => setImmediate(() => quiet === mine && finish()),
        QUIET_AFTER_EXIT_MS,
      );
    }
    const read = (chunks: Uint8Array[]) => (chunk: Uint8Array) => {
      chunks.push(chunk);
      if (quiet !== undefined) awaitQuiet();
    };
    child.stdout?.on("data", read(out));
    child.stderr?.on("data", read(err));
    child.on("error", (error) => {
      failure ??= error;
      finish();
    });
    child.on("exit", (code, signal) => {
      exit = code ?? 128 + (constants.signals[signal ?? "SIGKILL"] ?? 0);
      if (quiet === undefined) awaitQuiet();
    });
    child.on("close", finish);
    if (command.input !== undefined && child.stdin) {
      // A program that ends without reading its input is judged by its exit code, not by our broken pipe.
      child.stdin.on("error", () => {});
      child.stdin.end(command.input);
    }
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // ESRCH: the group is gone already, which is what was wanted.
  }
}
