// `berth vnode down`: halts and destroys vnodes.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { destroy } from "../../lib/vnode/destroy.ts";
import { madeNames } from "./_names.ts";
import { groundOf, report } from "./_report.ts";

/** Halts vnodes and removes their containers, wiring, records, and lans that nobody is on any more. */
export default task({
  summary: "Halt and destroy vnodes",
  args: ["NAME..."],
  completes: "vnodes",
  changes: true,
  options: v.object({}),
  async run(context) {
    const names = await madeNames(context, context.args);
    const outcomes = await destroy(await groundOf(context, "berth vnode down"), names);
    report(context, outcomes, "destroyed");
  },
});
