// The laws over a containerd's root that moves with the engine's images, on the fake host; and that whichever root is
// in use after a crash is whole, there and back.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Host } from "../../lib/host/types.ts";
import { containerdRoot } from "../../lib/resource/containerd_root.ts";
import { CONTAINERD_ROOT as HOME } from "../../lib/resource/containerd_root_look.ts";
import { DAEMON_JSON } from "../../lib/resource/engine_look.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import {
  BOOT_MOUNTS,
  CONTAINERD_PASSING,
  containerdCommands,
  containerdRuns,
  isBound,
  startContainerd,
  stopContainerd,
  unbind,
} from "../fake/containerd.ts";
import {
  DOCKERD_PASSING,
  dockerdCommands,
  dockerdDoor,
  isRunning,
  plantContainers,
  startDockerd,
  stopDockerd,
} from "../fake/dockerd.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";
import { treeCommands } from "../fake/trees.ts";
import { laws, type Subject, type World } from "./laws.ts";
import { Crash, mortal, tornAt } from "./mortal.ts";

const PLACE = "/vms/containerd";
const BLOB = "io.containerd.content.v1.content/blobs/sha256/one";
const LAYER = "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/file";
const BOOKS = "io.containerd.metadata.v1.bolt/meta.db";
const hosts = new WeakMap<World, FakeHost>();

function machine(): FakeHost {
  const host: FakeHost = createFakeHost({
    files: {
      "/usr/sbin/dockerd": "",
      "/etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
      "/proc/self/mountinfo": BOOT_MOUNTS,
      "/fake/info": JSON.stringify({ DriverStatus: [["driver-type", "io.containerd.snapshotter.v1"]] }),
    },
    commands: [containerdCommands, treeCommands, dockerdCommands],
    engine: dockerdDoor(() => host.machine),
  });
  for (const path of ["/etc/docker", "/fake", "/sys/class/net", "/var/run", "/vms"]) {
    host.machine.directories.set(path, 0o755);
  }
  return host;
}

async function plantImages(host: Host, root: string, text = "one\n"): Promise<void> {
  await host.writeText(`${root}/${BLOB}`, text);
  await host.writeText(`${root}/${LAYER}`, "layer\n");
  await host.writeText(`${root}/${BOOKS}`, "books\n");
}

function startAll({ machine }: FakeHost): void {
  startContainerd(machine);
  startDockerd(machine);
  plantContainers(machine, [{ name: "web", labels: [], policy: "no", running: true }]);
}

/** What was set aside, and the other disk, stay on purpose. */
const OUTSIDE = ["/var/lib/berth", "/run/berth", "/vms", `${HOME}.set-aside`, `${HOME}.set-aside-2`];
function open(): Promise<World> {
  const host = machine();
  const world: World = {
    host,
    journal: "/var/lib/berth/journal",
    dump: () => Promise.resolve(host.text([...OUTSIDE, ...DOCKERD_PASSING, ...CONTAINERD_PASSING])),
    close: () => Promise.resolve(),
  };
  hosts.set(world, host);
  return Promise.resolve(world);
}

laws("the root of a containerd that runs", (world): Subject => ({
  resources: [containerdRoot(PLACE)],
  async plant(host) {
    await plantImages(host, HOME);
    startAll(hosts.get(world)!);
  },
  drift: {
    of: `containerd root ${PLACE}`,
    by: (host) => host.exec({ argv: ["umount", HOME] }).then(() => {}),
  },
  edit: {
    by: async (host) =>
      host.writeText("/etc/fstab", `${await host.readText("/etc/fstab")}tmpfs /x tmpfs ro 0 0\n`),
    survives: async (host) =>
      await host.readText("/etc/fstab") === "/dev/vda / ext4 defaults 0 1\ntmpfs /x tmpfs ro 0 0\n",
  },
}), open);

laws("the root of a containerd that does not run", (): Subject => ({
  resources: [containerdRoot(PLACE)],
  async plant(host) {
    await plantImages(host, HOME);
    await host.writeText("/run/containerd/containerd.sock", "");
  },
}), open);

laws("the root of a containerd that begins", (world): Subject => ({
  resources: [containerdRoot(PLACE)],
  async plant(host) {
    await host.makeDirectory(HOME);
    await host.writeText(DAEMON_JSON, '{"features": {"containerd-snapshotter": true}}');
    startContainerd(hosts.get(world)!.machine);
  },
}), open);

const ensuring = (host: Host, consent?: () => boolean) =>
  createEnsure({ host, mode: "apply", journal: createJournal(host), ...(consent ? { consent } : {}) });
/** What whoever starts a containerd now would find. */
const inUse = ({ machine }: FakeHost) => isBound(machine) ? PLACE : HOME;
const isWhole = ({ machine: { files } }: FakeHost, root: string) =>
  files.get(`${root}/${BLOB}`)?.text === "one\n" && files.get(`${root}/${LAYER}`)?.text === "layer\n" &&
  files.get(`${root}/${BOOKS}`)?.text === "books\n";

/** A power cut, and what a boot makes of it: what fstab says is mounted, then the daemons start. */
async function powerCut(host: FakeHost): Promise<void> {
  stopDockerd(host.machine);
  stopContainerd(host.machine);
  unbind(host.machine);
  const mounts = (await host.readText("/etc/fstab"))!.includes(` ${HOME} `);
  for (const path of [...host.machine.files.keys()]) {
    if (path.startsWith("/run/berth/")) host.machine.files.delete(path);
  }
  host.machine.files.set("/proc/self/mountinfo", { text: BOOT_MOUNTS, mode: 0o644 });
  host.reboot();
  if (mounts) await host.exec({ argv: ["mount", HOME] });
}

async function crashes(calls: number, run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof Crash) return false;
    if (new RegExp(`crashed (after|within) call ${calls}\\b`).test(String(error))) return false;
    throw error;
  }
}

const CRASHES = [
  ["a kill comes after", mortal, null],
  ["a kill comes within", tornAt, null],
  ["a power cut comes after", mortal, powerCut],
  ["a power cut comes within", tornAt, powerCut],
] as const;

for (const [how, dying, after] of CRASHES) {
  for (const way of ["there", "back"] as const) {
    test(`containerdRoot() leaves a whole root in use on the way ${way}, whichever op ${how}`, async () => {
      for (let calls = 1, survived = false; !survived; calls++) {
        const host = machine();
        await plantImages(host, HOME);
        startAll(host);
        if (way === "back") await ensuring(host).ensure(containerdRoot(PLACE));
        const resource = containerdRoot(PLACE, { back: way === "back" });
        survived = await crashes(
          calls,
          () =>
            way === "there"
              ? ensuring(dying(host, calls)).ensure(resource)
              : ensuring(dying(host, calls)).undo([resource]),
        );
        await after?.(host);
        const root = inUse(host);
        assert.ok(isWhole(host, root), `after call ${calls}: "${root}" is not whole`);
        // Whoever starts the daemons now: what they write is not lost.
        startContainerd(host.machine);
        startDockerd(host.machine);
        await host.writeText(`${root}/since`, "since\n");
        const again = { ...host };
        if (way === "there") await ensuring(again).ensure(containerdRoot(PLACE));
        else await ensuring(again).undo([resource]);
        const end = way === "there" ? PLACE : HOME;
        assert.is(inUse(host), end, `call ${calls}`);
        assert.ok(isWhole(host, end), `call ${calls}`);
        assert.is(host.machine.files.get(`${end}/since`)?.text, "since\n", `call ${calls}`);
        const aside = way === "there" ? `${HOME}.set-aside` : `${PLACE}.set-aside`;
        assert.ok(isWhole(host, aside), `call ${calls}: what was before is still there`);
        assert.ok(isRunning(host.machine) && containerdRuns(host.machine));
        assert.equal([...host.machine.files.keys()].filter((path) => path.includes(".berth-copy")), []);
        assert.equal((await ensuring({ ...host }).undo([])).changes, []);
      }
    });
  }
}

test("containerdRoot() adopts content that stands there, and sets the fresh one aside", async () => {
  const host = machine();
  await plantImages(host, PLACE);
  await host.writeText(`${HOME}/${BOOKS}`, "fresh\n");
  await host.writeText("/run/containerd/containerd.sock", "");
  const [change] = (await ensuring(host).ensure(containerdRoot(PLACE))).changes;
  assert.is(change!.verb, "adopt");
  assert.is(
    change!.why,
    `content of a containerd stands at "${PLACE}"; sets what is in "${HOME}" aside as "${HOME}.set-aside"`,
  );
  assert.is(inUse(host), PLACE);
  assert.ok(isWhole(host, PLACE));
  assert.is(await host.readText(`${HOME}.set-aside/${BOOKS}`), "fresh\n");
});

test("containerdRoot() takes consent to adopt where the present one has images too", async () => {
  const host = machine();
  await plantImages(host, PLACE);
  await plantImages(host, HOME, "mine\n");
  startAll(host);
  const before = host.text();
  await ensuring(host).ensure(containerdRoot(PLACE)).then(
    () => assert.unreachable(),
    (error) => assert.match(String(error), `both "${HOME}" and "${PLACE}" have images`),
  );
  assert.is(host.text(), before);
  await ensuring(host, () => true).ensure(containerdRoot(PLACE));
  assert.ok(isWhole(host, PLACE));
  assert.is(await host.readText(`${HOME}.set-aside/${BLOB}`), "mine\n");
});

test("containerdRoot() takes consent to put images out of sight for content without any", async () => {
  const host = machine();
  await host.writeText(`${PLACE}/${BOOKS}`, "fresh\n");
  await plantImages(host, HOME);
  startAll(host);
  const before = host.text();
  await ensuring(host).ensure(containerdRoot(PLACE)).then(
    () => assert.unreachable(),
    (error) => assert.match(String(error), `"${HOME}" has images, and "${PLACE}" has content without any`),
  );
  assert.is(host.text(), before);
});

test("containerdRoot() mounts again what is not mounted, and never copies over it", async () => {
  const host = machine();
  await plantImages(host, HOME);
  startAll(host);
  await ensuring(host).ensure(containerdRoot(PLACE));
  await host.exec({ argv: ["umount", HOME] });
  await host.writeText(`${HOME}/${BLOB}`, "begun meanwhile\n");
  await host.writeText(`${PLACE}/since`, "since\n");
  const { changes } = await ensuring(host, () => true).ensure(containerdRoot(PLACE));
  assert.match(changes[0]!.why, `both "${HOME}" and "${PLACE}" have images`);
  assert.ok(isWhole(host, PLACE));
  assert.is(await host.readText(`${PLACE}/since`), "since\n");
  assert.is(await host.readText(`${HOME}.set-aside-2/${BLOB}`), "begun meanwhile\n");
});

const untouched = async (plant: (host: FakeHost) => Promise<void> | void) => {
  const host = machine();
  await plantImages(host, HOME);
  startAll(host);
  await plant(host);
  const before = host.text();
  assert.equal((await ensuring(host).ensure(containerdRoot(PLACE))).changes, []);
  assert.is(host.text(), before);
};

test("containerdRoot() leaves alone what is no engine's, or an operator's own doing", async () => {
  await untouched((host) =>
    host.writeText("/fake/info", '{"DriverStatus": [["Backing Filesystem", "extfs"]]}')
  );
  await untouched((host) => stopContainerd(host.machine)); // dockerd has one of its own, in its own root
  await untouched((host) =>
    host.writeText("/proc/self/mountinfo", `${BOOT_MOUNTS}41 21 8:1 / ${HOME} rw - xfs /dev/sdb1 rw\n`)
  );
});

test("containerdRoot() refuses another disk's copy, and what has no room, before it stops anything", async () => {
  const refused = async (plant: (host: FakeHost) => Promise<void>, message: RegExp) => {
    const host = machine();
    await plantImages(host, HOME);
    startAll(host);
    await plant(host);
    const before = host.text();
    await ensuring(host).ensure(containerdRoot(PLACE)).then(
      () => assert.unreachable(),
      (error) => assert.match(String(error), message),
    );
    assert.is(host.text(), before);
  };
  await refused(
    (host) =>
      host.writeText(`${PLACE}/.berth-copy`, '{"id":"another","from":"/var/lib/containerd","number":""}'),
    /an unfinished copy that another system disk began/,
  );
  await refused(
    (host) => host.writeText("/etc/fstab", `/dev/sdb1 ${HOME} xfs defaults 0 2\n`),
    /has a line for "\/var\/lib\/containerd" that is not berth's/,
  );
});

test.run();
