// `berth vnode reboot`: restarts vnodes.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { reboot } from "../../lib/vnode/halt.ts";
import { madeNames } from "./_names.ts";
import { groundOf, report } from "./_report.ts";

/** Restarts vnodes; each start is wired before its first instruction. */
export default task({
  summary: "Restart vnodes",
  args: ["NAME..."],
  completes: "vnodes",
  changes: true,
  options: v.object({
    grace: v.optional(
      v.pipe(
        v.number(),
        v.minValue(0, "Is below zero"),
        v.description("Seconds between the stop signal and the kill"),
      ),
    ),
  }),
  async run(context) {
    const names = await madeNames(context, context.args);
    const outcomes = await reboot(
      await groundOf(context, "berth vnode reboot"),
      names,
      context.options.grace,
    );
    report(context, outcomes, "rebooted");
  },
});
