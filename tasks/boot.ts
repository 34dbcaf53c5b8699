// `berth boot`: what the machine's boot runs: host, vnodes, watch. In two stages where an init system starts the engine
// in between. A failure stops what needs what failed, and nothing else.
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { task, type TaskContext } from "../lib/cli/task.ts";
import { keepGood, loadSomeHost } from "../lib/config/last_good.ts";
import { loadUsable } from "../lib/config/load.ts";
import { BerthError } from "../lib/log/error.ts";
import { ensureWatch, type WatchStart } from "../lib/watch/presence.ts";
import { bootLock, bootVnodes, throwAll, type Tried } from "./_boot.ts";
import { runWatch } from "./_watch.ts";
import { applyAll, STEPS, STEPS_BEFORE_ENGINE } from "./host/_all.ts";
import { hostFacts } from "./host/_facts.ts";

/** Steps without which no vnode can run. */
const VNODES_NEED: readonly string[] = ["storage", "runtime", "daemon-json", "firewall", "control-net"];

/** Prepares the host, brings up the vnodes that are not wanted halted, and makes sure a watch runs. */
export default task({
  summary: "Prepare the host, bring up all vnodes, and see that a watch runs",
  description: `
For rc scripts, at every boot; safe to run again at any time, and while another one runs: it waits for that. A
vnode that somebody halted stays halted. What fails stops what needs it, and nothing else: the exit code and the
last lines tell. berth host rc has it run at boot, in two stages: "prepare" before the engine's start (packages,
kernel, storage, runtime, daemon.json), "boot" after it (whatever is left, then vnodes and watch).

Examples:
  berth boot
  berth boot --stage prepare
  berth boot --foreground
`,
  changes: true,
  options: v.object({
    foreground: v.optional(v.pipe(v.boolean(), v.description("Stay, and be the watch")), false),
    stage: v.optional(
      v.pipe(
        v.picklist(["prepare", "boot", "all"]),
        v.description("prepare: what comes before the engine's start; boot: the rest [all]"),
      ),
      "all",
    ),
  }),
  async run(context) {
    const began = performance.now();
    const { stage, foreground } = context.options;
    const lock = await bootLock(context);
    const tried = await boot(context, stage === "prepare").finally(() => lock.release());
    const watch = tried.watch ?? (foreground ? "here" : "not asked for");
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const summary = stage === "prepare"
      ? `${hostWords(tried)} before the engine's start, ${seconds} s`
      : `${hostWords(tried)}, ${vnodeWords(tried)}, watch ${watch}, ${seconds} s`;
    const stays = foreground && stage !== "prepare" && context.mode === "apply";
    if (stays) context.log.info(summary);
    try {
      throwAll(tried);
    } catch (error) {
      if (!stays) {
        // A run that fails has no output of its own: on the console this is what is read first.
        context.log.warn(summary);
        throw error;
      }
      context.log.error("Not all is as wanted", {
        error: error instanceof Error ? error.message : String(error),
      });
      for (const { place, message } of error instanceof BerthError ? error.issues : []) {
        context.log.error(message, { place });
      }
    }
    if (stays) return await runWatch(context, process.pid);
    context.output(
      {
        stage,
        steps: tried.host.steps.map(({ step, result }) => ({ step, result })),
        vnodes: tried.vnodes.map(({ vnode, changed, did }) => ({ vnode, changed, did })),
        watch: tried.watch,
        started: tried.watch === "started",
      },
      summary,
    );
  },
});

/** All of it; what fails is in the answer, not thrown, save what leaves nothing to be tried. */
async function boot(given: TaskContext<{ foreground: boolean }>, before: boolean): Promise<Tried> {
  const directory = given.configDirectory;
  const some = await loadSomeHost({ look: given.host, directory });
  const { look, from, fault: faulty } = some;
  if (faulty !== null) {
    given.log.warn(
      from === "last good"
        ? "host.yaml is faulty: goes on with the last good one"
        : "host.yaml is faulty, and no good one is kept: leaves the host as it is, and starts vnodes from their records",
    );
  }
  const { config, fault } = from === "defaults"
    ? { config: some.config, fault: null }
    : await loadUsable({ look, directory });
  // What a faulty file of vnodes.d says is left out: the host, the watch and the others do not hang on it.
  const context: TaskContext<unknown> = Object.create(given, {
    config: { value: () => Promise.resolve(config) },
  });
  context.progress("Preparing the host");
  const steps = from === "defaults" ? [] : before ? STEPS_BEFORE_ENGINE : STEPS;
  const host = await applyAll(context, steps);
  if (given.mode === "apply") await keepGood(given.host, directory, some.text);
  if (before) return { host, faulty, vnodes: [], declared: 0, errors: [] };
  const errors: unknown[] = fault === null ? [] : [fault];
  const lost = host.steps.filter(({ step, result }) => result !== "done" && VNODES_NEED.includes(step));
  const tried = lost.length > 0
    ? { declared: config.vnodes.length, vnodes: [] }
    : await bootVnodes(context, config).catch((error) => {
      errors.push(error);
      return { declared: config.vnodes.length, vnodes: [] };
    });
  if (lost.length > 0 && tried.declared > 0) {
    errors.push(
      new BerthError({
        code: "not-converged",
        object: "vnodes",
        message: `Not brought up: host ${lost.map(({ step }) => step).join(", ")} did not succeed`,
        next: "Mend that, then run this again: berth boot",
      }),
    );
  }
  // Whatever becomes of the vnodes, a watch is to run: it boots those that are wanted up again and again.
  let watch: WatchStart | undefined;
  if (given.mode === "apply" && !given.options.foreground) {
    const { berth } = await hostFacts(given.host);
    watch = await ensureWatch(given.host, berth, wait).catch((error) => {
      errors.push(error);
      return undefined;
    });
  }
  return { host, faulty, ...tried, watch, errors };
}

function hostWords({ host, faulty }: Tried): string {
  if (faulty !== null && host.steps.length === 0) return "Host left as it is (host.yaml is faulty)";
  const bad = host.steps.filter(({ result }) => result !== "done");
  return bad.length === 0
    ? "Host ready"
    : `Host not ready (${bad.map(({ step, result }) => `${step} ${result}`).join(", ")})`;
}

/** "2 of 3 vnodes as wanted (right gone)". */
export function vnodeWords(
  { vnodes, declared, gone = [] }: Pick<Tried, "vnodes" | "declared" | "gone">,
): string {
  const well = vnodes.filter((one) => one.error === undefined).length;
  const lost = gone.length === 0 ? "" : ` (${gone.join(", ")} gone)`;
  return `${well} of ${Math.max(declared, vnodes.length)} vnodes as wanted${lost}`;
}
