// `berth vnode up`: from specs to running, wired vnodes.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { selectSpecs } from "../../lib/vnode/select.ts";
import { up } from "../../lib/vnode/up.ts";
import { tellFlaps } from "./_flaps.ts";
import { groundOf, report, throwInterrupted } from "./_report.ts";

/** Makes lans and containers as the specs say, starts them, and checks their wiring. Does nothing where all stands. */
export default task({
  summary: "Create, start and wire vnodes from their specs",
  description: `
Without names, all vnodes that /etc/berth/vnodes.d declares. A vnode whose container differs from its spec
(image, command, environment, control address) is made anew; what only its links say is changed in place.

Examples:
  berth vnode up
  berth vnode up left right
  berth vnode up --dry-run
`,
  args: ["[NAME...]"],
  completes: "vnodes",
  changes: true,
  options: v.object({
    recreate: v.optional(
      v.pipe(v.boolean(), v.description("Make the containers anew, whatever they are")),
      false,
    ),
    createOnly: v.optional(v.pipe(v.boolean(), v.description("Create and prepare, but do not start")), false),
  }),
  async run(context) {
    const config = await context.config();
    const specs = selectSpecs(config, context.args, `${context.configDirectory}/vnodes.d`);
    const outcomes = specs.length === 0
      ? []
      : await up(await groundOf(context, "berth vnode up"), specs, config.lans, context.options);
    await throwInterrupted(context, outcomes);
    await tellFlaps(context, specs);
    report(context, outcomes, "brought up");
  },
});
