// `berth vnode shape`: what a link does to frames, shown, changed while it runs, taken back, or made lasting.
import * as v from "valibot";
import { renderTable } from "../../lib/cli/table.ts";
import { task, type TaskContext } from "../../lib/cli/task.ts";
import { type Shapes, shapesOf, shapeText } from "../../lib/config/shape_text.ts";
import type { Shape } from "../../lib/config/types.ts";
import { planSaving, saveShape } from "../../lib/vnode/save_shape.ts";
import { type ShapedLink, shapedLink, shapeLink } from "../../lib/vnode/shape_link.ts";
import { readShaping } from "../../lib/vnode/shape_state.ts";
import { madeRecord } from "./_names.ts";
import { groundOf, report } from "./_report.ts";

/** Changes, shows or resets what a link does to frames. Does nothing where it does so already. */
export default task({
  summary: "Show or change what a link does to frames, live",
  description: `
Keys are those of the configuration: rate, delay, jitter, loss, lossModel.toBad, queue and so on. Without egress. or
ingress. a key is meant for both ways. An empty value takes a key away, with what leans on it. The container goes on,
and so does what is in flight where the kind of shaping stays; a delay that is lowered lets later frames overtake.

A live value stays through restarts and reboots until --reset, or until the spec itself says something else. --save
writes it into the file that declares the link, with comments and order kept.

Examples:
  berth vnode shape left eth1
  berth vnode shape left eth1 egress.delay=30ms loss=1%
  berth vnode shape left eth1 rate=
  berth vnode shape left eth1 --reset
  berth vnode shape left eth1 ingress.rate=2mbit --save
`,
  args: ["NAME", "LINK", "[KEY=VALUE...]"],
  completes: "vnodes",
  changes: true,
  options: v.object({
    reset: v.optional(
      v.pipe(v.boolean(), v.description("Back to what the spec says, before any KEY=VALUE")),
      false,
    ),
    save: v.optional(
      v.pipe(v.boolean(), v.description("Write what comes out into the configuration")),
      false,
    ),
  }),
  async run(context) {
    const [vnode, link, ...keys] = context.args as [string, string, ...string[]];
    const { reset, save } = context.options;
    await madeRecord(context, vnode);
    const { record, ...found } = await shapedLink(context, vnode, link);
    if (keys.length === 0 && !reset && !save) return await show(context, vnode, found);
    const shaping = ({ asked, now }: ShapedLink) => shapesOf(reset ? asked : now, keys, 3);
    const planned = (shapes: Shapes) =>
      planSaving(context.host, context.configDirectory, record, link, shapes);
    // What cannot be saved is refused before anything is changed.
    if (save) await planned(shaping(found));
    const ground = await groundOf(context, "berth vnode shape");
    const { outcomes, shapes } = await shapeLink(ground, vnode, link, shaping, (way) => placesOf(keys, way));
    if (save && outcomes.every((one) => one.error === undefined)) {
      const saving = await planned(shapes);
      if (saving.changed) {
        ground.onStep?.({
          resource: `file ${saving.path}`,
          verb: "update",
          why: `shaping of ${vnode}/${link}`,
        });
      }
      if (context.mode === "apply") await saveShape(context.host, record, link, shapes, saving);
    }
    report(context, outcomes, "shaped");
  },
});

/** "argument 3": those of these KEY=VALUE that are about a way. */
export function placesOf(keys: readonly string[], way: keyof Shapes): string | undefined {
  const other = way === "egress" ? "ingress." : "egress.";
  const numbers = keys.flatMap((key, index) => key.startsWith(other) || key.endsWith("=") ? [] : [index + 3]);
  if (numbers.length === 0) return undefined;
  return `argument${numbers.length === 1 ? "" : "s"} ${numbers.join(", ")}`;
}

/** "rate 10mbit, delay 5ms". */
function words(shape: Shape): string {
  const parts = Object.entries(shapeText(shape)).map(([key, value]) =>
    typeof value === "string"
      ? `${key} ${value}`
      : `${key} ${Object.entries(value).map(([part, share]) => `${part} ${share}`).join(" ")}`
  );
  return parts.length === 0 ? "-" : parts.join(", ");
}

async function show(
  context: TaskContext<unknown>,
  vnode: string,
  link: ShapedLink,
): Promise<void> {
  const ways = await readShaping(context.host, vnode, link);
  const rows = ways.map(({ way, asked, live, kernel }) => [
    way,
    words(asked),
    live === null ? "" : words(live),
    kernel,
  ]);
  const { name } = link.now;
  context.output(
    { vnode, link: name, ways },
    renderTable([`${vnode}/${name}`, "SPEC", "LIVE", "KERNEL"], rows),
  );
}
