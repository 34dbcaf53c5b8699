// The drawing of an experiment, held by golden files, and the graph behind it.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { LanSpec, LinkSpec, Shape } from "../../lib/config/types.ts";
import { drawGraph, graphOf, linkWords } from "../../lib/vnode/diagram.ts";
import { drawSvg } from "../../lib/vnode/diagram_svg.ts";
import type { VnodeRecord } from "../../lib/vnode/record.ts";
import type { VnodeStatus } from "../../lib/vnode/status.ts";
import { golden } from "../cli/_berth.ts";

const lan = (name: string, ...subnets: string[]): LanSpec => ({ name, subnets, mtu: 1500 });

function link(lan: string, name: string, addresses: string[], egress: Shape, ingress = egress): LinkSpec {
  return { lan, name, addresses, mac: "02:00:00:00:00:01", mtu: 1500, egress, ingress };
}

function vnode(name: string, control: string, lans: LanSpec[], links: LinkSpec[]): VnodeRecord {
  return {
    version: 1,
    name,
    containerId: `${name}-id`,
    spec: {
      name,
      image: "box",
      env: {},
      control: { address: control, mac: "02:00:ac:10:00:02" },
      links,
      routes: [],
      hosts: {},
      source: "x.yaml:1",
    },
    lans,
    wanted: { state: "up", by: "berth boot", at: "2026-11-22T00:00:00.000Z" },
    hostsPath: "/hosts",
  };
}

function status(record: VnodeRecord, changes: Partial<VnodeStatus> = {}): VnodeStatus {
  return {
    name: record.name,
    state: "up",
    wanted: "up",
    wiring: "wired",
    control: record.spec.control.address,
    links: [],
    image: "box",
    container: record.containerId,
    generation: "g",
    ...changes,
  };
}

const wire = lan("wire", "10.1.0.0/24");
const rate = { rateBps: 10_000_000 };
const left = vnode("left", "172.18.23.128", [wire], [link("wire", "eth1", ["10.1.0.1/24"], rate)]);
const right = vnode("right", "172.28.137.118", [wire], [link("wire", "eth1", ["10.1.0.2/24"], rate)]);

const drawn = (records: VnodeRecord[], statuses: VnodeStatus[]) =>
  drawGraph(graphOf(records, statuses)).join("\n") + "\n";

test("a pair on one wire is drawn as two boxes and a double line", () => {
  golden("graph/pair", drawn([left, right], [status(right), status(left)]));
});

test("what does not stand is dashed, and says why", () => {
  golden(
    "graph/troubled",
    drawn([left, right], [
      status(left, { wiring: "not wired: link left/eth1: missing" }),
      status(right, { state: "halted", wiring: "-", generation: null }),
    ]),
  );
});

test("several lans cross without joining, several addresses stand below each other", () => {
  const lans = [lan("north-east", "10.2.1.0/24", "fd00:2:1::/64"), lan("ring"), wire];
  golden(
    "graph/triangle",
    drawn(
      [
        vnode("a", "172.16.0.2", lans, [
          link("north-east", "eth1", ["10.2.1.1/24", "fd00:2:1::1/64"], { ...rate, delayUs: 500 }, {}),
          link("wire", "uplink0", ["10.1.0.9/24"], { lossPercent: 0.1 }, { rateBps: 64_000 }),
        ]),
        vnode("b", "172.16.0.3", lans, [
          link("ring", "eth1", [], {}),
          link("wire", "eth2", ["10.1.0.8/24"], {}),
        ]),
        vnode("c", "172.16.0.4", lans, [
          link("north-east", "eth1", ["10.2.1.3/24"], {}),
          link("ring", "eth2", [], {}),
        ]),
      ],
      ["a", "b", "c"].map((name) => status(vnode(name, "172.16.0.9", [], []))),
    ),
  );
});

test("a vnode without a record is drawn without links", () => {
  const lost = status(left, { wiring: "record lost", wanted: null, control: "-" });
  const graph = graphOf([], [lost]);
  assert.equal(graph.links, []);
  assert.match(drawGraph(graph).join("\n"), /! left: record lost/);
});

test("no vnodes are said, not drawn", () => {
  assert.equal(drawGraph(graphOf([], [])), ["There are no vnodes"]);
});

test("`graphOf()` gives the links with both ends, shape and whether they stand", () => {
  const graph = graphOf([left, right], [status(left), status(right, { state: "halted", wiring: "-" })]);
  assert.equal(graph.lans, [{ name: "wire", subnets: ["10.1.0.0/24"], mtu: 1500 }]);
  assert.equal(graph.links.map(({ vnode, lan, stands }) => [vnode, lan, stands]), [
    ["left", "wire", true],
    ["right", "wire", false],
  ]);
});

test("devices that are lent to vnodes join nobody with anybody", () => {
  const lent = (name: string, device: string) =>
    vnode(name, "172.16.0.2", [], [{ ...link("", "up0", ["10.9.0.1/24"], {}), mac: "", mtu: 0, device }]);
  const records = [lent("a", "ens5"), lent("b", "ens6")];
  const graph = graphOf(records, records.map((record) => status(record)));
  assert.equal(graph.lans.map(({ name }) => name), ["device ens5", "device ens6"]);
  assert.equal(graph.links.map(({ vnode, lan }) => [vnode, lan]), [["a", "device ens5"], [
    "b",
    "device ens6",
  ]]);
  assert.match(drawGraph(graph).join("\n"), /device ens5\n[^]*╜/);
  const svg = drawSvg(graph);
  for (const name of ["device ens5", "device ens6"]) assert.match(svg, `>${name}<`);
  assert.is(svg.match(/<line /g)?.length, 2);
});

test("`linkWords()` joins both ways where they are the same", () => {
  assert.is(linkWords({ egress: {}, ingress: {} }), "");
  assert.is(linkWords({ egress: rate, ingress: rate }), "↑↓ 10mbit");
  assert.is(linkWords({ egress: rate, ingress: {} }), "↑ 10mbit");
  assert.is(
    linkWords({ egress: rate, ingress: { delayUs: 20_000, lossPercent: 1 } }),
    "↑ 10mbit ↓ 20ms 1% lost",
  );
});

test.run();
