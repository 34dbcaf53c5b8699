// `berth host check`: whether the machine is still as prepared. Changes nothing.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { forwardDrops } from "../../lib/resource/forward_policy.ts";
import { CONTROL_NETWORK } from "../../lib/vnode/names.ts";
import { otherStarters } from "./autostart.ts";
import { planAll, throwFailures } from "./_all.ts";

/** Lists each difference; exit code 2 when there is one. */
export default task({
  summary: "Find what differs from a prepared host; exit code 2 if anything does",
  options: v.object({}),
  async run(context) {
    const outcomes = await planAll(context);
    throwFailures(outcomes);
    const differences = outcomes.steps.flatMap(({ step, changes }) =>
      changes.map(({ resource, why }) => ({ step, resource, why }))
    );
    const count = differences.length;
    const text = count === 0
      ? "As prepared"
      : `${count} difference${count === 1 ? "" : "s"}: berth host up mends`;
    const others = await otherStarters(context.host);
    const { engine } = (await context.config()).host;
    const drops = engine.iptables ? [] : await forwardDrops(context.host, CONTROL_NETWORK);
    const lines = [others.text, ...drops, text].filter((line) => line !== "");
    context.output({ differences, starters: others.starters, drops }, lines.join("\n"));
    if (count > 0) context.exit(2);
  },
});
