// Verdicts: what was measured against what was asked for. Pure. A fail is what the machine did wrong; what could not
// be told is "unknown", with the reason, and never a fail.
import { expectedOf } from "./expect.ts";
import { accepted, median } from "./statistics.ts";
import type { Asked, End, Finding, Received, Sample, Test } from "./types.ts";

/** What still passes. */
export interface Tolerance {
  /** Microseconds that there and back may take less or more than asked for, beyond an unshaped link of this machine. */
  readonly latencyUs: readonly [below: number, above: number];
  /** Shares by which a rate may be below and above. */
  readonly rate: readonly [below: number, above: number];
  /** Chance of blaming an honest run. */
  readonly alpha: number;
  /** Datagrams that a link without loss may lose. */
  readonly strays: number;
}

/** berth's own. Latency: what tools of the field find on links that are right (DETER: 20.05 to 20.45 ms of 20). */
export const OWN: Tolerance = { latencyUs: [100, 450], rate: [0.01, 0.01], alpha: 0.01, strays: 0 };
/** Those of Emulab's linktest. */
export const LINKTEST: Tolerance = { latencyUs: [500, 3500], rate: [0.03, 0.015], alpha: 0.01, strays: 1 };

/** What each vnode that forwards may add to a latency, in microseconds. */
const HOP_US = 100;
/** The standard error of a median is by this factor larger than a mean's. */
const MEDIAN_ERROR = Math.sqrt(Math.PI / 2);
/** Echoes without which no latency is told. */
const LEAST_ECHOES = 5;
/** Datagrams without which nothing is told of a link that should lose none. */
const LEAST_DATAGRAMS = 400;
/** Overtaking is told from the time on the way: below this delay the clocks are too coarse. */
const LEAST_REORDER_US = 2000;
/** How the judge is told about the whole run. */
export interface Court {
  readonly tolerance: Tolerance;
  /** Directions that are judged by chance in this run: they share the level. */
  readonly directions: number;
}

/** "left/eth1". */
function endName(end: End | "host"): string {
  return end === "host" ? "host" : `${end.vnode}/${end.link}`;
}

/** What is told of one test. `reference`: the same echoes on an unshaped link of this machine, at the same time. */
export function judge(
  test: Test,
  sample: Sample,
  reference: Sample | null,
  court: Court,
): readonly Finding[] {
  const ends = { from: endName(test.from), to: endName(test.to) };
  if (sample.fault !== undefined) {
    const check = { echo: "reach", flow: "loss", rate: "rate", silence: "isolation" } as const;
    return [{
      check: test.kind === "echo" && test.level === 2 ? "route" : check[test.kind],
      ...ends,
      asked: "",
      measured: null,
      verdict: "unknown",
      why: sample.fault,
    }];
  }
  if (test.kind === "echo") return judgeEcho(test, sample, reference, court.tolerance, ends);
  if (test.kind === "flow") return judgeFlow(test, sample, court, ends);
  if (test.kind === "rate") return [judgeRate(test, sample, court.tolerance, ends)];
  return [judgeSilence(test, sample, ends)];
}

/** Checks that are told of a flow only where there is something to tell. */
const UNASKED: readonly Finding["check"][] = ["duplicate", "reorder"];

/**
 * What is told of a test that was run twice. What passed once is right: chance does not strike twice, a fault does.
 * What the second try could not come to (an echo's latency, where nobody answered any more) stays as it was.
 */
export function settle(first: readonly Finding[], second: readonly Finding[]): readonly Finding[] {
  const find = (all: readonly Finding[], wanted: Finding["check"]) =>
    all.find(({ check }) => check === wanted);
  // Counted, and nothing told of it: nothing came twice, or late.
  const isClean = (all: readonly Finding[], check: Finding["check"]) =>
    UNASKED.includes(check) && find(all, check) === undefined &&
    (find(all, "loss")?.measured ?? null) !== null;
  const kept = first.filter(({ check }) => !isClean(second, check)).map((one) =>
    one.verdict === "pass" ? one : find(second, one.check) ?? one
  );
  const added = second.filter(({ check }) => find(first, check) === undefined && !isClean(first, check));
  return [...kept, ...added];
}

interface Ends {
  readonly from: string;
  readonly to: string;
}

function judgeEcho(
  test: Test & { kind: "echo" },
  sample: Sample,
  reference: Sample | null,
  tolerance: Tolerance,
  ends: Ends,
): Finding[] {
  const check = test.level === 1 ? "reach" : "route";
  const echo = sample.echo;
  const reached = echo?.reached === true;
  const arrival: Finding = {
    check,
    ...ends,
    asked: "an answer",
    measured: reached ? 1 : 0,
    verdict: reached ? "pass" : "fail",
    why: reached ? "" : `${test.to.address} does not answer`,
  };
  if (!reached) return [arrival];
  const expected = expectedOf([...test.there, ...test.back]);
  // Where nothing varies, all that is beyond the shortest is the processor's business; else the middle counts.
  const typical = expected.mayReorder ? median : shortest;
  const found = typical(echo!.rttsUs);
  const base = typical(reference?.echo?.rttsUs ?? []);
  const asked = expected.delayUs;
  if (found === null || echo!.rttsUs.length < LEAST_ECHOES) {
    const why = `${echo!.rttsUs.length} of ${echo!.sent} echoes came back`;
    return [arrival, {
      check: "latency",
      ...ends,
      asked,
      measured: null,
      verdict: expected.loss.share > 0.3 ? "unknown" : "fail",
      why,
    }];
  }
  if (base === null) {
    const why = "The unshaped link to compare with could not be measured";
    return [arrival, {
      check: "latency",
      ...ends,
      asked,
      measured: Math.round(found),
      verdict: "unknown",
      why,
    }];
  }
  const measured = Math.round(found - base);
  const error = 3 * MEDIAN_ERROR * Math.sqrt(expected.jitterVariance / echo!.rttsUs.length);
  // Nothing can be faster than without any delay: what seems so is the unshaped link's own bad moment.
  const low = asked === 0 ? -Infinity : Math.round(asked - tolerance.latencyUs[0] - error - expected.skewUs);
  const high = Math.round(asked + tolerance.latencyUs[1] + error + expected.skewUs + HOP_US * test.hops);
  const passes = measured >= low && measured <= high;
  const blur = blurOf(reference!.echo!.rttsUs, expected.mayReorder);
  const isTold = measured < low - blur || measured > high + blur;
  const beyond = `${measured} us beyond an unshaped link's ${Math.round(base)} us`;
  return [arrival, {
    check: "latency",
    ...ends,
    asked,
    measured,
    ...(asked === 0 ? {} : { low }),
    high,
    verdict: passes ? "pass" : isTold ? "fail" : "unknown",
    why: passes
      ? ""
      : isTold
      ? beyond
      : `The machine is too busy: ${beyond}, which itself varies by ${Math.round(blur)} us`,
  }];
}

/** By as much as the unshaped link's own echoes differ nothing can be told: of the shortest, or of the middle one. */
function blurOf(values: readonly number[], ofMedian: boolean): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * (ofMedian ? 0.9 : 0.5))]! - sorted[0]!;
}

function shortest(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.min(...values);
}

/** A count of n that should be a share of it, in percent. */
function judgeShare(
  check: Finding["check"],
  ends: Ends,
  counted: { readonly k: number; readonly n: number },
  asked: { readonly share: number; readonly inflation: number; readonly percent?: number },
  alpha: number,
): Finding {
  // More variance than independent events have is as much less known as from so many fewer.
  const n = Math.max(1, Math.round(counted.n / asked.inflation));
  const [least, most] = accepted(n, asked.share, alpha);
  const k = Math.round(counted.k * n / counted.n);
  const percent = (count: number, of: number) => Number((100 * count / of).toPrecision(6));
  const passes = k >= least && k <= most;
  return {
    check,
    ...ends,
    asked: Number((asked.percent ?? 100 * asked.share).toPrecision(6)),
    measured: percent(counted.k, counted.n),
    low: percent(least, n),
    high: percent(most, n),
    verdict: passes ? "pass" : "fail",
    why: `${counted.k} of ${counted.n}`,
  };
}

function judgeFlow(
  test: Test & { kind: "flow" },
  sample: Sample,
  { tolerance, directions }: Court,
  ends: Ends,
): Finding[] {
  const expected = expectedOf(test.there);
  const unknown = (why: string): Finding[] => [{
    check: "loss",
    ...ends,
    asked: Number((100 * expected.loss.share).toPrecision(6)),
    measured: null,
    verdict: "unknown",
    why,
  }];
  if (sample.flow?.sent.reached !== true) return unknown("It was not reached");
  const { sent, received, unread = 0 } = sample.flow;
  if (unread > 0) return unknown(`The machine is too busy: ${unread} that arrived could not be read in time`);
  const n = sent.sent;
  if (n < LEAST_DATAGRAMS && expected.loss.share * n < 10) {
    return unknown(`${n} datagrams are too few at that rate: --seconds makes it longer`);
  }
  const alpha = tolerance.alpha / Math.max(1, directions);
  const lost = Math.max(0, n - received.count);
  const findings: Finding[] = [
    expected.loss.share === 0 && lost <= tolerance.strays
      ? {
        check: "loss",
        ...ends,
        asked: 0,
        measured: Number((100 * lost / n).toPrecision(6)),
        low: 0,
        high: Number((100 * tolerance.strays / n).toPrecision(6)),
        verdict: "pass",
        why: `${lost} of ${n}`,
      }
      : judgeShare("loss", ends, { k: lost, n }, expected.loss, alpha),
  ];
  if (expected.duplicate.share > 0 || received.duplicates > 0) {
    findings.push(judgeShare("duplicate", ends, { k: received.duplicates, n }, expected.duplicate, alpha));
  }
  const order = judgeOrder(test.there, received, ends, alpha);
  return order === null ? findings : [...findings, order];
}

function judgeOrder(
  way: readonly Asked[],
  received: Received,
  ends: Ends,
  alpha: number,
): Finding | null {
  const expected = expectedOf(way);
  const reorder = expected.reorder;
  if (!expected.mayReorder) {
    return received.late === 0 ? null : judgeShare(
      "reorder",
      ends,
      { k: received.late, n: received.count },
      { share: 0, inflation: 1 },
      alpha,
    );
  }
  if (reorder === null && !way.some(({ shape }) => shape.reorderPercent)) return null; // by jitter alone: as it comes
  const asked = way.map(({ shape }) => shape.reorderPercent ?? 0).reduce((a, b) => a + b, 0);
  const unknown = (why: string): Finding => ({
    check: "reorder",
    ...ends,
    asked,
    measured: null,
    verdict: "unknown",
    why,
  });
  if (reorder === null) return unknown("More than one link on the way changes the order");
  if (expected.jitterVariance > 0) return unknown("Jitter changes the order, too");
  if (reorder.delayUs < LEAST_REORDER_US) return unknown("Its delay is too short to tell who overtakes");
  // Who overtakes is not delayed there: half of that delay lies between the two kinds.
  const limit = expected.delayUs - reorder.delayUs / 2;
  const early = received.delaysUs.filter((delay) => delay < limit).length;
  const counted = { k: early, n: received.delaysUs.length };
  return judgeShare("reorder", ends, counted, { ...reorder, percent: asked }, alpha);
}

function judgeRate(
  test: Test & { kind: "rate" },
  sample: Sample,
  tolerance: Tolerance,
  ends: Ends,
): Finding {
  const expected = expectedOf(test.there);
  const asked = Math.round(expected.rateBps ?? 0);
  const finding = (
    verdict: Finding["verdict"],
    why: string,
    measured: number | null,
    range: Partial<Finding> = {},
  ): Finding => ({
    check: "rate",
    ...ends,
    asked,
    measured,
    ...range,
    verdict,
    why,
  });
  const rate = sample.rate;
  if (rate === undefined) return finding("unknown", "It was not reached", null);
  const measured = Math.round(rate.rateBps);
  const blur = rate.blurSeconds / rate.seconds;
  const low = Math.round(asked * (1 - tolerance.rate[0] - blur));
  const high = Math.round(asked * (1 + tolerance.rate[1] + blur));
  const range = { low, high };
  const goodput = rate.goodputBps === null
    ? ""
    : `, of which ${Math.round(rate.goodputBps / 1000)} kbit/s of payload`;
  const told = `over ${rate.seconds.toFixed(1)} s${goodput}`;
  if (measured > high) return finding("fail", told, measured, range);
  if (measured < low) {
    return rate.full ? finding("fail", told, measured, range) : finding(
      "unknown",
      `The sender was too slow for it: no queue on the way was full ${told}`,
      measured,
      range,
    );
  }
  return finding("pass", told, measured, range);
}

function judgeSilence(test: Test & { kind: "silence" }, sample: Sample, ends: Ends): Finding {
  const heard = sample.heard;
  const base = { check: "isolation" as const, ...ends, asked: "silence" };
  if (heard === undefined || !heard.controlled) {
    const why = `${test.why}: whoever should hear did not, so silence says nothing`;
    return { ...base, measured: null, verdict: "unknown", why };
  }
  return heard.count === 0 ? { ...base, measured: 0, verdict: "pass", why: test.why } : {
    ...base,
    measured: heard.count,
    verdict: "fail",
    why: `${test.why}: ${heard.count} datagrams were heard`,
  };
}
