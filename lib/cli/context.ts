// What a task is given, built from what the command line said. Everything in it is lazy: `berth version` opens,
// loads and contacts nothing.
import process from "node:process";
import type { Config } from "../config/types.ts";
import type { Docker } from "../docker/types.ts";
import { createHost } from "../host/host.ts";
import { stderrFile } from "../host/stderr.ts";
import type { EngineDoor, Host } from "../host/types.ts";
import { createLog, underJournal } from "../log/logger.ts";
import type { Log } from "../log/log.ts";
import { consentTo } from "../resource/consent.ts";
import { createEnsure, type Ensurer } from "../resource/ensure.ts";
import { createJournal } from "../resource/journal.ts";
import type { Change } from "../resource/types.ts";
import type { Progress } from "./progress.ts";
import type { TaskContext } from "./task.ts";

/** What the command line decided. */
export interface Settings {
  readonly mode: "apply" | "plan";
  readonly json: boolean;
  readonly verbose: boolean;
  readonly quiet: boolean;
  /** False with --no-color. */
  readonly colour: boolean;
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
  let output: { data: unknown; text: string | undefined } | undefined;
  let exit: number | undefined;
  let unchanged = 0;
  let opened: Docker | undefined;
  const told: Change[] = [];

  const log = once((): Log => {
    const level = settings.quiet ? "error" : settings.verbose ? "debug" : "info";
    const format = underJournal(stderrFile()) ? "journal" : "text";
    return createLog({ level, format, before: progress.clear });
  });
  const config = once(async (): Promise<Config> => {
    const { loadConfig } = await import("../config/load.ts");
    return await loadConfig({ look: host(), directory: settings.configDirectory });
  });
  const docker = once(async (): Promise<Docker> => {
    // Only the socket is asked for: a slip in a file must not keep vnodes from being listed or halted.
    const { loadSomeHost } = await import("../config/last_good.ts");
    const { config } = await loadSomeHost({ look: host(), directory: settings.configDirectory });
    const { socket } = config.host.engine;
    const { createDocker } = await import("../docker/client.ts");
    return opened = createDocker({ socket, kill: (pid) => void process.kill(pid, "SIGKILL") });
  });
  const door = once(async (): Promise<EngineDoor> => {
    const { engineDoor } = await import("../docker/door.ts");
    return engineDoor(await docker());
  });
  const engine: EngineDoor = {
    get: async (path) => await (await door()).get(path),
    call: async (request) => await (await door()).call(request),
  };
  const host = once((): Host => createHost({ engine, plan: settings.mode === "plan", log: log(), signal }));
  const ensurer = once((): Ensurer =>
    createEnsure({
      host: host(),
      mode: settings.mode,
      journal: createJournal(host()),
      onChange: parts.onChange,
      consent: async (change) => consentTo((await config()).host.consent, change),
      signal,
    })
  );
  const counted = <Answer extends { readonly changed: boolean }>(ensured: readonly Answer[]) => {
    unchanged += ensured.filter(({ changed }) => !changed).length;
  };

  const context: TaskContext<unknown> = {
    options: parts.options,
    args: parts.args,
    mode: settings.mode,
    signal,
    json: settings.json,
    verbose: settings.verbose,
    colour: settings.colour,
    configDirectory: settings.configDirectory,
    get changes() {
      return [...ensurer().changes, ...told];
    },
    tell(change) {
      const whole: Change = { risk: "safe", do: [], undo: [], ...change };
      told.push(whole);
      parts.onChange(whole);
    },
    get log() {
      return log();
    },
    get host() {
      return host();
    },
    async ensure(resource) {
      progress.set(resource.id);
      const ensured = await ensurer().ensure(resource);
      progress.set("");
      counted([ensured]);
      return ensured;
    },
    async ensureAll(resources) {
      progress.set(resources.length === 1 ? resources[0]!.id : `${resources.length} things`);
      const ensured = await ensurer().ensureAll(resources);
      progress.set("");
      counted(ensured);
      return ensured;
    },
    undo: (resources, stays) => ensurer().undo(resources, stays),
    config,
    docker,
    progress: (text) => progress.set(text),
    output(data, text) {
      output = { data, text };
    },
    exit(code) {
      exit = code;
    },
  };
  return {
    context,
    result: () => output,
    exitCode: () => exit,
    unchanged: () => unchanged,
    close: async () => await opened?.close(),
  };
}

/** A getter that makes its value at the first call. A promise that was rejected stays so: one run, one answer. */
function once<Value>(make: () => Value): () => Value {
  let made: { value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}
