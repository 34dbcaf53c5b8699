// `berth boot`: what the rc script runs: host, vnodes, watch.
import process from "node:process";
import * as v from "valibot";
import { task } from "../lib/cli/task.ts";
import type { Outcome } from "../lib/vnode/ground.ts";
import { readRecord } from "../lib/vnode/record.ts";
import { up } from "../lib/vnode/up.ts";
import { ensureWatch } from "../lib/watch/presence.ts";
import { runWatch } from "./_watch.ts";
import { applyAll, throwFailures } from "./host/_all.ts";
import { hostFacts } from "./host/_facts.ts";
import { groundOf, throwFailed } from "./vnode/_report.ts";

/** Prepares the host, brings up the declared vnodes that are not wanted halted, and makes sure a watch runs. */
export default task({
  summary: "Prepare the host, bring up all vnodes, and see that a watch runs",
  description: `
For rc scripts, at every boot; safe to run again at any time. A vnode that somebody halted stays halted.

Examples:
  berth boot
  berth boot --foreground
`,
  changes: true,
  options: v.object({
    foreground: v.optional(v.pipe(v.boolean(), v.description("Stay, and be the watch")), false),
  }),
  async run(context) {
    const began = Date.now();
    const config = await context.config();
    context.progress("Preparing the host");
    throwFailures(await applyAll(context));
    context.progress(`Bringing up ${config.vnodes.length} vnodes`);
    // Whatever becomes of the vnodes, a watch is to run: it boots those that are wanted up again and again.
    let refused: unknown;
    const outcomes = await bootVnodes().catch((error): Outcome[] => {
      refused = error;
      return [];
    });
    const facts = await hostFacts(context.host);
    const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    const started = context.mode === "apply" && !context.options.foreground &&
      (await ensureWatch(context.host, facts.berth, wait));
    const well = outcomes.filter((one) => one.error === undefined).length;
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    const summary = `Host ready, ${well} of ${config.vnodes.length} vnodes as wanted, ` +
      `watch ${context.options.foreground ? "here" : started ? "started" : "running"}, ${seconds} s`;
    const throwAll = () => {
      if (refused !== undefined) throw refused;
      throwFailed(outcomes);
    };
    if (context.options.foreground && context.mode === "apply") {
      context.log.info(summary);
      try {
        throwAll();
      } catch (error) {
        context.log.error("Some vnodes are not as wanted", { error: String(error) });
      }
      return await runWatch(context, process.pid);
    }
    throwAll();
    context.output(
      { vnodes: outcomes.map(({ vnode, changed, did }) => ({ vnode, changed, did })), started },
      summary,
    );

    async function bootVnodes(): Promise<Outcome[]> {
      if (config.vnodes.length === 0) return [];
      const records = await Promise.all(
        config.vnodes.map((spec) => readRecord(context.host, spec.name).catch(() => null)),
      );
      const halted = config.vnodes.filter((_, index) => records[index]?.wanted.state === "halted");
      const wanted = config.vnodes.filter((spec) => !halted.includes(spec));
      const ground = await groundOf(context, "berth boot");
      return [
        ...(wanted.length === 0 ? [] : await up(ground, wanted, config.lans)),
        ...(halted.length === 0 ? [] : await up(ground, halted, config.lans, { createOnly: true })),
      ];
    }
  },
});
