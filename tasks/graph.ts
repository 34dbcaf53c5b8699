// `berth graph`: the experiment that runs now, drawn.
import { task } from "../lib/cli/task.ts";
import { drawGraph, graphOf } from "../lib/vnode/diagram.ts";
import { readRecords } from "../lib/vnode/record.ts";
import { readStatus } from "../lib/vnode/status.ts";

/** Draws vnodes, lans and links as they are now. Changes nothing. */
export default task({
  summary: "Draw the vnodes, lans and links that are there now",
  description: `
Vnodes are boxes, lans are double lines. A link is drawn through when its wiring was found in the kernel just now,
and dashed when it was not. --json gives the same as vnodes, lans and links.
`,
  async run(context) {
    const [records, statuses] = await Promise.all([
      readRecords(context.host),
      context.docker().then((docker) => readStatus(context.host, docker)),
    ]);
    const graph = graphOf(records, statuses);
    context.output(graph, drawGraph(graph).join("\n"));
  },
});
