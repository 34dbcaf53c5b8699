// `berth host plan`: what `host up` would do, and why. Changes nothing.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { planAll, throwFailures } from "./_all.ts";

/** Lists each change with its reason. */
export default task({
  summary: "Tell what host up would change, and why",
  description: "With --exit-code the exit code is 2 where something would change.",
  options: v.object({
    exitCode: v.optional(
      v.pipe(v.boolean(), v.description("Exit with 2 where something would change")),
      false,
    ),
  }),
  async run(context) {
    const outcomes = await planAll(context);
    throwFailures(outcomes);
    const changes = outcomes.steps.flatMap(({ step, changes }) =>
      changes.map(({ resource, verb, why, risk }) => ({ step, resource, verb, why, risk }))
    );
    const text = changes.length === 0
      ? "Nothing to change"
      : `${changes.length} changes to make: berth host up`;
    context.output({ changes }, text);
    if (context.options.exitCode && changes.length > 0) context.exit(2);
  },
});
