// `berth vnode halt`: stops vnodes; their disks stay.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { halt } from "../../lib/vnode/halt.ts";
import { madeNames } from "./_names.ts";
import { groundOf, report } from "./_report.ts";

/** Stops vnodes; their disks stay, and nobody boots them again unasked. */
export default task({
  summary: "Stop vnodes",
  args: ["[NAME...]"],
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
    const outcomes = await halt(await groundOf(context, "berth vnode halt"), names, context.options.grace);
    report(context, outcomes, "halted");
  },
});
