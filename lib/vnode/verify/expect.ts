// What a way through several shaped directions should come to: delays add up, losses multiply, the slowest rate
// counts. Pure; measured values are compared with it in judge.ts.
import type { Shape } from "../../config/types.ts";
import { burstInflation, burstMean, type BurstModel, correlated } from "./statistics.ts";
import type { Asked } from "./types.ts";

/** A share of 1, and by how much its count varies more than independent events would. */
export interface Share {
  readonly share: number;
  readonly inflation: number;
}

const NONE: Share = { share: 0, inflation: 1 };

function shareOf(percent: number | undefined, correlation: number | undefined): Share {
  if (!percent) return NONE;
  return correlated(percent / 100, (correlation ?? 0) / 100);
}

function burst(shape: Shape): BurstModel | null {
  const model = shape.lossModel;
  if (model === undefined) return null;
  const { toBad, toGood, inBad, inGood } = model;
  return { toBad: toBad / 100, toGood: toGood / 100, inBad: inBad / 100, inGood: inGood / 100 };
}

/** What one direction loses. What it corrupts is lost too, as checksums find it. */
function lossOf(shape: Shape): Share {
  const model = burst(shape);
  const lost = model === null
    ? shareOf(shape.lossPercent, shape.lossCorrelation)
    : { share: burstMean(model), inflation: burstInflation(model) };
  // netem makes a second copy first and then throws once for both: a frame is gone when it was not doubled.
  const doubled = shareOf(shape.duplicatePercent, shape.duplicateCorrelation).share;
  const corrupt = corruptOf(shape);
  const kept = (1 - lost.share * (1 - doubled)) * (1 - corrupt.share);
  return { share: 1 - kept, inflation: Math.max(lost.inflation, corrupt.inflation) };
}

/** What one direction corrupts. */
function corruptOf(shape: Shape): Share {
  return shareOf(shape.corruptPercent, shape.corruptCorrelation);
}

/** What a whole way comes to. */
export interface Expected {
  readonly delayUs: number;
  /** Variance of the delay, µs². */
  readonly jitterVariance: number;
  /** Jitter that is not the same above and below the delay (pareto): its size in µs, else 0. */
  readonly skewUs: number;
  readonly loss: Share;
  readonly duplicate: Share;
  /** Frames that overtake by not being delayed, and how far; null where none should or nobody can tell. */
  readonly reorder: Share & { readonly delayUs: number } | null;
  /** True where jitter may change the order, too. */
  readonly mayReorder: boolean;
  /** bit/s that come out at the end when as much as possible is put in; null where nothing limits it. */
  readonly rateBps: number | null;
  /** bit/s of the slowest queue; null where there is none. */
  readonly slowestBps: number | null;
}

/** What the directions of a way come to, in their order. */
export function expectedOf(way: readonly Asked[]): Expected {
  const shapes = way.map((one) => one.shape);
  const both = (shares: readonly Share[]): Share => ({
    share: 1 - shares.reduce((kept, one) => kept * (1 - one.share), 1),
    inflation: Math.max(1, ...shares.map((one) => one.inflation)),
  });
  const losses = shapes.map(lossOf);
  const reordering = shapes.filter((shape) => shape.reorderPercent);
  const duplicating = shapes.map((shape) => shareOf(shape.duplicatePercent, shape.duplicateCorrelation));
  let rate: number | null = null;
  for (const [at, shape] of shapes.entries()) {
    if (rate !== null) rate *= 1 - losses[at]!.share;
    if (shape.rateBps !== undefined) rate = Math.min(rate ?? Infinity, shape.rateBps);
  }
  const rates = shapes.flatMap((shape) => shape.rateBps ?? []);
  const loss = both(losses);
  return {
    delayUs: sum(shapes.map((shape) => shape.delayUs ?? 0)),
    jitterVariance: sum(shapes.map(jitterVariance)),
    skewUs: sum(shapes.map((shape) => /pareto/.test(shape.distribution ?? "") ? shape.jitterUs ?? 0 : 0)),
    loss,
    // A frame that came twice was doubled, and neither copy was lost.
    duplicate: {
      ...both(duplicating),
      share: both(duplicating).share * (1 - loss.share) ** 2,
    },
    reorder: reordering.length !== 1 ? null : {
      ...shareOf(reordering[0]!.reorderPercent, reordering[0]!.reorderCorrelation),
      delayUs: reordering[0]!.delayUs ?? 0,
    },
    mayReorder: reordering.length > 0 || shapes.some((shape) => (shape.jitterUs ?? 0) > 0),
    rateBps: rate,
    slowestBps: rates.length === 0 ? null : Math.min(...rates),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

/** netem's jitter is the half width of the uniform distribution, and the standard deviation of the others. */
function jitterVariance(shape: Shape): number {
  const jitter = shape.jitterUs ?? 0;
  return shape.distribution === undefined ? jitter * jitter / 3 : jitter * jitter;
}
