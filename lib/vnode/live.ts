// What was changed live, over the spec: every wiring is made from what comes out here. Owns how the two are put
// together, and what of it outlives another spec; the record (record.ts) keeps them. Pure.
import { countingLans } from "../config/segments.ts";
import { flappedSpec } from "./flap.ts";
import type { LinkSpec, VnodeSpec } from "../config/types.ts";
import type { Live, LiveLink, VnodeRecord } from "./record.ts";

type Recorded = Pick<VnodeRecord, "spec" | "live">;

/**
 * The spec with what was changed live over it, as it is at a moment.
 *
 * @param nowMs Unix time in milliseconds, for links that flap. @default {now}
 */
export function effectiveSpec(record: Recorded, nowMs: number = Date.now()): VnodeSpec {
  return flappedSpec(liveSpec(record), nowMs);
}

/** The spec with what was changed live over it, schedules as they are written. */
export function liveSpec({ spec, live }: Recorded): VnodeSpec {
  if (live === undefined) return spec;
  return { ...spec, links: spec.links.map((link) => effectiveLink(link, live[link.name])) };
}

function effectiveLink(link: LinkSpec, live: LiveLink | undefined): LinkSpec {
  if (live === undefined) return link;
  const { up: _up, flap: _flap, ...rest } = link;
  const flap = live.flap === undefined ? link.flap : live.flap ?? undefined;
  const up = live.up ?? link.up;
  return {
    ...rest,
    egress: live.egress ?? link.egress,
    ingress: live.ingress ?? link.ingress,
    ...(live.oneSegment === true && { oneSegment: live.oneSegment }),
    ...(up === false && { up }),
    ...(flap !== undefined && { flap }),
  };
}

/**
 * What a reader of a link's name and addresses would not expect of it, in words: "down" or "flaps", whoever says so;
 * "up live" where the spec says otherwise; "shaped live". None of the limit of segments, which is berth's own.
 */
export function linkMarks(record: Recorded, name: string): readonly string[] {
  const link = liveSpec(record).links.find((one) => one.name === name);
  const live = record.live?.[name];
  const isLive = live?.up !== undefined || live?.flap !== undefined;
  const state = link?.up === false ? "down" : link?.flap !== undefined ? "flaps" : isLive ? "up live" : null;
  const isShaped = live?.egress !== undefined || live?.ingress !== undefined;
  return [...(state === null ? [] : [state]), ...(isShaped ? ["shaped live"] : [])];
}

/** Whether two values of a spec are the same. Both come from one maker: the order of keys is the same, too. */
function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The live changes without what says nothing; undefined for none. */
function tidy(live: Live): Live | undefined {
  const entries = Object.entries(live).filter(([, link]) => Object.keys(link).length > 0);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/**
 * What stays of the live changes when a vnode is given another spec; undefined for none. A value goes when the spec
 * itself says something else by then: the later word counts.
 */
export function keptLive(before: Recorded | null, after: VnodeSpec): Live | undefined {
  if (before?.live === undefined) return undefined;
  const kept = Object.entries(before.live).flatMap(([name, live]): [string, LiveLink][] => {
    const old = before.spec.links.find((link) => link.name === name);
    const link = after.links.find((one) => one.name === name);
    if (link === undefined) return [];
    const stays = (key: "egress" | "ingress" | "up" | "flap") =>
      live[key] !== undefined && (old === undefined || same(old[key], link[key])) ? { [key]: live[key] } : {};
    const segments = live.oneSegment === true && link.oneSegment !== true && old?.lan === link.lan;
    return [[name, {
      ...stays("egress"),
      ...stays("ingress"),
      ...stays("up"),
      ...stays("flap"),
      ...(segments && { oneSegment: true }),
    }]];
  });
  return tidy(Object.fromEntries(kept));
}

/** The links whose live values another spec takes away, in words: "egress of eth1". */
export function droppedLive(before: Recorded | null, after: VnodeSpec): readonly string[] {
  const kept = keptLive(before, after) ?? {};
  return Object.entries(before?.live ?? {}).flatMap(([name, live]) =>
    (["egress", "ingress", "up", "flap"] as const)
      .filter((key) => live[key] !== undefined && kept[name]?.[key] === undefined)
      .map((key) => `${key} of ${name}`)
  );
}

/** A record with other live values of one link. undefined takes a value back to the spec's. */
export function withLive<Record extends Recorded>(
  record: Record,
  link: string,
  change: Partial<LiveLink>,
): Record {
  const merged = Object.entries({ ...record.live?.[link], ...change }).filter(([, value]) =>
    value !== undefined
  );
  const next = tidy({ ...record.live, [link]: Object.fromEntries(merged) });
  const { live: _, ...rest } = record;
  return { ...rest, ...(next !== undefined && { live: next }) } as Record;
}

/** Links of a record whose frames should leave one by one from now on, or not any more. */
export interface SegmentChange {
  readonly record: VnodeRecord;
  readonly links: readonly string[];
  readonly oneSegment: boolean;
}

/** The records in which a lan's links need another limit of segments than they have, with those links. */
export function segmentChanges(
  records: readonly VnodeRecord[],
  lans: ReadonlySet<string>,
): readonly SegmentChange[] {
  const counting = countingLans(records.flatMap((record) => effectiveSpec(record).links));
  return records.flatMap((record) =>
    [true, false].flatMap((oneSegment) => {
      const links = record.spec.links.filter((link) =>
        lans.has(link.lan) && link.oneSegment !== true && counting.has(link.lan) === oneSegment &&
        (record.live?.[link.name]?.oneSegment === true) !== oneSegment
      ).map((link) => link.name);
      return links.length === 0 ? [] : [{ record, links, oneSegment }];
    })
  );
}
