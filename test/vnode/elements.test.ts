// What a vnode has in the firewall's sets, from its spec; and wiring that adds, changes and takes it away.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LinkSpec, VnodeSpec } from "../../lib/config/types.ts";
import { elementsOf, experimentNumber } from "../../lib/vnode/elements.ts";
import { linkLocal } from "../../lib/vnode/ipv6.ts";
import { strayElements } from "../../lib/vnode/element_steps.ts";
import { lifeOf } from "../../lib/vnode/life.ts";
import { bridgeName, hostEndName, lanAlias, tunnelName, vlanName } from "../../lib/vnode/names.ts";
import { ownChainName, ownChains } from "../../lib/vnode/vnode_rules.ts";
import { readHostView } from "../../lib/vnode/view.ts";
import { unwire, wire } from "../../lib/vnode/wire.ts";
import { wiringOf } from "../../lib/vnode/wiring.ts";
import { createFakeHost } from "../fake/host.ts";
import { FakeKernel } from "../fake/kernel.ts";

const END = hostEndName("left", "eth1");
const MAC = "02:00:00:00:01:01";

function specOf(link: Partial<LinkSpec> = {}, more: Partial<VnodeSpec> = {}): VnodeSpec {
  return {
    name: "left",
    image: "box",
    env: {},
    control: { address: "172.16.0.2", mac: "02:00:ac:10:00:02" },
    links: [{
      name: "eth1",
      lan: "wire",
      mac: MAC,
      mtu: 1500,
      addresses: ["10.1.0.1/24", "10.1.0.2/24", "fd00:1::1/64"],
      ingress: {},
      egress: {},
      ...link,
    }],
    routes: [],
    hosts: {},
    source: "test",
    ...more,
  };
}

const texts = (spec: VnodeSpec) =>
  elementsOf(spec).filter(({ table }) => table === "bridge berth").map(({ set, key }) => `${set}: ${key}`);

test("a guarded link may claim its own MAC and addresses, and the link-local one of that MAC", () => {
  assert.equal(texts(specOf()), []);
  assert.equal(texts(specOf({ antiSpoof: true })), [
    `lan_guarded: ${END}`,
    `lan_macs: ${END} . ${MAC}`,
    `lan_options: ${END} . ${MAC} . ${0x020000000101}`,
    `lan_four: ${END} . ${MAC} . 10.1.0.1`,
    `lan_four: ${END} . ${MAC} . 10.1.0.2`,
    `lan_six: ${END} . ${MAC} . fe80::ff:fe00:101`,
    `lan_targets: ${END} . ${MAC} . 0xfe80000000000000000000fffe000101`,
    `lan_six: ${END} . ${MAC} . fd00:1::1`,
    `lan_targets: ${END} . ${MAC} . 0xfd000001000000000000000000000001`,
  ]);
  assert.equal(texts(specOf({ host: true })), [`lan_host_ports: ${END}`]);
});

test("elementsOf() writes addresses as the kernel prints them, each once", () => {
  const written = [
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8::1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0:0:1::1", "2001:0:0:1::1"],
    ["fd00::2", "fd00::2"],
    ["64:ff9b::1", "64:ff9b::1"],
  ] as const;
  const addresses = written.map(([address]) => `${address}/64`);
  const six = texts(specOf({ antiSpoof: true, addresses })).filter((one) => one.startsWith("lan_six"));
  const printed = new Set(["fe80::ff:fe00:101", ...written.map(([, text]) => text)]);
  assert.equal(six, [...printed].map((text) => `lan_six: ${END} . ${MAC} . ${text}`));
});

test("linkLocal() is the address that the kernel makes of a MAC", () => {
  assert.is(linkLocal("02:00:00:00:01:01"), "fe80::ff:fe00:101");
  assert.is(linkLocal("52:54:00:12:34:56"), "fe80::5054:ff:fe12:3456");
});

async function wired(spec: VnodeSpec) {
  const made: { kernel?: FakeKernel } = {};
  const host = createFakeHost({ commands: [(command, machine) => made.kernel!.handle(command, machine)] });
  const kernel = made.kernel = new FakeKernel(host.machine);
  kernel.add(bridgeName("wire"), "bridge", { up: true, ifalias: lanAlias("wire") });
  const pid = kernel.start(spec.control.mac, spec.control.address);
  const life = (await lifeOf(host, "0123456789abcdef", pid))!;
  await wire(host, wiringOf(spec), life);
  return { host, kernel, pid, again: (other = spec) => wire(host, wiringOf(other), life) };
}

const keys = (
  kernel: FakeKernel,
  set: string,
) => [...kernel.elements.get(`bridge berth/${set}`)?.keys() ?? []];

test("wiring adds elements, changes only what differs, and takes away what is not wanted any more", async () => {
  const spec = specOf({ antiSpoof: true });
  const { host, kernel, pid, again } = await wired(spec);
  assert.equal(keys(kernel, "lan_guarded"), [END]);
  assert.is(keys(kernel, "lan_four").length, 2);
  assert.equal((await again()).steps, []);
  const fewer = await again(specOf({ antiSpoof: true, addresses: ["10.1.0.1/24", "fd00:1::1/64"] }));
  assert.equal(fewer.steps.map(({ resource, nft }) => [resource, nft?.length]), [["firewall left", 2]]);
  assert.equal(keys(kernel, "lan_four"), [`${END} . ${MAC} . 10.1.0.1`]);
  kernel.elements.get("bridge berth/lan_macs")!.clear();
  assert.equal((await again()).steps.map(({ why }) => why), ["not in lan_macs, lan_four"]);
  const unguarded = await again(specOf());
  assert.ok(unguarded.changed);
  assert.equal(keys(kernel, "lan_guarded"), []);
  await again(spec);
  kernel.die(pid);
  await unwire(host, "left", { spec });
  for (const set of ["lan_guarded", "lan_macs", "lan_four", "lan_six", "lan_targets", "lan_options"]) {
    assert.equal(keys(kernel, set), [], set);
  }
});

test("wiring takes what a link has in the firewall away with the link, and nothing of other vnodes", async () => {
  const { kernel, again } = await wired(specOf({ antiSpoof: true }));
  kernel.add("bve-0123456789a", "veth", { ifalias: "berth:v=right:l=eth1:g=x.1.2.3" });
  kernel.elements.get("bridge berth/lan_guarded")!.set("bve-0123456789a", "");
  await again({ ...specOf(), links: [] });
  assert.is(kernel.links.has(END), false);
  assert.equal(keys(kernel, "lan_guarded"), ["bve-0123456789a"]);
  for (const set of ["lan_macs", "lan_four", "lan_six", "lan_targets", "lan_options"]) {
    assert.equal(keys(kernel, set), [], set);
  }
});

test("strayElements() finds elements of none of the vnodes, and leaves the host's own alone", async () => {
  const spec = specOf({ antiSpoof: true });
  const { host, kernel } = await wired(spec);
  kernel.elements.get("bridge berth/lan_guarded")!.set("bve-0123456789a", "");
  kernel.elements.set("bridge berth/lan_uplinks", new Map([["ens4", ""]]));
  // Ports of lans that the host is on: a tunnel, a VLAN, a device.
  const ports = [tunnelName("wire"), vlanName("wire"), "ens4", "bve-0123456789b"];
  kernel.elements.set("bridge berth/lan_host_ports", new Map(ports.map((port) => [port, ""])));
  const view = await readHostView(host);
  assert.equal(strayElements(view, [wiringOf(spec)]).map(({ key }) => key), [
    "bve-0123456789b",
    "bve-0123456789a",
  ]);
});

const of = (spec: VnodeSpec, where: string) =>
  elementsOf(spec).filter(({ table, set }) => `${table}/${set}` === where).map((
    { key, data },
  ) => [key, data]);
const JUDGED = ["inet berth_vnodes/style_out", "inet berth_vnodes/style_in"] as const;

test("a control address is known, of its experiment, and judged as its firewall says", () => {
  const plain = specOf({}, { experiment: "pair" });
  const number = String(experimentNumber("pair"));
  assert.equal(of(plain, "inet berth_vnodes/known"), [["172.16.0.2", undefined]]);
  assert.equal(of(plain, "inet berth_vnodes/experiment_of"), [["172.16.0.2", number]]);
  assert.equal(of(plain, "inet berth_vnodes/members"), [[`172.16.0.2 . ${number}`, undefined]]);
  assert.is.not(experimentNumber("pair"), experimentNumber("other"));
  const styled = (firewall: VnodeSpec["firewall"]) =>
    JUDGED.map((where) => of(specOf({}, { firewall }), where)[0]?.[1]);
  assert.equal(styled(undefined), [undefined, undefined]);
  assert.equal(styled({ style: "open", rules: [] }), [undefined, undefined]);
  assert.equal(styled({ style: "basic", rules: [] }), [undefined, "jump basic_in"]);
  assert.equal(styled({ style: "closed", rules: [] }), ["jump closed_out", "jump closed_in"]);
  const own = `jump ${ownChainName("left", "in")}`;
  assert.equal(styled({ style: "basic", log: true, rules: [] }), [undefined, own]);
  assert.equal(styled({ style: "open", rules: [{ way: "in", verdict: "drop" }] }), [undefined, own]);
  const forwards = [{ protocol: "udp", port: 30053, to: 53 }] as const;
  assert.equal(of(specOf({}, { forwards }), "ip berth_nat/forwards"), [["udp . 30053", "172.16.0.2 . 53"]]);
});

test("a vnode's own chain says its rules, then its style, and accepts by returning", () => {
  const rules = [
    {
      way: "in",
      verdict: "accept",
      protocol: "tcp",
      ports: [[80, 80], [8000, 8010]],
      peers: ["192.0.2.0/24"],
    },
    { way: "out", verdict: "reject", protocol: "udp", peers: ["10.0.0.0/8"], log: true },
    { way: "in", verdict: "drop", protocol: "icmp" },
  ] as const;
  const chains = ownChains(
    specOf({}, { gateway: "172.16.0.1", firewall: { style: "basic", log: true, rules } }),
  );
  const note = (way: string) => `limit rate 10/minute log prefix "berth ${way} left: " level notice`;
  assert.equal(chains, [{
    name: ownChainName("left", "in"),
    rules: [
      "ct state established,related return",
      "tcp dport { 80, 8000-8010 } ip saddr { 192.0.2.0/24 } counter return",
      "meta l4proto icmp counter drop",
      "ct state established,related return",
      "tcp dport 22 return",
      "icmp type echo-request return",
      note("in"),
      "counter drop",
    ],
  }, {
    name: ownChainName("left", "out"),
    rules: [
      "ct state established,related return",
      `meta l4proto udp ip daddr { 10.0.0.0/8 } ${note("out")}`,
      "meta l4proto udp ip daddr { 10.0.0.0/8 } counter reject with icmpx admin-prohibited",
    ],
  }]);
});

test("a vnode with another style has its entry changed in one transaction", async () => {
  const spec = specOf({}, { firewall: { style: "basic", rules: [] } });
  const { again } = await wired(spec);
  const { steps } = await again(specOf({}, { firewall: { style: "closed", rules: [] } }));
  assert.equal(steps.map(({ nft }) => nft), [
    ["add element inet berth_vnodes style_out { 172.16.0.2 : jump closed_out }"],
    [
      "delete element inet berth_vnodes style_in { 172.16.0.2 }",
      "add element inet berth_vnodes style_in { 172.16.0.2 : jump closed_in }",
    ],
  ]);
});

test.run();
