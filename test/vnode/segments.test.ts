// Where netem shapes a lan, every packet on it is one frame: from the configuration to the lines for `ip`, and to
// the kernel's own answer.
import { spawnSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import { stepsOf } from "../../lib/vnode/difference.ts";
import type { Seen } from "../../lib/vnode/step.ts";
import { generationOf } from "../../lib/vnode/life.ts";
import { linkAlias } from "../../lib/vnode/names.ts";
import type { FoundLink } from "../../lib/vnode/view.ts";
import { hostLinkLines, wiringOf } from "../../lib/vnode/wiring.ts";

const EXPERIMENT = (shape: string) => `
lans:
  wire: { subnet: 10.1.0.0/24 }
  other: { subnet: 10.2.0.0/24 }
vnodes:
  left: { image: box, links: [{ lan: wire, address: 10.1.0.1${shape} }, { lan: other, address: 10.2.0.1 }] }
  right: { image: box, links: [{ lan: wire, address: 10.1.0.2, rate: 10mbit }] }
`;
const parse = (shape: string) =>
  parseConfig([{ path: "/etc/berth/vnodes.d/pair.yaml", text: EXPERIMENT(shape) }]).vnodes;

test("withSegments() marks all links of a lan with delay or loss, and no others", () => {
  for (const shape of [", delay: 1ms", ", egress: { loss: 1% }", ", ingress: { delay: 1us }"]) {
    const [left, right] = parse(shape);
    assert.is(left!.links[0]!.oneSegment, true, shape);
    assert.is(left!.links[1]!.oneSegment, undefined, shape);
    assert.is(right!.links[0]!.oneSegment, true, `${shape}: what right sends is counted at left's end`);
  }
  for (const shape of ["", ", rate: 5mbit", ", delay: 0ms"]) {
    assert.not.ok(parse(shape).some((vnode) => vnode.links.some((link) => link.oneSegment)), shape);
  }
});

test("hostLinkLines() limits both ends from their first moment on", () => {
  const wiring = wiringOf(parse(", delay: 1ms")[0]!);
  const [add] = hostLinkLines(wiring, wiring.links[0]!, "42", "g");
  assert.is(add!.match(/gso_max_segs 1( |$)/g)?.length, 2);
  assert.not.match(hostLinkLines(wiring, wiring.links[1]!, "42", "g").join(), "gso_max_segs");
});

test("stepsOf() sets the limit on both ends of a running vnode, and takes it back", () => {
  const life = { containerId: "c".repeat(64), pid: 42, startTime: "7", bootId: "b" };
  for (const [shape, found, wanted] of [[", delay: 1ms", 65535, 1], ["", 1, 65535]] as const) {
    const wiring = wiringOf(parse(shape)[1]!);
    const link = wiring.links[0]!;
    const end: FoundLink = {
      ifindex: 9,
      ifname: link.end,
      mtu: 1500,
      master: link.bridge,
      flags: ["UP"],
      ifalias: linkAlias("right", "eth1", generationOf(life)),
      gso_max_segs: found,
      linkinfo: { info_kind: "veth" },
    };
    const steps = (segments: number | undefined) => {
      const links = new Map([[link.end, { ...end, gso_max_segs: segments }]]);
      const view = { bootId: "b", links, qdiscs: new Map(), control: null, elements: new Map() };
      const seen: Seen = { view, life, settled: true, inside: null, port: null, redirected: new Set() };
      return stepsOf(wiring, seen).filter((step) => step.resource === "link right/eth1");
    };
    assert.is(steps(found).length, 1);
    assert.is(steps(found)[0]!.why, `gso_max_segs ${found}, wanted ${wanted}`);
    assert.equal(steps(found)[0]!.host, [`link set ${link.end} gso_max_segs ${wanted}`]);
    assert.equal(steps(found)[0]!.inside, [`link set eth1 gso_max_segs ${wanted}`]);
    assert.equal(steps(wanted), []);
    assert.equal(steps(undefined), [], "an iproute2 that does not tell");
  }
});

test("the kernel takes the lines, and tells the limit of both ends", () => {
  const wiring = wiringOf(parse(", delay: 1ms")[0]!);
  const link = wiring.links[0]!;
  const lines = hostLinkLines(wiring, link, "PID", "g").join("\n");
  const script = `set -e; ip link add ${link.bridge} type bridge
    unshare --net sleep 60 </dev/null >/dev/null 2>&1 & pid=$!; trap 'kill $pid' EXIT
    until [ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
    sed "s/PID/$pid/" | ip -batch -
    ip -d -j link show ${link.end}
    nsenter --net=/proc/$pid/ns/net ip -d -j link show eth1`;
  const done = spawnSync("unshare", ["--net", "bash", "-c", script], { input: lines, encoding: "utf8" });
  assert.is(done.status, 0, done.stderr);
  const ends = done.stdout.trim().split("\n").map((line) => JSON.parse(line)[0]);
  assert.equal(ends.map((end) => [end.ifname, end.gso_max_segs]), [[link.end, 1], ["eth1", 1]]);
});

test.run();
