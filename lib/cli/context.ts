// What a task is given, built from what the command line said. Everything in it is lazy: `berth version` opens,
// loads and contacts nothing.
import type { Config } from "../config/types.ts";
import type { Docker } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { createLog } from "../log/logger.ts";
import type { Log } from "../log/log.ts";
import type { Change, Ensure, Resource } from "../resource/types.ts";
import type { Progress } from "./progress.ts";
import type { TaskContext } from "./task.ts";

/** What the command line decided. */
export interface Settings {
  readonly mode: "apply" | "plan";
  readonly json: boolean;
  readonly verbose: boolean;
  readonly quiet: boolean;
  readonly configDirectory: string;
}

/** A context and what came of it. */
export interface Session {
  readonly context: TaskContext<unknown>;
  /** What the task put out, if anything. */
  result(): { readonly data: unknown; readonly text: string | undefined } | undefined;
  /** The exit code the task asked for. */
  exitCode(): number | undefined;
  /** How many resources were looked at and found as wanted. */
  unchanged(): number;
  /** Closes what was opened. Does nothing where nothing was. */
  close(): Promise<void>;
}

/** Builds the context of one run. */
export function createSession(parts: {
  readonly settings: Settings;
  readonly options: unknown;
  readonly args: readonly string[];
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Called with each change when it is done or, in plan mode, found. */
  readonly onChange: (change: Change) => void;
}): Session {
  const { settings, progress, signal } = parts;
  const changes: Change[] = [];
  let output: { data: unknown; text: string | undefined } | undefined;
  let exit: number | undefined;
  const unchanged = 0;
  let log: Log | undefined;
  const missing = (): never => {
    throw new BerthError({ code: "fault", object: "berth", message: "Not built in yet" });
  };
  const context: TaskContext<unknown> = {
    options: parts.options,
    args: parts.args,
    mode: settings.mode,
    signal,
    json: settings.json,
    configDirectory: settings.configDirectory,
    changes,
    get log() {
      const level = settings.quiet ? "error" : settings.verbose ? "debug" : "info";
      return log ??= createLog({ level, before: progress.clear });
    },
    get host(): Host {
      return missing();
    },
    ensure: missing as Ensure,
    config: (): Promise<Config> => Promise.resolve(missing()),
    docker: (): Promise<Docker> => Promise.resolve(missing()),
    progress: (text) => progress.set(text),
    output(data, text) {
      output = { data, text };
    },
    exit(code) {
      exit = code;
    },
  };
  void unchanged;
  void (null as unknown as Resource<unknown>);
  return {
    context,
    result: () => output,
    exitCode: () => exit,
    unchanged: () => unchanged,
    close: () => Promise.resolve(),
  };
}
