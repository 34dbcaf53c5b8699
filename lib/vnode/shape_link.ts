// What a link does to frames, changed while it runs: into the record, the gate's batches and the kernel. It stays
// through restarts, the watch and reboots, until it is reset or the spec says something else (live.ts).
import { countsPackets } from "../config/segments.ts";
import type { Shapes } from "../config/shape_text.ts";
import type { LinkSpec, VnodeSpec } from "../config/types.ts";
import { BerthError } from "../log/error.ts";
import type { Ground, Outcome } from "./ground.ts";
import { knownRecord } from "./halt.ts";
import { lackingFeatures, refuseLacking } from "./kernel_features.ts";
import { effectiveSpec, segmentChanges, withLive } from "./live.ts";
import { readRecords, type VnodeRecord } from "./record.ts";
import { amendLive, withSegments } from "./live_changes.ts";
import { forEachInTurn } from "./turn.ts";

/** A link as its spec has it, and as it is by now. @throws {BerthError} where there is none, or none to be shaped. */
export async function shapedLink(
  ground: Pick<Ground, "host">,
  vnode: string,
  name: string,
): Promise<{ readonly record: VnodeRecord; readonly asked: LinkSpec; readonly now: LinkSpec }> {
  const record = await knownRecord(ground, vnode);
  const find = ({ links }: VnodeSpec) => links.find((link) => link.name === name);
  const asked = find(record.spec);
  const now = find(effectiveSpec(record));
  if (asked === undefined || now === undefined) {
    const names = record.spec.links.map((link) => link.name);
    throw new BerthError({
      code: "usage",
      object: `vnode ${vnode}`,
      message: names.length === 0
        ? "It has no links"
        : `It has no link "${name}"; there ${names.length === 1 ? "is" : "are"} ${names.join(", ")}`,
      next: `berth vnode show ${vnode}`,
    });
  }
  if (asked.driver !== undefined || asked.device !== undefined) {
    throw new BerthError({
      code: "refused",
      object: `vnode ${vnode}`,
      message: `${name} has no end on the host that could be shaped: it is ${
        asked.device === undefined ? "a macvlan" : "a device of the machine's own"
      }`,
      next: "Put the link on a lan with the driver bridge",
    });
  }
  return { record, asked, now };
}

/**
 * Makes a link do that to frames, live. Does nothing where it does so already.
 *
 * @returns an outcome for the vnode, and for each other one whose frames leave one by one from now on, or not any more.
 * @throws {BerthError} code `missing` where the kernel cannot; as `shapedLink` and `wire` do.
 */
export async function shapeLink(
  ground: Ground,
  vnode: string,
  name: string,
  shapes: Shapes,
): Promise<Outcome[]> {
  const { record, asked } = await shapedLink(ground, vnode, name);
  const same = (way: keyof Shapes) => JSON.stringify(shapes[way]) === JSON.stringify(asked[way]);
  const change = {
    egress: same("egress") ? undefined : shapes.egress,
    ingress: same("ingress") ? undefined : shapes.ingress,
  };
  const next = withLive(record, name, change);
  if (ground.mode === "apply") {
    const spec = effectiveSpec(next);
    const links = spec.links.filter((link) => link.name === name);
    refuseLacking(vnode, (await lackingFeatures(ground.host, [{ ...spec, links }])).get(vnode));
  }
  const counts = countsPackets(shapes.egress) || countsPackets(shapes.ingress);
  const lans = new Set([asked.lan]);
  const changed = segmentChanges(
    (await readRecords(ground.host)).map((one) => one.name === vnode ? next : one),
    lans,
  );
  const inTurn = (names: readonly string[]) =>
    forEachInTurn(
      ground,
      names,
      (one) => {
        const its = changed.filter((other) => other.record.name === one);
        return amendLive(ground, one === vnode ? record : its[0]!.record, (now) =>
          withSegments(one === vnode ? withLive(now, name, change) : now, its));
      },
      (one, error): Outcome => ({ vnode: one, changed: false, did: [], error }),
    );
  const others = [...new Set(changed.map((one) => one.record.name))].filter((one) => one !== vnode);
  // Frame by frame before they are counted; and counted no more before they leave together.
  if (!counts) return [...await inTurn([vnode]), ...await inTurn(others)];
  const before = await inTurn(others);
  return before.some((one) => one.error !== undefined) ? before : [...await inTurn([vnode]), ...before];
}
