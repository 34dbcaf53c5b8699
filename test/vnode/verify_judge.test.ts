// Verdicts of `berth verify`: what passes, what fails, and what nobody can tell. And the report that people read.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Shape } from "../../lib/config/types.ts";
import { type Court, judge, LINKTEST, OWN, settle } from "../../lib/vnode/verify/judge.ts";
import { plot, reportText, valueWords } from "../../lib/vnode/verify/report.ts";
import { bufferErrors } from "../../lib/vnode/verify/session.ts";
import { insideDiffers, stateOfVnodes } from "../../lib/vnode/verify/state.ts";
import type { Asked, Finding, Received, Sample, Test } from "../../lib/vnode/verify/types.ts";
import { aLink } from "./_experiment.ts";

const END = { vnode: "left", link: "eth1", lan: "wire", address: "10.1.0.1", mtu: 1500 };
const FAR = { ...END, vnode: "right", address: "10.1.0.2" };
const COURT: Court = { tolerance: OWN, directions: 2 };

const way = (...shapes: Shape[]): Asked[] =>
  shapes.map((shape, at) => ({ link: `v${at}/eth1`, way: "egress", shape, device: `bif-${at}` }));
const echo = (there: Shape, back: Shape = {}, hops = 0): Test => ({
  kind: "echo",
  level: hops === 0 ? 1 : 2,
  from: END,
  to: FAR,
  there: way(there),
  back: way(back),
  hops,
});
const flow = (...there: Shape[]): Test => ({
  kind: "flow",
  level: 3,
  from: END,
  to: FAR,
  there: way(...there),
  back: [],
});
const rate = (...there: Shape[]): Test => ({
  kind: "rate",
  level: 4,
  from: END,
  to: FAR,
  there: way(...there),
  back: [],
});

const rtts = (...rttsUs: number[]): Sample => ({ echo: { reached: true, sent: rttsUs.length, rttsUs } });
const steady = (us: number) => rtts(...Array.from({ length: 20 }, (_, at) => us + at * 7));
const UNSHAPED = steady(300);

/** "latency pass, reach fail": what is told, shortly. */
const told = (found: readonly Finding[]) =>
  found.map(({ check, verdict }) => `${check} ${verdict}`).join(", ");
const of = (found: readonly Finding[], check: Finding["check"]) => found.find((one) => one.check === check)!;

test("a latency is what is beyond an unshaped link, and must be the sum of both ways' delays", () => {
  const asked = echo({ delayUs: 10_000 }, { delayUs: 5000 });
  const right = judge(asked, steady(15_500), UNSHAPED, COURT);
  assert.is(told(right), "reach pass, latency pass");
  const { asked: sum, measured, low, high } = of(right, "latency");
  assert.equal([sum, measured, low, high], [15_000, 15_200, 14_900, 15_450]);
  assert.is(told(judge(asked, steady(15_900), UNSHAPED, COURT)), "reach pass, latency fail");
  assert.is(told(judge(asked, steady(15_100), UNSHAPED, COURT)), "reach pass, latency fail");
  const linktest = { ...COURT, tolerance: LINKTEST };
  assert.is(told(judge(asked, steady(18_000), UNSHAPED, linktest)), "reach pass, latency pass");
  assert.is(told(judge(asked, steady(19_000), UNSHAPED, linktest)), "reach pass, latency fail");
});

test("a busy moment of either end makes no latency wrong where nothing is asked for", () => {
  assert.is(told(judge(echo({}), steady(300), steady(9000), COURT)), "reach pass, latency pass");
  assert.is(
    told(judge(echo({}), rtts(310, 9000, 8000, 700, 9000, 20_000), UNSHAPED, COURT)),
    "reach pass, latency pass",
  );
  assert.is(told(judge(echo({}), steady(5000), UNSHAPED, COURT)), "reach pass, latency fail");
});

test("by as much as an unshaped link itself varies no link is blamed", () => {
  const asked = echo({ delayUs: 10_000 });
  const busy = rtts(8000, 20_000, 28_000, 28_000, 60_000, 90_000, 28_000);
  const found = judge(asked, steady(36_000), busy, COURT);
  assert.is(told(found), "reach pass, latency unknown");
  assert.match(of(found, "latency").why, "too busy");
  assert.is(told(judge(asked, steady(18_100), busy, COURT)), "reach pass, latency pass");
  assert.is(told(judge(asked, steady(50_000), busy, COURT)), "reach pass, latency fail");
  assert.is(told(judge(asked, steady(15_900), UNSHAPED, COURT)), "reach pass, latency fail");
  const jitter = echo({ delayUs: 10_000, jitterUs: 1000 });
  assert.is(told(judge(jitter, steady(90_000), busy, COURT)), "reach pass, latency unknown");
  assert.is(told(judge(jitter, steady(140_000), busy, COURT)), "reach pass, latency fail");
});

test("with jitter the middle counts, and it is known less well", () => {
  const jitter = { delayUs: 10_000, jitterUs: 3000 };
  const spread = rtts(...Array.from({ length: 21 }, (_, at) => 10_300 - 3000 + at * 300));
  assert.is(told(judge(echo(jitter), spread, UNSHAPED, COURT)), "reach pass, latency pass");
  assert.is(told(judge(echo({ delayUs: 10_000 }), spread, UNSHAPED, COURT)), "reach pass, latency fail");
});

test("what does not answer fails, what cannot be compared is unknown", () => {
  const silent: Sample = { echo: { reached: false, sent: 0, rttsUs: [] } };
  assert.is(told(judge(echo({}), silent, UNSHAPED, COURT)), "reach fail");
  assert.is(told(judge(echo({}, {}, 2), silent, UNSHAPED, COURT)), "route fail");
  assert.is(told(judge(echo({}), steady(300), null, COURT)), "reach pass, latency unknown");
  assert.is(told(judge(echo({}), { fault: "right: it ended" }, UNSHAPED, COURT)), "reach unknown");
});

function arrived(count: number, of: number, more: Partial<Received> = {}): Sample {
  const received = { count, duplicates: 0, late: 0, bytes: 0, ms: 4000, delaysUs: [], ...more };
  return { flow: { sent: { reached: true, sent: of, ms: 4000, endUs: 0 }, received } };
}

test("a link without loss must lose nothing; linktest forgives one", () => {
  assert.is(told(judge(flow({}), arrived(1000, 1000), null, COURT)), "loss pass");
  assert.is(told(judge(flow({}), arrived(999, 1000), null, COURT)), "loss fail");
  assert.is(told(judge(flow({}), arrived(999, 1000), null, { ...COURT, tolerance: LINKTEST })), "loss pass");
});

test("what a busy probe could not read blames no link", () => {
  const sample = arrived(900, 1000);
  const busy = { flow: { ...sample.flow!, unread: 100 } };
  assert.is(told(judge(flow({}), busy, null, COURT)), "loss unknown");
  const snmp =
    "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 9 0 0 9 12 0\n";
  assert.is(bufferErrors(snmp, "Ip6InReceives   1\nUdp6RcvbufErrors   \t3\n"), 15);
  assert.is(bufferErrors("", ""), 0);
});

test("a loss is judged both ways, of all links on the way together", () => {
  const asked = flow({ lossPercent: 10 }, { lossPercent: 10 });
  assert.is(of(judge(asked, arrived(810, 1000), null, COURT), "loss").asked, 19);
  for (
    const [count, verdict] of [[810, "pass"], [780, "pass"], [760, "fail"], [860, "fail"], [
      1000,
      "fail",
    ]] as const
  ) {
    assert.is(told(judge(asked, arrived(count, 1000), null, COURT)), `loss ${verdict}`, String(count));
  }
  assert.is(told(judge(flow({ corruptPercent: 5 }), arrived(950, 1000), null, COURT)), "loss pass");
});

test("bursts of loss are known less well than single ones", () => {
  const lossModel = { toBad: 1, toGood: 9, inBad: 100, inGood: 0 };
  assert.is(told(judge(flow({ lossModel }), arrived(850, 1000), null, COURT)), "loss pass");
  assert.is(told(judge(flow({ lossPercent: 10 }), arrived(850, 1000), null, COURT)), "loss fail");
  assert.is(told(judge(flow({ lossModel }), arrived(500, 1000), null, COURT)), "loss fail");
  assert.is(told(judge(flow({ lossModel }), arrived(5000, 5000), null, COURT)), "loss fail");
});

test("duplicates and overtaking are told where they are asked for, or come unasked", () => {
  const twice = flow({ duplicatePercent: 5 });
  assert.is(
    told(judge(twice, arrived(1000, 1000, { duplicates: 50 }), null, COURT)),
    "loss pass, duplicate pass",
  );
  assert.is(told(judge(twice, arrived(1000, 1000), null, COURT)), "loss pass, duplicate fail");
  assert.is(
    told(judge(flow({}), arrived(1000, 1000, { duplicates: 1 }), null, COURT)),
    "loss pass, duplicate fail",
  );
  assert.is(told(judge(flow({}), arrived(1000, 1000, { late: 2 }), null, COURT)), "loss pass, reorder fail");
  const delaysUs = (early: number) => Array.from({ length: 1000 }, (_, at) => at < early ? 400 : 10_300);
  const over = flow({ delayUs: 10_000, reorderPercent: 5 });
  const found = (early: number) =>
    told(judge(over, arrived(1000, 1000, { delaysUs: delaysUs(early), late: 90 }), null, COURT));
  assert.is(found(50), "loss pass, reorder pass");
  assert.is(found(200), "loss pass, reorder fail");
  assert.is(
    told(judge(flow({ delayUs: 9000, jitterUs: 3000 }), arrived(1000, 1000, { late: 90 }), null, COURT)),
    "loss pass",
  );
});

const window = (rateBps: number, full = true): Sample => ({
  rate: { rateBps, seconds: 5, blurSeconds: 0, full, goodputBps: null },
});

test("a rate is within one percent, and a slow sender blames nobody", () => {
  const asked = rate({ rateBps: 10e6 }, { rateBps: 20e6 });
  for (
    const [bps, verdict] of [[10e6, "pass"], [9.92e6, "pass"], [9.8e6, "fail"], [10.2e6, "fail"]] as const
  ) {
    assert.is(told(judge(asked, window(bps), null, COURT)), `rate ${verdict}`, String(bps));
  }
  assert.is(told(judge(asked, window(4e6, false), null, COURT)), "rate unknown");
  assert.is(told(judge(asked, window(11e6, false), null, COURT)), "rate fail");
  const linktest = { ...COURT, tolerance: LINKTEST };
  assert.is(told(judge(asked, window(9.75e6), null, linktest)), "rate pass");
});

test("what a later link loses is not asked of its own queue", () => {
  const asked = rate({ rateBps: 10e6 }, { rateBps: 10e6, lossPercent: 10 });
  assert.is(judge(asked, window(9e6), null, COURT)[0]!.asked, 9e6);
});

test("settle() forgets what passed once, and nothing that was not measured again", () => {
  const asked = echo({ delayUs: 10_000 });
  const slow = judge(asked, steady(19_000), UNSHAPED, COURT);
  const fast = judge(asked, steady(10_500), UNSHAPED, COURT);
  const silent = judge(asked, { echo: { reached: false, sent: 0, rttsUs: [] } }, UNSHAPED, COURT);
  assert.is(told(settle(slow, slow)), "reach pass, latency fail");
  assert.is(told(settle(slow, fast)), "reach pass, latency pass");
  assert.is(told(settle(fast, slow)), "reach pass, latency pass");
  assert.is(told(settle(slow, silent)), "reach pass, latency fail", "nobody has contradicted it");
  assert.is(told(settle(silent, fast)), "reach pass, latency pass");

  const counted = (lost: number, duplicates: number) =>
    judge(flow({}), arrived(1000 - lost, 1000, { duplicates }), null, COURT);
  const unread = judge(flow({}), { flow: { ...arrived(900, 1000).flow!, unread: 100 } }, null, COURT);
  assert.is(told(settle(counted(0, 5), counted(0, 0))), "loss pass", "nothing came twice this time");
  assert.is(told(settle(counted(5, 0), counted(5, 5))), "loss fail", "nor the first time");
  assert.is(told(settle(counted(0, 5), counted(0, 5))), "loss pass, duplicate fail");
  assert.is(told(settle(counted(0, 5), unread)), "loss pass, duplicate fail");
  assert.is(told(settle(unread, counted(0, 5))), "loss pass, duplicate fail");
});

test("silence passes only where somebody else hears", () => {
  const asked: Test = {
    kind: "silence",
    level: 5,
    from: END,
    to: "host",
    address: "x",
    control: FAR,
    why: "apart",
  };
  const heard = (count: number, controlled: boolean) =>
    told(judge(asked, { heard: { count, controlled } }, null, COURT));
  assert.is(heard(0, true), "isolation pass");
  assert.is(heard(3, true), "isolation fail");
  assert.is(heard(0, false), "isolation unknown");
});

test("insideDiffers() tells what a vnode's user has changed, and not what was added", () => {
  const link = aLink("wire", ["10.1.0.1/24", "fd00:0::1/64"], { name: "eth1" });
  const found = {
    ifindex: 2,
    ifname: "eth1",
    mtu: 1500,
    address: link.mac,
    flags: ["UP"],
    addresses: ["10.1.0.1/24", "fd00::1/64", "10.9.9.9/24"],
  };
  assert.is(insideDiffers(link, found), null);
  assert.is(
    insideDiffers(link, { ...found, mtu: 1400, flags: [], addresses: ["10.1.0.1/16"] }),
    "address 10.1.0.1/24 fd00::1/64 is missing; MTU 1400, wanted 1500; it is down",
  );
  assert.match(insideDiffers(link, undefined)!, /no such interface/);
});

test("stateOfVnodes() blames what is wanted up and is not, or is not wired", () => {
  const status = (name: string, state: string, wanted: "up" | "halted", wiring = "-") => ({
    ...{ name, state, wanted, wiring, control: "", links: [], image: "", container: "", generation: null },
  });
  const found = stateOfVnodes([
    status("a", "up", "up", "wired"),
    status("b", "up", "up", "not wired: link b/eth1: missing"),
    status("c", "halted", "up"),
    status("d", "halted", "halted"),
    status("e", "up", "up", '? (There is no program "tc")'),
  ]);
  assert.equal(found.map(({ from, verdict, why }) => `${from} ${verdict} ${why}`.trim()), [
    "a pass",
    "b fail not wired: link b/eth1: missing",
    "c fail it is halted",
    "d unknown it is halted",
    'e unknown It cannot be looked at: There is no program "tc"',
  ]);
});

const STYLE = {
  red: (text: string) => text,
  green: (text: string) => text,
  yellow: (text: string) => text,
  dim: (text: string) => text,
  table: (heading: readonly string[], rows: readonly (readonly string[])[]) =>
    [heading, ...rows].map((row) => row.join("|")).join("\n"),
};

test("the report plots what was asked for and what was measured, and what is wrong first", () => {
  const half = judge(rate({ rateBps: 10e6 }), window(5e6), null, COURT)[0]!;
  assert.is(plot(half), "────────●───────┃───────");
  assert.is(plot({ ...half, measured: 10e6 }), "────────────────●───────");
  assert.is(plot({ ...half, measured: 90e6 }), "────────────────┃──────●");
  assert.equal(
    [valueWords("rate", 64_000), valueWords("latency", 10_200), valueWords("loss", 1.5)],
    ["64.00 kbit/s", "10.20ms", "1.5%"],
  );
  const passes = Array.from(
    { length: 50 },
    () => judge(rate({ rateBps: 10e6 }), window(9.99e6), null, COURT)[0]!,
  );
  const verdicts = {
    passed: 50,
    failed: 1,
    unknown: 0,
    referenceUs: 300,
    seconds: 1,
    findings: [...passes, half],
  };
  const lines = reportText(verdicts, STYLE, false).split("\n");
  assert.match(lines[1]!, /^fail\|rate\|left\/eth1 → right\/eth1\|10\.00 Mbit\/s\|5\.00 Mbit\/s\|/);
  assert.is(lines[2], "pass  rate: 50, -0.10 % to -0.10 %");
  assert.match(lines[3]!, /^50 passed, 1 failed, 0 unknown in 1\.0 s/);
  assert.is(reportText(verdicts, STYLE, true).split("\n").length, 53);
});

test.run();
