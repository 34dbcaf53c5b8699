// A changed configuration over vnodes that run: what a plan tells is what is done then, and what is done stands.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { apply } from "../../lib/vnode/apply.ts";
import type { Outcome } from "../../lib/vnode/ground.ts";
import { up } from "../../lib/vnode/up.ts";
import { createWorld, declared } from "./_world.ts";

const lab = (left = "", eth1 = "") =>
  declared(`lans: { wire: { subnets: ["10.1.0.0/24", "fd00:1::/64"] } }
vnodes:
  left:
    image: box
    links: [{ lan: wire, addresses: [10.1.0.1, 10.1.0.11, "fd00:1::1", "fd00:1::2", "fd00:1::3"]${eth1} }]
    routes: [{ to: 10.9.0.0/16, via: 10.1.0.9 }, { to: "fd09::/64", via: "fd00:1::9" }]
    ${left}
  right: { image: box }
`);

const changes = (outcomes: readonly Outcome[]) => {
  const failed = outcomes.filter((one) => one.error !== undefined);
  assert.equal(failed.map(({ error }) => String(error)), []);
  return outcomes.map(({ vnode, changed, did }) => ({ vnode, changed, did }));
};

async function begun() {
  const world = createWorld(["wire"]);
  const { vnodes, lans } = lab();
  changes(await up(world.ground, vnodes, lans));
  return world;
}

const NOTHING = ["left", "right"].map((vnode) => ({ vnode, changed: false, did: [] }));

test("apply() with all inside does nothing where all stands, in whatever order the kernel tells addresses", async () => {
  const { ground, kernel, planned } = await begun();
  const { vnodes, lans } = lab();
  const before = kernel.changes;
  for (const inside of [false, true]) {
    assert.equal(changes(await apply(ground, vnodes, lans, { inside })), NOTHING);
    assert.equal(changes(await apply(planned().ground, vnodes, lans, { inside })), NOTHING);
  }
  assert.is(kernel.changes, before);
});

for (const inside of [false, true]) {
  test(`apply()${inside ? " with all inside" : ""}: a plan tells what is done then, by the new spec`, async () => {
    const { ground, kernel, planned, pidOf } = await begun();
    const { vnodes, lans } = lab("sysctls: { net.ipv4.tcp_ecn: 1 }", ", mtu: 1400, rate: 1mbit");
    const before = kernel.text();
    const plan = planned();
    const told = changes(await apply(plan.ground, vnodes, lans, { inside }));
    assert.is(kernel.text(), before, "a plan changes nothing");
    assert.equal(told.map(({ changed }) => changed), [true, false]);
    assert.equal(plan.told, told.flatMap(({ did }) => did), "the steps that are told are those that count");
    const done = changes(await apply(ground, vnodes, lans, { inside }));
    assert.equal(told.map(({ did }) => [...did].sort()), done.map(({ did }) => [...did].sort()));
    assert.is(kernel.inside.get(pidOf("left"))!.get("eth1")!.mtu, 1400);
    assert.equal(changes(await apply(planned().ground, vnodes, lans, { inside })), NOTHING);
  });
}

test("apply() with all inside goes over what a user changed there, once, and says so in a plan", async () => {
  const { ground, kernel, planned, pidOf } = await begun();
  const { vnodes, lans } = lab();
  const eth1 = kernel.inside.get(pidOf("left"))!.get("eth1")!;
  eth1.mtu = 1300;
  eth1.addresses = eth1.addresses.slice(1);
  assert.equal(changes(await apply(planned().ground, vnodes, lans)), NOTHING);
  const told = changes(await apply(planned().ground, vnodes, lans, { inside: true }));
  assert.equal(told.map(({ changed }) => changed), [true, false]);
  assert.equal(changes(await apply(ground, vnodes, lans, { inside: true })), told);
  assert.equal([eth1.mtu, eth1.addresses.length], [1500, 5]);
  assert.equal(changes(await apply(planned().ground, vnodes, lans, { inside: true })), NOTHING);
});

test.run();
