// deadline: 3600s
// What netem and tbf do to links, each way differently, by IPv4, by IPv6 and to ARP: `berth verify` passes, and tools
// that are not ours (ping of iputils, iperf3, as Debian has them) find what was asked for, too.
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { accepted } from "../../lib/vnode/verify/statistics.ts";
import type { Verdicts } from "../../lib/vnode/verify/verify.ts";
import { build } from "../../tasks/dev/build.ts";
import { skip } from "../skip.ts";
import { flow, inside, oneWays, pings, type Received } from "./_tools.ts";
import { boxImage, type Machine, openMachine, whyNoMachine } from "./harness.ts";

const both = (lan: number) => `[10.${lan}.0.0/24, "fd00:${lan}::/64"]`;
const addresses = (lan: number, host: number) => `addresses: [10.${lan}.0.${host}, "fd00:${lan}::${host}"]`;

/** left's end of each lan does it all, so that `egress` is from left to right. Delays dwarf what emulation adds. */
const EXPERIMENT = `lans:
  plain: { subnets: ${both(1)} }
  far: { subnets: ${both(2)} }
  spread: { subnet: 10.3.0.0/24 }
  lossy: { subnets: ${both(4)} }
  mixed: { subnet: 10.5.0.0/24 }
vnodes:
  left:
    image: box
    command: [sleep, "100000"]
    links:
      - { lan: plain, ${addresses(1, 1)} }
      - { lan: far, ${
  addresses(2, 1)
}, egress: { delay: 150ms, rate: 256kbit }, ingress: { delay: 50ms, rate: 768kbit } }
      - lan: spread
        address: 10.3.0.1
        egress: { delay: 60ms, jitter: 20ms }
        ingress: { delay: 40ms, jitter: 5ms, distribution: normal }
      - { lan: lossy, ${addresses(4, 1)}, egress: { loss: 10% }, ingress: { loss: 3% } }
      - { lan: mixed, address: 10.5.0.1, egress: { delay: 400ms, reorder: 20% }, ingress: { duplicate: 10% } }
  right:
    image: box
    command: [sleep, "100000"]
    links:
      - { lan: plain, ${addresses(1, 2)} }
      - { lan: far, ${addresses(2, 2)} }
      - { lan: spread, address: 10.3.0.2 }
      - { lan: lossy, ${addresses(4, 2)} }
      - { lan: mixed, address: 10.5.0.2 }
`;

/** The chance of blaming an honest link, of each of the seven counts below: less than one in a million together. */
const ALPHA = 1e-7;
/** Milliseconds that a busy emulated processor may add to the fastest of many. */
const BUSY_MS = 8;

const absent = process.env["BERTH_LONG"] === "1"
  ? await whyNoMachine("bookworm")
  : "minutes of emulation: deno task long";

let machine: Machine;
const story = (name: string, play: () => Promise<void>) =>
  absent === null ? test(name, play) : skip(test, name, absent);
const tell = (line: string) => void process.stdout.write(`\n  ${line}`);

const fastest = (times: readonly number[]) => times.reduce((a, b) => Math.min(a, b), Infinity);
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** That so many of n are a share of it, by the exact two-sided test. */
function isShare(what: string, k: number, n: number, share: number): void {
  const [least, most] = accepted(n, share, ALPHA);
  tell(`${what}: ${k} of ${n}, expected ${least} to ${most}`);
  assert.ok(k >= least && k <= most, `${what}: ${k} of ${n}, expected ${least} to ${most}`);
}

if (absent === null) {
  test.before(async () => {
    machine = await openMachine({
      bootMs: 1_500_000,
      files: {
        "/usr/local/bin/berth": { copy: await build(), mode: 0o755 },
        "/etc/berth/vnodes.d/pair.yaml": EXPERIMENT,
        "/root/box.tar": { copy: await boxImage() },
      },
    });
    await machine.sh("berth host up", { timeoutMs: 600_000 });
    await machine.sh("docker import /root/box.tar box:latest", { timeoutMs: 300_000 });
    await machine.sh("berth vnode up", { timeoutMs: 600_000 });
  });
  test.after(async () => {
    await machine?.close();
  });
}

story(
  "ping finds the delays, by IPv4 and by IPv6, and ARP and neighbour discovery are delayed, too",
  async () => {
    for (const [base, far] of [["10.1.0.2", "10.2.0.2"], ["fd00:1::2", "fd00:2::2"]] as const) {
      const plain = await pings(machine, "left", base, 100, 20);
      const shaped = await pings(machine, "left", far, 100, 50);
      assert.equal([plain.received, shaped.received], [plain.sent, shaped.sent]);
      const excess = fastest(shaped.times) - fastest(plain.times);
      tell(`${far}: +${excess.toFixed(1)} ms, wanted 200`);
      assert.ok(excess > 199 && excess < 200 + BUSY_MS, `${excess} ms`);
      // Who has to ask for the other's address first waits there and back twice.
      const first: number[] = [];
      for (let at = 0; at < 5; at++) {
        await inside(machine, "inside left ip neigh flush dev eth2; inside right ip neigh flush dev eth2");
        first.push(...(await pings(machine, "left", far, 1, 100)).times);
      }
      const asked = fastest(first) - fastest(plain.times);
      tell(`${far}: +${asked.toFixed(1)} ms where the address had to be asked for, wanted 400`);
      assert.ok(asked > 398 && asked < 400 + 2 * BUSY_MS, `${asked} ms`);
    }
  },
);

story("each way has its own delay", async () => {
  const { there, back } = await oneWays(machine, "left", "10.2.0.2", 50);
  tell(`${fastest(there)} ms there, wanted 150; ${fastest(back)} ms back, wanted 50`);
  // Kernels stamp whole milliseconds.
  assert.ok(fastest(there) >= 149 && fastest(there) < 151 + BUSY_MS, String(there));
  assert.ok(fastest(back) >= 49 && fastest(back) < 51 + BUSY_MS, String(back));
});

story("jitter spreads each way by its own distribution", async () => {
  const { there, back } = await oneWays(machine, "left", "10.3.0.2", 400);
  const spread = (values: readonly number[], middle: number, sd: number) => {
    const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
    const found = Math.sqrt(values.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (values.length - 1));
    tell(
      `median ${median(values)} ms, wanted ${middle}; spread ${found.toFixed(1)} ms, wanted ${sd.toFixed(1)}`,
    );
    return { middle: median(values) - middle, spread: found / sd };
  };
  // Six standard errors of 400 values; the processor only adds.
  const uniform = spread(there, 60, 20 / Math.sqrt(3));
  assert.ok(uniform.middle > -7 && uniform.middle < 7 + BUSY_MS, JSON.stringify(uniform));
  assert.ok(uniform.spread > 0.8 && uniform.spread < 1.4, JSON.stringify(uniform));
  assert.ok(fastest(there) >= 39 && fastest(there) < 45, "at most the jitter less than the delay");
  const normal = spread(back, 40, 5);
  assert.ok(normal.middle > -2.5 && normal.middle < 2.5 + BUSY_MS, JSON.stringify(normal));
  assert.ok(normal.spread > 0.75 && normal.spread < 2, JSON.stringify(normal));
});

/** A flow that lost nothing for want of a processor: it counts as measured. */
function isRead(what: string, { unread }: Received): void {
  assert.is(unread, 0, `${what}: ${unread} arrived and could not be read`);
}

story("each way loses its own share, by IPv4 and by IPv6", async () => {
  const there = await flow(machine, ["left", "right"], "10.4.0.2", "-b 400k -l 500 -t 40");
  isRead("there", there);
  isShare("iperf3, lost there", there.lost, there.packets, 0.1);
  const back = await flow(machine, ["right", "left"], "fd00:4::1", "-6 -b 400k -l 500 -t 40");
  isRead("back", back);
  isShare("iperf3, lost back by IPv6", back.lost, back.packets, 0.03);
  const { sent, received } = await pings(machine, "left", "fd00:4::2", 3000, 10);
  isShare("ping, lost there or back by IPv6", sent - received, sent, 1 - 0.9 * 0.97);
});

story("frames overtake one way, and come twice the other way", async () => {
  const plain = await pings(machine, "left", "10.1.0.2", 500, 10);
  assert.equal([plain.late, plain.duplicates, plain.received], [0, 0, plain.sent]);
  const mixed = await pings(machine, "left", "10.5.0.2", 2000, 10);
  assert.is(mixed.received, mixed.sent, "nothing is lost");
  isShare("ping, not delayed", mixed.times.filter((ms) => ms < 200).length, mixed.received, 0.2);
  isShare("ping, DUP!", mixed.duplicates, mixed.received, 0.1);
  const { packets, lost, outOfOrder, unread } = await flow(
    machine,
    ["left", "right"],
    "10.5.0.2",
    "-b 400k -l 500 -t 20",
  );
  tell(`iperf3: ${outOfOrder} of ${packets} out of order, ${lost} lost`);
  assert.is(unread, 0);
  assert.ok(lost <= 60, "no more than what was on its way at the end: 400 ms of 100 datagrams a second");
  // Nearly each delayed one is overtaken: 40 datagrams are on their way, a fifth of those after it are early.
  isShare("iperf3, out of order", outOfOrder, packets - lost, 0.8);
});

story("each way has its own rate", async () => {
  for (
    const [way, address, bps] of [
      [["left", "right"], "10.2.0.2", 256e3],
      [["right", "left"], "10.2.0.1", 768e3],
    ] as const
  ) {
    // 42 bytes of headers: the rate is that of Ethernet frames.
    const found = await flow(machine, way, address, `-b ${bps * 1.4} -l 700 -t 30`);
    const frames = found.bps * 742 / 700;
    tell(`${way.join(" to ")}: ${(frames / 1e3).toFixed(1)} kbit/s of ${bps / 1e3}`);
    assert.ok(Math.abs(frames / bps - 1) < 0.03, `${frames} bit/s, wanted ${bps}`);
  }
});

story("berth verify passes, and leaves nothing but latencies open", async () => {
  const said = await machine.run(["berth", "verify", "--json"], { timeoutMs: 1_500_000 });
  assert.ok(said.exit === 0 || said.exit === 2, said.stderr);
  const verdicts = JSON.parse(said.stdout) as Verdicts;
  const others = verdicts.findings.filter(({ verdict }) => verdict !== "pass");
  tell(`${verdicts.passed} passed, ${verdicts.failed} failed, ${verdicts.unknown} unknown`);
  for (const { check, from, to, verdict, why } of others) tell(`${verdict} ${check} ${from} ${to}: ${why}`);
  assert.is(said.exit, 0);
  // A probe of ours, unlike the kernel's ping, takes tens of milliseconds on an emulated processor.
  assert.ok(others.every(({ check, why }) => check === "latency" && why.includes("too busy")));
  const passed = new Set(
    verdicts.findings.filter(({ verdict }) => verdict === "pass").map(({ check, from }) =>
      `${check} ${from}`
    ),
  );
  for (
    const one of [
      "loss left/eth4",
      "loss right/eth4",
      "reorder left/eth5",
      "duplicate right/eth5",
      "rate left/eth2",
      "rate right/eth2",
    ]
  ) assert.ok(passed.has(one), `${one} is not among ${[...passed].join("; ")}`);
});

test.run();
