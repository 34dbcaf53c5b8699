// The ordinary runner: zx starts and quotes, run.ts follows the child. zx is loaded at the first command, so that
// what never runs one (or uses the lean runner) does not pay for it.
import { commandInterrupted, environmentOf, startedArgv } from "./command.ts";
import { collect, runLean, type Runner } from "./run.ts";

/** Starts a command by zx. Every setting is given here: ZX_* variables of a root's shell must not change it. */
export const runZx: Runner = async (command, options = {}) => {
  // With a pipe on its standard input a child that zx starts under Bun is told to have ended 120 ms late (measured with
  // `cat`: 128 ms against 1.4 ms; tasks/dev/bench/first_up.ts shows it in the whole).
  if (command.input !== undefined) return await runLean(command, options);
  const { $, quote } = await import("zx/core");
  const argv = startedArgv(command);
  if (options.signal?.aborted) throw commandInterrupted(command);
  const started = performance.now();
  const running = $({
    cwd: "/",
    env: environmentOf(command),
    // dash silently corrupts zx's $'…' quoting.
    shell: "/bin/bash",
    prefix: "",
    postfix: "",
    quote,
    detached: true,
    nothrow: true,
    verbose: false,
    quiet: true,
    halt: false,
    preferLocal: false,
    stdio: ["ignore", "pipe", "pipe"],
    // `exec`: the program itself leads the process group, and its exit code and signals are its own.
  })`exec ${[...argv]}`;
  // Its own end (it may be rejected by a killed group) is of no interest: `collect` follows the child.
  running.catch(() => {});
  const child = running.child;
  if (child === undefined) throw new Error("zx did not start the command");
  return await collect(child, command, started, options);
};
