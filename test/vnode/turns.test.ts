// Two commands at one vnode: they take turns. An engine in memory, one lan, and locks as the kernel gives them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import type { Container, Docker } from "../../lib/docker/types.ts";
import type { Host } from "../../lib/host/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import type { Ground } from "../../lib/vnode/ground.ts";
import { destroy } from "../../lib/vnode/destroy.ts";
import { bridgeName, lanAlias } from "../../lib/vnode/names.ts";
import { readRecord } from "../../lib/vnode/record.ts";
import { up } from "../../lib/vnode/up.ts";
import { createFakeHost } from "../fake/host.ts";
import { keptLog } from "../watch/_ground.ts";

const { vnodes: SPECS, lans: LANS } = parseConfig([{
  path: "/etc/berth/vnodes.d/a.json",
  text: JSON.stringify({
    lans: { wire: { subnet: "10.1.0.0/24" } },
    vnodes: { left: { image: "box", links: [{ lan: "wire", address: "10.1.0.1" }] } },
  }),
}]);
const BRIDGE = bridgeName("wire");
const LINK = `/sys/class/net/${BRIDGE}`;

/** A machine on which calls of an engine can be held up. */
function machine() {
  const fake = createFakeHost({
    commands: [({ argv: [program, ...args], input = "" }, { directories }) => {
      if (program === "pgrep") return { exit: 1 };
      if (program === "nft") return { stdout: '{"nftables":[]}' };
      if (!args.includes("-batch")) {
        const bridge = { ifname: BRIDGE, ifalias: lanAlias("wire"), mtu: 1500, flags: ["UP"], linkinfo: {} };
        return { stdout: JSON.stringify(program === "ip" && directories.has(LINK) ? [bridge] : []) };
      }
      if (new RegExp(`link (del|set dev) ${BRIDGE}( group|$)`, "m").test(input)) directories.delete(LINK);
      return {};
    }],
  });
  const { directories } = fake.machine;
  /** Lans alone are made by it here. */
  const ensureAll = (resources: readonly unknown[]) => {
    const changed = resources.length > 0 && !directories.has(LINK);
    if (changed) directories.set(LINK, 0o755);
    return Promise.resolve(resources.map(() => ({ changed })));
  };
  const ensure = (resource: unknown) => ensureAll([resource]).then(([one]) => one);
  const held = new Map<string, Promise<void>>();
  const lock: Host["lock"] = async (path, { waitMs = 0 } = {}) => {
    while (held.has(path)) {
      if (waitMs === 0) throw new BerthError({ code: "locked", object: path, message: "is held" });
      await held.get(path);
    }
    let free = () => {};
    held.set(path, new Promise((resolve) => free = resolve));
    return { path, release: () => Promise.resolve((held.delete(path), free())) };
  };
  const host: Host = { ...fake, lock };
  const containers = new Map<string, Container>();
  const find = (ref: string) =>
    [...containers.values()].find(({ id, name }) => id === ref || name === ref) ?? null;
  const calls: string[] = [];
  let hold: Promise<void> = Promise.resolve();
  const docker = {
    version: () => Promise.resolve({ api: "1.41" }),
    info: () => Promise.resolve({ Runtimes: { berth: {} } }),
    inspectNetwork: () => Promise.resolve({}),
    inspectImage: () => Promise.resolve({}),
    inspectContainer: (ref: string) => Promise.resolve(find(ref)),
    async createContainer(name: string, body: { readonly Labels: Record<string, string> }) {
      calls.push("create");
      await hold;
      if (containers.has(name)) throw new Error(`Conflict. The container name "/${name}" is already in use`);
      const id = `${calls.length}`.padStart(64, "c");
      const state = { running: false, pid: 0, exitCode: 0, error: "" };
      containers.set(
        name,
        { id, name, labels: body.Labels, state, hostsPath: "/h", raw: {} } as unknown as Container,
      );
      return { id, warnings: [] };
    },
    startContainer(ref: string) {
      calls.push("start");
      Object.assign(find(ref)!.state, { running: true, pid: 4242 });
      return Promise.resolve(true);
    },
    async removeContainer(ref: string) {
      calls.push("remove");
      await hold;
      return containers.delete(find(ref)?.name ?? "");
    },
  } as unknown as Docker;
  const log = keptLog();
  const ground = { host, docker, log, ensure, ensureAll, mode: "apply", by: "test" } as unknown as Ground;
  return {
    ...{ host, containers, calls, log },
    upLeft: () => up(ground, SPECS, LANS),
    downLeft: () => destroy(ground, ["left"]),
    /** Calls that make or remove a container wait until the answer is called. */
    holding(): () => void {
      let go = () => {};
      hold = new Promise((resolve) => go = resolve);
      return go;
    },
    hasLan: () => directories.has(LINK),
  };
}

const waited = (calls: readonly string[], call: string) =>
  new Promise<void>((resolve) => {
    const look = () => calls.includes(call) ? resolve() : void setTimeout(look, 1);
    look();
  });
const errorsOf = (outcomes: readonly { readonly error?: unknown }[]) =>
  outcomes.map(({ error }) => error ?? null);

test("up() of a new vnode by two commands at once: one makes it, the other finds it made", async () => {
  const { upLeft, holding, calls, log, containers } = machine();
  const go = holding();
  const first = upLeft();
  await waited(calls, "create");
  const second = upLeft();
  setTimeout(go, 50);
  const [[one], [two]] = await Promise.all([first, second]);
  assert.equal(errorsOf([one!, two!]), [null, null]);
  assert.equal([one!.changed, two!.changed], [true, false]);
  assert.equal(calls, ["create", "start"]);
  assert.is(containers.size, 1);
  assert.match(log.lines.join("\n"), "Another command is at this vnode: waits for it");
});

test("up() while the vnode is being destroyed waits for that, and makes it anew with its lan", async () => {
  const { upLeft, downLeft, holding, calls, host, containers, hasLan } = machine();
  assert.equal(errorsOf(await upLeft()), [null]);
  const old = containers.get("left")!.id;
  const go = holding();
  const down = downLeft();
  await waited(calls, "remove");
  const again = upLeft();
  setTimeout(go, 50);
  assert.equal(errorsOf([...await down, ...await again]), [null, null]);
  assert.is.not(containers.get("left")!.id, old);
  assert.ok(containers.get("left")!.state.running);
  assert.is((await readRecord(host, "left"))?.containerId, containers.get("left")!.id);
  assert.ok(hasLan());
});

test("destroy() of one vnode by two commands at once: the second finds it gone, and that is well", async () => {
  const { upLeft, downLeft, holding, calls, containers, hasLan } = machine();
  await upLeft();
  const go = holding();
  const first = downLeft();
  await waited(calls, "remove");
  const second = downLeft();
  setTimeout(go, 50);
  const [[one], [two]] = await Promise.all([first, second]);
  assert.equal(errorsOf([one!, two!]), [null, null]);
  assert.equal([one!.changed, two!.changed], [true, false]);
  assert.is(containers.size, 0);
  assert.not.ok(hasLan());
});

test("a lan that another command took for lonely meanwhile stands when a new vnode starts", async () => {
  const { upLeft, holding, calls, host, hasLan } = machine();
  const go = holding();
  const first = upLeft();
  await waited(calls, "create");
  await host.exec({ argv: ["ip", "-batch", "-"], input: `link del ${BRIDGE}\n` });
  assert.not.ok(hasLan());
  go();
  assert.equal(errorsOf(await first), [null]);
  assert.ok(hasLan());
});

test.run();
