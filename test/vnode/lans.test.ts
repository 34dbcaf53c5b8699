// What joins lans to the world, as configuration and as lines for the kernel: what is refused and why, what is made
// from what was found. The kernel itself is asked in test/laws/kernel.test.ts and test/sandbox/lans.test.ts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import type { LanSpec } from "../../lib/config/types.ts";
import type { Command, Look } from "../../lib/host/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import type { AnyResource } from "../../lib/resource/ensure.ts";
import { mergedSteps } from "../../lib/resource/merge.ts";
import type { Change, Ensured } from "../../lib/resource/types.ts";
import { lanUplink } from "../../lib/vnode/lan_uplink.ts";
import { ensureLans } from "../../lib/vnode/lans.ts";
import {
  bridgeName,
  lanAlias,
  lanTableName,
  macvlanBridgeName,
  parseLanAlias,
  tunnelName,
  vlanName,
} from "../../lib/vnode/names.ts";
import { hostLinkLines, wiringOf } from "../../lib/vnode/wiring.ts";

function parse(lans: Record<string, object>, links: readonly object[] = [], host?: object) {
  const vnodes = Object.fromEntries(links.map((link, at) => [`vnode${at}`, { image: "box", links: [link] }]));
  const text = JSON.stringify({ lans, vnodes });
  return parseConfig([
    { path: "/etc/berth/vnodes.d/one.json", text },
    ...(host === undefined ? [] : [{ path: "/etc/berth/host.json", text: JSON.stringify(host) }]),
  ]);
}

/** Messages by place of all that is wrong. */
function faults(...args: Parameters<typeof parse>): Record<string, string> {
  try {
    parse(...args);
  } catch (error) {
    assert.instance(error, BerthError);
    return Object.fromEntries(
      ((error as BerthError).issues ?? []).map((issue) => [issue.path ?? issue.place ?? "", issue.message]),
    );
  }
  return {};
}

const subnet = "10.1.0.0/24";
const WIDE = { subnet, vxlan: { id: 7, peers: ["192.0.2.2"] } };

test("a lan's normal form says what it is joined to, and no more", () => {
  const { lans } = parse({
    plain: { subnet },
    wide: WIDE,
    tagged: { subnet, device: "ens4", vlan: 100 },
    seen: { subnet, host: ["10.1.0.254"], learning: false },
    own: { subnet, driver: "macvlan", device: "eth0" },
  });
  const base = { subnets: [subnet], mtu: 1500 };
  assert.equal(lans, [
    { name: "plain", ...base },
    { name: "wide", ...base, vxlan: { id: 7, peers: ["192.0.2.2"], port: 4789 } },
    { name: "tagged", ...base, device: "ens4", vlan: 100 },
    { name: "seen", ...base, learning: false, host: ["10.1.0.254/24"] },
    { name: "own", ...base, driver: "macvlan", device: "eth0" },
  ]);
});

test("a link has from its lan what its wiring needs", () => {
  const link = (lan: object) => parse({ wire: lan }, [{ lan: "wire" }]).vnodes[0]!.links[0]!;
  const of = (lan: object) => {
    const { driver, parent, learning, host } = link(lan);
    return { driver, parent, learning, host };
  };
  const none = { driver: undefined, parent: undefined, learning: undefined, host: undefined };
  assert.equal(of({}), none);
  assert.equal(of({ learning: false, subnet, host: ["10.1.0.9"] }), { ...none, learning: false, host: true });
  assert.equal(of({ driver: "macvlan" }), { ...none, driver: "macvlan" });
  assert.equal(of({ driver: "macvlan", device: "ens4" }), { ...none, driver: "macvlan", parent: "ens4" });
  const parents = [{}, { device: "ens4" }, { device: "ens4", vlan: 5 }].map((more) => {
    const [spec] = parse({ wire: { driver: "macvlan", ...more } }, [{ lan: "wire" }]).vnodes;
    const wiring = wiringOf(spec!);
    assert.match(hostLinkLines(wiring, wiring.links[0]!, "42", "g").join(), "type macvlan mode bridge");
    return wiring.links[0]!.parent;
  });
  assert.equal(parents, [macvlanBridgeName("wire"), "ens4", vlanName("wire")]);
});

test("what does not go together is refused, all at once, each with its place", () => {
  assert.equal(
    Object.keys(faults({
      both: { ...WIDE, device: "ens4" },
      macvlan: { driver: "macvlan", learning: false, subnet, host: ["10.1.0.1"], antiSpoof: true },
      loose: { vlan: 5 },
      mixed: { vxlan: { id: 1, peers: ["192.0.2.2", "2001:db8::2", "192.0.2.2"] } },
      six: { vxlan: { id: 2, peers: ["2001:db8::2"] } },
      self: { vxlan: { id: 3, peers: ["192.0.2.1"], local: "192.0.2.1" } },
      alien: { vxlan: { id: 4, peers: ["192.0.2.2"], local: "2001:db8::1" } },
    })).sort(),
    [
      "lans.alien.vxlan.local",
      "lans.both.vxlan",
      "lans.loose.vlan",
      "lans.macvlan.antiSpoof",
      "lans.macvlan.host",
      "lans.macvlan.learning",
      "lans.mixed.vxlan.peers[1]",
      "lans.mixed.vxlan.peers[2]",
      "lans.self.vxlan.peers[0]",
      "lans.six.vxlan",
    ],
  );
  const link = { lan: "wire", rate: "1mbit", egress: { delay: "1ms" } };
  assert.equal(Object.keys(faults({ wire: { driver: "macvlan" } }, [link])).sort(), [
    "vnodes.vnode0.links[0].egress",
    "vnodes.vnode0.links[0].rate",
  ]);
});

test("what only one lan can have is refused to the second, whatever the files", () => {
  const twice = (one: object, other: object) => Object.keys(faults({ one, other }));
  assert.equal(twice({ device: "ens4" }, { device: "ens4" }), ["lans.other.device"]);
  assert.equal(twice({ device: "ens4" }, { device: "ens4", driver: "macvlan" }), ["lans.other.device"]);
  assert.equal(twice({ device: "ens4", vlan: 5 }, { device: "ens4", vlan: 5 }), ["lans.other.vlan"]);
  assert.equal(twice({ device: "ens4", vlan: 5 }, { device: "ens4", vlan: 6 }), []);
  assert.equal(twice({ device: "ens4" }, { device: "ens4", vlan: 6 }), []);
  assert.equal(twice(WIDE, WIDE), ["lans.other.vxlan.id"]);
  assert.equal(twice(WIDE, { ...WIDE, vxlan: { ...WIDE.vxlan, port: 4790 } }), []);
  const control = { controlNet: { device: "ens4" } };
  assert.equal(Object.keys(faults({ one: { device: "ens4" } }, [], control)), ["lans.one.device"]);
  assert.equal(faults({ one: { device: "ens4", vlan: 5 } }, [], control), {});
});

test("the host's own addresses are claimed like a link's, and no network of its own twice", () => {
  const host = (address: string, more: object = {}) => ({ subnet, host: [address], ...more });
  const at = (...args: Parameters<typeof parse>) => Object.keys(faults(...args));
  assert.equal(at({ one: host("10.1.0.1") }, [{ lan: "one", address: "10.1.0.1" }]), [
    "vnodes.vnode0.links[0].address",
  ]);
  assert.equal(at({ one: host("10.2.0.1") }), ["lans.one.host[0]"]);
  assert.equal(at({ one: host("10.1.0.255") }), ["lans.one.host[0]"]);
  assert.equal(at({ one: host("10.1.0.1"), two: host("10.1.0.2") }), ["lans.two.host[0]"]);
  assert.equal(at({ one: host("10.1.0.1"), two: { subnet } }), []);
  assert.equal(at({ one: { host: ["172.16.9.9/24"] } }), ["lans.one.host[0]"]);
  assert.equal(at({ one: { host: ["fd00::1/64"], mtu: 1000 } }), ["lans.one.host[0]"]);
});

test("`parseLanAlias()` reads back what `lanAlias()` writes, and takes no other mark", () => {
  const lent = { addrgenmode: "stable_secret", up: true };
  assert.equal(parseLanAlias(lanAlias("wire")), { lan: "wire" });
  assert.equal(parseLanAlias(lanAlias("wire", lent)), { lan: "wire", device: lent });
  assert.equal(parseLanAlias(lanAlias("wire", { addrgenmode: "", up: false })), {
    lan: "wire",
    device: { addrgenmode: "", up: false },
  });
  for (const other of [undefined, "", "mine", "berth:v=a:l=eth1:g=1", "berth:lan=", "berth:lan=a:d=eui64"]) {
    assert.is(parseLanAlias(other), null);
  }
});

/** A look at these interfaces, with no routes but by them. */
function lookAt(links: readonly object[], fdb: readonly object[] = []): Look {
  const answers: Record<string, unknown> = { "-d": links, addr: links, fdb };
  const query = ({ argv }: Command) => {
    const known = argv.includes("fdb")
      ? "fdb"
      : argv.includes("addr")
      ? "addr"
      : argv.includes("-d")
      ? "-d"
      : "";
    return Promise.resolve({ exit: 0, stdout: JSON.stringify(answers[known] ?? []), stderr: "", ms: 0 });
  };
  return { query } as unknown as Look;
}

/** Lines of ip and bridge. */
async function lines(spec: LanSpec, ...args: Parameters<typeof lookAt>): Promise<string[]> {
  const resource = lanUplink(spec);
  const changes = resource.diff(await resource.observe(lookAt(...args)));
  return changes.flatMap((change) => change.do).flatMap((op) =>
    "run" in op && op.run.argv[0] !== "nft" ? (op.run.input ?? "").trim().split("\n") : []
  );
}

const DEVICE = { ifname: "ens4", mtu: 9000, flags: ["UP"], inet6_addr_gen_mode: "eui64" };

test("a VLAN is made on its device, which itself is not touched", async () => {
  const spec: LanSpec = { name: "tagged", subnets: [], mtu: 1500, device: "ens4", vlan: 100 };
  const name = vlanName("tagged");
  const address = [{ local: "192.0.2.5", prefixlen: 24, scope: "global" }];
  assert.equal(await lines(spec, [{ ...DEVICE, addr_info: address }]), [
    `link add link ens4 name ${name} type vlan id 100`,
    `link set ${name} alias berth:lan=tagged`,
    `link set ${name} mtu 1500`,
    `link set ${name} addrgenmode none`,
    `link set ${name} master ${bridgeName("tagged")}`,
    `link set ${name} type bridge_slave learning on fdb_flush`,
    `link set ${name} up`,
  ]);
  const made = {
    ...DEVICE,
    ifname: name,
    link: "ens4",
    mtu: 1500,
    inet6_addr_gen_mode: "none",
    ifalias: lanAlias("tagged"),
    master: bridgeName("tagged"),
    linkinfo: {
      info_kind: "vlan",
      info_data: { protocol: "802.1Q", id: 100 },
      info_slave_data: { learning: true },
    },
  };
  assert.equal(await lines(spec, [DEVICE, made]), []);
  // Another VLAN, another device: anew. None any more: gone.
  assert.is((await lines({ ...spec, vlan: 101 }, [DEVICE, made]))[0], `link del ${name}`);
  const { device: _device, vlan: _vlan, ...local } = spec;
  assert.equal(await lines(local, [DEVICE, made]), [`link del ${name}`]);
  // Without its mark it is one of ours that was cut off: the name is a hash.
  assert.is((await lines(spec, [DEVICE, { ...made, ifalias: undefined }]))[0], `link del ${name}`);
  const refused = (...args: Parameters<typeof lines>) =>
    lines(...args).then(() => "nothing", (error) => (error as BerthError).message);
  assert.match(await refused(spec, []), 'Device "ens4" of lan "tagged" is missing');
  assert.match(await refused(spec, [{ ...DEVICE, flags: [] }]), "is down");
  assert.match(await refused(spec, [{ ...DEVICE, mtu: 1400 }]), "takes packets of 1400 bytes");
});

test("a macvlan's VLAN is a port of nothing", async () => {
  const spec: LanSpec = { name: "own", subnets: [], mtu: 1500, driver: "macvlan", device: "ens4", vlan: 9 };
  const made = await lines(spec, [DEVICE]);
  assert.not.match(made.join("\n"), /master|bridge/);
  assert.is(made.at(-1), `link set ${vlanName("own")} up`);
});

test("a tunnel's peers come and go, and what was learned of one that goes", async () => {
  const vxlan = { id: 7, peers: ["192.0.2.2", "192.0.2.3"], port: 4789 };
  const spec: LanSpec = { name: "wide", subnets: [], mtu: 1450, vxlan };
  const name = tunnelName("wide");
  const made = {
    ...DEVICE,
    ifname: name,
    mtu: 1450,
    inet6_addr_gen_mode: "none",
    ifalias: lanAlias("wide"),
    master: bridgeName("wide"),
    linkinfo: {
      info_kind: "vxlan",
      info_data: { id: 7, port: 4789, learning: true },
      info_slave_data: { learning: true },
    },
  };
  const entry = (dst: string) => ({ mac: "00:00:00:00:00:00", ifname: name, dst });
  assert.equal(await lines(spec, [made], [entry("192.0.2.3"), entry("192.0.2.2")]), []);
  assert.equal(await lines(spec, [made], [entry("192.0.2.4"), entry("192.0.2.2")]), [
    `fdb append 00:00:00:00:00:00 dev ${name} dst 192.0.2.3`,
    `fdb del 00:00:00:00:00:00 dev ${name} dst 192.0.2.4`,
    `link set ${name} down`,
    `link set ${name} up`,
  ]);
  const hub = await lines({ ...spec, learning: false }, [made], [entry("192.0.2.3"), entry("192.0.2.2")]);
  assert.is(hub[0], `link del ${name}`);
  assert.ok(hub.includes(`link add ${name} type vxlan id 7 dstport 4789 nolearning`));
});

/** The steps that make some lans from what is found, and their lines. */
async function steps(specs: readonly LanSpec[], look: Look): Promise<string[][]> {
  let given: readonly AnyResource[] = [];
  const calls: Change[] = [];
  const ensureAll = async (resources: readonly AnyResource[]) => {
    given = resources;
    const found = await Promise.all(given.map((one) => one.observe(look)));
    calls.push(...given.flatMap((one, at) => one.diff(found[at])));
    return given.map((): Ensured<unknown> => ({ state: null, changed: false, changes: [] }));
  };
  await ensureLans({ ensureAll }, specs);
  return mergedSteps(calls).map(({ op }) =>
    "run" in op ? [op.run.argv[0]!, ...(op.run.input ?? "").trim().split("\n")] : []
  );
}

/** The same interfaces, and elements of the bridge table by set. */
function walledLook(links: readonly object[], elements: Readonly<Record<string, readonly string[]>>): Look {
  const plain = lookAt(links);
  const query = async (command: Command) => {
    if (command.argv[0] !== "nft") return await plain.query(command);
    const sets = Object.entries(elements).map(([name, elem]) => ({ set: { name, elem } }));
    const isBridge = command.argv.includes("bridge");
    return isBridge
      ? { exit: 0, stdout: JSON.stringify({ nftables: sets }), stderr: "", ms: 0 }
      : command.argv.includes("tables")
      ? { exit: 0, stdout: '{"nftables":[]}', stderr: "", ms: 0 }
      : { exit: 1, stdout: "", stderr: "No such file or directory", ms: 0 };
  };
  return { query, readText: () => Promise.resolve(null) } as unknown as Look;
}

const LENT: LanSpec = { name: "world", subnets: [], mtu: 1500, device: "ens4" };
const NO_ELEMENTS = { lan_uplinks: [], lan_host_ports: [] };

test("the wall stands before anything speaks; a hole is opened after it", async () => {
  const local: LanSpec = { name: "plain", subnets: [], mtu: 1500 };
  const vxlan = { id: 7, peers: ["192.0.2.2"], port: 4789 };
  const wide: LanSpec = { name: "wide", subnets: [], mtu: 1450, vxlan, host: ["10.1.0.254/24"] };
  const made = await steps([local, LENT, wide], walledLook([DEVICE], NO_ELEMENTS));
  const at = (what: string) => made.findIndex((lines) => lines.some((line) => line.includes(what)));
  const first = made.findIndex(([tool]) => tool === "ip");
  const walls = [at('lan_uplinks { "ens4" }'), at(`add table inet ${lanTableName("wide")}`)];
  assert.ok(walls.every((wall) => wall >= 0 && wall < first), `walls ${walls}, first ip ${first}`);
  assert.ok(at(`lan_host_ports { "${tunnelName("wide")}" }`) > at(`link add ${tunnelName("wide")}`));
});

test("what the wall says of a port goes with it, and what it should not say of one that stays", async () => {
  const lent = {
    ...DEVICE,
    ifalias: lanAlias("world", { addrgenmode: "eui64", up: true }),
    master: bridgeName("world"),
  };
  const { device: _, ...local } = LENT;
  const given = await steps([local], walledLook([lent], { lan_uplinks: ["ens4"], lan_host_ports: ["ens4"] }));
  const drops = given.filter(([tool]) => tool === "nft").flat().filter((line) => line.startsWith("delete"));
  assert.equal(drops, [
    'delete element bridge berth lan_uplinks { "ens4" }',
    'delete element bridge berth lan_host_ports { "ens4" }',
  ]);
  // Home before the wall opens.
  assert.ok(given.findIndex(([tool]) => tool === "ip") < given.findLastIndex(([tool]) => tool === "nft"));
  // No longer hosted, and a device that macvlans sit on: the machine's own.
  const closed = await steps([LENT], walledLook([lent], { lan_uplinks: ["ens4"], lan_host_ports: ["ens4"] }));
  assert.match(closed.flat().join("\n"), 'delete element bridge berth lan_host_ports { "ens4" }');
  const own: LanSpec = { ...LENT, driver: "macvlan" };
  const freed = await steps([own], walledLook([DEVICE], { lan_uplinks: ["ens4"], lan_host_ports: [] }));
  assert.match(freed.flat().join("\n"), 'delete element bridge berth lan_uplinks { "ens4" }');
  assert.equal(await steps([own], walledLook([DEVICE], NO_ELEMENTS)), []);
});

test.run();
