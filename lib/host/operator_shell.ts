// zx for operators' scripts: `$` with settings of ours whatever the environment says, and in plan mode a `$` that
// runs only what a look may run. The one place beside run_zx.ts that imports zx.
import { spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { refusal } from "./allow.ts";
import { environmentOf, findProgram } from "./command.ts";

/** A failed command stops the script, also in the middle of a pipe; unset variables are errors. */
const PREFIX = "set -euo pipefail;";

/** What zx exports, as one object. */
export type Zx = Readonly<Record<string, unknown>>;

export interface OperatorShellOptions {
  /** Run only what a look may run; tell of all else. */
  readonly plan: boolean;
  /** Each command is shown before it runs. */
  readonly verbose: boolean;
  /** Ends running commands when aborted. */
  readonly signal: AbortSignal;
  /** Directory of the scripts: the first frame in it is where a failed command says it was called. */
  readonly scripts: string;
  /** Called in plan mode with each command that is not run. */
  readonly would: (command: string) => void;
}

/** Loads zx, all of it, and sets it up. `$` is one for the whole process, as in zx itself. */
export async function loadOperatorShell(options: OperatorShellOptions): Promise<Zx> {
  const zx = await import("zx");
  const { $ } = zx;
  $.shell = "/bin/bash"; // dash silently corrupts zx's quoting
  $.prefix = PREFIX;
  $.postfix = "";
  $.quote = zx.quote;
  $.verbose = options.verbose;
  $.signal = options.signal;
  // zx's own way asks ps, which a small vhost may not have; commands share our process group or end with their shell.
  $.kill = (pid, signal) => {
    try {
      process.kill(Number(pid), signal);
    } catch {
      // ESRCH: it is gone already, which is what was wanted.
    }
    return Promise.resolve();
  };
  // zx takes the first frame with a file: URL, which under some runtimes is zx itself.
  zx.Fail.getCallerLocation = (error = new Error()) => {
    const frames = (error.stack ?? "").split("\n");
    return (frames.find((frame) => frame.includes(options.scripts)) ?? "").trim().replace(/^at /, "");
  };
  if (options.plan) {
    $.spawn = planned(spawn, options.would) as typeof $.spawn;
    $.spawnSync = planned(spawnSync, options.would) as typeof $.spawnSync;
  }
  const { default: _, ...names } = zx as Record<string, unknown>;
  return Object.fromEntries(Object.entries(names).filter(([name]) => /^[A-Za-z$][\w$]*$/.test(name)));
}

// deno-lint-ignore no-explicit-any -- node's spawn and spawnSync, whose overloads do not concern us
type Spawn = (file: string, args: string[], options: any) => unknown;

/** A spawn that starts a looking command itself, without a shell, and `true` in the place of any other. */
function planned(start: unknown, would: (command: string) => void): Spawn {
  return (file, args, options) => {
    // zx hands the whole command to node as one text, with the shell as an option.
    const text = [file, ...args ?? []].join(" ").replace(PREFIX, "").trim();
    const argv = plainWords(text);
    if (argv !== null && refusal({ argv }) === null) {
      const program = findProgram(argv[0]!) ?? argv[0]!;
      const env = environmentOf({ argv });
      return (start as Spawn)(program, argv.slice(1), { ...options, shell: false, env });
    }
    would(text);
    return (start as Spawn)("/bin/true", [], { ...options, shell: false, cwd: "/" });
  };
}

/**
 * The words of a command that a shell would take as they stand; null for anything that makes a shell do more: pipes,
 * lists, redirections, variables, globs, substitutions. Understands '…' and the $'…' that zx quotes with.
 */
export function plainWords(text: string): string[] | null {
  const words: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === " ") {
      at++;
      continue;
    }
    let word = "";
    while (at < text.length && text[at] !== " ") {
      const part = /^(?:[\w./:=@%+,-]+|\$'(?:[^'\\]|\\['\\])*'|'[^']*')/.exec(text.slice(at))?.[0];
      if (part === undefined) return null;
      at += part.length;
      if (part.startsWith("$'")) word += part.slice(2, -1).replace(/\\(.)/g, "$1");
      else word += part.startsWith("'") ? part.slice(1, -1) : part;
    }
    words.push(word);
  }
  // VAR=value before a command, and builtins that change the shell: the allow-list knows none of them.
  return words.length === 0 ? null : words;
}

/** True for a command's failure as zx throws it, by its shape: a script may have brought a zx of its own. */
export function failedOutput(thrown: unknown): { readonly exit: number; readonly stderr: string } | null {
  const output = thrown as { exitCode?: unknown; signal?: unknown; stderr?: unknown } | null;
  if (typeof output !== "object" || output === null || !("exitCode" in output) || !("stderr" in output)) {
    return null;
  }
  const signal = constants.signals[output.signal as NodeJS.Signals];
  const exit = typeof output.exitCode === "number" && output.exitCode > 0
    ? output.exitCode
    : 128 + (signal ?? 0);
  return { exit: exit === 128 ? 1 : exit, stderr: String(output.stderr ?? "") };
}
