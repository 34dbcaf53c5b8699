// deadline: 120s
// The watch over a fake kernel and a fake engine on a real socket: what a real engine shows on its bad days only.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { reconcile } from "../../lib/watch/reconcile.ts";
import { hostEndName, ifbName } from "../../lib/vnode/names.ts";
import { readRecord, readRecords, want, writeRecord } from "../../lib/vnode/record.ts";
import { until } from "../fake/clock.ts";
import { Ground, story } from "./_ground.ts";

test("the first full look boots what is wanted up, wires it, and leaves the halted", () =>
  story(async (ground) => {
    await ground.vnode(1);
    await ground.vnode(2, "halted");
    await ground.watch();
    await ground.converges("boot and wire");
    assert.is(ground.containers.get("n2")!.pid, 0);
    const { changes } = ground.kernel;
    ground.resync("test");
    await until("another look", () => ground.state?.resyncReason === "test");
    assert.is(ground.kernel.changes, changes, "a look at a converged world changes nothing");
  }));

test("reconcile() wires an ungated life, does nothing the second time, and unwires a dead one", () =>
  story(async (ground) => {
    await ground.vnode(1);
    await ground.engine.start();
    ground.start("n1", false);
    const first = await reconcile(ground, "n1");
    assert.equal(first, { state: "wired", changed: true, boot: false });
    assert.equal(await ground.faults(), []);
    assert.equal(await reconcile(ground, "n1"), { state: "wired", changed: false, boot: false });
    ground.die("n1", { tell: false });
    assert.equal(await reconcile(ground, "n1"), { state: "down", changed: true, boot: true });
    assert.equal(await reconcile(ground, "n1"), { state: "down", changed: false, boot: true });
    ground.containers.delete("n1");
    assert.equal(await reconcile(ground, "n1"), { state: "down", changed: false, boot: false });
    assert.equal(await reconcile(ground, "nobody"), { state: "none", changed: false, boot: false });
  }));

test("a start that nobody saw makes a halted vnode wanted up; a life older than the halt does not", () =>
  story(async (ground) => {
    await ground.vnode(1, "halted");
    await ground.engine.start();
    ground.start("n1", false);
    await reconcile(ground, "n1");
    assert.is(await ground.wantedOf("n1"), "up");
    const record = (await readRecord(ground.host, "n1"))!;
    await writeRecord(ground.host, {
      ...record,
      wanted: { state: "halted", by: "test", at: "2033-01-01T00:00:00Z" },
    });
    await reconcile(ground, "n1");
    assert.is(await ground.wantedOf("n1"), "halted");
  }));

test("live commands set what is wanted; deaths around an engine's end do not", () =>
  story(async (ground) => {
    for (const number of [1, 2, 3, 4]) await ground.vnode(number);
    await ground.watch();
    await ground.converges("all up");
    ground.die("n1", { signal: "9", exitCode: 137 });
    await ground.converges("n1 killed");
    assert.is(await ground.wantedOf("n1"), "halted");
    ground.die("n2", { exitCode: 129 });
    await ground.converges("n2 rebooted by itself");
    assert.is(await ground.wantedOf("n2"), "up");
    ground.die("n3", { exitCode: 130 });
    await ground.converges("n3 powered off");
    assert.is(await ground.wantedOf("n3"), "halted");
    // An engine that goes down tells the same as an operator's stop, and takes no new calls.
    ground.takesCalls = false;
    ground.die("n4", { signal: "15", exitCode: 143 });
    await until("it to be told", () => ground.log.lines.some((line) => line.includes("going down")));
    assert.is(await ground.wantedOf("n4"), "up");
    assert.is(ground.containers.get("n4")!.pid, 0, "nothing is started on an engine that leaves");
    await ground.engine.die();
    ground.takesCalls = true;
    await ground.engine.start();
    await ground.converges("n4 back with the engine");
    assert.is(await ground.wantedOf("n1"), "halted");
  }));

test("a restart that the engine's crash cut in two is taken back; an orderly end's stop is not", () =>
  story(async (ground) => {
    for (const crashed of [true, false]) {
      await ground.vnode(1);
      if (crashed) await ground.watch();
      else ground.resync("again");
      await ground.converges("up");
      ground.die("n1", { signal: "15", exitCode: 143 });
      await ground.converges("halted");
      ground.crashed = crashed;
      await ground.engine.die();
      await until("the loss to be noticed", () => ground.state?.connected === false);
      await ground.engine.start();
      await until("a connection", () => {
        if (ground.state?.connected !== true) ground.clock.advance(200);
        return ground.state?.connected;
      });
      await ground.converges("as wanted");
      assert.is(await ground.wantedOf("n1"), crashed ? "up" : "halted", `crashed: ${crashed}`);
      ground.die("n1", { tell: false });
    }
  }));

test("events told from before the connection are history", () =>
  story(async (ground) => {
    await ground.vnode(1);
    await ground.watch();
    await ground.converges("up");
    await ground.engine.die();
    await until("the loss to be noticed", () => ground.state?.connected === false);
    // The returning engine kills what its crash left, before it answers anybody.
    ground.die("n1", { signal: "9", exitCode: 137 });
    ground.emit("n1", "stop");
    ground.clock.advance(5000);
    await ground.engine.start();
    await ground.converges("up again");
    assert.is(await ground.wantedOf("n1"), "up");
  }));

test("want() changes nothing but what is wanted, of the container it was said of", () =>
  story(async (ground) => {
    await ground.vnode(1);
    const old = (await readRecord(ground.host, "n1"))!;
    const spec = { ...old.spec, image: "newer" };
    await writeRecord(ground.host, { ...old, spec });
    await want(ground.host, old, "halted", "test");
    const now = (await readRecord(ground.host, "n1"))!;
    assert.is(now.spec.image, "newer");
    assert.is(now.wanted.state, "halted");
    await writeRecord(ground.host, { ...now, containerId: "another" });
    await want(ground.host, old, "up", "test");
    assert.is(await ground.wantedOf("n1"), "halted");
    // Everybody at once: the file is always one of theirs, whole.
    const next = (await readRecord(ground.host, "n1"))!;
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => want(ground.host, next, i % 2 === 0 ? "up" : "halted", `${i}`)),
    );
    assert.is((await readRecords(ground.host)).length, 1);
  }));

test("the end of a container that was replaced says nothing of the one that took its place", () =>
  story(async (ground) => {
    await ground.vnode(1);
    await ground.watch();
    await ground.converges("up");
    const id = "d".repeat(64);
    ground.engine.emit({
      action: "die",
      id,
      attributes: { "berth.vnode": "n1", exitCode: "0" },
      timeNano: `${ground.clock.unix()}999999`,
    });
    ground.die("n1", { exitCode: 129 });
    await ground.converges("rebooted");
    assert.is(await ground.wantedOf("n1"), "up");
  }));

test("an interface of our name that is not ours is refused and stays", () =>
  story(async (ground) => {
    await ground.vnode(1);
    ground.kernel.add(hostEndName("n1", "eth1"), "bridge");
    await ground.engine.start();
    ground.start("n1", false);
    const refused = await reconcile(ground, "n1").then(() => null, (error) => error);
    assert.is(refused?.code, "refused");
    assert.match(refused.message, /is there and is not berth's/);
    assert.is(ground.kernel.links.get(hostEndName("n1", "eth1"))?.kind, "bridge");
    ground.kernel.remove(hostEndName("n1", "eth1"));
    // One that we made and had no time to mark is ours.
    ground.kernel.add(ifbName("n1", "eth1"), "ifb");
    await reconcile(ground, "n1");
    assert.equal(await ground.faults(), []);
  }));

test("a fault of one vnode, of the ground or of the state file keeps nothing else from being put right", () =>
  story(async (ground) => {
    await ground.vnode(1);
    await ground.vnode(2);
    await ground.host.writeText("/var/lib/berth/vnodes/broken/record.json", "{");
    ground.kernel.failing = 2;
    ground.failing = 3;
    await ground.watch({ looked: false });
    await ground.converges("all but the broken one");
    assert.ok(ground.log.lines.some((line) => line.startsWith("Unreadable record")));
  }));

/** Mulberry32. */
function random(seed: number): (most: number) => number {
  return (most) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % most;
  };
}

const SCRIPTS = process.env.BERTH_LONG ? 2000 : 100;

test(`${SCRIPTS} seeded random scripts all end with everything as wanted`, async () => {
  for (let seed = 1; seed <= SCRIPTS; seed++) {
    await story(async (ground) => {
      const chance = random(seed);
      for (const number of [1, 2, 3]) await ground.vnode(number, chance(4) === 0 ? "halted" : "up");
      await ground.watch();
      const script: string[] = [];
      for (let step = 0; step < 12; step++) {
        const vnode = `n${1 + chance(3)}`;
        const does = ACTS[chance(ACTS.length)]!;
        script.push(`${does.name} ${vnode}`);
        await does(ground, vnode, chance);
      }
      if (ground.engine.silent) {
        ground.engine.silent = false;
        ground.engine.cutStreams("broken");
      }
      await ground.converges(`seed ${seed}: ${script.join(", ")}`, 400_000);
    });
  }
});

type Act = (ground: Ground, vnode: string, chance: (most: number) => number) => unknown;
const ACTS: readonly Act[] = [
  function start(ground, vnode) {
    ground.start(vnode);
  },
  function stop(ground, vnode) {
    if (ground.containers.get(vnode)!.pid === 0) return;
    ground.die(vnode, { signal: "15", exitCode: 143 });
    ground.emit(vnode, "stop");
  },
  function restart(ground, vnode) {
    if (ground.containers.get(vnode)!.pid !== 0) {
      ground.die(vnode, { signal: "15", exitCode: 143 });
      ground.emit(vnode, "stop");
    }
    ground.start(vnode);
  },
  function end(ground, vnode, chance) {
    ground.die(vnode, { exitCode: [0, 1, 129, 130, 137][chance(5)]! });
  },
  function diesUnseen(ground, vnode) {
    ground.die(vnode, { tell: false });
    ground.resync("test");
  },
  function loses(ground, vnode) {
    ground.kernel.remove(hostEndName(vnode, "eth1"));
    ground.resync("test");
  },
  function losesIfb(ground, vnode) {
    ground.kernel.remove(ifbName(vnode, "eth1"));
    ground.resync("test");
  },
  function flush(ground) {
    ground.kernel.allow.clear();
    ground.resync("test");
  },
  function cut(ground) {
    ground.engine.cutStreams("broken");
  },
  function cutInOrder(ground) {
    ground.engine.cutStreams("orderly");
  },
  function silence(ground) {
    ground.engine.silent = true;
  },
  function fail(ground, _, chance) {
    ground.failing = chance(5);
  },
  function kernelFails(ground, _, chance) {
    ground.kernel.failing = chance(3);
  },
  function time(ground, _, chance) {
    ground.clock.advance(chance(30_000));
  },
  async function air() {
    await new Promise((resolve) => setTimeout(resolve, 1));
  },
];

test("an engine that is away costs few tries, and none between them", () =>
  story(async (ground) => {
    await ground.vnode(1);
    await ground.watch();
    await ground.converges("up");
    await ground.engine.die();
    await until("the loss to be noticed", () => ground.state?.connected === false);
    const lines = ground.log.lines.length;
    const began = ground.clock.now();
    while (ground.clock.now() - began < 600_000) {
      ground.clock.advance(Math.max(1, ground.clock.next ?? 1000));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const tries = ground.log.lines.length - lines;
    assert.ok(tries > 20 && tries < 400, `${tries} lines in ten minutes`);
    await ground.engine.start();
    await ground.converges("up with the engine");
  }));

test("memory stays flat over 5,000 events", () =>
  story(async (ground) => {
    for (const number of [1, 2, 3, 4, 5]) await ground.vnode(number);
    await ground.watch();
    await ground.converges("up");
    const round = async (events: number) => {
      for (let event = 0; event < events; event += 5) {
        for (let number = 1; number <= 5; number++) ground.emit(`n${number}`, event % 2 ? "top" : "unpause");
        if (event % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      ground.log.lines.length = 0;
      ground.engine.seen.length = 0;
      ground.host.done.length = 0;
      await ground.converges("all still there");
    };
    await round(1500);
    const before = process.memoryUsage().heapUsed;
    await round(5000);
    await round(100);
    const grown = (process.memoryUsage().heapUsed - before) / 1024 / 1024;
    assert.ok(grown < 20, `grew by ${grown.toFixed(1)} MiB`);
    assert.ok(ground.clock.pending < 10, `${ground.clock.pending} waits`);
  }));

test.run();
