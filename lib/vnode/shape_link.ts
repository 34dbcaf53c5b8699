// What a link does to frames, changed while it runs: into the record, the gate's batches and the kernel. It stays
// through restarts, the watch and reboots, until it is reset or the spec says something else (live.ts).
import { countsPackets } from "../config/segments.ts";
import type { Shapes } from "../config/shape_text.ts";
import type { LinkSpec } from "../config/types.ts";
import type { Ground, Outcome } from "./ground.ts";
import { knownLink, knownRecord } from "./known.ts";
import { lackingFeatures, refuseLacking } from "./kernel_features.ts";
import { effectiveSpec, segmentChanges, withLive } from "./live.ts";
import { readRecords, type VnodeRecord } from "./record.ts";
import { amendLive, withSegments } from "./live_changes.ts";
import { forEachInTurn } from "./turn.ts";

/** A link as its spec has it, and as it is by now. */
export interface ShapedLink {
  readonly asked: LinkSpec;
  readonly now: LinkSpec;
}

/** How a link is to be shaped, from what it is when it is its turn. @throws {BerthError} where that cannot be. */
export type Shaping = (link: ShapedLink) => Shapes;

const NEEDS = { what: "shaped", next: "Put the link on a lan with the driver bridge" };

function linkIn(record: VnodeRecord, name: string): ShapedLink {
  const asked = knownLink(record, name, NEEDS);
  return { asked, now: effectiveSpec(record).links.find((link) => link.name === name)! };
}

/** A link that can be shaped. @throws {BerthError} where there is none, or none to be shaped. */
export async function shapedLink(
  ground: Pick<Ground, "host">,
  vnode: string,
  name: string,
): Promise<ShapedLink & { readonly record: VnodeRecord }> {
  const record = await knownRecord(ground, vnode);
  return { record, ...linkIn(record, name) };
}

function withShapes(record: VnodeRecord, name: string, shapes: Shapes): VnodeRecord {
  const { asked } = linkIn(record, name);
  const of = (way: keyof Shapes) =>
    JSON.stringify(shapes[way]) === JSON.stringify(asked[way]) ? undefined : shapes[way];
  return withLive(record, name, { egress: of("egress"), ingress: of("ingress") });
}

/** What shaping came to. */
export interface Shaped {
  /** Of the vnode, and of each other one whose frames leave one by one from now on, or not any more. */
  readonly outcomes: readonly Outcome[];
  /** What was decided when it was the vnode's turn. */
  readonly shapes: Shapes;
}

/** Of an issue of `lackingFeatures`: its path ends in the way. */
function wayOf(path: string | undefined): keyof Shapes {
  return path?.endsWith(".ingress") ? "ingress" : "egress";
}

/**
 * Makes a link do to frames what `shaping` says, live. Does nothing where it does so already.
 *
 * @param places where the shaping of a way was asked for, for messages. @default {where the spec stands}
 * @throws {BerthError} code `missing` where the kernel cannot; as `shapedLink` and `shaping` do.
 */
export async function shapeLink(
  ground: Ground,
  vnode: string,
  name: string,
  shaping: Shaping,
  places: (way: keyof Shapes) => string | undefined = () => undefined,
): Promise<Shaped> {
  const { record, asked, now } = await shapedLink(ground, vnode, name);
  let shapes = shaping({ asked, now });
  const next = withShapes(record, name, shapes);
  if (ground.mode === "apply") {
    const spec = effectiveSpec(next);
    const links = spec.links.filter((link) => link.name === name);
    const issues = (await lackingFeatures(ground.host, [{ ...spec, links }])).get(vnode);
    refuseLacking(
      vnode,
      // What was asked for just now stands in no file.
      issues?.map((issue) => ({ ...issue, place: places(wayOf(issue.path)) ?? issue.place })),
      "The kernel cannot shape its link so",
    );
  }
  const lans = new Set([asked.lan]);
  const failed = (one: string, error: unknown): Outcome => ({ vnode: one, changed: false, did: [], error });
  /** What follows for links of vnodes, where this one is so. */
  const following = async (own?: VnodeRecord) =>
    segmentChanges(
      (await readRecords(ground.host)).map((one) => one.name === own?.name ? own : one),
      lans,
    );
  const shapeOthers = async (own?: VnodeRecord) => {
    const changes = (await following(own)).filter((one) => one.record.name !== vnode);
    const names = [...new Set(changes.map((one) => one.record.name))];
    const its = (other: string) => changes.filter((one) => one.record.name === other);
    return await forEachInTurn(
      ground,
      names,
      (other) => amendLive(ground, other, (one) => withSegments(one, its(other))),
      failed,
    );
  };
  const counts = countsPackets(shapes.egress) || countsPackets(shapes.ingress);
  // Frame by frame before they are counted; and counted no more before they leave together.
  const before = counts ? await shapeOthers(next) : [];
  if (before.some((one) => one.error !== undefined)) return { outcomes: before, shapes };
  const own = await forEachInTurn(ground, [vnode], async () => {
    const others = (await readRecords(ground.host)).filter((one) => one.name !== vnode);
    return await amendLive(ground, vnode, (one) => {
      // By what the link is by now: another command may have been waited for.
      shapes = shaping(linkIn(one, name));
      const shaped = withShapes(one, name, shapes);
      const its = segmentChanges([...others, shaped], lans).filter(({ record }) => record.name === vnode);
      return withSegments(shaped, its);
    });
  }, failed);
  const after = ground.mode === "apply" ? await shapeOthers() : counts ? [] : await shapeOthers(next);
  return { outcomes: [...own, ...before, ...after], shapes };
}
