// The command line from argv to exit code: find the task, read its options, run it, tell what came of it.
// Sets process.exitCode and never ends the process: process.exit would cut a large output to a pipe at 64 KiB.
import process from "node:process";
import { list, readText } from "../host/files.ts";
import { BerthError } from "../log/error.ts";
import { createSession, type Settings } from "./context.ts";
import { nearest } from "./nearest.ts";
import { CONFIG_DIRECTORY, GLOBAL_OPTIONS, globalOptions, schemaOptions } from "./option.ts";
import { type Parsed, parseOptions, usageError } from "./parse.ts";
import { createProgress } from "./progress.ts";
import { asBerthError, changeText, errorJson, errorText, tally, tallyText } from "./report.ts";
import type { Task } from "./task.ts";
import { guardStreams, isAttended, painter } from "./terminal.ts";
import { childrenOf, findCommand, type Groups, splitWords, type Tree } from "./tree.ts";

/** All that a command line needs to know. */
export interface Commands {
  readonly tree: Tree;
  readonly groups: Groups;
}

/** Runs one command line; answers when all is said and done, with process.exitCode set. */
export async function runCommandLine(argv: readonly string[], commands: Commands): Promise<void> {
  if (argv[0] === "gate") {
    // Every millisecond of it is part of a container's start: nothing else is set up.
    process.exitCode = await (await import("../gate/gate.ts")).runGate(argv.slice(1));
    return;
  }
  const controller = new AbortController();
  guardStreams(() => controller.abort(new Error("the reader of the output went away")));
  cleanEnvironment();
  const flags = roughFlags(argv);
  try {
    process.exitCode = await dispatch(argv, commands, controller);
  } catch (thrown) {
    const signal = controller.signal.reason;
    const error = asBerthError(
      signal instanceof Signalled && !(thrown instanceof BerthError) ? signal.told() : thrown,
    );
    process.exitCode = signalled(controller.signal) ?? error.exit;
    const paint = painter(process.stderr, !flags.noColor && await isAttended());
    if (flags.json) process.stdout.write(errorJson(error));
    else process.stderr.write(errorText(error, paint, flags.verbose));
  }
  // After a signal nothing that still runs may keep the process; what was written is let out first.
  const code = signalled(controller.signal);
  if (code === undefined) return;
  // A terminal that is lost refuses what is written: that is no failure of its own any more.
  const exit = Number(process.exitCode ?? code);
  process.stdout.write("", () => process.exit(exit));
}

/**
 * Takes out of the environment what would change how we or our children behave: zx reads ZX_*, the runtimes read
 * BUN_* and NODE_OPTIONS, and a child berth would load a stranger's code by them.
 */
function cleanEnvironment(): void {
  for (const name of Object.keys(process.env)) {
    if (/^(ZX_|BUN_)/.test(name) || name === "NODE_OPTIONS") delete process.env[name];
  }
}

/** Flags that must be known even when argv cannot be read: they say how the error is told. */
function roughFlags(argv: readonly string[]): { json: boolean; noColor: boolean; verbose: boolean } {
  const own = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  return {
    json: own.includes("--json"),
    noColor: own.includes("--no-color"),
    verbose: own.includes("--verbose") || own.includes("-v"),
  };
}

async function dispatch(
  argv: readonly string[],
  commands: Commands,
  controller: AbortController,
): Promise<number> {
  const { tree, groups } = commands;
  if (argv[0] === "__complete") {
    const { complete, completionLines } = await import("./complete.ts");
    const words = argv.slice(argv[1] === "--" ? 2 : 1);
    process.stdout.write(completionLines(await complete(words, tree, groups)));
    return 0;
  }
  if (argv[0] === "--version" || argv[0] === "-V") {
    return await dispatch(["version", ...argv.slice(1)], commands, controller);
  }
  if (argv[0] === "help") return await dispatch([...argv.slice(1), "--help"], commands, controller);
  const { words, rest } = splitWords(argv, tree);
  const found = findCommand(tree, words);
  if (found.kind === "unknown") throw await unknownCommand(tree, found.path, found.word);
  if (found.kind === "group") {
    const name = found.path === "" ? "berth" : `berth ${found.path}`;
    const { values } = await parseOptions(rest, GLOBAL_OPTIONS, name);
    if (values.json && !values.help) {
      throw usageError(name, [{
        message: "A command is missing",
        next: `Run "${name} --help" for all of them`,
      }]);
    }
    const { groupHelp } = await import("./help.ts");
    const stream = values.help ? process.stdout : process.stderr;
    stream.write(groupHelp(tree, groups, found.path, GLOBAL_OPTIONS, painter(stream, !values.noColor)));
    return values.help ? 0 : 64;
  }
  const { default: declared } = await found.entry.load();
  return await runTask(found.path, declared, rest, controller);
}

async function unknownCommand(tree: Tree, group: string, word: string): Promise<BerthError> {
  const command = group === "" ? "berth" : `berth ${group}`;
  const near = await nearest(word, childrenOf(tree, group));
  return usageError(command, [{
    message: `There is no command "${word}"`,
    next: near === undefined
      ? `Run "${command} --help" for all of them`
      : `Did you mean "${command} ${near}"?`,
  }]);
}

async function runTask(
  path: string,
  declared: Task,
  argv: readonly string[],
  controller: AbortController,
): Promise<number> {
  const command = `berth ${path}`;
  const own = schemaOptions(declared.options);
  const global = globalOptions(declared.changes === true);
  const parsed = await parseOptions(argv, [...own, ...global], command, declared.passThrough);
  if (parsed.values.help) {
    const { taskHelp } = await import("./help.ts");
    process.stdout.write(
      taskHelp(path, declared, own, global, painter(process.stdout, !parsed.values.noColor)),
    );
    return 0;
  }
  checkArgs(declared.args ?? [], parsed.args, command);
  const settings: Settings = {
    mode: parsed.values.dryRun ? "plan" : "apply",
    json: parsed.values.json === true,
    verbose: parsed.values.verbose === true,
    quiet: parsed.values.quiet === true,
    colour: parsed.values.noColor !== true,
    configDirectory: String(parsed.values.config ?? CONFIG_DIRECTORY),
  };
  if (parsed.values.config !== undefined) await checkDirectory(settings.configDirectory, command);
  const options = await validate(declared, parsed, own.map(({ key }) => key), command);
  return await execute(declared, { settings, options, args: parsed.args }, controller);
}

async function execute(
  declared: Task,
  { settings, options, args }: { settings: Settings; options: unknown; args: readonly string[] },
  controller: AbortController,
): Promise<number> {
  const attended = await isAttended();
  const progress = createProgress({ quiet: settings.quiet || settings.json, attended });
  const paint = painter(process.stdout, settings.colour && attended);
  const session = createSession({
    settings: { ...settings, colour: settings.colour && attended },
    options,
    args,
    signal: controller.signal,
    progress,
    onChange(change) {
      if (settings.json || settings.quiet) return;
      progress.clear();
      process.stdout.write(`${changeText(change, paint)}\n`);
    },
  });
  const release = await catchSignals(controller);
  try {
    await declared.run(session.context);
  } finally {
    progress.stop();
    release();
    await session.close();
  }
  const result = session.result();
  const { changes } = session.context;
  const counts = tally(changes, session.unchanged());
  if (settings.json) {
    const data = result?.data ?? {};
    const whole = declared.changes
      ? { ...(Array.isArray(data) ? { result: data } : data as object), changes, ...counts }
      : data;
    process.stdout.write(`${JSON.stringify(whole)}\n`);
  } else {
    if (result?.text !== undefined && result.text !== "") {
      process.stdout.write(`${result.text.replace(/\n$/, "")}\n`);
    }
    if (declared.changes && !settings.quiet && changes.length + counts.unchanged > 0) {
      process.stdout.write(`${tallyText(counts, settings.mode === "plan")}\n`);
    }
  }
  return session.exitCode() ?? signalled(controller.signal) ?? 0;
}

/** A slip in --config must not prepare a host with all defaults. An unreadable one is told by who reads it. */
async function checkDirectory(path: string, command: string): Promise<void> {
  const names = path === "" ? null : await list(path).catch(() => []);
  if (names !== null) return;
  throw new BerthError({
    code: "missing",
    object: command,
    message: `There is no directory "${path}" for option "--config"`,
    next: `Name a directory that is there, or leave the option out for ${CONFIG_DIRECTORY}`,
  });
}

function checkArgs(names: readonly string[], args: readonly string[], command: string): void {
  const needed = names.filter((name) => !name.startsWith("["));
  const endless = names.some((name) => name.includes("..."));
  const shape = names.length === 0 ? "no arguments" : names.join(" ");
  const found = args.length === 0 ? "nothing" : args.map((arg) => JSON.stringify(arg)).join(" ");
  if (args.length < needed.length) {
    throw usageError(command, [{
      message: `Argument ${needed[args.length]} is missing`,
      found,
      wanted: shape,
    }]);
  }
  if (!endless && args.length > names.length) {
    throw usageError(command, [{
      message: `Argument "${args[names.length]}" is one too many`,
      found,
      wanted: shape,
    }]);
  }
}

async function validate(
  declared: Task,
  parsed: Parsed,
  keys: readonly string[],
  command: string,
): Promise<unknown> {
  if (declared.options === undefined) return {};
  const { safeParse } = await import("valibot");
  const given = Object.fromEntries(Object.entries(parsed.values).filter(([key]) => keys.includes(key)));
  const result = safeParse(declared.options, given);
  if (result.success) return result.output;
  const options = schemaOptions(declared.options);
  throw usageError(
    command,
    result.issues.map((issue) => {
      const key = issue.path?.[0]?.key;
      const flag = `--${options.find((option) => option.key === key)?.flag ?? String(key)}`;
      return issue.received === "undefined"
        ? {
          path: flag,
          message: `Option "${flag}" is required`,
          found: "nothing",
          wanted: issue.expected ?? "a value",
        }
        : {
          path: flag,
          message: `Option "${flag}": ${issue.message}`,
          found: issue.received,
          wanted: issue.expected ?? undefined,
        };
    }),
  );
}

/** SIGHUP: the terminal is lost (ssh -t), and what is half done is not to stay so. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** The first signal aborts the task, which then cleans up; the second ends the process at once. */
async function catchSignals(controller: AbortController): Promise<() => void> {
  const hangsUp = !await ignoresHangup();
  const handlers = Object.entries(SIGNALS).map(([name, code]) => {
    const handler = () => {
      // To the watch it is a word, not an end: who listens for it has it. Under nohup it is to do nothing, and has a
      // handler all the same: Deno takes the signal for itself, and ends the process where nobody listens.
      const isHangup = name === "SIGHUP";
      if (isHangup && (!hangsUp || process.listenerCount(name) > 1)) return;
      if (signalled(controller.signal) !== undefined) {
        // A lost terminal hangs up more than once (kernel and shell), and nobody asks for haste by it.
        if (isHangup) return;
        process.exit(code);
      }
      controller.abort(new Signalled(name, code));
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  return () => handlers.forEach((off) => off());
}

/** True where this process was started to ignore SIGHUP (nohup): the first bit of SigIgn, proc(5). */
async function ignoresHangup(): Promise<boolean> {
  const status = await readText("/proc/self/status").catch(() => null);
  return Number.parseInt(/^SigIgn:\t[0-9a-f]*([0-9a-f])$/m.exec(status ?? "")?.[1] ?? "0", 16) % 2 === 1;
}

class Signalled extends Error {
  readonly exit: number;
  constructor(name: string, exit: number) {
    super(`Stopped by ${name}`);
    this.name = "Signalled";
    this.exit = exit;
  }
  told(): BerthError {
    const next = "Run it again: what was done is kept, and the rest follows";
    return new BerthError({ code: "interrupted", object: "berth", message: this.message, next });
  }
}

function signalled(signal: AbortSignal): number | undefined {
  return signal.reason instanceof Signalled ? signal.reason.exit : undefined;
}
