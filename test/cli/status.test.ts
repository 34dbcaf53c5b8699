// deadline: 60s
// What `berth status` and `berth boot` say of vnodes and of faulty files, over a vhost in memory.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Docker } from "../../lib/docker/types.ts";

import { withLive } from "../../lib/vnode/live.ts";
import { amendLive } from "../../lib/vnode/live_changes.ts";
import { setLinkState } from "../../lib/vnode/link_state.ts";
import { drawGraph, graphOf } from "../../lib/vnode/diagram.ts";
import { drawSvg } from "../../lib/vnode/diagram_svg.ts";
import { readStatus } from "../../lib/vnode/status.ts";
import { recordPath } from "../../lib/vnode/paths.ts";
import { readRecord, readRecords, want } from "../../lib/vnode/record.ts";
import { up } from "../../lib/vnode/up.ts";
import { bootVnodes } from "../../tasks/_boot.ts";
import { vnodeWords } from "../../tasks/boot.ts";
import statusTask from "../../tasks/status.ts";
import { createWorld, declared, type World } from "../vnode/_world.ts";

const PAIR = `
lans: { wire: { subnet: 10.1.0.0/24 } }
vnodes:
  left: { image: box, links: [{ lan: wire, address: 10.1.0.1 }] }
  right: { image: box, links: [{ lan: wire, address: 10.1.0.2 }] }
`;
const FILE = "/etc/berth/vnodes.d/pair.yaml";

/** A world with that pair declared and up. */
async function pairUp(): Promise<World> {
  const world = createWorld(["wire"]);
  await world.host.makeDirectory("/etc/berth/vnodes.d");
  await world.host.writeText(FILE, PAIR);
  const { vnodes, lans } = declared(PAIR);
  for (const { error } of await up(world.ground, vnodes, lans)) assert.is(error, undefined, String(error));
  return world;
}

function contextOf(world: World) {
  const { ground, host } = world;
  const docker = {
    ...ground.docker,
    version: () => Promise.resolve({ version: "20.10.24", api: "1.41" }),
  } as Docker;
  // How full its file systems are is another test's.
  const query: World["host"]["query"] = (command) =>
    ["df", "vgs", "lvs"].includes(command.argv[0]!)
      ? Promise.resolve({ exit: 0, stdout: "", stderr: "", ms: 0 })
      : host.query(command);
  return {
    ...ground,
    host: { ...host, query },
    docker: () => Promise.resolve(docker),
    configDirectory: "/etc/berth",
    tell: () => {},
    progress: () => {},
  };
}

/** What `berth status` says: its troubles without the one that no watch runs, its text, its exit code. */
async function status(world: World) {
  const said = { wrong: [] as readonly string[], text: "", exit: 0 };
  const context = {
    ...contextOf(world),
    output(data: { wrong: readonly string[] }, text: string) {
      said.wrong = data.wrong.filter((line) => !line.startsWith("No watch runs"));
      said.text = text;
    },
    exit: (code: number) => said.exit = code,
  };
  await statusTask.run(context as unknown as Parameters<typeof statusTask.run>[0]);
  return said;
}

test("a container that is gone is told, whatever is wanted of its vnode, and no boot hides it", async () => {
  const world = await pairUp();
  assert.equal((await status(world)).wrong, []);
  for (const name of ["left", "right"]) {
    await want(world.host, (await readRecord(world.host, name))!, "halted", "berth vnode down");
    await world.ground.docker.removeContainer(name);
  }
  const wrong = ["left", "right"].map((name) =>
    `vnode ${name} is gone, wanted halted: berth vnode up ${name}, or berth vnode down ${name}`
  );
  assert.equal((await status(world)).wrong, wrong);
  const context = contextOf(world) as unknown as Parameters<typeof bootVnodes>[0];
  const tried = await bootVnodes(context, declared(PAIR) as Parameters<typeof bootVnodes>[1]);
  assert.is(vnodeWords(tried), "0 of 2 vnodes as wanted (left, right gone)");
  assert.is(world.containers.size, 0);
  assert.equal((await status(world)).wrong, wrong);
});

test("a link that is not as its spec says is marked where links are told", async () => {
  const world = await pairUp();
  const links = async () => {
    const [left, right] = await readStatus(world.host, world.ground.docker);
    return [...left!.links, ...right!.links];
  };
  const plain = ["eth1 10.1.0.1/24 on wire", "eth1 10.1.0.2/24 on wire"];
  assert.equal(await links(), plain);
  assert.equal((await setLinkState(world.ground, "left", "eth1", "down")).map(({ error }) => error), [
    undefined,
  ]);
  const shape = { egress: { rateBps: 1_000_000 } };
  await amendLive(world.ground, "right", (now) => withLive(now, "eth1", shape));
  assert.equal(await links(), [`${plain[0]} (down)`, `${plain[1]} (shaped live)`]);
  assert.match((await status(world)).text, "on wire (down)");
  const records = await readRecords(world.host);
  const graph = graphOf(records, await readStatus(world.host, world.ground.docker));
  assert.equal(graph.links.map(({ up, stands }) => [up, stands]), [[false, true], [true, true]]);
  assert.match(drawGraph(graph).join("\n"), /eth1 .*├╌╌ down ╌+╢/);
  assert.match(drawSvg(graph), /<g class="link down">/);
  await setLinkState(world.ground, "left", "eth1", { upMs: 1000, downMs: 1000, offsetMs: 0 });
  await amendLive(world.ground, "right", (now) => withLive(now, "eth1", { egress: undefined }));
  assert.equal(await links(), [`${plain[0]} (flaps)`, plain[1]]);
});

test("an `up` that is cut off before the start has the vnode wanted up", async () => {
  const world = createWorld(["wire"]);
  const { vnodes, lans } = declared(PAIR);
  const { writeText } = world.host;
  const cut = {
    ...world.host,
    writeText: (path: string, ...rest: [string]) =>
      path.includes("/gate/") ? Promise.reject(new Error("cut off")) : writeText(path, ...rest),
  };
  const outcomes = await up({ ...world.ground, host: cut as never }, vnodes, lans);
  assert.equal(outcomes.map(({ error }) => String(error)), Array(2).fill("Error: cut off"));
  assert.ok(world.host.machine.files.has(recordPath("left")));
  assert.is((await readRecord(world.host, "left"))!.wanted.state, "up");
});

test("a file that cannot be read, and a faulty host.yaml, are told; the rest is shown all the same", async () => {
  const world = await pairUp();
  const { host } = world;
  await host.makeDirectory("/var/lib/berth");
  await host.writeText("/var/lib/berth/host.yaml.last-good", "");
  host.machine.symlinks.set("/etc/berth/vnodes.d/away.yaml", "/nowhere/away.yaml");
  await host.writeText("/etc/berth/host.yaml", "bogus: 1\n");
  const { wrong, text, exit } = await status(world);
  assert.is(wrong.length, 2, wrong.join("\n"));
  assert.match(wrong[0]!, /^configuration: \/etc\/berth\/host\.yaml:1: .*bogus/);
  assert.is(
    wrong[1],
    "configuration: file /etc/berth/vnodes.d/away.yaml: Cannot read the configuration file: " +
      "it is a symbolic link to nothing: Make it a readable file, or remove it",
  );
  assert.match(text, /left +up +up +wired/);
  assert.is(exit, 2);
});

test.run();
