// `berth halt`: what the machine's shutdown runs: all vnodes end in order before the engine does.
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { task } from "../lib/cli/task.ts";
import { BerthError } from "../lib/log/error.ts";
import { loadSomeHost } from "../lib/config/last_good.ts";
import { haltAll } from "../lib/vnode/halt.ts";
import { readShims } from "../lib/vnode/start.ts";
import type { Lock } from "../lib/host/types.ts";
import { endWatch, noteHalted } from "../lib/watch/presence.ts";
import { groundOf, throwFailed } from "./vnode/_report.ts";

/** Milliseconds for the engine to answer: a busy one is worth waiting for, the vnodes' order hangs on it. */
const ENGINE_MS = 60_000;

/** Ends the watch, then halts all vnodes; what is wanted of them stays, so that the next boot brings them back. */
export default task({
  summary: "Halt all vnodes for a shutdown; the next boot brings them back",
  description: `
For the shutdown (berth-halt.service, or the stop of the init script). Ends the watch first, then halts the
vnodes, the one that started last first. Unlike "berth vnode halt" it does not change what is wanted:
"berth boot" brings back all that were up. A faulty host.yaml keeps nobody from being halted: it is told at the end.

Examples:
  berth halt
  berth halt --within 60 --grace 5
`,
  changes: true,
  options: v.object({
    within: v.optional(
      v.pipe(v.number(), v.minValue(1, "Is too short"), v.description("Seconds for all vnodes together")),
      300,
    ),
    grace: v.optional(
      v.pipe(
        v.number(),
        v.minValue(0, "Is below zero"),
        v.description("Seconds between the stop signal and the kill [10]"),
      ),
    ),
  }),
  async run(context) {
    const { within, grace } = context.options;
    const { fault } = await loadSomeHost({ look: context.host, directory: context.configDirectory });
    if (fault !== null) {
      const { message, place } = fault.issues[0] ?? { message: fault.message };
      context.log.warn("host.yaml is faulty: halts without it", { error: message, place });
    }
    // Held to the end: a watch that somebody starts meanwhile would take these stops for an operator's.
    const lock = context.mode === "apply" ? await withoutWatch() : null;
    const ground = await groundOf(context, "berth halt");
    const outcomes = await answers().then((runs) =>
      runs ? haltAll(ground, { withinMs: within * 1000, graceSeconds: grace }) : []
    ).finally(() => lock?.release());
    throwFailed(outcomes);
    const count = `${outcomes.length} vnode${outcomes.length === 1 ? "" : "s"}`;
    context.output(
      { vnodes: outcomes.map(({ vnode, did }) => ({ vnode, did })) },
      outcomes.length === 0
        ? "No vnode runs"
        : `${count} ${context.mode === "plan" ? "would be " : ""}halted`,
    );
    if (fault !== null) {
      context.log.info(outcomes.length === 0 ? "No vnode runs" : `${count} halted all the same`);
      throw fault;
    }

    /** Ends the watch, and has nobody start one again by himself. */
    async function withoutWatch(): Promise<Lock> {
      const { ran, lock } = await endWatch(context.host, wait);
      if (ran) context.log.info("Ended the watch");
      // The vnodes' order must not hang on a note.
      await noteHalted(context.host).catch((error) => {
        context.log.warn("Cannot note the halt: an init script's guard may start a watch", {
          error: String(error),
        });
      });
      return lock;
    }

    /** False where no engine runs and none has left anything running. */
    async function answers(): Promise<boolean> {
      if (await ground.docker.ping({ timeoutMs: Math.min(ENGINE_MS, within * 500) })) return true;
      const left = (await readShims(context.host)).size;
      if (left === 0) return false;
      throw new BerthError({
        code: "docker",
        object: "engine docker",
        message: `It does not answer, and ${left} containers run`,
        next: "Start the engine, then run this again: berth host up",
      });
    }
  },
});
