// What `berth verify` plans to measure, and how it puts that to probes: which pairs, which ways, how many datagrams.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LinkSpec, VnodeSpec } from "../../lib/config/types.ts";
import { hostEndName, ifbName } from "../../lib/vnode/names.ts";
import { expectedOf } from "../../lib/vnode/verify/expect.ts";
import { membersOf } from "../../lib/vnode/verify/members.ts";
import { planOf as planWithin, type PlanOptions } from "../../lib/vnode/verify/plan.ts";
import { type Counters, floodOf, rateOf } from "../../lib/vnode/verify/rate.ts";
import { netOf, routeTests, wayTo } from "../../lib/vnode/verify/routes.ts";
import { packsOf, sendTask, sessionOf } from "../../lib/vnode/verify/session.ts";
import type { Asked, Test } from "../../lib/vnode/verify/types.ts";
import { aLink, aVnode } from "./_experiment.ts";

const names = (tests: readonly Test[], kind: Test["kind"]) =>
  tests.filter((one) => one.kind === kind).map((one) =>
    `${one.from.vnode}/${one.from.link} ${one.to === "host" ? "host" : `${one.to.vnode}/${one.to.link}`}`
  );
const only = <Kind extends Test["kind"]>(tests: readonly Test[], kind: Kind) =>
  tests.filter((one): one is Test & { kind: Kind } => one.kind === kind);

const planOf = (specs: readonly VnodeSpec[], options: Omit<PlanOptions, "fence">) =>
  planWithin(specs, { fence: { isolation: "experiments", gateway: "172.16.0.1" }, ...options });

const rate = (rateBps: number) => ({ egress: { rateBps }, ingress: { rateBps } });

test("planOf() measures a pair there and back, and each way", () => {
  const { tests, left } = planOf([
    aVnode("left", [aLink("wire", ["10.1.0.1/24", "fd00:1::1/64"], rate(10e6))]),
    aVnode("right", [aLink("wire", ["10.1.0.2/24", "fd00:1::2/64"], rate(5e6))]),
  ], { level: 4 });
  assert.equal(left.map(({ from, check }) => `${check} ${from}`), ["rate left/wire0", "rate left/wire0"]);
  assert.equal(only(tests, "echo").map(({ from, to }) => `${from.address} ${to.address}`), [
    "10.1.0.1 10.1.0.2",
    "fd00:1::1 fd00:1::2",
  ]);
  const both = ["left/wire0 right/wire0", "right/wire0 left/wire0"];
  assert.equal(names(tests, "flow"), both);
  assert.equal(names(tests, "rate").sort(), both);
  const [first] = only(tests, "rate");
  assert.equal(first!.there.map(({ link, way, device }) => [link, way, device]), [
    ["left/wire0", "egress", ifbName("left", "wire0")],
    ["right/wire0", "ingress", hostEndName("right", "wire0")],
  ]);
});

test("planOf() measures small lans pair by pair, and large ones in a ring", () => {
  const lan = (size: number) =>
    Array.from({ length: size }, (_, at) => aVnode(`v${10 + at}`, [aLink("net", `10.1.0.${at + 1}/24`)]));
  assert.is(names(planOf(lan(6), { level: 1 }).tests, "echo").length, 15);
  const large = planOf(lan(30), { level: 3 }).tests;
  assert.is(names(large, "echo").length, 60);
  assert.is(names(large, "flow").length, 30);
  assert.is(new Set(names(large, "flow").map((one) => one.split(" ")[0])).size, 30);
  assert.is(new Set(names(large, "flow").map((one) => one.split(" ")[1])).size, 30);
  assert.equal(names(planOf(lan(30), { level: 1, names: ["v10"] }).tests, "echo").length, 4);
});

test("planOf() leaves out, with the reason, what cannot be measured", () => {
  const { tests, left } = planOf([
    aVnode("a", [
      aLink("wire", "10.1.0.1/24"),
      aLink("wire", "10.1.0.11/24", { name: "data0" }),
      aLink("dark", "10.2.0.1/24", { up: false }),
      aLink("blink", "10.3.0.1/24", { flap: { upMs: 1000, downMs: 1000, offsetMs: 0 } }),
      aLink("bare", []),
    ]),
    aVnode("b", [aLink("wire", "10.1.0.2/24"), aLink("dark", "10.2.0.2/24"), aLink("bare", [])]),
  ], { level: 5 });
  assert.equal(names(tests, "echo"), ["a/wire0 b/wire0"]);
  assert.equal(left.map(({ from, why }) => `${from}: ${why}`), [
    "a/data0: it shares its subnet with wire0, which is used instead",
    "a/dark0: it is meant to be down",
    "a/blink0: it goes up and down by the clock",
    "a/bare0: it has no address",
    "b/bare0: it has no address",
  ]);
});

test("planOf() fills each direction from a neighbour that is fast enough, and tells where none is", () => {
  const { tests, left } = planOf([
    aVnode("a", [aLink("net", "10.1.0.1/24", { egress: { rateBps: 1e6 } })]),
    aVnode("b", [aLink("net", "10.1.0.2/24", { ingress: { rateBps: 8e6 } })]),
    aVnode("c", [aLink("net", "10.1.0.3/24", rate(5e6))]),
    aVnode("d", [aLink("net", "10.1.0.4/24")]),
  ], { level: 4 });
  assert.equal(
    names(tests, "rate").sort(),
    [
      "a/net0 b/net0",
      "c/net0 d/net0",
      "d/net0 b/net0",
      "b/net0 c/net0",
    ].sort(),
  );
  assert.equal(left, []);
  const slow = planOf([
    aVnode("a", [aLink("net", "10.1.0.1/24", rate(1e6))]),
    aVnode("b", [aLink("net", "10.1.0.2/24", rate(9e6))]),
  ], { level: 4 });
  assert.equal(names(slow.tests, "rate"), ["a/net0 b/net0", "b/net0 a/net0"]);
  assert.equal(slow.left.map(({ from }) => from), ["b/net0", "b/net0"]);
});

/** a - b - c - d in a line, with static routes both ways. */
function line(changes: Partial<VnodeSpec> = {}): VnodeSpec[] {
  const delay = (ms: number) => ({ egress: { delayUs: ms * 1000 } });
  return [
    aVnode("a", [aLink("ab", "10.0.1.1/24", delay(1))], { routes: [{ to: "default", via: "10.0.1.2" }] }),
    aVnode("b", [aLink("ab", "10.0.1.2/24", delay(2)), aLink("bc", "10.0.2.1/24", delay(4))], {
      routes: [{ to: "10.0.3.0/24", via: "10.0.2.2" }],
      ...changes,
    }),
    aVnode("c", [aLink("bc", "10.0.2.2/24", delay(8)), aLink("cd", "10.0.3.1/24", delay(16))], {
      routes: [{ to: "10.0.1.0/24", via: "10.0.2.1", dev: "bc0" }],
    }),
    aVnode("d", [aLink("cd", "10.0.3.2/24", delay(32))], {
      routes: [{ to: "10.0.0.0/16", via: "10.0.3.1" }],
    }),
  ];
}

test("wayTo() goes the way that routes and subnets make, and adds up what is on it", () => {
  const net = netOf(line());
  const far = membersOf(line()[3]!)[0]!.address;
  const way = wayTo(net, "a", far)!;
  assert.is(way.hops, 2);
  assert.equal(way.asked.map(({ link, way }) => `${link} ${way}`), [
    "a/ab0 egress",
    "b/ab0 ingress",
    "b/bc0 egress",
    "c/bc0 ingress",
    "c/cd0 egress",
    "d/cd0 ingress",
  ]);
  assert.is(expectedOf(way.asked).delayUs, 21_000);
  assert.is(wayTo(netOf(line({ forwarding: false })), "a", far), null);
  assert.is(wayTo(netOf(line({ routes: [] })), "a", far), null);
  assert.is(wayTo(net, "c", membersOf(line()[0]!)[0]!.address)!.hops, 1);
});

test("no way goes over a link that is meant to be down, or goes up and down by the clock", () => {
  const far = membersOf(line()[3]!)[0]!.address;
  const spoilt = (more: Partial<LinkSpec>, at: number) =>
    line().map((spec, index) =>
      index !== at ? spec : { ...spec, links: [{ ...spec.links[0]!, ...more }, ...spec.links.slice(1)] }
    );
  const flap = { upMs: 1000, downMs: 1000, offsetMs: 0 };
  for (const more of [{ up: false as const }, { flap }]) {
    assert.is(wayTo(netOf(spoilt(more, 0)), "a", far), null, "by the first link");
    assert.is(wayTo(netOf(spoilt(more, 1)), "a", far), null, "through its far end");
  }
  const { tests } = planOf(spoilt({ flap }, 2), { level: 2 });
  assert.equal(tests.filter((one) => one.level === 2), []);
});

test("wayTo() ends where routes go in a circle", () => {
  const ring = [
    aVnode("a", [aLink("ab", "10.0.1.1/24")], { routes: [{ to: "10.9.0.0/16", via: "10.0.1.2" }] }),
    aVnode("b", [aLink("ab", "10.0.1.2/24")], { routes: [{ to: "10.9.0.0/16", via: "10.0.1.1" }] }),
    aVnode("z", [aLink("far", "10.9.0.1/24")]),
  ];
  assert.is(wayTo(netOf(ring), "a", membersOf(ring[2]!)[0]!.address), null);
});

test("routeTests() asks each vnode for those that are not its neighbours", () => {
  const specs = line();
  const tests = routeTests(netOf(specs), specs.flatMap(membersOf), false);
  assert.equal(names(tests, "echo"), [
    "a/ab0 c/bc0",
    "a/ab0 d/cd0",
    "b/bc0 d/cd0",
    "c/bc0 a/ab0",
    "d/cd0 a/ab0",
    "d/cd0 b/ab0",
  ]);
});

test("silence is asked of twins, of the host, and of other experiments, each beside somebody who hears", () => {
  const { tests } = planOf([
    aVnode("a", [aLink("wire", ["10.1.0.1/24", "fd00:1::1/64"])], { experiment: "one" }),
    aVnode("b", [aLink("wire", ["10.1.0.2/24", "fd00:1::2/64"])], { experiment: "one" }),
    aVnode("c", [aLink("twin", "10.1.0.1/24")], { experiment: "two" }),
    aVnode("d", [aLink("twin", "10.1.0.2/24")], {
      experiment: "two",
      firewall: { style: "closed", rules: [] },
    }),
  ], { level: 5 });
  const silences = only(tests, "silence").map(({ from, to, address, control }) =>
    `${from.vnode} ${to === "host" ? to : to.vnode} ${address} ${
      control === "host" ? control : control.vnode
    }`
  );
  assert.equal(silences, [
    "a d 10.1.0.2 b",
    "c b 10.1.0.2 d",
    "a host ff02::1%wire0 b",
    "c a 172.16.0.97 host",
    "c b 172.16.0.98 host",
    "a c 172.16.0.99 host",
    "a d 172.16.0.100 host",
    "c d 172.16.0.100 host",
  ]);
});

const GROUND = {
  berth: [],
  lives: new Map(),
  bootId: "",
  jobs: 4,
  seconds: 5,
  startMs: 100,
  host: undefined as never,
};

test("packsOf() never needs more probes at once than asked for, and loses no test", () => {
  const lan = Array.from(
    { length: 12 },
    (_, at) => aVnode(`v${10 + at}`, [aLink("net", `10.1.0.${at + 1}/24`)]),
  );
  const { tests } = planOf(lan, { level: 3 });
  const packs = packsOf(tests, 5);
  assert.equal(packs.flatMap((pack) => pack.tests), tests);
  assert.ok(packs.every(({ agents }) => agents.size <= 5));
});

test("sessionOf() has every flow heard by the one it is sent to, and time for all of it", () => {
  const specs = line();
  const { tests } = planOf(specs, { level: 5 });
  for (const pack of packsOf(tests, 8)) {
    const { tasks, flows } = sessionOf(GROUND, pack);
    for (const one of pack.tests) {
      const { flow } = flows.get(one)!;
      const [from, to] = [tasks.get(one.from.vnode)!, tasks.get(one.to === "host" ? "" : one.to.vnode)!];
      if (one.kind === "silence" || one.kind === "rate") continue;
      const send = [...from.echoes, ...from.sends].find((task) => task.flow === flow)!;
      assert.ok(to.expect.includes(flow));
      const ms = send.waitMs + send.count * send.everyUs / 1000;
      assert.ok(from.untilMs > ms && to.untilMs > ms);
    }
  }
});

const way = (
  shape: Asked["shape"],
): readonly Asked[] => [{ link: "a/b", way: "egress", shape, device: "bif-1" }];
const end = { vnode: "a", link: "eth1", lan: "wire", address: "10.1.0.1", mtu: 1500 };

function sent(shape: Asked["shape"], again = false) {
  const test = { kind: "flow", level: 3, from: end, to: end, there: way(shape), back: [] } as const;
  return sendTask(GROUND, test, 1, 2, 3000, again);
}

test("sendTask() sends enough to see the loss, and never fills a slow link", () => {
  assert.equal([sent({}).count, sent({}).everyUs], [1000, 4000]);
  assert.is(sent({ lossPercent: 1 }).count, 3000);
  assert.is(sent({ lossPercent: 0.01 }).count, 20_000);
  const slow = sent({ rateBps: 64_000, lossPercent: 1 });
  const bits = (slow.bytes + 42) * 8;
  assert.ok(bits / (slow.everyUs / 1e6) <= 32_000, "half of the link at most");
  assert.ok(slow.count * slow.everyUs <= 20e6, "four times --seconds at most");
});

test("sendTask() takes all the time there is the second time, and sends no less", () => {
  const [once, again] = [sent({ lossPercent: 1 }), sent({ lossPercent: 1 }, true)];
  assert.is(again.count, once.count);
  assert.is(again.count * again.everyUs, 20e6);
  assert.ok(again.everyUs > once.everyUs);
});

test("floodOf() floods with more than the rate, by frames that are small beside the window", () => {
  const test = (shape: Asked["shape"], back: Asked["shape"] = {}) =>
    ({ kind: "rate", level: 4, from: end, to: end, there: way(shape), back: way(back) }) as const;
  const slow = floodOf(test({ rateBps: 64_000 }), 5, 1, 2, 3000);
  assert.equal([slow.tcp, slow.bytes], [false, 160]);
  assert.ok(slow.windowSeconds >= 500 * 202 * 8 / 64_000);
  assert.ok(slow.bps * 202 / 160 > 1.25 * 64_000);
  assert.is(floodOf(test({ rateBps: 10e6 }), 5, 1, 2, 3000).bytes, 1400);
  assert.is(floodOf(test({ rateBps: 50e6 }), 5, 1, 2, 3000).bytes, 60_000);
  assert.is(floodOf(test({ rateBps: 1e9 }), 5, 1, 2, 3000).tcp, true);
  assert.is(floodOf(test({ rateBps: 1e9, delayUs: 10 }), 5, 1, 2, 3000).tcp, false);
  assert.is(floodOf(test({ rateBps: 1e9 }, { rateBps: 64_000 }), 5, 1, 2, 3000).tcp, false);
  const lossy = floodOf(test({ rateBps: 1e6, lossPercent: 50 }), 5, 1, 2, 3000);
  assert.ok(lossy.bps > 2.3 * 1e6 * lossy.bytes / (lossy.bytes + 42));
});

/** Looks 0.2 s apart: bytes let out since the one before, and whether a queue stood. */
function looks(...steps: readonly (readonly [bytes: number, standing: boolean])[]): Counters[] {
  let bytes = 0;
  return steps.map(([more, standing], at) => {
    bytes += more;
    return { at: at / 5, tookSeconds: 0.01, bytes, standing, drops: 0 };
  });
}

test("rateOf() counts what went out while a queue stood", () => {
  const near = (found: number, wanted: number) => assert.ok(Math.abs(found - wanted) < 1e-6, String(found));
  const steady = rateOf(looks([0, true], [20, true], [20, true], [20, true]));
  near(steady.rateBps, 800);
  near(steady.seconds, 0.6);
  near(steady.blurSeconds, 0.01);
  assert.is(steady.full, true);
  // The sender slept before the fourth look.
  const starved = rateOf(looks([0, true], [20, true], [20, true], [3, false], [12, true], [20, true]));
  near(starved.rateBps, 800);
  near(starved.seconds, 0.6);
  near(starved.blurSeconds, 0.02);
  assert.is(starved.full, true);
  const slow = rateOf(looks([0, false], [10, false], [10, true], [10, false]));
  assert.equal([slow.full, Math.round(slow.rateBps)], [false, 400]);
});

test.run();
