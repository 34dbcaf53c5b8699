// What a task is: a script an operator can run. tasks/… files export one by default; the CLI runs it.
import type { Config } from "../config/types.ts";
import type { Docker } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import type { Log } from "../log/log.ts";
import type { Ensurer } from "../resource/ensure.ts";
import type { Change, Ensure } from "../resource/types.ts";
import type { GenericSchema, InferOutput } from "valibot";

/** What every task is given. Getters are lazy: nothing is loaded, opened or contacted before it is used. */
export interface TaskContext<Options> {
  readonly options: Options;
  /** Positional arguments. */
  readonly args: readonly string[];
  /** `apply` changes; `plan` only tells (`--dry-run`). */
  readonly mode: "apply" | "plan";
  readonly host: Host;
  readonly log: Log;
  readonly ensure: Ensure;
  /** Many resources at once: one look, one process per tool where order allows. */
  readonly ensureAll: Ensurer["ensureAll"];
  /** Gives back what the journal has of these resources, newest first. */
  readonly undo: Ensurer["undo"];
  /** All changes made (or planned) so far in this run. */
  readonly changes: readonly Change[];
  /** Tells a change that was made (or planned) by other means than `ensure`, so that it is shown and counted. */
  tell(change: Pick<Change, "resource" | "verb" | "why">): void;
  /** Loads /etc/berth (or --config DIR) once; throws with all issues at once. */
  config(): Promise<Config>;
  /** The engine; not contacted before its first call. */
  docker(): Promise<Docker>;
  /** Aborted by SIGINT and SIGTERM. Undo must not be given it. */
  readonly signal: AbortSignal;
  /** The directory of the configuration: /etc/berth, or what --config says. */
  readonly configDirectory: string;
  /** True with --json: a task that streams writes one JSON object a line. */
  readonly json: boolean;
  /** True with --verbose. */
  readonly verbose: boolean;
  /** False with --no-color. Whether colours can be shown is the painter's to know (terminal.ts). */
  readonly colour: boolean;
  /** Tells what is being done now ("Pulling debian:12"); shown when it takes over a second. "" ends it. */
  progress(text: string): void;
  /** The result: `data` for --json, `text` (or a table) for people. Called at most once, at the end. */
  output(data: unknown, text?: string): void;
  /** Sets the exit code of a run that did not fail (2: differences found). */
  exit(code: number): void;
}

/** A task, as its file declares it. */
export interface Task<Schema extends GenericSchema = GenericSchema> {
  readonly summary: string;
  /** Longer help, with examples. */
  readonly description?: string;
  /** A valibot object schema: each entry is an option; `v.description` is its help text. */
  readonly options?: Schema;
  /** Names of positional arguments: "NAME", "[NAME...]", "ARG..." */
  readonly args?: readonly string[];
  /** What completes the arguments: names of vnodes, of scripts, of files, or these words for the first one. */
  readonly completes?: "vnodes" | "tasks" | "files" | readonly string[];
  /** Options end at the first argument; what follows belongs to it: `berth run NAME --its-own`. */
  readonly passThrough?: boolean;
  /** True when it may change the machine: gets --dry-run. */
  readonly changes?: boolean;
  /** Not shown in help. */
  readonly hidden?: boolean;
  run(context: TaskContext<InferOutput<Schema>>): Promise<void>;
}

/** Declares a task; gives its options their types. */
export function task<Schema extends GenericSchema>(declared: Task<Schema>): Task<Schema> {
  return declared;
}
