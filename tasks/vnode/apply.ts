// `berth vnode apply`: a changed configuration, live.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { apply, runningSpecs } from "../../lib/vnode/apply.ts";
import { selectSpecs } from "../../lib/vnode/select.ts";
import { tellFlaps } from "./_flaps.ts";
import { groundOf, report } from "./_report.ts";

/** Changes vnodes that run to what their specs say, without a new container. Does nothing where all stands. */
export default task({
  summary: "Change running vnodes to what their specs say",
  description: `
Without names, all declared vnodes that run. Links, addresses, MACs, MTUs, sysctls, routes, names and shapes are changed
in place: no process in a vnode notices but by its network. Only what differs between the spec before and the spec now
is touched; what a vnode's user has changed inside stays, unless --inside asks for the whole spec again.

What needs a new container (image, command, environment, control address) is refused: that is "berth vnode up".

Examples:
  berth vnode apply --dry-run
  berth vnode apply left --inside
`,
  args: ["[NAME...]"],
  completes: "vnodes",
  changes: true,
  options: v.object({
    inside: v.optional(
      v.pipe(v.boolean(), v.description("Set all inside again, over what users have changed there")),
      false,
    ),
  }),
  async run(context) {
    const config = await context.config();
    const ground = await groundOf(context, "berth vnode apply");
    const declared = selectSpecs(config, context.args, `${context.configDirectory}/vnodes.d`);
    const specs = context.args.length > 0 ? declared : await runningSpecs(ground, declared);
    const outcomes = await apply(ground, specs, config.lans, context.options);
    await tellFlaps(context, specs);
    report(context, outcomes, "changed");
  },
});
