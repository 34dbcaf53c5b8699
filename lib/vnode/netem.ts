// The kernel's netem scheduler: its numbers for one direction of a link, the words that give them to tc, and the
// comparison with what tc reads back. Pure. Where it stands among other schedulers is shape.ts's.
import type { Shape } from "../config/types.ts";
import { formatPercent } from "../config/percent.ts";
import type { FoundQdisc } from "./shape.ts";

/** All that netem is given. Microseconds, percent, packets; 0 or null where something is not asked for. */
export interface Netem {
  readonly limit: number;
  readonly delayUs: number;
  readonly jitterUs: number;
  readonly jitterCorrelation: number;
  /** null: uniform. */
  readonly distribution: NonNullable<Shape["distribution"]> | null;
  readonly lossPercent: number;
  readonly lossCorrelation: number;
  readonly lossModel: NonNullable<Shape["lossModel"]> | null;
  readonly duplicatePercent: number;
  readonly duplicateCorrelation: number;
  readonly corruptPercent: number;
  readonly corruptCorrelation: number;
  readonly reorderPercent: number;
  readonly reorderCorrelation: number;
}

/** netem holds every packet for the delay: its limit is counted with small packets, this many bytes each. */
const SMALL_PACKET = 256;
/** tc's tables of distributions end at four times the jitter (their 16 bits hold 8192ths of it). */
const TABLE_END = 4;
/** Packets that wait at most: what tc's man page calls enough for 10 Gbit/s and half a second. */
const MOST_PACKETS = 1_000_000;

/** What a shape that needs netem (needsNetem) is to it. A queue in packets is netem's own where there is no rate. */
export function netemOf(shape: Shape): Netem {
  const delayUs = shape.delayUs ?? 0;
  const jitterUs = shape.jitterUs ?? 0;
  const distribution = shape.distribution ?? null;
  const longestUs = delayUs + jitterUs * (distribution === null ? 1 : TABLE_END);
  const inFlight = ((shape.rateBps ?? 10e9) / 8) * (longestUs / 1e6) / SMALL_PACKET;
  const own = shape.rateBps === undefined && shape.queue !== undefined && "packets" in shape.queue
    ? shape.queue.packets
    : null;
  return {
    limit: own ?? Math.min(MOST_PACKETS, Math.ceil(Math.max(1000, 2 * inFlight))),
    delayUs,
    jitterUs,
    jitterCorrelation: shape.jitterCorrelation ?? 0,
    distribution,
    lossPercent: shape.lossPercent ?? 0,
    lossCorrelation: shape.lossCorrelation ?? 0,
    lossModel: shape.lossModel ?? null,
    duplicatePercent: shape.duplicatePercent ?? 0,
    duplicateCorrelation: shape.duplicateCorrelation ?? 0,
    corruptPercent: shape.corruptPercent ?? 0,
    corruptCorrelation: shape.corruptCorrelation ?? 0,
    reorderPercent: shape.reorderPercent ?? 0,
    reorderCorrelation: shape.reorderCorrelation ?? 0,
  };
}

/**
 * The major number of the handle, which tells the distribution. The kernel does not say which table it was given, and
 * keeps it through a change that names none: so each has a handle of its own, and another one is another qdisc.
 */
const HANDLES = { uniform: "1:", normal: "11:", pareto: "12:", paretonormal: "13:" } as const;

/** The handle of netem on a device's root. */
export function netemHandle({ distribution }: Pick<Netem, "distribution">): string {
  return HANDLES[distribution ?? "uniform"];
}

/** Handles under which berth puts qdiscs on a root. */
export const ROOT_HANDLES: ReadonlySet<string> = new Set(Object.values(HANDLES));

/**
 * The words for tc, always all of them: what a change leaves out, the kernel sets to nothing (loss, duplication) or
 * leaves as it was (correlations, corruption, reordering).
 */
export function netemWords(netem: Netem): string {
  const share = (percent: number, correlation: number) =>
    `${formatPercent(percent)} ${formatPercent(correlation)}`;
  const { lossModel } = netem;
  const jitter = `${netem.jitterUs}us ${formatPercent(netem.jitterCorrelation)}`;
  return [
    `netem limit ${netem.limit} delay ${netem.delayUs}us ${jitter}`,
    // "uniform" is no table of tc's: it is what there is without one.
    ...(netem.distribution === null ? [] : [`distribution ${netem.distribution}`]),
    lossModel === null
      ? `loss random ${share(netem.lossPercent, netem.lossCorrelation)}`
      : `loss gemodel ${share(lossModel.toBad, lossModel.toGood)} ${
        share(lossModel.inBad, lossModel.inGood)
      }`,
    `duplicate ${share(netem.duplicatePercent, netem.duplicateCorrelation)}`,
    `corrupt ${share(netem.corruptPercent, netem.corruptCorrelation)}`,
    `reorder ${share(netem.reorderPercent, netem.reorderCorrelation)}`,
  ].join(" ");
}

/** tc prints six digits (%g) of a time in seconds, of a share as a fraction of 1. */
const SIX_DIGITS = 1e-5;
/** The kernel keeps a share in 2^-32. In percent; the smallest step that can be asked for is ten times that. */
const SHARE_SLACK = 1e-7;
/** iproute2 6.1 prints times in whole microseconds, of ticks of 64 ns: 1 us comes back as 0 (seen on Linux 6.1). */
const TIME_SLACK_US = 1.1;

type Options = NonNullable<FoundQdisc["options"]>;

/** A number within a group of options; 0 where tc leaves it out. */
function numberIn(options: Options, group: string, name: string): number {
  const found = (options[group] as Readonly<Record<string, unknown>> | undefined)?.[name];
  return typeof found === "number" ? found : 0;
}

/** What is compared, in the order in which it is told: name, group and key as tc prints it, and the wanted number. */
function comparedOf(netem: Netem): readonly [name: string, group: string, key: string, wanted: number][] {
  const model = netem.lossModel;
  return [
    ["delay", "delay", "delay", netem.delayUs],
    ["jitter", "delay", "jitter", netem.jitterUs],
    ["jitter correlation", "delay", "correlation", netem.jitterCorrelation],
    ["loss", "loss-random", "loss", netem.lossPercent],
    ["loss correlation", "loss-random", "correlation", netem.lossCorrelation],
    ["loss toBad", "loss-gemodel", "p", model?.toBad ?? 0],
    ["loss toGood", "loss-gemodel", "r", model?.toGood ?? 0],
    ["loss inBad", "loss-gemodel", "1-h", model?.inBad ?? 0],
    ["loss inGood", "loss-gemodel", "1-k", model?.inGood ?? 0],
    ["duplication", "duplicate", "duplicate", netem.duplicatePercent],
    ["duplication correlation", "duplicate", "correlation", netem.duplicateCorrelation],
    ["corruption", "corrupt", "corrupt", netem.corruptPercent],
    ["corruption correlation", "corrupt", "correlation", netem.corruptCorrelation],
    ["reordering", "reorder", "reorder", netem.reorderPercent],
    ["reordering correlation", "reorder", "correlation", netem.reorderCorrelation],
  ];
}

/** What is not given above and would stay through a change: only another qdisc is without it. */
const STRANGE = ["rate", "slot", "ecn", "loss-state"];

/**
 * What differs between netem as it is found and as it is wanted, in words; null when nothing does. `anew` where a
 * change in place would not do.
 */
export function netemDiffers(found: FoundQdisc, wanted: Netem): { why: string; anew: boolean } | null {
  const options = found.options ?? {};
  if (found.handle !== netemHandle(wanted)) {
    return { why: `handle ${found.handle}, wanted ${netemHandle(wanted)} (its distribution)`, anew: true };
  }
  const strange = STRANGE.find((key) => options[key] !== undefined && options[key] !== false);
  if (strange !== undefined) return { why: `netem's ${strange} set, not wanted`, anew: true };
  for (const [name, group, key, number] of comparedOf(wanted)) {
    const isTime = group === "delay" && key !== "correlation";
    const is = numberIn(options, group, key) * (isTime ? 1e6 : 100);
    const slack = Math.max(isTime ? TIME_SLACK_US : SHARE_SLACK, number * SIX_DIGITS);
    if (Math.abs(is - number) <= slack) continue;
    const unit = isTime ? "us" : "%";
    return { why: `${name} ${Number(is.toPrecision(6))} ${unit}, wanted ${number}`, anew: false };
  }
  // Every frame has its chance to overtake, not each second or third one.
  const gap = options["gap"] ?? 0;
  const wantedGap = wanted.reorderPercent > 0 ? 1 : 0;
  if (gap !== wantedGap) return { why: `reordering gap ${gap}, wanted ${wantedGap}`, anew: false };
  return options["limit"] === wanted.limit
    ? null
    : { why: `limit ${options["limit"]}, wanted ${wanted.limit}`, anew: false };
}
