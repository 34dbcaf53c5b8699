// The parts that a vnode's wiring is put together from: marks, sysctls, the order of rounds, what is given inside.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LinkSpec, VnodeSpec } from "../../lib/config/types.ts";
import { gateFiles } from "../../lib/gate/prepare.ts";
import { commandsOf } from "../../lib/vnode/apply_steps.ts";
import { lifeOf } from "../../lib/vnode/life.ts";
import { bridgeName, lanAlias, linkAlias, parseLinkAlias } from "../../lib/vnode/names.ts";
import type { VnodeRecord } from "../../lib/vnode/record.ts";
import type { Step } from "../../lib/vnode/step.ts";
import { unwire, wire } from "../../lib/vnode/wire.ts";
import { sysctlsOf, wiringOf } from "../../lib/vnode/wiring.ts";
import { orphanSteps } from "../../lib/watch/orphans.ts";
import { readHostView } from "../../lib/vnode/view.ts";
import { createFakeHost } from "../fake/host.ts";
import { FakeKernel } from "../fake/kernel.ts";

const LINK: LinkSpec = {
  lan: "wire",
  name: "eth1",
  addresses: ["10.1.0.1/24", "fd00::1/64"],
  mac: "02:00:00:00:01:01",
  mtu: 1500,
  egress: {},
  ingress: {},
  sysctls: { "ipv4.rp_filter": "0", "mpls.input": "1" },
};
const SPEC: VnodeSpec = {
  name: "left",
  image: "box",
  env: {},
  control: { address: "172.16.0.2", mac: "02:00:ac:10:00:02" },
  links: [LINK],
  routes: [],
  hosts: {},
  sysctls: { "net.ipv4.tcp_ecn": "1" },
  source: "test",
};
const SYSCTLS = [
  ["net/ipv4/tcp_ecn", "1"],
  ["net/ipv6/conf/eth1/disable_ipv6", "0"],
  ["net/ipv4/conf/eth1/rp_filter", "0"],
  ["net/mpls/conf/eth1/input", "1"],
];

async function ground() {
  const made: { kernel?: FakeKernel } = {};
  const host = createFakeHost({ commands: [(command, machine) => made.kernel!.handle(command, machine)] });
  const kernel = made.kernel = new FakeKernel(host.machine);
  kernel.add(bridgeName("wire"), "bridge", { up: true, ifalias: lanAlias("wire") });
  const pid = kernel.start(SPEC.control.mac, SPEC.control.address);
  return { host, kernel, pid, life: (await lifeOf(host, "0123456789abcdef", pid))! };
}

test("a mark tells whose an interface is, and what a device of the machine was before", () => {
  const generation = "0123456789ab.42.7.01234567";
  const mark = { vnode: "left", link: "eth1", generation };
  assert.equal(parseLinkAlias(linkAlias("left", "eth1", generation)), mark);
  const device = { name: "ens5,1", mac: "02:00:00:00:00:01", mtu: 9000, up: true };
  for (const one of [device, { ...device, up: false }]) {
    const alias = linkAlias("left", "eth1", generation, one);
    assert.equal(parseLinkAlias(alias), { ...mark, device: one });
  }
  assert.is(
    linkAlias("left", "eth1", "g", device),
    "berth:v=left:l=eth1:g=g:d=ens5,1,02:00:00:00:00:01,9000,1",
  );
  for (
    const alias of [
      undefined,
      "",
      "berth:lan=wire",
      "berth:v=a:l=b",
      "berth:v=a:l=b:g=c:x=d",
      "x berth:v=a:l=b:g=c",
      // A user's of a vnode that a device was handed to.
      ...[
        ["eth7 master _dockercnet", "02:00:00:00:00:01", "9000"],
        ["eth7\nlink del dev eth0", "02:00:00:00:00:01", "9000"],
        ["sixteen-letters-", "02:00:00:00:00:01", "9000"],
        ...["a/b", "a'", 'a"', "a#", "a\\", "a%d"].map((name) => [name, "02:00:00:00:00:01", "9000"]),
        ["eth7", "02:00:00:00:00", "9000"],
        ["eth7", "02:00:00:00:00:01:", "9000"],
        ["eth7", "02:00:00:00:00:01", "99999999999"],
      ].map((before) => `berth:v=a:l=b:g=c:d=${before},1`),
    ]
  ) {
    assert.is(parseLinkAlias(alias), null, alias);
  }
});

test("a device of the machine's own is never deleted, whatever its mark says", async () => {
  const { host, kernel, life } = await ground();
  const device = { name: "ens5", mac: "02:00:00:00:00:05", mtu: 1500, up: true };
  kernel.add("ens5", "veth", { ifalias: linkAlias("left", "eth9", "gone.1.1.1", device) });
  kernel.add("bve-0", "veth", { ifalias: linkAlias("left", "eth9", "gone.1.1.1") });
  const view = await readHostView(host);
  assert.equal((await orphanSteps(host, view, [], [])).flatMap((step) => step.clear ?? []), ["bve-0"]);
  await wire(host, wiringOf(SPEC), life);
  assert.equal([kernel.links.has("ens5"), kernel.links.has("bve-0")], [true, false]);
  await unwire(host, "left", { force: "all" });
  assert.ok(kernel.links.has("ens5"));
});

test("sysctls of vnode and links are written when a life begins, before its addresses, and then left", async () => {
  assert.equal(sysctlsOf(wiringOf(SPEC)), SYSCTLS);
  const { host, kernel, life, pid } = await ground();
  await wire(host, wiringOf(SPEC), life);
  assert.equal([...kernel.sysctls.get(pid)!], SYSCTLS);
  kernel.sysctls.get(pid)!.clear();
  assert.equal((await wire(host, wiringOf(SPEC), life)).steps, []);
  const record = { name: "left", spec: SPEC, hostsPath: "/hosts" } as VnodeRecord;
  const files = gateFiles(record);
  assert.is(files["sysctls"], SYSCTLS.map((one) => `${one.join(" ")}\n`).join(""));
  assert.match(files["nft"]!, /^(add element inet berth_vnodes \w+ \{ 172\.16\.0\.2[^\n]* \}\n){3}$/);
  assert.not("ipv6" in files);
});

test("a port that is none of the control network's is not registered there, whatever MAC its other end has", async () => {
  const { host, kernel, pid, life } = await ground();
  const inside = kernel.inside.get(pid)!;
  const eth0 = inside.get("eth0")!;
  kernel.remove(eth0.peer!.ifname);
  const end = kernel.add("bve-0123456789a", "veth", { master: bridgeName("wire"), up: true, peer: eth0 });
  inside.set("eth0", Object.assign(eth0, { peer: end }));
  await wire(host, wiringOf(SPEC), life).catch(() => {});
  assert.equal([...kernel.allow, ...kernel.names].filter((one) => one.includes(end.ifname)), []);
});

test("rounds: devices go home, what is stale goes, what guards, the host's side, the inside with its sysctls first", () => {
  const step: Step = {
    resource: "link left/eth1",
    verb: "update",
    why: "",
    tc: ["t"],
    inside: ["i"],
    before: ["b"],
    sysctls: [["net/a", "1"], ["net/b", "2 3"]],
    nft: ["n"],
    host: ["h"],
    clear: ["c"],
    leave: ["l"],
  };
  const former: Step = { resource: "firewall left", verb: "delete", why: "", nft: ["d"] };
  const rounds = commandsOf([former, step], 42);
  const netns = "/proc/42/ns/net";
  assert.equal(
    rounds.map((round) => round.map((one) => [one.argv[0], one.netns, one.input?.split("\n")[0]])),
    [
      [["ip", netns, "l"]],
      [["ip", undefined, "link set dev c group 1650815604"]],
      [["nft", undefined, "n"]],
      [["ip", undefined, "h"]],
      [["nft", undefined, "d"]],
      [["ip", netns, "b"]],
      [["sh", netns, "i"], ["tc", undefined, "t"]],
    ],
  );
  assert.equal(rounds[6]![0]!.argv.slice(4), ["net/a", "1", "net/b", "2 3"]);
  assert.is(commandsOf([{ ...step, inside: [] }], 42)[6]![0]!.input, "");
});

test("what an operator changed inside is given to a life that is settled, once", async () => {
  const { host, kernel, life, pid } = await ground();
  const inside: Step[] = [{
    resource: "routes left",
    verb: "update",
    why: "asked for",
    inside: ["route replace 10.9.0.0/16 via 10.1.0.9"],
  }];
  const steps = async (options: Parameters<typeof wire>[3]) =>
    (await wire(host, wiringOf(SPEC), life, options)).steps.filter((step) => step.why === "asked for").length;
  assert.is(await steps({ inside }), 0, "a new life is given the whole spec");
  assert.is(await steps({ inside, plan: true }), 1);
  assert.equal(kernel.routes.get(pid), []);
  assert.is(await steps({ inside, view: await readHostView(host) }), 1);
  assert.equal(kernel.routes.get(pid), ["10.9.0.0/16 via 10.1.0.9"]);
  assert.is(await steps({}), 0);
});

test.run();
