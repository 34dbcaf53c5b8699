// `berth vnode show`: everything that is known of one vnode.
import { renderTable } from "../../lib/cli/table.ts";
import { task } from "../../lib/cli/task.ts";
import { effectiveSpec, linkMarks } from "../../lib/vnode/live.ts";
import { readStatus } from "../../lib/vnode/status.ts";
import { wiringOf } from "../../lib/vnode/wiring.ts";
import { madeRecord } from "./_names.ts";

/** Shows a vnode's record, state, and the host side of its wiring. Changes nothing. */
export default task({
  summary: "Show one vnode: spec, state, wiring",
  args: ["NAME"],
  completes: "vnodes",
  async run(context) {
    const name = context.args[0]!;
    const record = await madeRecord(context, name);
    const status = (await readStatus(context.host, await context.docker())).find((one) => one.name === name);
    const wiring = wiringOf(effectiveSpec(record));
    const facts = [
      ["state", status?.state ?? "gone"],
      ["wanted", `${record.wanted.state} (${record.wanted.by}, ${record.wanted.at})`],
      ["wiring", status?.wiring ?? "-"],
      ["generation", status?.generation ?? "-"],
      ["image", record.spec.image],
      ["container", record.containerId],
      ["control", `${record.spec.control.address} ${record.spec.control.mac}`],
      ["spec", record.spec.source],
    ];
    const links = wiring.links.map(({ kind, ...link }) => [
      [link.name, ...linkMarks(record, link.name).map((mark) => `(${mark})`)].join(" "),
      link.device === undefined ? link.lan : `device ${link.device}`,
      link.addresses.join(" ") || "-",
      link.mac || "its own",
      ...(kind === "veth" ? [link.end, link.bridge] : ["-", link.parent ?? "-"]),
      link.ifb ?? "-",
    ]);
    context.output(
      { record, status, wiring },
      renderTable([name, ""], facts) +
        (links.length === 0
          ? ""
          : "\n" + renderTable(["LINK", "LAN", "ADDRESS", "MAC", "HOST END", "BRIDGE", "IFB"], links)),
    );
  },
});
