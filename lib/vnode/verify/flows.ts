// Counts what arrives of numbered flows: each datagram once, duplicates and overtaken ones apart, and how long each
// was on the way. Owns the counting only; agent.ts hands it what it reads.
import type { Packet } from "./packet.ts";
import type { Received } from "./types.ts";

/** Delays that are kept of a flow: all of a loss test, the first of a flood. */
export const KEPT_DELAYS = 20_000;

/** A flow while it arrives. */
export interface FlowCount {
  /** Takes in one datagram of that many bytes, which arrived then (microseconds since 1970). */
  add(packet: Packet, bytes: number, nowUs: number): void;
  /** Takes in bytes without numbers (TCP). */
  addBytes(bytes: number, nowUs: number): void;
  /** When the last one arrived; null before the first. */
  lastUs(): number | null;
  result(): Received;
}

/** Starts to count a flow. */
export function countFlow(): FlowCount {
  const seen = new Set<number>();
  const delaysUs: number[] = [];
  let [count, duplicates, late, bytes, highest] = [0, 0, 0, 0, -1];
  let first: number | null = null;
  let last: number | null = null;
  const arrived = (size: number, nowUs: number) => {
    bytes += size;
    first ??= nowUs;
    last = nowUs;
  };
  return {
    add(packet, size, nowUs) {
      arrived(size, nowUs);
      if (seen.has(packet.sequence)) {
        duplicates++;
        return;
      }
      seen.add(packet.sequence);
      count++;
      if (packet.sequence < highest) late++;
      else highest = packet.sequence;
      if (delaysUs.length < KEPT_DELAYS) delaysUs.push(Math.round(nowUs - packet.sentUs));
    },
    addBytes: arrived,
    lastUs: () => last,
    result: () => ({
      count,
      duplicates,
      late,
      bytes,
      ms: first === null || last === null ? 0 : (last - first) / 1000,
      delaysUs,
    }),
  };
}
