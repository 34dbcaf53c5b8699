// Measures a link of two vnodes: what the shaping queue lets out, by its own byte counter, and what arrives. Traffic
// is TCP from one busybox to another. Owns the measuring; shows nothing.
import type { Sandbox } from "../../../test/sandbox/harness.ts";

/** One direction to measure. */
export interface Direction {
  readonly from: string;
  readonly to: string;
  /** The receiver's address on the lan. */
  readonly address: string;
  /** The host's device whose root queue shapes this direction. */
  readonly device: string;
  readonly port: number;
}

/** What was measured, over `seconds`. */
export interface Measured {
  /** bit/s of Ethernet frames without preamble and FCS. */
  readonly rateBps: number;
  /** bit/s that the receiving program read; null where the kernel keeps no count. */
  readonly goodputBps: number | null;
  readonly seconds: number;
  /** Rates of windows before it that were further off than asked for: of a machine that was busy with other things. */
  readonly discarded: readonly number[];
}

/** What counts as a rate that was asked for. */
export interface Wanted {
  readonly rateBps: number;
  /** As a share: 0.03 is 3 %. */
  readonly tolerance: number;
}

/** Seconds over which a rate is taken. */
const MEASURE_SECONDS = 5;
/** Windows that are tried: a machine whose cores are taken serves its queues late, a wrong rate is wrong in all. */
const WINDOWS = 4;
/** Bytes that must have passed before it is taken: the burst and a full queue, several times. */
const SETTLED_BYTES = 300_000;

interface Counters {
  /** Seconds. */
  readonly at: number;
  readonly bytes: number;
  readonly backlog: number;
  readonly read: number | null;
}

/** Sends as much as goes through, and measures once the queue has filled: the first window within what is wanted. */
export async function measure(
  box: Sandbox,
  way: Direction,
  wanted: Wanted,
  onProgress: (line: string) => void,
): Promise<Measured> {
  // dd's own end of the connection counts what was received; -ll serves until it is killed.
  await box.sh(`docker exec -d ${way.to} nc -ll -p ${way.port} -e dd of=/dev/null bs=64k`);
  const listens = new RegExp(`:${way.port.toString(16).toUpperCase().padStart(4, "0")} \\S+ 0A`);
  await box.until(`${way.to} to listen`, async (seen) => {
    const { stdout } = await box.run(["docker", "exec", way.to, "cat", "/proc/net/tcp", "/proc/net/tcp6"]);
    seen(stdout);
    return listens.test(stdout);
  });
  const before = await counters(box, way.device);
  await box.sh(`docker exec -d ${way.from} sh -c 'exec nc ${way.address} ${way.port} </dev/zero'`);
  try {
    const first = await box.until(`${way.device} to have a standing queue`, async (seen) => {
      const now = await counters(box, way.device);
      seen(now);
      return now.backlog > 0 && now.bytes - before.bytes > SETTLED_BYTES ? now : null;
    }, { deadlineMs: 20_000 });
    const discarded: number[] = [];
    for (let begin = first;;) {
      const end = await window(box, way, begin, onProgress);
      const seconds = end.at - begin.at;
      const rateBps = (end.bytes - begin.bytes) * 8 / seconds;
      const goodputBps = begin.read === null || end.read === null
        ? null
        : (end.read - begin.read) * 8 / seconds;
      const isWanted = Math.abs(rateBps - wanted.rateBps) <= wanted.rateBps * wanted.tolerance;
      if (isWanted || discarded.length + 1 === WINDOWS) return { rateBps, goodputBps, seconds, discarded };
      discarded.push(rateBps);
      begin = end;
    }
  } finally {
    for (const vnode of [way.from, way.to]) await box.run(["docker", "exec", vnode, "killall", "nc", "dd"]);
  }
}

/** Waits until a window is over, and reads the counters then. */
async function window(
  box: Sandbox,
  { from, to, device }: Direction,
  begin: Counters,
  onProgress: (line: string) => void,
): Promise<Counters> {
  for (let last = begin;;) {
    const left = MEASURE_SECONDS - (last.at - begin.at);
    if (left <= 0) return last;
    onProgress(`measuring ${from} → ${to}, ${left.toFixed(0)} s to go`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(1000, left * 1000 + 20)));
    last = await counters(box, device);
  }
}

/** Reads the queue's counters and the receiver's, and the time between two looks at the clock. */
async function counters(box: Sandbox, device: string): Promise<Counters> {
  const said = await box.sh(`
    pid=$(pgrep -n -x dd || true)
    date +%s%N; tc -s -j qdisc show dev ${device} root; grep rchar "/proc/\${pid:-none}/io" 2>/dev/null || echo none; date +%s%N`);
  const [begun = "0", json = "[]", read, ended = "0"] = said.split("\n");
  const [queue] = JSON.parse(json) as { bytes: number; backlog: number }[];
  if (queue === undefined) throw new Error(`No queue on "${device}": found ${json}`);
  return {
    at: Number((BigInt(begun) + BigInt(ended)) / 2n) / 1e9,
    bytes: queue.bytes,
    backlog: queue.backlog,
    read: read?.startsWith("rchar: ") ? Number(read.slice("rchar: ".length)) : null,
  };
}

/** "9.98 Mbit/s". */
export function megabits(bps: number): string {
  return `${(bps / 1e6).toFixed(2)} Mbit/s`;
}
