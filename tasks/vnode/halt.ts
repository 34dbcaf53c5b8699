// `berth vnode halt`: stops vnodes; their disks stay.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { halt } from "../../lib/vnode/halt.ts";
import { madeNames } from "./_names.ts";
import { groundOf, report } from "./_report.ts";

/** Stops vnodes; their disks stay, and nobody boots them again unasked. */
export default task({
  summary: "Stop vnodes",
  description: `
Without names, stops all vnodes of this vhost.

Examples:
  berth vnode halt left right
  berth vnode halt
`,
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
    if (context.args.length === 0 && names.length > 1) {
      context.log.info("No vnode is named: all are halted", { vnodes: names.length });
    }
    const outcomes = await halt(await groundOf(context, "berth vnode halt"), names, context.options.grace);
    report(context, outcomes, "halted");
  },
});
