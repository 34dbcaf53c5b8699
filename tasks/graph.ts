// `berth graph`: the experiment that runs now, drawn.
import * as v from "valibot";
import { task } from "../lib/cli/task.ts";
import { drawGraph, graphOf } from "../lib/vnode/diagram.ts";
import { readRecords } from "../lib/vnode/record.ts";
import { readStatus } from "../lib/vnode/status.ts";

/** Draws vnodes, lans and links as they are now. Changes nothing. */
export default task({
  summary: "Draw the vnodes, lans and links that are there now",
  description: `
Vnodes are boxes, lans are double lines. A link is drawn through when its wiring was found in the kernel just now,
and dashed when it was not, or when it is down. --json gives the same as vnodes, lans and links.

--svg draws it for a browser, with what stands in green, and addresses and shaping on the links:
  berth graph --svg > experiment.svg
`,
  options: v.object({
    svg: v.optional(v.pipe(v.boolean(), v.description("Draw it as SVG, on standard output")), false),
  }),
  async run(context) {
    const [records, statuses] = await Promise.all([
      readRecords(context.host),
      context.docker().then((docker) => readStatus(context.host, docker)),
    ]);
    const graph = graphOf(records, statuses);
    if (!context.options.svg) return context.output(graph, drawGraph(graph).join("\n"));
    const { drawSvg } = await import("../lib/vnode/diagram_svg.ts");
    const svg = drawSvg(graph);
    context.output({ ...graph, svg }, svg);
  },
});
