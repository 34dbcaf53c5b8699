// deadline: 900s
// A rate is what was asked for: Ethernet frames without preamble and FCS, from 64 kbit/s to 1 Gbit/s, each way, within
// 1 %. Changed live on one running link. By the byte counter of the queue over the clock read around it, while a queue
// stands: a sender that a busy machine keeps from its work says nothing about a rate.
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { hostEndName, ifbName } from "../../lib/vnode/names.ts";
import type { Verdicts } from "../../lib/vnode/verify/verify.ts";
import { hear, speak } from "./_flow.ts";
import type { Sandbox } from "./harness.ts";
import { berth, openVhost } from "./vhost.ts";

/** As a share. */
const TOLERANCE = 0.01;
/** Up to here a probe has the processor it needs, however busy the machine is. Faster ones are the long run's. */
const SURE_BPS = 10e6;
const LONG = process.env["BERTH_LONG"] === "1";
/** Seconds of a window: one frame of the small ones is 0.4 % of the slowest one's bytes. */
const WINDOW_SECONDS = 6;
/** Windows that are tried: a machine whose cores are taken serves its queues late, a wrong rate is wrong in all. */
const WINDOWS = 4;
/** Between two looks within a window. */
const LOOK_MS = 100;
/** Bytes of a datagram and more of its frame. */
const [SMALL, LARGE, HEADERS] = [118, 1400, 42];

const SPEC = {
  lans: { wire: { subnet: "10.1.0.0/24" } },
  vnodes: Object.fromEntries(["left", "right"].map((name, at) => [name, {
    image: "box",
    command: ["sleep", "100000"],
    links: [{ lan: "wire", address: `10.1.0.${at + 1}` }],
  }])),
};

/** Bits a second, as it is written. Floods above the slowest go by TCP: UDP of a busy machine fills no fast queue. */
const RATES: readonly (readonly [text: string, bps: number, flood: "small" | "large" | "tcp"])[] = [
  ["64kbit", 64e3, "small"],
  ["1mbit", 1e6, "small"],
  ["10mbit", 1e7, "large"],
  ["100mbit", 1e8, "tcp"],
  ["1gbit", 1e9, "tcp"],
];

/** A fifth of a second of the fastest: what a busy machine keeps its senders waiting for is still in the queue. */
const deep = (way: string, kind: string) => kind === "tcp" ? [`${way}.queue=24MiB`] : [];

interface Counters {
  /** Seconds, in the middle of two looks at the clock, and how far these are apart. */
  readonly at: number;
  readonly spread: number;
  readonly bytes: number;
  readonly backlog: number;
}

async function counters(box: Sandbox, device: string): Promise<Counters> {
  const said = await box.sh(`date +%s%N; tc -s -j qdisc show dev ${device} root; date +%s%N`);
  const [begun = "0", json = "[]", ended = "0"] = said.trim().split("\n");
  const [queue] = JSON.parse(json) as { bytes: number; backlog: number }[];
  const [from, to] = [Number(begun) / 1e9, Number(ended) / 1e9];
  return { at: (from + to) / 2, spread: to - from, bytes: queue!.bytes, backlog: queue!.backlog };
}

interface Way {
  readonly from: number;
  readonly to: number;
  readonly address: string;
  readonly device: string;
}

/** Floods one way until told to stop. */
async function flood(box: Sandbox, way: Way, kind: "small" | "large" | "tcp", bps: number, port: number) {
  if (kind !== "tcp") {
    const bytes = kind === "small" ? SMALL : LARGE;
    // Half as much again as goes through.
    const flow = { ...way, port, bytes, everyMs: (bytes + HEADERS) * 8 / bps / 1.5 * 1000 };
    const ear = await hear(box, flow);
    const mouth = speak(box, flow);
    return async () => void await Promise.all([mouth.stop(), ear.close()]);
  }
  const inside = (pid: number, script: string) =>
    box.spawn([
      "nsenter",
      `--net=/proc/${pid}/ns/net`,
      "perl",
      "-e",
      script,
      "--",
      way.address,
      String(port),
    ]);
  const server = inside(way.to, TCP_SERVER);
  await box.until("the receiver", () => server.stdout.startsWith("ready"));
  // One's window holds less than the queue: more of them keep it standing while they wait for a processor.
  const clients = Array.from({ length: TCP_LINES }, () => inside(way.from, TCP_CLIENT));
  return async () => {
    for (const one of [...clients, server]) one.kill();
    await Promise.all([...clients, server].map(({ ended }) => ended));
  };
}

const TCP_LINES = 4;
const TCP_SERVER = `use Socket; $| = 1; socket(my $s, AF_INET, SOCK_STREAM, 0) or die $!;
setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
bind($s, sockaddr_in($ARGV[1], INADDR_ANY)) or die $!; listen($s, 9); print "ready\\n";
while (accept(my $c, $s)) { next if fork; 1 while sysread($c, my $d, 1 << 18); exit }`;
const TCP_CLIENT = `use Socket; socket(my $s, AF_INET, SOCK_STREAM, 0) or die $!;
connect($s, sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die $!;
my $d = "x" x (1 << 18); 1 while syswrite($s, $d);`;

/** bit/s of the first window that is as wanted, or all windows'. */
async function measured(
  box: Sandbox,
  way: Way,
  bps: number,
): Promise<{ bps: number; all: readonly number[] }> {
  let begin = await box.until("a standing queue", async (seen) => {
    const now = await counters(box, way.device);
    seen(now);
    return now.backlog > 0 ? now : null;
  }, { deadlineMs: 30_000 });
  const all: number[] = [];
  for (;;) {
    let [bytes, seconds] = [0, 0];
    await box.until("seconds with a standing queue", async (seen) => {
      const now = await counters(box, way.device);
      if (begin.backlog > 0 && now.backlog > 0) {
        bytes += now.bytes - begin.bytes;
        seconds += now.at - begin.at;
      }
      begin = now;
      seen({ ...now, seconds });
      return seconds >= WINDOW_SECONDS;
    }, { deadlineMs: 120_000, everyMs: LOOK_MS });
    const rate = bytes * 8 / seconds;
    all.push(rate);
    if (Math.abs(rate / bps - 1) <= TOLERANCE || all.length === WINDOWS) return { bps: rate, all };
  }
}

/** The one link, given these words and nothing else. */
const reshape = (box: Sandbox, ...words: string[]) =>
  berth(box, "vnode", "shape", "left", "eth1", "--reset", ...words);

test("rates are within 1 % of what was asked for, from 64 kbit/s to 1 Gbit/s, each way", async () => {
  const box = await openVhost("20.10", SPEC);
  try {
    const pid = async (vnode: string) => Number(await box.sh(`docker inspect -f '{{.State.Pid}}' ${vnode}`));
    const [left, right] = [await pid("left"), await pid("right")];
    const ways = {
      egress: { from: left, to: right, address: "10.1.0.2", device: ifbName("left", "eth1") },
      ingress: { from: right, to: left, address: "10.1.0.1", device: hostEndName("left", "eth1") },
    };
    let port = 5000;
    const off: string[] = [];
    for (const [text, bps, kind] of RATES) {
      for (const [way, where] of Object.entries(ways)) {
        await reshape(box, `${way}.rate=${text}`, ...deep(way, kind));
        const stop = await flood(box, where, kind, bps, ++port);
        const found = await measured(box, where, bps).finally(stop);
        const line = `${text} ${way}: ${
          found.all.map((one) => `${((one / bps - 1) * 100).toFixed(2)} %`).join(", ")
        }`;
        process.stdout.write(`\n  ${line}`);
        if (Math.abs(found.bps / bps - 1) > TOLERANCE) off.push(line);
      }
    }
    assert.equal(off, []);
  } finally {
    await box.close();
  }
});

test("berth verify measures the same, and blames no rate that is right", async () => {
  const box = await openVhost("20.10", SPEC);
  try {
    const off: string[] = [];
    for (const [text, bps] of RATES.filter(([, bps]) => LONG || bps <= SURE_BPS)) {
      await reshape(box, `egress.rate=${text}`, `ingress.rate=${text}`);
      const said = await box.run(["berth", "verify", "--only", "rate", "--json"], { timeoutMs: 300_000 });
      const { findings } = JSON.parse(said.stdout) as Verdicts;
      assert.is(findings.length, 2, said.stdout + said.stderr);
      for (const { from, measured, verdict, why } of findings) {
        const share = (measured ?? 0) / bps - 1;
        const line = `${text} from ${from}: ${verdict}, ${(share * 100).toFixed(2)} % ${why}`;
        process.stdout.write(`\n  ${line}`);
        // The looks of a busy machine take long: what they do not know adds to the bounds.
        const isRight = bps > SURE_BPS
          ? verdict !== "fail"
          : verdict === "pass" && Math.abs(share) <= 2 * TOLERANCE;
        if (!isRight) off.push(line);
      }
    }
    assert.equal(off, []);
  } finally {
    await box.close();
  }
});

test.run();
