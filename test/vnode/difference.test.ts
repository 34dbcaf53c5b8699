// Wiring over a fake kernel: whatever is found, one pass makes it as wanted, the next finds nothing, and only what
// differs is touched.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Shape, VnodeSpec } from "../../lib/config/types.ts";
import { lifeOf } from "../../lib/vnode/life.ts";
import { bridgeName, hostEndName, ifbName, lanAlias, linkAlias } from "../../lib/vnode/names.ts";
import { qdiscLines, qdiscsOf, shapeDiffers } from "../../lib/vnode/shape.ts";
import { unwire, wire } from "../../lib/vnode/wire.ts";
import { wiringOf } from "../../lib/vnode/wiring.ts";
import { createFakeHost } from "../fake/host.ts";
import { FakeKernel } from "../fake/kernel.ts";

function specOf(ingress: Shape, egress: Shape, lan = "wire"): VnodeSpec {
  const link = (number: number) => ({
    name: `eth${number}`,
    lan,
    mac: `02:00:00:00:01:0${number}`,
    mtu: 1500,
    addresses: [`10.1.0.${number}/24`, `fd00:1::${number}/64`],
    ingress: number === 1 ? ingress : {},
    egress: number === 1 ? egress : {},
  });
  return {
    name: "left",
    image: "box",
    env: {},
    control: { address: "172.16.0.2", mac: "02:00:ac:10:00:02" },
    links: [link(1), link(2)],
    routes: [{ to: "10.9.0.0/16", via: "10.1.0.9" }],
    hosts: {},
    source: "test",
  } as unknown as VnodeSpec;
}

function ground() {
  const made: { kernel?: FakeKernel } = {};
  const host = createFakeHost({ commands: [(command, machine) => made.kernel!.handle(command, machine)] });
  const kernel = made.kernel = new FakeKernel(host.machine);
  for (const lan of ["wire", "other"]) {
    kernel.add(bridgeName(lan), "bridge", { up: true, ifalias: lanAlias(lan) });
  }
  return { host, kernel };
}

const RATE: Shape = { rateBps: 10_000_000 };

async function wired(spec = specOf(RATE, RATE)) {
  const { host, kernel } = ground();
  const pid = kernel.start(spec.control.mac, spec.control.address);
  const life = (await lifeOf(host, "0123456789abcdef", pid))!;
  const first = await wire(host, wiringOf(spec), life);
  return { host, kernel, pid, life, first, spec, again: (other = spec) => wire(host, wiringOf(other), life) };
}

test("a new life is wired in one pass; the second finds nothing; unwiring leaves nothing", async () => {
  const empty = ground().kernel.text();
  const { host, kernel, pid, first, again, spec } = await wired();
  assert.ok(first.changed);
  const { changes } = kernel;
  assert.equal((await again()).steps, []);
  assert.is(kernel.changes, changes);
  await unwire(host, "left", { spec });
  assert.is(kernel.changes, changes, "a life that runs is left alone");
  kernel.die(pid);
  await unwire(host, "left", { spec });
  assert.is(kernel.text(), empty);
  const after = kernel.changes;
  assert.not((await unwire(host, "left", { spec })).changed);
  assert.is(kernel.changes, after);
});

test("the next life finds what the one before it left, and replaces it", async () => {
  const { host, kernel, pid, spec } = await wired();
  kernel.die(pid);
  const next = kernel.start(spec.control.mac, spec.control.address);
  const life = (await lifeOf(host, "0123456789abcdef", next))!;
  await wire(host, wiringOf(spec), life);
  assert.equal((await wire(host, wiringOf(spec), life)).steps, []);
  const marks = [...kernel.links.values()].map((one) => one.ifalias ?? "").filter((one) =>
    one.startsWith("berth:v=")
  );
  assert.ok(marks.length === 3 && marks.every((one) => one.includes(`.${next}.`)), marks.join(" "));
  assert.equal([...kernel.allow], [`veth${next} ${spec.control.mac} ${spec.control.address}`]);
});

test("what a vnode's user does inside is never repaired; what is outside always is", async () => {
  const { kernel, pid, again } = await wired();
  const inside = kernel.inside.get(pid)!.get("eth1")!;
  inside.addresses = ["10.99.0.1/24"];
  inside.up = false;
  kernel.routes.set(pid, []);
  assert.equal((await again()).steps, []);
  kernel.links.get(hostEndName("left", "eth1"))!.up = false;
  assert.equal((await again()).steps.map((step) => step.resource), ["link left/eth1"]);
  assert.equal(inside.addresses, ["10.99.0.1/24"]);
});

const DAMAGE: Readonly<Record<string, (kernel: FakeKernel) => void>> = {
  "host end gone": (kernel) => kernel.remove(hostEndName("left", "eth1")),
  "other host end gone": (kernel) => kernel.remove(hostEndName("left", "eth2")),
  "ifb gone": (kernel) => kernel.remove(ifbName("left", "eth1")),
  "ifb down": (kernel) => {
    const ifb = kernel.links.get(ifbName("left", "eth1"));
    if (ifb !== undefined) ifb.up = false;
  },
  "off the bridge": (kernel) => void delete (kernel.links.get(hostEndName("left", "eth1")) ?? {}).master,
  "on another bridge": (kernel) => {
    const end = kernel.links.get(hostEndName("left", "eth2"));
    if (end !== undefined) end.master = bridgeName("other");
  },
  "mtu": (kernel) => {
    const end = kernel.links.get(hostEndName("left", "eth1"));
    if (end !== undefined) end.mtu = 1400;
  },
  "of another life": (kernel) => {
    const end = kernel.links.get(hostEndName("left", "eth1"));
    if (end !== undefined) end.ifalias = linkAlias("left", "eth1", "0.0.0.0");
  },
  "qdiscs gone": (kernel) => {
    kernel.qdiscs = [];
    kernel.redirects.clear();
  },
  "another qdisc": (kernel) =>
    kernel.qdiscs = kernel.qdiscs.map((one) => one.root ? { ...one, kind: "pfifo", options: {} } : one),
  "another rate": (kernel) => {
    for (const one of kernel.qdiscs) if (one.kind === "tbf") one.options = { ...one.options, rate: 1 };
  },
  "redirect gone": (kernel) => kernel.redirects.clear(),
  "redirect elsewhere": (kernel) => {
    for (const end of kernel.redirects.keys()) kernel.redirects.set(end, "lo");
  },
  "elements flushed": (kernel) => {
    for (const one of kernel.allow) if (!one.startsWith("foreign")) kernel.allow.delete(one);
    kernel.names.clear();
  },
  "a second element": (kernel) => kernel.allow.add("veth9 02:00:ac:10:00:02 172.16.0.2"),
  "a stray of ours": (kernel) => {
    if (!kernel.links.has("bve-stray")) {
      kernel.add("bve-stray", "veth", { ifalias: linkAlias("left", "eth7", "0.0.0.0") });
    }
  },
};

const shapes = fc.constantFrom<Shape>({}, RATE, { rateBps: 64_000 }, { delayUs: 5000 }, { lossPercent: 1 }, {
  rateBps: 1_000_000_000,
  delayUs: 20_000,
  jitterUs: 1000,
  distribution: "normal",
  lossPercent: 0.5,
}, { rateBps: 5_000_000, delayUs: 1000, reorderPercent: 5, queue: { packets: 20 } });

test("any damage together, any change of shape: one pass, and nothing foreign is touched", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(shapes, shapes, shapes, shapes),
      fc.array(fc.constantFrom(...Object.keys(DAMAGE)), { maxLength: 6 }),
      async ([ingress, egress, nextIngress, nextEgress], damages) => {
        const { kernel, again } = await wired(specOf(ingress, egress));
        kernel.add("foreign", "veth", { ifalias: "somebody's", up: true });
        kernel.add("bve-foreign", "bridge");
        kernel.allow.add("foreign 02:00:00:00:99:99 172.16.9.9");
        const foreign = () => kernel.text().split("\n").filter((line) => line.includes("foreign"));
        const before = foreign();
        for (const damage of damages) DAMAGE[damage]!(kernel);
        await again(specOf(nextIngress, nextEgress));
        assert.equal((await again(specOf(nextIngress, nextEgress))).steps, []);
        assert.equal(foreign(), before);
        // And it is what was asked for, not only what is taken for it.
        const shaped = (shape: Shape) => Object.keys(shape).length > 0;
        const kinds = (dev: string) =>
          kernel.qdiscs.filter((one) => one.dev === dev && one.root).map((one) => one.kind);
        const outer = (shape: Shape) =>
          shape.delayUs || shape.lossPercent ? ["netem"] : shape.rateBps ? ["tbf"] : [];
        assert.equal(kinds(hostEndName("left", "eth1")), outer(nextIngress));
        assert.equal(kinds(ifbName("left", "eth1")), outer(nextEgress));
        assert.equal(
          [...kernel.redirects],
          shaped(nextEgress) ? [[hostEndName("left", "eth1"), ifbName("left", "eth1")]] : [],
        );
        assert.is(kernel.links.has(ifbName("left", "eth1")), shaped(nextEgress));
      },
    ),
    { numRuns: 300, seed: 1 },
  );
});

test("a rate's bucket and queue are large enough for it, whatever it is", () => {
  const rates = fc.integer({ min: 8000, max: 100_000_000_000 });
  fc.assert(fc.property(rates, fc.option(fc.integer({ min: 1, max: 10_000_000 })), (rateBps, delayUs) => {
    const { tbf } = qdiscsOf({ rateBps, ...(delayUs !== null && { delayUs }) }, 1500);
    assert.ok(tbf!.burst >= 2 * 1518 && tbf!.limit >= tbf!.burst, JSON.stringify(tbf));
  }));
  assert.equal(qdiscLines("d", qdiscsOf(RATE, 1500), "replace"), [
    "qdisc replace dev d root handle 1: tbf rate 10000000bit burst 3036b limit 75900b",
  ]);
  assert.equal(qdiscLines("d", {}), []);
  assert.is(shapeDiffers([{ kind: "noqueue", handle: "0:", dev: "d", root: true }], {}), null);
});

test.run();
