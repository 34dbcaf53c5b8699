// One direction of a link as queueing disciplines: what is wanted, the tc lines that make it, and the
// comparison with what the kernel says. Pure. tbf for the rate (htb lets whole GSO packets into debt:
// 2.7 % too fast at 1 Mbit/s), netem for all else (netem.ts), a fifo within tbf where its queue is written.
import { needsNetem } from "../config/segments.ts";
import type { Shape } from "../config/types.ts";
import { type Netem, netemDiffers, netemHandle, netemOf, netemWords, ROOT_HANDLES } from "./netem.ts";

/** What tbf is given: bit/s, bytes; and the queue within it, where it is not tbf's own of `limit` bytes. */
export interface Tbf {
  readonly rateBps: number;
  readonly burst: number;
  readonly limit: number;
  readonly queue?: NonNullable<Shape["queue"]>;
}

/** Numbers the kernel is given. */
export interface Qdiscs {
  readonly tbf?: Tbf;
  readonly netem?: Netem;
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

/**
 * The qdiscs of a shape on a link of that MTU; {} shapes nothing.
 *
 * Burst: two frames or 2 ms at full rate, whichever is more. With less than 0.1 ms tbf falls 2 to 50 %
 * short; with two frames it is exact from 64 kbit/s on (measured).
 */
export function qdiscsOf(shape: Shape, mtu: number): Qdiscs {
  const tbf = shape.rateBps === undefined ? undefined : tbfOf(shape.rateBps, shape, mtu + FRAME_OVERHEAD);
  const netem = needsNetem(shape) ? netemOf(shape) : undefined;
  return { ...(tbf && { tbf }), ...(netem && { netem }) };
}

function tbfOf(rateBps: number, { delayUs = 0, queue }: Shape, frame: number): Tbf {
  const seconds = Math.max(QUEUE_SECONDS, (2 * delayUs) / 1e6);
  return {
    rateBps,
    burst: Math.ceil(Math.max(2 * frame, (rateBps / 8) * 0.002)),
    limit: Math.ceil(Math.max(LEAST_FRAMES * frame, (rateBps / 8) * seconds)),
    ...(queue !== undefined && { queue }),
  };
}

/** True when a shape asks for nothing. */
export function isPlain(shape: Shape): boolean {
  return shape.rateBps === undefined && !needsNetem(shape);
}

/** The queue within tbf: kind, handle and limit. Two handles, because a kind cannot be changed under one. */
function queueOf({ queue, limit }: Tbf): { kind: "pfifo" | "bfifo"; handle: string; limit: number } {
  return queue !== undefined && "packets" in queue
    ? { kind: "pfifo", handle: "3:", limit: queue.packets }
    : { kind: "bfifo", handle: "4:", limit: queue?.bytes ?? limit };
}

/** Lines for tbf at a place, and for the queue within it. `found`: what is there, for changes in place. */
function tbfLines(
  dev: string,
  place: string,
  handle: string,
  tbf: Tbf,
  verb: string,
  found: readonly FoundQdisc[],
): string[] {
  const line =
    `qdisc ${verb} dev ${dev} ${place} handle ${handle} tbf rate ${tbf.rateBps}bit burst ${tbf.burst}b limit ${tbf.limit}b`;
  const within = `${handle}1`;
  // Never deleted, because tbf is left with a queue that takes nothing then: one of our own size takes its place.
  if (tbf.queue === undefined && !found.some((one) => one.parent === within)) return [line];
  // A change of tbf gives its limit in bytes to the queue within, even to one that counts packets: set again each time.
  const queue = queueOf(tbf);
  return [
    line,
    `qdisc replace dev ${dev} parent ${within} handle ${queue.handle} ${queue.kind} limit ${queue.limit}`,
  ];
}

/**
 * Lines for `tc -batch` that put the qdiscs on a device's root. netem stands outside, tbf inside it:
 * a frame is delayed or lost, then queued for the rate, and the queue's limit is tbf's own.
 *
 * @param found what is on the device, where it is changed in place. @default {[]}
 */
export function qdiscLines(
  dev: string,
  wanted: Qdiscs,
  verb: "add" | "replace" = "add",
  found: readonly FoundQdisc[] = [],
): string[] {
  const { tbf, netem } = wanted;
  if (netem === undefined) return tbf === undefined ? [] : tbfLines(dev, "root", "1:", tbf, verb, found);
  const handle = netemHandle(netem);
  return [
    `qdisc ${verb} dev ${dev} root handle ${handle} ${netemWords(netem)}`,
    ...(tbf === undefined ? [] : tbfLines(dev, `parent ${handle}1`, "2:", tbf, verb, found)),
  ];
}

/** What a kernel keeps as a time at the rate (burst) or tc prints as one (limit) comes back rounded to ticks. */
const ROUNDED = 0.02;
/** True within `slack`, or within that part of the wanted number. */
function near(found: unknown, wanted: number, slack: number, part = 0): boolean {
  return typeof found === "number" && Math.abs(found - wanted) <= Math.max(slack, wanted * part);
}

function tbfDiffers(all: readonly FoundQdisc[], found: FoundQdisc, wanted: Tbf): string | null {
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
  if (!near(limit, wanted.limit, 64, ROUNDED)) return `limit ${Math.round(limit)}, wanted ${wanted.limit}`;
  // The queue that tbf makes for itself is not shown.
  const inside = all.find((one) => one.parent === `${found.handle}1`);
  if (inside === undefined && wanted.queue === undefined) return null;
  const queue = queueOf(wanted);
  if (inside?.kind !== queue.kind || inside.handle !== queue.handle) {
    return `the queue is ${inside === undefined ? "tbf's own" : inside.kind}, wanted ${queue.kind}`;
  }
  const is = inside.options?.["limit"];
  return is === queue.limit ? null : `the queue takes ${is}, wanted ${queue.limit}`;
}

/** What differs between two states of a device's qdiscs, and what it takes to set it right. */
export interface ShapeDifference {
  /** In words. */
  readonly why: string;
  /**
   * "add": there is nothing to be taken away. "replace": changed in place, nothing in flight is lost. "anew": what is
   * there goes first, with the frames it holds.
   */
  readonly how: "add" | "replace" | "anew";
}

/** What somebody has put on the root: what the kernel puts there by itself has no handle. */
function rootOf(found: readonly FoundQdisc[]): FoundQdisc | undefined {
  return found.find((one) => one.root === true && one.handle !== "0:");
}

/** What differs between the qdiscs found on a device and the wanted ones; null when nothing does. */
export function shapeDiffers(found: readonly FoundQdisc[], wanted: Qdiscs): ShapeDifference | null {
  const root = rootOf(found);
  const outer = wanted.netem !== undefined ? "netem" : wanted.tbf !== undefined ? "tbf" : null;
  if (outer === null) {
    return root === undefined ? null : { why: `${root.kind} found, no shaping wanted`, how: "anew" };
  }
  if (root === undefined) return { why: "no shaping", how: "add" };
  if (root.kind !== outer || !ROOT_HANDLES.has(root.handle)) {
    return { why: `${root.kind} ${root.handle} found, wanted ${outer}`, how: "anew" };
  }
  if (wanted.netem === undefined) {
    if (root.handle !== "1:") return { why: `tbf ${root.handle} found, wanted 1:`, how: "anew" };
    const why = tbfDiffers(found, root, wanted.tbf!);
    return why === null ? null : { why, how: "replace" };
  }
  const inner = found.find((one) => one.parent === `${root.handle}1`);
  const isStrange = inner !== undefined && (inner.kind !== "tbf" || inner.handle !== "2:");
  if (isStrange) return { why: `${inner.kind} ${inner.handle} found inside the delay`, how: "anew" };
  if (inner !== undefined && wanted.tbf === undefined) {
    return { why: "a rate limit inside the delay, none wanted", how: "anew" };
  }
  const netem = netemDiffers(root, wanted.netem);
  if (netem !== null) return { why: netem.why, how: netem.anew ? "anew" : "replace" };
  if (wanted.tbf === undefined) return null;
  if (inner === undefined) return { why: "no rate limit inside the delay", how: "replace" };
  const why = tbfDiffers(found, inner, wanted.tbf);
  return why === null ? null : { why, how: "replace" };
}
