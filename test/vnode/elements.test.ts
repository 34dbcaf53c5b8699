// What a vnode has in the firewall's sets, from its spec; and wiring that adds, changes and takes it away.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LinkSpec, VnodeSpec } from "../../lib/config/types.ts";
import { elementsOf, ipv6Text } from "../../lib/vnode/elements.ts";
import { strayElements } from "../../lib/vnode/element_steps.ts";
import { lifeOf } from "../../lib/vnode/life.ts";
import { bridgeName, hostEndName, lanAlias } from "../../lib/vnode/names.ts";
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

test("ipv6Text() writes addresses as the kernel prints them", () => {
  for (
    const [digits, text] of [
      ["fe80000000000000000000fffe000101", "fe80::ff:fe00:101"],
      ["fd000001000000000000000000000001", "fd00:1::1"],
      ["20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
      ["20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
      ["fd000000000000000000000000000000", "fd00::"],
      ["0064ff9b000000000000000000000001", "64:ff9b::1"],
      ["20010000000000010000000000000001", "2001:0:0:1::1"],
    ] as const
  ) assert.is(ipv6Text(digits), text);
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

test("strayElements() finds elements of none of the vnodes, and leaves the host's own alone", async () => {
  const spec = specOf({ antiSpoof: true });
  const { host, kernel } = await wired(spec);
  kernel.elements.get("bridge berth/lan_guarded")!.set("bve-0123456789a", "");
  kernel.elements.set("bridge berth/lan_uplinks", new Map([["ens4", ""]]));
  const view = await readHostView(host);
  assert.equal(strayElements(view, [wiringOf(spec)]).map(({ key }) => key), ["bve-0123456789a"]);
});

test.run();
