// Runs one test of a rate: one probe floods, another reads, and meanwhile the queue's own counter is read twice. The
// rate is that of Ethernet frames without preamble and FCS, after the first burst has gone. Judges nothing.
import { setTimeout as sleep } from "node:timers/promises";
import { parseJson } from "../view.ts";
import { expectedOf } from "./expect.ts";
import { drawFlow, drawPort, idleTask, runProbe, startWaitMs, type VerifyGround } from "./ground.ts";
import type { FloodTask, RateSample, Sample, Test } from "./types.ts";

type RateTest = Test & { kind: "rate" };

/** More than goes through, so that a queue stands. */
const OVER = 1.3;
/** From this rate on datagrams are larger than a frame: few programs send that many small ones. bit/s. */
const LARGE_FROM = 20e6;
/** From this rate on TCP, where nothing but rates shapes the way. bit/s. */
const TCP_FROM = 100e6;
/** TCP is held back by a way back that is slower than this part, which carries its acknowledgements. */
const BACK_PART = 0.1;
const LARGE_BYTES = 60_000;
const SMALL_BYTES = 160;
const USUAL_BYTES = 1400;
/** IPv4 and UDP headers, and Ethernet's. */
const HEADERS = 42;
/** One frame is at most this part of what passes in the window, or the window's edges would blur it. */
const FRAME_PART = 0.002;
/** Frames that must pass in a window. */
const FRAMES = 500;
/** Windows until one is as asked for: a machine that is busy serves its queues late; a wrong rate is wrong in all. */
const WINDOWS = 3;
const POLL_MS = 100;
/** Between two looks within a window. */
const LOOK_MS = 200;
/** What of a window must have had a standing queue, or its sender was too slow to tell anything. */
const FULL_PART = 0.5;
/** How long a queue may take to fill. */
const FILL_MS = 3000;
/** How long it must have been full before the window begins. */
const SETTLE_MS = 500;

/** One look at the counters of a way. */
export interface Counters {
  /** Seconds, and how long the look took. */
  readonly at: number;
  readonly tookSeconds: number;
  readonly bytes: number;
  /** A queue of the way is not empty. */
  readonly standing: boolean;
  /** Frames that were too many, of all queues of the way. */
  readonly drops: number;
}

interface FoundQueue {
  readonly kind: string;
  readonly bytes: number;
  readonly backlog: number;
  readonly drops: number;
}

/** The devices of a way whose queues have a rate, in their order. */
function devicesOf(test: RateTest): readonly string[] {
  return test.there.flatMap(({ shape, device }) =>
    shape.rateBps === undefined || device === null ? [] : [device]
  );
}

/** How a way is flooded. Pure. */
export function floodOf(
  test: RateTest,
  seconds: number,
  port: number,
  flow: number,
  waitMs: number,
): FloodTask & { readonly windowSeconds: number } {
  const { slowestBps, loss } = expectedOf(test.there);
  const rate = slowestBps ?? 1e6;
  const onlyRates = [...test.there, ...test.back].every(({ shape }) =>
    Object.entries(shape).every(([key, value]) => ["rateBps", "queue"].includes(key) || !value)
  );
  const back = expectedOf(test.back).slowestBps ?? Infinity;
  const tcp = onlyRates && rate >= TCP_FROM && back >= rate * BACK_PART;
  const usual = Math.min(USUAL_BYTES, test.from.mtu - 48, test.to.mtu - 48);
  const bytes = rate >= LARGE_FROM
    ? LARGE_BYTES
    : Math.round(Math.min(usual, Math.max(SMALL_BYTES, rate / 8 * seconds * FRAME_PART - HEADERS)));
  const frames = Math.ceil(bytes / usual);
  const frameBits = Math.min(bytes, usual) * 8 + HEADERS * 8;
  return {
    flow,
    port,
    to: test.to.address,
    from: test.from.address,
    tcp,
    bytes,
    bps: OVER * rate / (1 - Math.min(0.9, loss.share)) * bytes / (bytes + frames * HEADERS),
    ms: 0,
    waitMs,
    windowSeconds: Math.min(4 * seconds, Math.max(seconds, FRAMES * frameBits / rate)),
  };
}

/** Measures a way; `isGood` says of a window whether it is as asked for, so that no other is needed. */
export async function runRate(
  ground: VerifyGround,
  test: RateTest,
  isGood: (rate: RateSample) => boolean,
): Promise<Sample> {
  const devices = devicesOf(test);
  if (devices.length === 0) return { fault: "Nothing on the way has a queue to look at" };
  const [port, flow, waitMs] = [drawPort(), drawFlow(), startWaitMs(ground, 2)];
  const { windowSeconds, ...flood } = floodOf(test, ground.seconds, port, flow, waitMs);
  const ms = FILL_MS + SETTLE_MS + WINDOWS * (windowSeconds + 1) * 1000;
  const untilMs = waitMs + ms + 5000;
  const [mouth, ear] = [stopper(ground), stopper(ground)];
  const task = { ...idleTask(port, untilMs), expect: [flow] };
  const reading = runProbe(ground, test.to.vnode, task, ear.signal);
  const sending = runProbe(ground, test.from.vnode, {
    ...idleTask(drawPort(), untilMs),
    floods: [{ ...flood, ms }],
  }, mouth.signal);
  let ended = false;
  let fault: string | undefined;
  void sending.then((said) => {
    ended = true;
    fault ??= said.fault;
  }, () => ended = true);
  // Without a reader nobody is reached, however long the sender waits.
  void reading.then((said) => {
    ended ||= said.fault !== undefined;
    fault ??= said.fault;
  }, () => ended = true);
  try {
    const windows = await windowsOf(ground, devices, windowSeconds, waitMs, isGood, () => ended);
    const why = fault;
    mouth.stop();
    if (windows === null) return why === undefined ? {} : { fault: why };
    const received = (await reading).received[flow];
    const goodputBps = received === undefined || received.ms === 0
      ? null
      : received.bytes * 8000 / received.ms;
    return { rate: { ...windows, goodputBps } };
  } finally {
    mouth.stop();
    // It would go on waiting for a flood that nobody sends.
    ear.stop();
    await Promise.allSettled([sending, reading]);
  }
}

/** What ends one probe, as the end of the whole run does. */
function stopper({ signal }: VerifyGround): { readonly signal: AbortSignal; stop(): void } {
  const own = new AbortController();
  return {
    signal: signal === undefined ? own.signal : AbortSignal.any([own.signal, signal]),
    stop: () => own.abort(),
  };
}

/** The first window that is as asked for, or the last; null where nothing went through the queue at all. */
async function windowsOf(
  ground: VerifyGround,
  devices: readonly string[],
  seconds: number,
  waitMs: number,
  isGood: (rate: RateSample) => boolean,
  ended: () => boolean,
): Promise<Omit<RateSample, "goodputBps"> | null> {
  const before = await counters(ground, devices);
  const moving = await wait(waitMs + FILL_MS, async () => {
    const now = await counters(ground, devices);
    return ended() || now.bytes - before.bytes > 2000 ? now : null;
  });
  if (moving === null || ended()) return null;
  // Nothing is full where the sender is too slow; then the window tells that.
  await wait(FILL_MS, async () => (await counters(ground, devices)).standing || ended() ? true : null);
  await pause(ground, SETTLE_MS);
  let rate: Omit<RateSample, "goodputBps"> | null = null;
  for (let at = 0; at < WINDOWS && !ended(); at++) {
    const looks = [await counters(ground, devices)];
    while (looks.at(-1)!.at - looks[0]!.at < seconds && ground.signal?.aborted !== true) {
      await pause(ground, LOOK_MS);
      looks.push(await counters(ground, devices));
    }
    if (!ended()) rate = rateOf(looks);
    if (rate !== null && isGood({ ...rate, goodputBps: null })) break;
  }
  return rate;
}

/**
 * What looks at the counters, one after another, come to. Only what lies between two at which a queue stood is counted:
 * while a busy machine keeps the sender from its work the link has nothing to carry. With a queue that stood all the
 * time, a bucket of 2 ms lets 1 Gbit/s out within 0.4 % at a load of 20 on two processors; all of the 5 % that a whole
 * window was short had an empty queue (measured).
 */
export function rateOf(looks: readonly Counters[]): Omit<RateSample, "goodputBps"> {
  const steps = looks.slice(1).map((end, at) => {
    const begin = looks[at]!;
    const isFull = (begin.standing && end.standing) || end.drops > begin.drops;
    return { begin, end, isFull };
  });
  const full = steps.filter(({ isFull }) => isFull);
  const seconds = (of: typeof steps) => of.reduce((sum, { begin, end }) => sum + end.at - begin.at, 0);
  const isEnough = seconds(full) >= FULL_PART * seconds(steps);
  const counted = isEnough ? full : steps;
  const bytes = counted.reduce((sum, { begin, end }) => sum + end.bytes - begin.bytes, 0);
  // A look between two steps that are both counted blurs nothing: what one has too much the other lacks.
  const blur = counted.reduce(
    (sum, { begin, end }) =>
      sum + (counted.some((one) => one.end === begin) ? 0 : begin.tookSeconds / 2) +
      (counted.some((one) => one.begin === end) ? 0 : end.tookSeconds / 2),
    0,
  );
  return {
    rateBps: bytes * 8 / seconds(counted),
    seconds: seconds(counted),
    blurSeconds: blur,
    full: isEnough,
  };
}

/** Ends early when the run is asked to stop. */
async function pause({ signal }: VerifyGround, ms: number): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {});
}

async function wait<T>(withinMs: number, look: () => Promise<T | null>): Promise<T | null> {
  const end = performance.now() + withinMs;
  while (performance.now() < end) {
    const found = await look();
    if (found !== null) return found;
    await sleep(POLL_MS);
  }
  return null;
}

/** Bytes are those that the last queue of the way let out. */
async function counters(ground: VerifyGround, devices: readonly string[]): Promise<Counters> {
  const read = async (device: string) => {
    const begun = performance.now();
    const { stdout } = await ground.host.query({ argv: ["tc", "-s", "-j", "qdisc", "show", "dev", device] });
    const ended = performance.now();
    const queues = parseJson<FoundQueue[]>(stdout, "tc qdisc show");
    const bucket = queues.find(({ kind }) => kind === "tbf");
    return {
      at: (begun + ended) / 2000,
      tookSeconds: (ended - begun) / 1000,
      bytes: bucket?.bytes ?? 0,
      standing: (bucket?.backlog ?? 0) > 0,
      drops: bucket?.drops ?? 0,
    };
  };
  const last = await read(devices.at(-1)!);
  const others = await Promise.all(devices.slice(0, -1).map(read));
  return {
    ...last,
    standing: last.standing || others.some(({ standing }) => standing),
    drops: last.drops + others.reduce((sum, { drops }) => sum + drops, 0),
  };
}
