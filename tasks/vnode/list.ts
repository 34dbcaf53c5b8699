// `berth vnode list`: the vnodes, what they are and what they should be.
import { renderTable } from "../../lib/cli/table.ts";
import { task } from "../../lib/cli/task.ts";
import { readStatus } from "../../lib/vnode/status.ts";

/** Lists all vnodes with a record or a container of berth's. Changes nothing. */
export default task({
  summary: "List vnodes with state and wiring",
  async run(context) {
    const vnodes = await readStatus(context.host, await context.docker());
    const rows = vnodes.map((one) => [
      one.name,
      one.state,
      one.wanted ?? "-",
      one.wiring,
      one.control,
      one.links.join(", ") || "-",
      one.image,
    ]);
    context.output(
      { vnodes },
      vnodes.length === 0
        ? "There are no vnodes"
        : renderTable(["VNODE", "STATE", "WANTED", "WIRING", "CONTROL", "LINKS", "IMAGE"], rows),
    );
  },
});
