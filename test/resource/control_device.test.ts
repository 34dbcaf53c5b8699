// A device's facts as `ip` of iproute2 6.1 told them, and the lines that carry them to the bridge and back.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Command, Look } from "../../lib/host/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { foreignSources, gatewaysOf } from "../../lib/resource/control_device/batch.ts";
import { controlDevice, refusals, withoutOwn } from "../../lib/resource/control_device/device.ts";
import { type DeviceFacts, deviceFacts } from "../../lib/resource/control_device/facts.ts";
import { DEVICE_MARK, type Move, moveLines, moveOps } from "../../lib/resource/control_device/move.ts";
import { findUplinks } from "../../lib/resource/control_device/uplink.ts";

const ANSWERS: Readonly<Record<string, string>> = {
  "-j -d addr show": "addr.json",
  "-N -d -o -4 route show table all": "route4.txt",
  "-N -d -o -6 route show table all": "route6.txt",
  "-4 rule show": "rule4.txt",
  "-6 rule show": "rule6.txt",
  "-j neigh show": "neigh.json",
};
const DEFAULT = '[{"dst":"default","gateway":"198.51.100.1","dev":"ens3"}]';

/** A look that answers from the captured files. */
const LOOK = {
  query({ argv }: Command) {
    const asked = argv.slice(1).join(" ");
    if (asked === "-j -4 route show default") {
      return Promise.resolve({ exit: 0, stdout: DEFAULT, stderr: "", ms: 0 });
    }
    const path = new URL(`../fixtures/ip/6.1-uplink-${ANSWERS[asked]}`, import.meta.url);
    return Promise.resolve({ exit: 0, stdout: readFileSync(path, "utf8"), stderr: "", ms: 0 });
  },
} as unknown as Look;

const facts = async () => (await deviceFacts(LOOK, "ens3"))!;
const BRIDGE: DeviceFacts = {
  name: "_dockercnet",
  mac: "02:00:ac:10:00:01",
  mtu: 1500,
  up: true,
  master: null,
  kind: "bridge",
  type: "ether",
  alias: "berth control network",
  addrgenmode: "none",
  addresses: [{ family: "inet", local: "172.16.0.1", prefixlen: 12, scope: "global" }],
  routes4: ["unicast 172.16.0.0/12 dev _dockercnet table 254 proto 2 scope 253 src 172.16.0.1"],
  routes6: [],
  rules4: [],
  rules6: [],
  neighbours: [{ dst: "172.16.0.9", lladdr: "02:00:ac:10:00:09", state: ["REACHABLE"] }],
  riders: [],
};
const OPTIONS = {
  bridge: "_dockercnet",
  address: "172.16.0.1/12",
  mac: "02:00:ac:10:00:01",
  timeoutMs: 20_000,
};

async function move(): Promise<Move> {
  const device = await facts();
  return {
    facts: device,
    device: "ens3",
    bridge: "_dockercnet",
    way: "in",
    isPort: false,
    mac: device.mac,
    mtu: device.mtu,
    alone: { mac: BRIDGE.mac, mtu: 1500 },
    before: { alias: "the uplink", addrgenmode: "eui64" },
    parameters: {},
    timeoutMs: 20_000,
  };
}

test("deviceFacts() leaves out what the kernel makes with addresses, and states that are no route's", async () => {
  const { routes4, routes6, rules4, rules6 } = await facts();
  assert.equal(routes4.map((line) => line.split(" ").slice(0, 2).join(" ")), [
    "unicast 10.60.0.0/16",
    "unicast 10.62.0.0/16",
    "unicast default",
    "unicast 10.70.0.0/16",
    "unicast 10.77.0.2",
    "unicast 192.0.2.0/28",
    "unicast 198.51.100.0/24",
  ]);
  assert.not.match([...routes4, ...routes6].join("\n"), /sec\b|linkdown|\\/);
  assert.equal(rules4, ["500 from all iif ens3 lookup 100"]);
  assert.equal(rules6, ["600 from all oif ens3 lookup 101"]);
});

test("moveLines() adds before it takes, keeps every part, and tells IPv6's default route from IPv4's", async () => {
  const { forward } = moveLines(await move());
  const at = (part: string) => {
    const found = forward.main.findIndex((line) => line.includes(part));
    assert.ok(found >= 0, `${part} in\n${forward.main.join("\n")}`);
    return found;
  };
  const joined = at("link set dev ens3 master _dockercnet");
  assert.ok(
    at("addr replace 198.51.100.2/24 broadcast 198.51.100.255 scope global dev _dockercnet") < joined,
  );
  assert.ok(at("link set dev _dockercnet mtu 1400 address 52:54:00:12:34:56") < joined);
  assert.ok(joined < at("neigh replace 198.51.100.9 lladdr 02:00:00:00:99:09 nud permanent dev _dockercnet"));
  assert.ok(at("route replace unicast 10.62.0.0/16 dev _dockercnet table 100") < at("unicast default via"));
  at("label _dockercnet:web");
  at("addr replace 10.77.0.1 peer 10.77.0.2/32");
  at("192.0.2.9/28 scope global dev _dockercnet metric 42");
  at("nodad");
  assert.match(
    forward.main.join("\n"),
    /2001:db8::7\/64 .*valid_lft 71\d\d preferred_lft 35\d\d|valid_lft 7200/,
  );
  at("nexthop via 198.51.100.1 dev _dockercnet weight 2 nexthop via 198.51.100.3 dev _dockercnet weight 1");
  at("route replace unicast ::/0 via 2001:db8::1 dev _dockercnet");
  at("rule add pref 500 from all iif _dockercnet lookup 100");
  assert.is(forward.main.at(-1), "addr flush dev ens3");
  assert.not.match(forward.main.join("\n"), /route replace unicast 198\.51\.100\.0\/24|fe80::\/64/);
  assert.ok(forward.six.includes("rule del pref 600 from all oif ens3 lookup 101"));
  // Numbers only: "proto dhcp" after "proto 3" would be taken for 3 in a batch.
  assert.not.match(forward.main.join("\n"), /proto [a-z]/);
});

test("moveLines() gives the device back as it was: alias, way of addressing, the bridge's own MAC", async () => {
  const { back } = moveLines(await move());
  for (
    const line of [
      "link set dev ens3 nomaster",
      'link set dev ens3 alias "the uplink"',
      "link set dev ens3 addrgenmode eui64",
      "link set dev _dockercnet mtu 1500 address 02:00:ac:10:00:01",
      "addr del 10.77.0.1 peer 10.77.0.2/32 dev _dockercnet",
    ]
  ) assert.ok(back.main.includes(line), line);
  assert.not.match(back.main.join("\n"), /addr flush/);
  const removed = back.main.filter((line) => line.startsWith("addr del 198"));
  assert.match(removed.join(), /198\.51\.100\.7.*198\.51\.100\.2/, "a subnet's first address goes last");
});

test("moveOps() rehearses and asks the gateways before anything is armed, and confirms last", async () => {
  const verbs = moveOps(await move()).flatMap((op) =>
    "run" in op && op.run.argv[0] === "sh" ? [op.run.argv[2]] : []
  );
  assert.equal(verbs, ["rehearse", "probe", "arm", "confirm"]);
});

test("gatewaysOf() names default routes' gateways, foreignSources() addresses of elsewhere", async () => {
  const device = await facts();
  assert.equal(gatewaysOf(device), ["198.51.100.1", "2001:db8::1"]);
  assert.equal(foreignSources(device), []);
  assert.equal(foreignSources({ ...device, addresses: [] }), [
    "192.0.2.9",
    "10.77.0.1",
    "198.51.100.2",
  ]);
});

test("withoutOwn() leaves the host's alias, its route and vnodes on the bridge", async () => {
  const device = await facts();
  const on = {
    ...BRIDGE,
    addresses: [...BRIDGE.addresses, ...device.addresses],
    routes4: [...BRIDGE.routes4, ...device.routes4],
    neighbours: [...BRIDGE.neighbours, ...device.neighbours],
  };
  const left = withoutOwn(on, "172.16.0.1/12");
  assert.equal(left.addresses, device.addresses);
  assert.equal(left.routes4, device.routes4);
  assert.equal(left.neighbours, device.neighbours);
});

test("refusals() says of each device why it cannot be a port", async () => {
  const device = await facts();
  assert.equal(refusals(device, "_dockercnet"), []);
  const odd: DeviceFacts = {
    ...device,
    kind: "bridge",
    type: "ppp",
    master: "bond0",
    up: false,
    riders: ["macvtap0"],
    routes4: ["unicast default nhid 7 via 198.51.100.1 dev ens3"],
  };
  assert.equal(refusals(odd, "_dockercnet"), [
    'it is of type "ppp", wanted Ethernet',
    "it is a bridge itself, and a bridge cannot be a port",
    'it is a port of "bond0"',
    "it is down",
    "macvtap0 take its frames before a bridge could",
    "routes use nexthop objects",
  ]);
});

test("controlDevice() has nothing to do where all is on the bridge, and sees what somebody put back", async () => {
  const device = await facts();
  const bare = { ...device, master: "_dockercnet", addresses: [], routes4: [], routes6: [] };
  const moved: DeviceFacts = { ...bare, rules4: [], rules6: [], alias: DEVICE_MARK };
  const bridge = { ...BRIDGE, mac: device.mac, mtu: device.mtu };
  const parameters = { device: {}, bridge: {} };
  const { diff, revert, prior } = controlDevice("ens3", OPTIONS);
  assert.equal(diff({ device: moved, bridge, parameters }), []);
  const [again] = diff({ device: { ...moved, addresses: device.addresses }, bridge, parameters });
  assert.match(again!.why, /^still has 198\.51\.100\.2\/24/);
  const [first] = diff({ device, bridge: BRIDGE, parameters });
  assert.is(first!.risk, "disruptive");
  const before = prior({ device, bridge: BRIDGE, parameters });
  assert.equal(JSON.parse(JSON.stringify(before)), before);
  assert.is(revert(before, { device: moved, bridge, parameters }).length, 1);
  assert.equal(revert(before, { device, bridge: BRIDGE, parameters }), [], "given back already");
  assert.throws(
    () => diff({ device: null, bridge: BRIDGE, parameters }),
    (error: BerthError) => error.code === "missing",
  );
});

test("controlDevice() moves nothing whose loss nobody would tell, and names whom one could ask", async () => {
  const device = await facts();
  const direct = device.routes4.filter((line) => !/ via |nexthop/.test(line));
  const lone: DeviceFacts = { ...device, routes4: direct, routes6: [] };
  assert.equal(gatewaysOf(lone), []);
  const parameters = { device: {}, bridge: {} };
  const change = (found: DeviceFacts, probe?: readonly string[]) =>
    controlDevice("ens3", { ...OPTIONS, ...probe === undefined ? {} : { probe } })
      .diff({ device: found, bridge: BRIDGE, parameters });
  const refusal = (found: DeviceFacts, probe?: readonly string[]) => {
    try {
      return change(found, probe).length === 0 ? "nothing" : "moved";
    } catch (error) {
      const { code, message, next } = error as BerthError;
      assert.is(code, "refused");
      return `${message} | ${next}`;
    }
  };
  assert.match(
    refusal(lone),
    /Nobody would tell .*"ens3".* no route of it names a gateway, and it has 198\.51\.100\.2\/24/,
  );
  assert.match(refusal(lone), /controlNet, those of its neighbours.*: probe: \["[0-9a-f.:]+"/);
  assert.match(refusal({ ...lone, neighbours: [] }), "probe: [ADDRESS]");
  assert.match(
    refusal(lone, ["203.0.113.9"]),
    'names "203.0.113.9", which is no neighbour on "ens3": it has 198.51.100.0/24',
  );
  assert.is(refusal(lone, ["198.51.100.9", "fe80::1"]), "moved");
  assert.is(refusal(lone, []), "moved");
  assert.is(refusal(device), "moved", "its gateways are asked");
  const dark = { ...lone, addresses: lone.addresses.filter(({ scope }) => scope === "link"), routes4: [] };
  assert.is(refusal(dark), "moved", "it carries nobody");

  const script = (ops: ReturnType<typeof change>) =>
    ops[0]!.do.flatMap((op) => "write" in op && op.write.endsWith("/switch") ? [op.text] : []).join();
  assert.match(script(change(lone, ["198.51.100.9"])), 'gateways="198.51.100.9"');
  assert.match(script(change(device, ["198.51.100.9"])), 'gateways="198.51.100.9"');
  assert.match(script(change(device, [])), 'gateways=""');
});

test("findUplinks() takes the default route's device for auto, and nothing for none", async () => {
  const place = { bridge: "_dockercnet", address: "172.16.0.1" };
  assert.equal(await findUplinks(LOOK, { ...place, device: undefined }), { wanted: null, moved: null });
  const { wanted } = await findUplinks(LOOK, { ...place, device: "auto" });
  assert.equal(wanted, {
    name: "ens3",
    mtu: 1400,
    subnets: ["10.77.0.2/32", "192.0.2.0/28", "198.51.100.0/24"],
  });
});

/** A look at a machine whose default route goes over the bridge, and whose device has left it. */
function fallenOut(alias: string | undefined, journal: string | null = null): Look {
  const link = (ifname: string, more: object) => ({ ifname, mtu: 1500, link_type: "ether", ...more });
  const links = [
    link("lo", { link_type: "loopback" }),
    link("_dockercnet", { linkinfo: { info_kind: "bridge" } }),
    link("ens3", { ifalias: alias }),
    link("ens4", {}),
    link("ens5", { master: "bond0" }),
    link("veth1", { master: "_dockercnet", linkinfo: { info_kind: "veth" } }),
  ];
  return {
    readText: () => Promise.resolve(journal),
    query: ({ argv }: Command) =>
      Promise.resolve({
        exit: 0,
        stdout: argv.includes("addr") ? JSON.stringify(links) : '[{"dst":"default","dev":"_dockercnet"}]',
        stderr: "",
        ms: 0,
      }),
  } as unknown as Look;
}

test("findUplinks() knows a device that fell out of the bridge by its mark", async () => {
  const place = { bridge: "_dockercnet", address: "172.16.0.1", device: "auto" };
  const { wanted, moved } = await findUplinks(fallenOut(DEVICE_MARK), place);
  assert.is(wanted?.name, "ens3");
  assert.is(moved, null);
  const refusal = async (journal: string | null) =>
    await findUplinks(fallenOut(undefined, journal), place)
      .then(() => null, (error) => error as BerthError);
  const guessed = await refusal(null);
  assert.match(guessed!.message, 'the default route goes over "_dockercnet", which has no device');
  assert.match(
    guessed!.next ?? "",
    /^Write "controlNet: { device: NAME }" .* \(ens3, ens4\), then run: berth host up/,
  );
  const line = (name: string) =>
    `${
      JSON.stringify({
        begin: `control device ${name}`,
        ...{ prior: {}, bootId: "b", volatile: true, time: "", verb: "update", why: "" },
      })
    }\n`;
  const known = await refusal(line("ens3") + line("gone0"));
  assert.match(
    known!.next ?? "",
    /^Write "controlNet: { device: ens3 }" into host.yaml, which berth had moved/,
  );
});

/** A look at a machine whose bridge has these ports. */
function withPorts(bears: readonly string[], ports: readonly object[]): Look {
  const addresses = bears.map((local) => ({ family: "inet", local, prefixlen: 24, scope: "global" }));
  const bridge = { ifname: "_dockercnet", linkinfo: { info_kind: "bridge" }, addr_info: addresses };
  const links = [bridge, ...ports.map((one) => ({ master: "_dockercnet", ...one }))];
  return {
    query: () => Promise.resolve({ exit: 0, stdout: JSON.stringify(links), stderr: "", ms: 0 }),
  } as unknown as Look;
}

test("findUplinks() knows the machine's device in the bridge without a mark, and guests for none", async () => {
  const moved = async (bears: readonly string[], ...ports: object[]) =>
    (await findUplinks(withPorts(bears, ports), {
      bridge: "_dockercnet",
      address: "172.16.0.1",
      device: undefined,
    })).moved;
  const veth = { ifname: "veth12", linkinfo: { info_kind: "veth" } };
  const tap = { ifname: "tap0", linkinfo: { info_kind: "tun" } };
  assert.is(await moved(["172.16.0.1", "198.51.100.2"], veth, { ifname: "eth0" }), "eth0");
  assert.is(await moved(["172.16.0.1"], veth, tap, { ifname: "eth0" }), "eth0", "its lease is to come");
  assert.is(await moved(["172.16.0.1"], { ifname: "bond0.5", linkinfo: { info_kind: "vlan" } }), "bond0.5");
  assert.is(await moved(["172.16.0.1"], veth, tap), null);
  const odd = { ifname: "uplink", linkinfo: { info_kind: "veth" } };
  assert.is(await moved(["172.16.0.1"], veth, odd), null);
  assert.is(await moved(["172.16.0.1", "198.51.100.2"], veth, odd), "uplink");
  assert.is(await moved([], { ifname: "eth0" }, { ...odd, ifalias: DEVICE_MARK }), "uplink");
});

test("controlDevice() marks what its manager has made a port by berth's files, and nothing else's", async () => {
  const device = await facts();
  const bare = { ...device, master: "_dockercnet", addresses: [], routes4: [], routes6: [] };
  const port: DeviceFacts = { ...bare, rules4: [], rules6: [], alias: "" };
  const found = {
    device: port,
    bridge: { ...BRIDGE, mac: device.mac, mtu: device.mtu },
    parameters: { device: {}, bridge: {} },
  };
  assert.equal(controlDevice("ens3", OPTIONS).diff(found), []);
  const { diff } = controlDevice("ens3", { ...OPTIONS, mark: true });
  const [change] = diff(found);
  assert.equal([change!.risk, change!.do.length], ["safe", 1]);
  assert.match(JSON.stringify(change!.do), `link set dev ens3 alias`);
  assert.equal(diff({ ...found, device: { ...port, alias: DEVICE_MARK } }), []);
  assert.equal(diff({ ...found, device: { ...port, alias: "the operator's" } }), []);
});

test.run();
