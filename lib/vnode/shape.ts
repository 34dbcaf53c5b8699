// One direction of a link as queueing disciplines: what is wanted, the tc lines that make it, and the
// comparison with what the kernel says. Pure. tbf for the rate (htb lets whole GSO packets into debt:
// 2.7 % too fast at 1 Mbit/s), netem for delay and loss.
import { needsNetem } from "../config/segments.ts";
import type { Shape } from "../config/types.ts";

/** Numbers the kernel is given. Bytes, bytes/s, microseconds, percent, packets. */
export interface Qdiscs {
  readonly tbf?: { readonly rateBps: number; readonly burst: number; readonly limit: number };
  readonly netem?: { readonly delayUs: number; readonly lossPercent: number; readonly limit: number };
}

/** A qdisc as `tc -j qdisc show` prints it; only what is read. */
export interface FoundQdisc {
  readonly kind: string;
  readonly handle: string;
  readonly dev: string;
  readonly root?: boolean;
  readonly parent?: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** An Ethernet header with a VLAN tag. */
const FRAME_OVERHEAD = 18;
/** A queue holds at least this many full frames, or a slow link would drop bursts it could carry. */
const LEAST_FRAMES = 50;
/** And this long at full rate (no standing queue beyond it), or twice the delay, if longer. */
const QUEUE_SECONDS = 0.05;
/** netem holds every packet for the delay: its limit is counted with small packets, this many bytes each. */
const SMALL_PACKET = 256;

/**
 * The qdiscs of a shape on a link of that MTU; {} shapes nothing.
 *
 * Burst: two frames or 2 ms at full rate, whichever is more. With less than 0.1 ms tbf falls 2 to 50 %
 * short; with two frames it is exact from 64 kbit/s on (measured).
 */
export function qdiscsOf(shape: Shape, mtu: number): Qdiscs {
  const frame = mtu + FRAME_OVERHEAD;
  const delayUs = shape.delayUs ?? 0;
  const lossPercent = shape.lossPercent ?? 0;
  const rate = shape.rateBps;
  const seconds = Math.max(QUEUE_SECONDS, (2 * delayUs) / 1e6);
  const tbf = rate === undefined ? undefined : {
    rateBps: rate,
    burst: Math.ceil(Math.max(2 * frame, (rate / 8) * 0.002)),
    limit: Math.ceil(Math.max(LEAST_FRAMES * frame, (rate / 8) * seconds)),
  };
  const inFlight = ((rate ?? 10e9) / 8) * (delayUs / 1e6) / SMALL_PACKET;
  const netem = delayUs === 0 && lossPercent === 0
    ? undefined
    : { delayUs, lossPercent, limit: Math.min(1_000_000, Math.ceil(Math.max(1000, 2 * inFlight))) };
  return { ...(tbf && { tbf }), ...(netem && { netem }) };
}

/** True when a shape asks for nothing. */
export function isPlain(shape: Shape): boolean {
  return shape.rateBps === undefined && !needsNetem(shape);
}

function tbfWords(tbf: NonNullable<Qdiscs["tbf"]>): string {
  return `tbf rate ${tbf.rateBps}bit burst ${tbf.burst}b limit ${tbf.limit}b`;
}

function netemWords(netem: NonNullable<Qdiscs["netem"]>): string {
  const loss = netem.lossPercent === 0 ? "" : ` loss ${netem.lossPercent}%`;
  return `netem limit ${netem.limit} delay ${netem.delayUs}us${loss}`;
}

/**
 * Lines for `tc -batch` that put the qdiscs on a device's root. netem stands outside, tbf inside it:
 * a frame is delayed or lost, then queued for the rate, and the queue's limit is tbf's own.
 */
export function qdiscLines(dev: string, wanted: Qdiscs, verb: "add" | "replace" = "add"): string[] {
  const { tbf, netem } = wanted;
  if (netem !== undefined) {
    const lines = [`qdisc ${verb} dev ${dev} root handle 1: ${netemWords(netem)}`];
    if (tbf !== undefined) lines.push(`qdisc ${verb} dev ${dev} parent 1:1 handle 2: ${tbfWords(tbf)}`);
    return lines;
  }
  return tbf === undefined ? [] : [`qdisc ${verb} dev ${dev} root handle 1: ${tbfWords(tbf)}`];
}

/** What a kernel keeps as a time at the rate (burst) or tc prints as one (limit) comes back rounded to ticks. */
const ROUNDED = 0.02;
/** tc prints six digits of a delay. */
const SIX_DIGITS = 1e-5;

/** True within `slack`, or within that part of the wanted number. */
function near(found: unknown, wanted: number, slack: number, part = 0): boolean {
  return typeof found === "number" && Math.abs(found - wanted) <= Math.max(slack, wanted * part);
}

function tbfDiffers(found: FoundQdisc, wanted: NonNullable<Qdiscs["tbf"]>): string | null {
  const options = found.options ?? {};
  const rate = options["rate"];
  if (!near(rate, wanted.rateBps / 8, 1)) return `rate ${Number(rate) * 8} bit/s, wanted ${wanted.rateBps}`;
  if (!near(options["burst"], wanted.burst, 16, ROUNDED)) {
    return `burst ${options["burst"]}, wanted ${wanted.burst}`;
  }
  // tc prints the limit as the latency it makes, in microseconds.
  const lat = options["lat"];
  const limit = typeof options["limit"] === "number"
    ? options["limit"]
    : Number(rate) * (Number(lat) / 1e6) + Number(options["burst"]);
  return near(limit, wanted.limit, 64, ROUNDED) ? null : `limit ${Math.round(limit)}, wanted ${wanted.limit}`;
}

function netemDiffers(found: FoundQdisc, wanted: NonNullable<Qdiscs["netem"]>): string | null {
  const options = found.options ?? {};
  const delay = (options["delay"] as { delay?: number } | undefined)?.delay ?? 0;
  if (!near(delay * 1e6, wanted.delayUs, 2, SIX_DIGITS)) {
    return `delay ${Math.round(delay * 1e6)} us, wanted ${wanted.delayUs}`;
  }
  const loss = (options["loss-random"] as { loss?: number } | undefined)?.loss ?? 0;
  if (!near(loss * 100, wanted.lossPercent, 0.001)) {
    return `loss ${loss * 100} %, wanted ${wanted.lossPercent}`;
  }
  return options["limit"] === wanted.limit ? null : `limit ${options["limit"]}, wanted ${wanted.limit}`;
}

/**
 * What differs between the qdiscs found on a device and the wanted ones, in words; null when nothing does.
 * `missing` is true when nothing of ours is there, so that lines with "add" will do.
 */
export function shapeDiffers(
  found: readonly FoundQdisc[],
  wanted: Qdiscs,
): { why: string; missing: boolean } | null {
  const root = found.find((one) => one.root === true && one.handle === "1:");
  const outer = wanted.netem !== undefined ? "netem" : wanted.tbf !== undefined ? "tbf" : null;
  if (outer === null) {
    return root === undefined ? null : { why: `${root.kind} found, no shaping wanted`, missing: false };
  }
  if (root === undefined) return { why: "no shaping", missing: true };
  if (root.kind !== outer) return { why: `${root.kind} found, wanted ${outer}`, missing: false };
  if (wanted.netem !== undefined) {
    const why = netemDiffers(root, wanted.netem);
    if (why !== null) return { why, missing: false };
    const inner = found.find((one) => one.kind === "tbf" && one.parent === "1:1");
    if (wanted.tbf === undefined) {
      return inner === undefined
        ? null
        : { why: "a rate limit inside the delay, none wanted", missing: false };
    }
    if (inner === undefined) return { why: "no rate limit inside the delay", missing: false };
    const rate = tbfDiffers(inner, wanted.tbf);
    return rate === null ? null : { why: rate, missing: false };
  }
  const why = tbfDiffers(root, wanted.tbf!);
  return why === null ? null : { why, missing: false };
}
