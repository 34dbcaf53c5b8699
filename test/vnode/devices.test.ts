// Devices of the machine's own in vnodes: handed in with all that the spec says, and back what they were, however the
// vnode ends; wherever it is cut off.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { up } from "../../lib/vnode/up.ts";
import { apply } from "../../lib/vnode/apply.ts";
import { destroy } from "../../lib/vnode/destroy.ts";
import type { Outcome } from "../../lib/vnode/ground.ts";
import { boot, halt } from "../../lib/vnode/halt.ts";
import { gatePath } from "../../lib/vnode/paths.ts";
import { unwire } from "../../lib/vnode/wire.ts";
import { Crash, mortal } from "../laws/mortal.ts";
import { createWorld, declared, type World } from "./_world.ts";

const OWN = { mac: "52:54:00:00:00:05", mtu: 9000, up: true };
const LINK = '{ device: ens5, name: lan0, address: 10.5.0.1/24, mac: "02:00:00:00:00:99", mtu: 1400 }';
const ROUTE = "{ to: 10.9.0.0/16, via: 10.5.0.9 }";
const lab = (link = LINK, route = ROUTE) =>
  declared(`vnodes: { left: { image: box, links: [${link}], routes: [${route}] } }`);

function machine(): World {
  const world = createWorld([]);
  world.kernel.add("ens5", "", { address: OWN.mac, mtu: OWN.mtu, up: true });
  return world;
}

const good = (outcomes: readonly Outcome[]) => {
  assert.equal(outcomes.flatMap(({ error }) => error === undefined ? [] : [String(error)]), []);
  return outcomes;
};
const errorOf = (work: Promise<readonly Outcome[]>) =>
  work.then(
    (outcomes) => String(outcomes.find(({ error }) => error !== undefined)?.error),
    (error) =>
      [error.message, ...(error.issues ?? []).map((one: { message: string }) => one.message)].join("; "),
  );

/** What is on the host of it, as it was before. */
function atHome({ kernel }: World, name = "ens5"): void {
  const { address, mtu, up, ifalias, addresses } = kernel.links.get(name) ?? {};
  assert.equal({ mac: address, mtu, up, ifalias, addresses }, { ...OWN, ifalias: undefined, addresses: [] });
  assert.equal(
    [...kernel.inside.values()].flatMap((links) => [...links.keys()]).filter((one) => one === "lan0"),
    [],
  );
}

function inside(world: World): void {
  const { address, mtu, up, addresses } = world.kernel.inside.get(world.pidOf("left"))?.get("lan0") ?? {};
  assert.equal({ address, mtu, up, addresses }, {
    address: "02:00:00:00:00:99",
    mtu: 1400,
    up: true,
    addresses: ["10.5.0.1/24"],
  });
  assert.is(world.kernel.links.has("ens5"), false);
}

test("a device goes into its vnode, stays with it, and comes back as it was with each way of ending it", async () => {
  const world = machine();
  const { ground, kernel, host } = world;
  const { vnodes, lans } = lab();
  good(await up(ground, vnodes, lans));
  inside(world);
  const before = kernel.changes;
  assert.is(good(await up(ground, vnodes, lans))[0]!.changed, false);
  assert.is(good(await apply(ground, vnodes, lans, { inside: true }))[0]!.changed, false);
  assert.is(kernel.changes, before, "nothing is done again");
  good(await halt(ground, ["left"]));
  atHome(world);
  good(await boot(ground, ["left"]));
  inside(world);
  // Killed by whomever: the kernel gives it back under its name inside, or another where that is taken.
  kernel.add("lan0", "dummy");
  const container = world.containers.get("left")!;
  kernel.die(container.state.pid);
  Object.assign(container.state, { running: false, pid: 0 });
  const name = [...kernel.links.values()].find(({ kind }) => kind === "")!.ifname;
  assert.match(name, /^dev\d+$/);
  assert.equal((await unwire(host, "left", { spec: vnodes[0]! })).steps.map(({ why }) => why).slice(0, 1), [
    "back from left/lan0",
  ]);
  atHome(world);
  good(await boot(ground, ["left"]));
  good(await destroy(ground, ["left"]));
  atHome(world);
});

test("a device is taken from a life that runs, and given to one, and to another name", async () => {
  const world = machine();
  const { ground, kernel } = world;
  const bare = lab("", "");
  good(await up(ground, bare.vnodes, bare.lans));
  const pid = world.pidOf("left");
  const { vnodes, lans } = lab();
  assert.is(good(await apply(ground, vnodes, lans))[0]!.changed, true);
  inside(world);
  const other = lab("{ device: ens5, name: lan1, address: 10.5.0.1/24 }");
  assert.is(good(await apply(ground, other.vnodes, other.lans))[0]!.changed, true);
  const { address, mtu } = kernel.inside.get(pid)!.get("lan1")!;
  assert.equal([address, mtu], [OWN.mac, OWN.mtu], "its own MAC and MTU");
  assert.is(good(await apply(ground, bare.vnodes, bare.lans))[0]!.changed, true);
  atHome(world);
  assert.is(world.pidOf("left"), pid);
  assert.is(good(await apply(ground, bare.vnodes, bare.lans))[0]!.changed, false);
});

test("a device whose name is taken keeps another until it is free", async () => {
  const world = machine();
  const { vnodes, lans } = lab();
  good(await up(world.ground, vnodes, lans));
  world.kernel.add("ens5", "dummy");
  good(await halt(world.ground, ["left"]));
  const device = world.kernel.links.get("lan0")!;
  assert.equal([device.address, device.mtu, device.up], [OWN.mac, OWN.mtu, true]);
  const before = world.kernel.changes;
  good(await halt(world.ground, ["left"]));
  assert.is(world.kernel.changes, before, "nothing is done again and again");
  world.kernel.remove("ens5");
  good(await halt(world.ground, ["left"]));
  atHome(world);
});

test("a device that would be lost, or that is the machine's own way out, is refused", async () => {
  const { vnodes, lans } = lab();
  const refused = async (more: object, wanted: string) => {
    const world = machine();
    Object.assign(world.kernel.links.get("ens5")!, more);
    assert.match(await errorOf(up(world.ground, vnodes, lans)), wanted);
    assert.is(world.containers.size, 0);
  };
  await refused({ kind: "veth" }, "is a veth: the kernel would delete it with the vnode");
  await refused({ master: "_dockercnet" }, 'is a port of "_dockercnet"');
  await refused({ addresses: ["192.0.2.1/24"] }, "has the address 192.0.2.1/24");
  const world = machine();
  world.kernel.remove("ens5");
  assert.match(await errorOf(up(world.ground, vnodes, lans)), "is not on this machine");
});

test("a device that udev renames between a look and what follows from it comes home, and goes in again", async () => {
  const world = machine();
  const { host, kernel, ground, containers } = world;
  const { vnodes, lans } = lab();
  good(await up(ground, vnodes, lans));
  const exec = host.exec.bind(host);
  let renamed = 0;
  const meddled: typeof exec = (command) => {
    const link = kernel.links.get("lan0");
    if (link !== undefined && command.input?.includes("link set dev lan0 ") === true) {
      kernel.rename(link, "ens5");
      renamed++;
    }
    return exec(command);
  };
  Object.assign(host, { exec: meddled });
  good(await halt(ground, ["left"]));
  atHome(world);
  good(await boot(ground, ["left"]));
  // Killed by whomever, and started before anybody has looked.
  const container = containers.get("left")!;
  kernel.die(container.state.pid);
  Object.assign(container.state, { running: false, pid: 0 });
  good(await boot(ground, ["left"]));
  inside(world);
  assert.is(renamed, 2);
});

test("the gate leaves a start with a device to berth, also where it was prepared for none before", async () => {
  const { ground, host, containers } = machine();
  const bare = lab("", "");
  good(await up(ground, bare.vnodes, bare.lans));
  const path = `${gatePath(containers.get("left")!.id)}/sysctls`;
  assert.is.not(await host.readText(path), null);
  const { vnodes, lans } = lab();
  good(await up(ground, vnodes, lans));
  assert.is(await host.readText(path), null);
  good(await up(ground, bare.vnodes, bare.lans));
  assert.is.not(await host.readText(path), null);
});

test("cut off anywhere between the host and the vnode, a device is handed in or at home after the next command", async () => {
  const { vnodes, lans } = lab();
  let crashes = 0;
  for (let calls = 1;; calls++) {
    const world = machine();
    const cut = async (work: (ground: World["ground"]) => Promise<readonly Outcome[]>) => {
      const outcomes = await work({ ...world.ground, host: mortal(world.host, calls) }).catch((
        error,
      ) => [{ error }]);
      return outcomes.some(({ error }) => error instanceof Crash);
    };
    const isCut = [await cut((ground) => up(ground, vnodes, lans))];
    good(await up(world.ground, vnodes, lans));
    inside(world);
    isCut.push(await cut((ground) => halt(ground, ["left"])));
    good(await halt(world.ground, ["left"]));
    atHome(world);
    crashes += isCut.filter(Boolean).length;
    if (!isCut.some(Boolean)) break;
  }
  assert.ok(crashes > 10, `${crashes} crashes`);
});

test.run();
