// `berth vnode boot`: starts vnodes that were made before.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { boot } from "../../lib/vnode/halt.ts";
import { madeNames } from "./_names.ts";
import { groundOf, report } from "./_report.ts";

/** Starts vnodes from their records. Does nothing for those that run and are wired. */
export default task({
  summary: "Start vnodes that exist",
  description: `
Without names, starts all vnodes of this vhost.

Examples:
  berth vnode boot left
  berth vnode boot
`,
  args: ["[NAME...]"],
  completes: "vnodes",
  changes: true,
  options: v.object({}),
  async run(context) {
    const names = await madeNames(context, context.args);
    const outcomes = await boot(await groundOf(context, "berth vnode boot"), names);
    report(context, outcomes, "booted");
  },
});
