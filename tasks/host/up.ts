// `berth host up`: the whole preparation.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { keepGood, loadSomeHost } from "../../lib/config/last_good.ts";
import { applyAll, throwFailures } from "./_all.ts";

/** Runs all host tasks in order. Does nothing on a host that is prepared. */
export default task({
  summary: "Prepare this machine: all host tasks in order",
  description:
    "A step that fails stops those that need it and no other. Safe to run at any time: on a prepared\n" +
    "machine it only looks. --dry-run tells what it would change (as does berth host plan).",
  changes: true,
  options: v.object({}),
  async run(context) {
    const { host, configDirectory: directory } = context;
    const { text } = await loadSomeHost({ look: host, directory });
    const outcomes = await applyAll(context);
    // Read well, whatever became of the steps.
    if (context.mode === "apply") await keepGood(host, directory, text);
    throwFailures(outcomes);
    context.output({ steps: outcomes.steps.map(({ step, result }) => ({ step, result })) });
  },
});
