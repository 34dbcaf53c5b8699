// A process in a clone that runs on while its owner does other things.
// Owns its collected output and the delivery of signals; the clone ends it at the latest.
import { childrenOf, type Clone, type EnterOptions } from "./clone.ts";

/** A process in the background. */
export interface Background {
  /** What it has said so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Its exit code once it has ended: 128 + signal number where a signal ended it. */
  readonly exit: number | null;
  /** The command's own pid, as the machine sees it; null where it has ended. */
  pid(): number | null;
  /** Sends the command (not its children) a signal. False where it has ended. */
  kill(signal?: NodeJS.Signals): boolean;
  /** Text for its standard input. */
  input(text: string): void;
  endInput(): void;
  /** Resolves with the exit code. */
  ended: Promise<number>;
}

const NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** Starts a command in the clone. */
export function background(clone: Clone, argv: readonly string[], options: EnterOptions = {}): Background {
  const child = clone.start(argv, options);
  let stdout = "";
  let stderr = "";
  let exit: number | null = null;
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => stdout += chunk);
  child.stderr!.setEncoding("utf8").on("data", (chunk: string) => stderr += chunk);
  child.stdin!.on("error", () => {}); // it may end before it has read everything
  const ended = new Promise<number>((resolve) => {
    child.once("exit", (code, signal) => resolve(exit = code ?? 128 + (NUMBERS[signal ?? ""] ?? 0)));
  });
  // nsenter forks to enter the pid namespace and waits: signals are for its child.
  const pid = () => exit === null ? childrenOf(child.pid!)[0] ?? null : null;
  return {
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    get exit() {
      return exit;
    },
    pid,
    kill(signal = "SIGTERM") {
      const target = pid() ?? (exit === null ? child.pid! : null);
      if (target === null) return false;
      try {
        return process.kill(target, signal);
      } catch {
        return false; // it ended just now
      }
    },
    input: (text) => void child.stdin!.write(text),
    endInput: () => void child.stdin!.end(),
    ended,
  };
}
