// What follows for one vnode from the others: completed specs, who hands on, the block in /etc/hosts, and what a running
// life is given when any of it changes.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import type { Config, RouteSpec } from "../../lib/config/types.ts";
import { withBlock } from "../../lib/vnode/hosts_file.ts";
import { networkSteps } from "../../lib/vnode/network_steps.ts";
import { resolverOf } from "../../lib/vnode/topology.ts";
import { HOSTS_BEGIN, HOSTS_END, routeLines, type Wiring, wiringOf } from "../../lib/vnode/wiring.ts";

const LANS = {
  x: { subnets: ["10.1.0.0/24", "fd00:1::/64"] },
  y: { subnet: "10.2.0.0/24" },
  z: { subnet: "10.3.0.0/24" },
};
const link = (lan: string, address: string, more: object = {}) => ({ lan, address, ...more });
const image = "box";

function config(file: object, name = "line"): Config {
  return parseConfig([{ path: `/etc/berth/vnodes.d/${name}.json`, text: JSON.stringify(file) }]);
}

const line = (routing?: string) =>
  config({
    ...(routing === undefined ? {} : { routing }),
    lans: LANS,
    vnodes: {
      va: { image, links: [link("x", "10.1.0.1")] },
      vb: { image, links: [link("x", "10.1.0.2"), link("y", "10.2.0.2")] },
      vc: {
        image,
        links: [link("y", "10.2.0.3"), link("z", "10.3.0.3")],
        routing: "manual",
        forwarding: true,
      },
      vd: {
        image,
        links: [link("z", "10.3.0.4")],
        routing: "manual",
        routes: [{ to: "10.1.0.0/24", via: "10.3.0.3" }],
      },
    },
  });

test("a file is an experiment; its routing holds for whoever says nothing else", () => {
  const { vnodes } = line("static");
  assert.equal(
    vnodes.map(({ name, experiment, routing, forwarding }) => ({ name, experiment, routing, forwarding })),
    [
      { name: "va", experiment: "line", routing: "static", forwarding: false },
      { name: "vb", experiment: "line", routing: "static", forwarding: true },
      { name: "vc", experiment: "line", routing: undefined, forwarding: true },
      { name: "vd", experiment: "line", routing: undefined, forwarding: false },
    ],
  );
  const [named] = config({ experiment: "other", vnodes: { va: { image } } }).vnodes;
  assert.is(named!.experiment, "other");
  const [single] = config({ name: "va", image, experiment: "mine" }).vnodes;
  assert.is(single!.experiment, "mine");
  assert.is(config({ name: "va", image }).vnodes[0]!.experiment, undefined);
});

test("whoever another's route leads by hands on, on its lan only, unless it says no", () => {
  const forwarding = (more: object) =>
    config({
      lans: { ...LANS, twin: { subnet: "10.1.0.0/24" } },
      vnodes: {
        va: { image, links: [link("x", "10.1.0.1")], routes: [{ to: "10.9.0.0/16", via: "10.1.0.2" }] },
        vb: { image, links: [link("x", "10.1.0.2")], ...more },
        vt: { image, links: [link("twin", "10.1.0.2")] },
      },
    }).vnodes.map((vnode) => vnode.forwarding);
  assert.equal(forwarding({}), [false, true, false]);
  assert.equal(forwarding({ forwarding: false }), [false, false, false]);
});

test("resolverOf() completes specs, again and again to the same, and only with their own experiment", () => {
  const { vnodes, lans } = line("static");
  const [stranger] = config({ vnodes: { vs: { image, links: [] } } }, "elsewhere").vnodes;
  const all = [...vnodes, stranger!];
  const once = all.map(resolverOf(all, lans));
  assert.equal(once.map(resolverOf(once, lans)), once);
  const [va] = once;
  assert.equal(va!.routes, [
    { to: "10.2.0.0/24", via: "10.1.0.2", computed: true },
    { to: "10.3.0.0/24", via: "10.1.0.2", computed: true },
  ]);
  assert.equal(va!.names, [
    "10.1.0.2\tvb-x vb-0 vb",
    "10.2.0.2\tvb-y vb-1",
    "10.2.0.3\tvc-y vc-0 vc",
    "10.3.0.3\tvc-z vc-1",
    "10.3.0.4\tvd-z vd-0 vd",
  ]);
  assert.equal(once[2]!.routes, [], "manual: none but the written ones");
  assert.is(once.at(-1)!.names, undefined);
  // One goes: what was computed with it is computed anew.
  const left = once.filter((spec) => spec.name !== "vc");
  assert.equal(left.map(resolverOf(left, lans))[0]!.routes, [{
    to: "10.2.0.0/24",
    via: "10.1.0.2",
    computed: true,
  }]);
});

const wiring = (routes: readonly RouteSpec[], more: Partial<Wiring> = {}): Wiring => ({
  ...wiringOf(line().vnodes[0]!),
  routes,
  ...more,
});

test("the gateway is the default route unless another is written, for IPv4", () => {
  assert.equal(routeLines(wiring([])), ["route replace default via 172.16.0.1"]);
  const six = { to: "default", via: "fd00:1::2" };
  assert.equal(routeLines(wiring([six])), [
    "route replace default via 172.16.0.1",
    "route replace ::/0 via fd00:1::2",
  ]);
  assert.equal(routeLines(wiring([{ to: "default", via: "10.1.0.2" }])), [
    "route replace default via 10.1.0.2",
  ]);
  assert.equal(routeLines(wiring([], { gateway: null })), []);
});

test("networkSteps(): what goes, goes first and whether it is there or not; what differs is replaced", () => {
  const lines = (before: Wiring, after: Wiring) =>
    networkSteps(before, after).flatMap((step) => step.inside ?? []);
  const [a, b, six] = [
    { to: "10.2.0.0/24", via: "10.1.0.2" },
    { to: "10.3.0.0/24", via: "10.1.0.2" },
    { to: "fd00:9::/64", via: "fe80::1", dev: "eth1" },
  ];
  assert.equal(lines(wiring([a]), wiring([a])), []);
  assert.equal(lines(wiring([a]), wiring([a, b, six])), [
    "route replace 10.3.0.0/24 via 10.1.0.2",
    "route replace fd00:9::/64 via fe80::1 dev eth1",
  ]);
  assert.equal(lines(wiring([a, six]), wiring([{ ...a, via: "10.1.0.3" }])), [
    "route replace blackhole fd00:9::/64 metric 1024",
    "route del fd00:9::/64 dev lo metric 1024",
    "route replace 10.2.0.0/24 via 10.1.0.3",
  ]);
  assert.equal(lines(wiring([{ to: "default", via: "10.1.0.9" }]), wiring([])), [
    "route replace default via 172.16.0.1",
  ]);
  const on = wiring([], { sysctls: [["net/ipv4/ip_forward", "1"]] });
  const off = wiring([], { sysctls: [["net/ipv4/ip_forward", "0"]] });
  assert.equal(networkSteps(off, on).flatMap((step) => step.sysctls ?? []), [["net/ipv4/ip_forward", "1"]]);
  assert.equal(networkSteps(on, on), []);
});

test("withBlock() puts our block where it was, once, and leaves all other lines alone", () => {
  const block = fc.array(fc.stringMatching(/^10\.0\.0\.\d\t[a-z]{1,5}$/), { maxLength: 3 }).map((lines) =>
    lines.length === 0 ? "" : [HOSTS_BEGIN, ...lines, HOSTS_END, ""].join("\n")
  );
  const others = fc.array(fc.stringMatching(/^[a-z0-9.: #]{0,12}$/), { maxLength: 3 }).map((lines) =>
    lines.map((line) => `${line}\n`).join("")
  );
  fc.assert(
    fc.property(others, others, block, block, (head, tail, first, second) => {
      const once = withBlock(head, first) + tail;
      assert.is(withBlock(once, first), first === "" ? once : head + first + tail);
      const twice = withBlock(once, second);
      if (first !== "") assert.is(twice, head + second + tail);
      assert.is(withBlock(twice, second), twice);
    }),
    { numRuns: 300, seed: 1 },
  );
  assert.is(
    withBlock("127.0.0.1 localhost", `${HOSTS_BEGIN}\n${HOSTS_END}\n`),
    `127.0.0.1 localhost\n${HOSTS_BEGIN}\n${HOSTS_END}\n`,
  );
  // Cut off within: what follows is ours.
  assert.is(withBlock(`a\n${HOSTS_BEGIN}\n10.0.0.1\tb`, ""), "a\n");
});

test.run();
