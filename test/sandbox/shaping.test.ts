// deadline: 600s
// Shaping changed while vnodes run: under traffic without losing any, kept over restarts, taken back without a trace,
// written into the file. And what it shapes: every protocol, both ways, in a queue of as many packets as were asked for.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bridgeName, hostEndName, ifbName } from "../../lib/vnode/names.ts";
import { changed } from "./_world.ts";
import { hear, speak } from "./_flow.ts";
import { frame, listen, send, tagged, token, udp4 } from "./_frames.ts";
import type { Sandbox } from "./harness.ts";
import { berth, openVhost } from "./vhost.ts";

const FILE = "/etc/berth/vnodes.d/three.yaml";
const SPEC = `# Three of them.
lans:
  wire: { subnets: [10.1.0.0/24, "fd00:1::/64"] } # one wire
vnodes:
  left:
    image: box
    command: [sleep, "100000"]
    links:
      # Shaped from the beginning.
      - lan: wire
        address: 10.1.0.1
        mac: "02:00:00:00:01:01"
        rate: 10mbit # as ordered
  right: { image: box, command: [sleep, "100000"], links: [{ lan: wire, address: 10.1.0.2, mac: "02:00:00:00:01:02" }] }
  third: { image: box, command: [sleep, "100000"], links: [{ lan: wire, address: 10.1.0.3 }] }
`;
const END = hostEndName("left", "eth1");
const IFB = ifbName("left", "eth1");

interface Queue {
  readonly kind: string;
  readonly handle: string;
  readonly dev: string;
  readonly root?: boolean;
  readonly packets: number;
  readonly drops: number;
  readonly backlog: number;
  readonly options: Readonly<Record<string, number>>;
}

async function queue(box: Sandbox, device: string): Promise<Queue> {
  const all = JSON.parse(await box.sh(`tc -s -j qdisc show dev ${device}`)) as Queue[];
  return all.find((one) => one.root === true)!;
}

const rateOf = async (box: Sandbox, device: string) => (await queue(box, device)).options["rate"]! * 8;
const lives = (box: Sandbox) => box.sh("docker inspect -f '{{.Id}} {{.State.Pid}}' left right third");
const pidOf = async (box: Sandbox, vnode: string) =>
  Number(await box.sh(`docker inspect -f '{{.State.Pid}}' ${vnode}`));
const shape = (box: Sandbox, ...words: string[]) => berth(box, "vnode", "shape", ...words);

/** All interfaces and queues but those of one link, so that it can be compared with what was. */
const others = (box: Sandbox) =>
  box.sh(`tc qdisc show | grep -vE '${END}|${IFB}'; ip -o link | cut -d: -f1,2; nft -s list ruleset`);

async function changedUnderTraffic(box: Sandbox): Promise<void> {
  const before = [await lives(box), await others(box)] as const;
  const flow = {
    ...{ from: await pidOf(box, "left"), to: await pidOf(box, "right") },
    ...{ address: "10.1.0.2", port: 4000, bytes: 160, everyMs: 2 },
  };
  const ear = await hear(box, flow);
  const mouth = speak(box, flow);
  await box.until("the flow", () => ear.numbers().length > 100);
  for (const words of [["egress.rate=3mbit"], ["rate=5mbit"], ["egress.rate=64mbit", "ingress.rate=1mbit"]]) {
    await shape(box, "left", "eth1", ...words);
    const passed = ear.numbers().length;
    await box.until("more of the flow", () => ear.numbers().length > passed + 100);
  }
  const sent = await mouth.stop();
  await box.until("all that was sent", (seen) => {
    seen(`${ear.numbers().length} of ${sent}`);
    return ear.numbers().length >= sent;
  });
  await ear.close();
  assert.equal(ear.numbers(), Array.from({ length: sent }, (_, number) => number), "none lost, all in order");
  assert.equal([await rateOf(box, IFB), await rateOf(box, END)], [64_000_000, 1_000_000]);
  assert.is(await lives(box), before[0], "nobody was restarted");
  assert.equal(changed(before[1], await others(box)), [], "nothing of any other link is touched");
}

async function lasts(box: Sandbox): Promise<void> {
  await box.sh("docker restart -t 0 left >/dev/null");
  assert.equal([await rateOf(box, IFB), await rateOf(box, END)], [64_000_000, 1_000_000]);
  await berth(box, "vnode", "up");
  assert.equal(
    [await rateOf(box, IFB), await rateOf(box, END)],
    [64_000_000, 1_000_000],
    "the spec says as before",
  );
  assert.match(await shape(box, "left", "eth1"), /egress +rate 10mbit +rate 64mbit +as wanted/);
  // A hand's own change is drift, and what is live is what is wanted.
  await box.sh(`tc qdisc change dev ${IFB} root handle 1: tbf rate 9mbit burst 3036b limit 75900b`);
  assert.match(await shape(box, "left", "eth1"), /rate 9000000 bit\/s, wanted 64000000/);
  await berth(box, "vnode", "up", "left");
  assert.is(await rateOf(box, IFB), 64_000_000);
  // Another word of the spec's is the later one.
  await box.write(FILE, SPEC.replace("10mbit", "8mbit"));
  await berth(box, "vnode", "up");
  assert.equal([await rateOf(box, IFB), await rateOf(box, END)], [8_000_000, 8_000_000]);
  await box.write(FILE, SPEC);
  await berth(box, "vnode", "up");
}

/** What a link is, but for names, numbers and what was counted. */
async function traits(box: Sandbox, vnode: string): Promise<string> {
  const end = hostEndName(vnode, "eth1");
  const said = await box.sh(
    `ip -d -o link show ${end}; tc qdisc show dev ${end}; tc filter show dev ${end} ingress
    nsenter -t ${await pidOf(box, vnode)} -n sh -c 'ip -d -o link show eth1; tc qdisc show dev eth1'
    ip -o link show ${ifbName(vnode, "eth1")} 2>&1 || true`,
  );
  return said.replaceAll(end, "END").replaceAll(ifbName(vnode, "eth1"), "IFB").replaceAll(vnode, "VNODE")
    .replace(
      /^\d+: |@if\d+|link-netnsid \d+| bridge_slave .*?(?= addrgenmode)|([0-9a-f]{2}:){5}[0-9a-f]{2}|port_\w+ \S+|\w+_timer +[\d.]+|g=\S+/gm,
      "",
    );
}

async function takenBack(box: Sandbox): Promise<void> {
  const before = await traits(box, "right");
  assert.is(before, await traits(box, "third"));
  const segments = async () =>
    (JSON.parse(await box.sh("ip -d -j link show type veth")) as { ifname: string; gso_max_segs: number }[])
      .filter(({ ifname }) => ifname.startsWith("bve-")).map((one) => one.gso_max_segs);
  await shape(box, "right", "eth1", "rate=1mbit", "queue=9packets");
  assert.is.not(await traits(box, "right"), before);
  assert.equal(await segments(), [1, 1, 1], "packets are counted: each is one frame");
  const dry = await box.run(["berth", "vnode", "shape", "right", "eth1", "--reset", "--dry-run"]);
  assert.match(dry.stdout, /shaping right\/eth1/);
  assert.is.not(await traits(box, "right"), before, "a dry run changes nothing");
  await shape(box, "right", "eth1", "--reset");
  assert.is(await traits(box, "right"), before);
  const after = await segments();
  assert.ok(new Set(after).size === 1 && after[0] !== 1, after.join());
  assert.is((await box.sh("grep -l live /var/lib/berth/vnodes/*/record.json || true")).trim(), "");
}

async function saved(box: Sandbox): Promise<void> {
  await shape(box, "left", "eth1", "egress.rate=2mbit", "--save");
  const text = await box.read(FILE);
  assert.is(
    text,
    SPEC.replace(
      "        rate: 10mbit # as ordered\n",
      "        egress: { rate: 2mbit }\n        ingress: { rate: 10mbit }\n",
    ),
  );
  assert.is(await rateOf(box, IFB), 2_000_000);
  assert.match(await berth(box, "vnode", "up"), /^0 vnodes .*, 3 unchanged/m);
  assert.match(await shape(box, "left", "eth1"), /egress +rate 2mbit +as wanted/);
  await box.write(FILE, SPEC);
  await berth(box, "vnode", "up");
  const refused = await box.run(["berth", "vnode", "shape", "left", "eth1", "rate=1", "speed=3"]);
  assert.is(refused.exit, 64, refused.stdout + refused.stderr);
  assert.match(refused.stderr, /argument 3.*\n?.*A rate needs its unit[^]*argument 4/);
  const missing = await box.run(["berth", "vnode", "shape", "left", "eth1", "delay=5ms"]);
  assert.is(missing.exit, 4, missing.stdout + missing.stderr);
  assert.match(missing.stderr, /sch_netem/);
  assert.is(await rateOf(box, IFB), 10_000_000);
}

async function countsPackets(box: Sandbox): Promise<void> {
  const [from, to] = [await pidOf(box, "left"), await pidOf(box, "right")];
  const burst = async (port: number) => {
    const flow = { from, to, address: "10.1.0.2", port, bytes: 1000, everyMs: 0, count: 60 };
    const ear = await hear(box, flow);
    const before = await queue(box, IFB);
    assert.is(await speak(box, flow).stop(), 60);
    await box.until("the queue to drain", async (seen) => {
      const now = await queue(box, IFB);
      seen(now);
      return now.backlog === 0 && now.packets + now.drops >= before.packets + before.drops + 60;
    }, { deadlineMs: 60_000 });
    const dropped = (await queue(box, IFB)).drops - before.drops;
    await box.until("what passed", () => ear.numbers().length >= 60 - dropped);
    await ear.close();
    return ear.numbers().length;
  };
  await shape(box, "left", "eth1", "egress.rate=64kbit", "egress.queue=5packets");
  const few = await burst(4001);
  await shape(box, "left", "eth1", "egress.queue=30packets");
  const many = await burst(4002);
  // The queue, the two frames of the bucket, and what the rate lets out in between (8 bytes a millisecond).
  assert.ok(few >= 5 && few < 25, `${few} of 60 with a queue of 5`);
  assert.ok(many >= 30 && many < 55, `${many} of 60 with a queue of 30`);
  await shape(box, "left", "eth1", "--reset");
}

/** Frames of every kind, each way: all pass the queue, none beside it. */
async function allProtocols(box: Sandbox): Promise<void> {
  await shape(box, "left", "eth1", "rate=1mbit");
  const left = { mac: "02:00:00:00:01:01", place: { pid: await pidOf(box, "left"), device: "eth1" } };
  const right = { mac: "02:00:00:00:01:02", place: { pid: await pidOf(box, "right"), device: "eth1" } };
  const kinds = (from: string, to: string, id: number): readonly string[] => [
    frame(to, from, 0x0800, udp4("10.1.0.1", "10.1.0.2", id)),
    frame(to, from, 0x0806, token(id + 1)),
    frame(to, from, 0x86dd, token(id + 2)),
    frame(to, from, 0x88b5, token(id + 3)),
    tagged([[0x8100, 5]], frame(to, from, 0x0800, token(id + 4))),
    tagged([[0x88a8, 6], [0x8100, 7]], frame(to, from, 0x88b5, token(id + 5))),
    frame("01:80:c2:00:00:0e", from, 0x88cc, token(id + 6)),
  ];
  for (const [from, to, device, id] of [[left, right, IFB, 100], [right, left, END, 200]] as const) {
    const ear = await listen(box, to.place);
    const before = (await queue(box, device)).packets;
    const frames = kinds(from.mac, to.mac, id);
    await send(box, from.place, frames);
    await box.until("all of them", (seen) => {
      seen([...ear.heard()]);
      return frames.every((_, at) => ear.heard().has(id + at));
    });
    await ear.close();
    const passed = (await queue(box, device)).packets - before;
    assert.ok(passed >= frames.length, `${passed} of ${frames.length} passed the queue of ${device}`);
  }
  await shape(box, "left", "eth1", "--reset");
}

test("shaping follows the operator while vnodes run, and shapes all there is", async () => {
  const box = await openVhost("20.10", null);
  try {
    await box.write(FILE, SPEC);
    await berth(box, "vnode", "up");
    assert.ok((await box.sh("ip -o link")).includes(bridgeName("wire")));
    await changedUnderTraffic(box);
    await lasts(box);
    await takenBack(box);
    await countsPackets(box);
    await allProtocols(box);
    await saved(box);
  } finally {
    await box.close();
  }
});

test.run();
