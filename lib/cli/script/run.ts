// Runs an operator's script inside this process: prepares it, gives it its globals, imports it, passes its end on.
// In plan mode `ensure` plans by itself; `$` and `docker` only look, and tell what they would do.
import process from "node:process";
import { writeText } from "../../host/files.ts";
import { loadOperatorShell } from "../../host/operator_shell.ts";
import { makeScratch } from "../../host/scratch.ts";
import type { TaskContext } from "../task.ts";
import { lazyDocker, lookingDocker } from "./docker.ts";
import { type Prepared, prepareScript } from "./prepare.ts";
import type { ScriptSource } from "./source.ts";
import { scriptError } from "./trace.ts";
import { createVnodes } from "./vnodes.ts";

/** Where the built-in copies find what they hand on. Not a name a script would use. */
const STORE = "__berth_script__";

/** Runs a script to its end. @throws {BerthError} that names the script's own line. */
export async function runScript(
  source: ScriptSource,
  context: TaskContext<unknown>,
  options: {
    readonly args: readonly string[];
    readonly verbose: boolean;
    /** The library, for `import … from "berth"`. */
    readonly library: Readonly<Record<string, unknown>>;
    /** Tells of what plan mode leaves out. */
    readonly would: (text: string) => void;
  },
): Promise<void> {
  const plan = context.mode === "plan";
  const scratch = makeScratch("berth-run");
  const zx = await loadOperatorShell({
    plan,
    scripts: scratch.path,
    verbose: options.verbose,
    signal: context.signal,
    would: (command) => options.would(`would run: ${command}`),
  });
  const docker = plan ? lookingDocker(lazyDocker(context.docker), options.would) : lazyDocker(context.docker);
  const own = {
    args: options.args,
    docker,
    ensure: context.ensure,
    host: context.host,
    log: context.log,
    mode: context.mode,
    signal: context.signal,
    progress: context.progress,
    config: context.config,
    vnodes: createVnodes(context, docker),
  };
  const { argv: _argv, log: _log, fetch: _fetch, ...goods } = zx;
  try {
    await writeBuiltIn(scratch.path, { zx, berth: { ...options.library, $: zx.$, ...own } });
    const prepared = await prepareScript(source, scratch.path);
    await withGlobals({ ...goods, ...own }, () => importScript(prepared, source, context));
  } finally {
    scratch.remove();
  }
}

/** Modules that hand on what is in this process already. */
async function writeBuiltIn(
  directory: string,
  built: Readonly<Record<"zx" | "berth", object>>,
): Promise<void> {
  Object.defineProperty(globalThis, STORE, { value: built, configurable: true, enumerable: false });
  for (const [name, exported] of Object.entries(built)) {
    const names = Object.keys(exported).filter((key) => /^[A-Za-z$_][\w$]*$/.test(key) && key !== "default");
    const lines = names.map((key) => `const ${key}_ = built[${JSON.stringify(key)}];`);
    const text = [
      `const built = globalThis.${STORE}.${name};`,
      ...lines,
      `export { ${names.map((key) => `${key}_ as ${key}`).join(", ")} };`,
      "export default built;",
      "",
    ].join("\n");
    await writeText(`${directory}/${name}.mjs`, text, { mode: 0o600 });
  }
  await writeText(`${directory}/none.mjs`, "export {};\n", { mode: 0o600 });
}

async function withGlobals(
  values: Readonly<Record<string, unknown>>,
  run: () => Promise<void>,
): Promise<void> {
  // Left in place afterwards: a script's timers and floating promises may still want them.
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true, enumerable: false });
  }
  await run();
}

async function importScript(
  prepared: Prepared,
  source: ScriptSource,
  context: TaskContext<unknown>,
): Promise<void> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => {}); // Raced below; a late one must not be a second fault.
  const abort = () => reject(context.signal.reason);
  process.once("uncaughtException", reject);
  process.once("unhandledRejection", reject);
  context.signal.addEventListener("abort", abort, { once: true });
  try {
    const loaded = await Promise.race([import(prepared.url) as Promise<{ default?: unknown }>, ended]);
    // A script may be a function, for those who like one.
    if (typeof loaded.default === "function") await Promise.race([loaded.default(context), ended]);
    // One turn: what was rejected without a handler is told before the script counts as done.
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 0)), ended]);
  } catch (thrown) {
    if (context.signal.aborted) throw context.signal.reason;
    throw scriptError(thrown, source.shown, prepared);
  } finally {
    process.off("uncaughtException", reject);
    process.off("unhandledRejection", reject);
    context.signal.removeEventListener("abort", abort);
  }
  if (process.exitCode !== undefined && process.exitCode !== null) context.exit(Number(process.exitCode));
}
