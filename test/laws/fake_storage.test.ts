// The laws over the things of storage on the fake host: the engine's root, which moves with its content.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Host } from "../../lib/host/types.ts";
import type { BerthError } from "../../lib/log/error.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { DAEMON_JSON } from "../../lib/resource/engine_look.ts";
import { engineRoot } from "../../lib/resource/engine_root.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import { recordsAt } from "../../lib/resource/records_place.ts";
import {
  DOCKERD_PASSING,
  dockerdCommands,
  dockerdDoor,
  isRunning,
  plantContainers,
  startDockerd,
} from "../fake/dockerd.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";
import { treeCommands } from "../fake/trees.ts";
import { laws, type Subject, type World } from "./laws.ts";
import { Crash, mortal, tornAt } from "./mortal.ts";

const ROOT = "/vms/docker";
const OLD = "/var/lib/docker";
const hosts = new WeakMap<World, FakeHost>();
const machineOf = (world: World) => hosts.get(world)!.machine;

function machine(): FakeHost {
  const host: FakeHost = createFakeHost({
    files: { "/usr/sbin/dockerd": "" },
    commands: [treeCommands, dockerdCommands],
    engine: dockerdDoor(() => host.machine),
  });
  for (const path of ["/etc/docker", "/fake", "/sys/class/net", "/var/run", "/vms"]) {
    host.machine.directories.set(path, 0o755);
  }
  return host;
}

/** The other disk, and what was set aside, stay on purpose. */
const OUTSIDE = ["/var/lib/berth", "/run/berth", "/vms", `${OLD}.set-aside`, ...DOCKERD_PASSING];
function open(): Promise<World> {
  const host = machine();
  const world: World = {
    host,
    journal: "/var/lib/berth/journal",
    dump: () => Promise.resolve(host.text(OUTSIDE)),
    close: () => Promise.resolve(),
  };
  hosts.set(world, host);
  return Promise.resolve(world);
}

async function plantRoot(host: Host, path: string, container: string): Promise<void> {
  await host.writeText(
    `${path}/containers/${container}/config.v2.json`,
    `{"Name":"${container}","LogPath":"${path}/l"}`,
  );
  await host.writeText(`${path}/overlay2/layer/diff/file`, "content\n");
  await host.writeText(`${path}/image/overlay2/repositories.json`, "{}");
}

laws("the root of an engine that runs", (world): Subject => ({
  resources: [engineRoot(ROOT)],
  async plant(host) {
    await plantRoot(host, OLD, "web");
    await host.writeText(DAEMON_JSON, '{\n  "live-restore": true\n}\n');
    startDockerd(machineOf(world));
    plantContainers(machineOf(world), [{ name: "web", labels: [], policy: "no", running: true }]);
  },
  drift: {
    of: `engine root ${ROOT}`,
    by: (host) => host.writeText(DAEMON_JSON, '{\n  "live-restore": true\n}\n'),
  },
  edit: {
    by: (host) => host.writeText(DAEMON_JSON, `{"data-root": "${ROOT}", "debug": true}`),
    survives: async (host) => {
      const text = await host.readText(DAEMON_JSON) ?? "";
      return text.includes("debug") && !text.includes("data-root");
    },
  },
}), open);

laws("the root of an engine that never ran", (): Subject => ({ resources: [engineRoot(ROOT)] }), open);

laws("a root from elsewhere than the default", (): Subject => ({
  resources: [engineRoot(ROOT)],
  async plant(host) {
    await plantRoot(host, "/data/docker", "web");
    await host.writeText(DAEMON_JSON, '{"data-root": "/data/docker"}');
  },
}), async () => {
  const world = await open();
  return {
    ...world,
    dump: () => Promise.resolve(hosts.get(world)!.text([...OUTSIDE, "/data/docker.set-aside"])),
  };
});

const PATH = "/records/vnodes";
const TARGET = "/vminfo/berth/vnodes";

const records = (world: World): World => ({
  ...world,
  dump: () =>
    Promise.resolve(hosts.get(world)!.text(["/var/lib/berth", "/vminfo", "/vms", `${PATH}.set-aside`])),
});
laws("records that move", (): Subject => ({
  resources: [recordsAt(PATH, TARGET)],
  async plant(host) {
    await host.makeDirectory(PATH, { mode: 0o700 });
    await host.writeText(`${PATH}/left/record.json`, "{}");
  },
  drift: { of: `records ${PATH}`, by: (host) => host.remove(PATH) },
  edit: {
    by: (host) => host.writeText(`${TARGET}/right/record.json`, "{}"),
    survives: async (host) => await host.readText(`${PATH}/right/record.json`) === "{}",
  },
}), () => open().then(records));

laws("records that begin", (): Subject => ({
  resources: [recordsAt(PATH, TARGET)],
  plant: (host) => host.makeDirectory("/records"),
  gone: (host) => host.remove(PATH),
}), () => open().then(records));

/** Which root daemon.json names, as an engine would take it. */
async function named(host: Host): Promise<string> {
  return JSON.parse(await host.readText(DAEMON_JSON) ?? "{}")["data-root"] ?? OLD;
}

const whole = (host: FakeHost, root: string) =>
  host.machine.files.get(`${root}/containers/web/config.v2.json`)?.text ===
    `{"Name":"web","LogPath":"${root.replace(".set-aside", "")}/l"}` &&
  host.machine.files.get(`${root}/overlay2/layer/diff/file`)?.text === "content\n" &&
  host.machine.files.has(`${root}/image/overlay2/repositories.json`);
const ensuring = (host: Host, consent?: () => boolean) =>
  createEnsure({ host, mode: "apply", journal: createJournal(host), ...(consent ? { consent } : {}) });

for (const [how, dying] of [["after", mortal], ["within", tornAt]] as const) {
  test(`engineRoot() leaves a whole root in use, whichever op a crash comes ${how}`, async () => {
    for (let calls = 1, survived = false; !survived; calls++) {
      const host = machine();
      await plantRoot(host, OLD, "web");
      startDockerd(host.machine);
      try {
        await ensuring(dying(host, calls)).ensure(engineRoot(ROOT));
        survived = true;
      } catch (error) {
        let at: unknown = error;
        while (at instanceof Error && !(at instanceof Crash)) at = at.cause;
        assert.instance(at, Crash, String(error));
      }
      const root = await named(host);
      assert.ok(whole(host, root), `after call ${calls}: "${root}" is not whole`);
      // Whoever starts the engine now, on the old root or the new: what it writes is not lost.
      await host.writeText(`${root}/volumes/since/_data/file`, "since\n");
      await ensuring({ ...host }).ensure(engineRoot(ROOT));
      assert.is(await named(host), ROOT);
      assert.ok(whole(host, ROOT));
      assert.is(host.machine.files.get(`${ROOT}/volumes/since/_data/file`)?.text, "since\n", `call ${calls}`);
      assert.ok(whole(host, `${OLD}.set-aside`), "what was before is still there");
      assert.is(await host.readLink(OLD), ROOT);
      assert.ok(startDockerd(host.machine) === null);
      assert.not([...host.machine.files.keys()].some((path) => path.includes(".berth-copy")));
    }
  });
}

test("engineRoot() adopts a root that stands there, and sets the fresh one aside", async () => {
  const host = machine();
  await plantRoot(host, ROOT, "web");
  await host.writeText(`${OLD}/engine-id`, "fresh\n");
  const [change] = (await ensuring(host).ensure(engineRoot(ROOT))).changes;
  assert.is(change!.verb, "adopt");
  assert.is(
    change!.why,
    `a root with 1 container stands at "${ROOT}"; sets "${OLD}" aside as "${OLD}.set-aside"`,
  );
  assert.is(await named(host), ROOT);
  assert.ok(whole(host, ROOT));
  assert.is(await host.readText(`${OLD}.set-aside/engine-id`), "fresh\n");
});

test("engineRoot() takes consent to adopt a root where the present one has containers too", async () => {
  const host = machine();
  await plantRoot(host, ROOT, "web");
  await plantRoot(host, OLD, "mine");
  try {
    await ensuring(host).ensure(engineRoot(ROOT));
    assert.unreachable();
  } catch (error) {
    assert.match(
      String(error),
      `both "${OLD}" (1 container) and "${ROOT}" (1 container) are roots of an engine`,
    );
  }
  assert.is(await named(host), OLD);
  await ensuring(host, () => true).ensure(engineRoot(ROOT));
  assert.is(await named(host), ROOT);
  assert.is(
    await host.readText(`${OLD}.set-aside/containers/mine/config.v2.json`),
    `{"Name":"mine","LogPath":"${OLD}/l"}`,
  );
});

test("engineRoot() writes no root beside one of dockerd's own command line, with which it would not start", async () => {
  for (const flag of ["--data-root /srv/docker", "-g /srv/docker"]) {
    const host = machine();
    await plantRoot(host, "/srv/docker", "web");
    await host.writeText("/etc/default/docker", `DOCKER_OPTS="${flag}"\n`);
    const before = host.text();
    const error = await failing(host);
    assert.is(error?.code, "config", flag);
    assert.match(error?.message ?? "", 'clashes with key "data-root"');
    assert.match(error?.next ?? "", /out of \/etc\/default\/docker .* as "data-root" into/);
    assert.is(host.text(), before);
  }
});

test("engineRoot() stops no engine for a file with another clash, that of an edit", async () => {
  const host = await badlyEdited("28.5.2", '{"labels":["a=b"]}');
  await host.writeText("/etc/default/docker", 'DOCKER_OPTS="--label c=d"\n');
  const before = host.text();
  assert.match((await failing(host))?.message ?? "", 'Flag "--label" clashes with key "labels"');
  assert.is(host.text(), before);
  assert.ok(isRunning(host.machine));
});

test("engineRoot() moves what an operator's link leads to", async () => {
  const host = machine();
  await plantRoot(host, "/data/docker", "web");
  host.machine.symlinks.set(OLD, "/data/docker");
  await ensuring(host).ensure(engineRoot(ROOT));
  assert.ok(whole(host, ROOT));
  assert.ok(whole(host, "/data/docker.set-aside"));
  await ensuring(host).undo([engineRoot(ROOT)]);
  assert.ok(whole(host, "/data/docker"));
  assert.is(await named(host), OLD);
});

test("engineRoot() finds an engine that has lost its daemon.json by the link", async () => {
  const host = machine();
  await plantRoot(host, OLD, "web");
  await ensuring(host).ensure(engineRoot(ROOT));
  await host.remove(DAEMON_JSON);
  const { changes } = await ensuring(host).ensure(engineRoot(ROOT));
  assert.equal(changes.map(({ why }) => why), [`at "${OLD}", wanted "${ROOT}"; nothing to move`]);
  assert.ok(whole(host, ROOT));
});

const refused = async (plant: (host: FakeHost) => Promise<void> | void, message: RegExp) => {
  const host = machine();
  await plantRoot(host, OLD, "web");
  await plant(host);
  const before = host.text();
  try {
    await ensuring(host).ensure(engineRoot(ROOT));
    assert.unreachable();
  } catch (error) {
    assert.match(String(error), message);
  }
  assert.is(host.text(), before);
};

/** An engine that runs, and whose daemon.json an operator has changed since into one it does not start with. */
async function badlyEdited(version: string, bad = '{"log-level":"nonsense"}'): Promise<FakeHost> {
  const host = machine();
  host.machine.files.set("/fake/version", { text: JSON.stringify(version), mode: 0o600 });
  await plantRoot(host, OLD, "web");
  await host.writeText(DAEMON_JSON, '{"debug":true}');
  startDockerd(host.machine);
  host.machine.files.set(DAEMON_JSON, { text: bad, mode: 0o644, changedMs: 2 });
  return host;
}

const failing = (host: FakeHost) =>
  ensuring(host).ensure(engineRoot(ROOT)).then(() => null, (error) => error as BerthError);

test("engineRoot() stops no engine for an edit that nobody can judge", async () => {
  const host = await badlyEdited("20.10.24");
  const before = host.text();
  assert.match(String(await failing(host)), "cannot validate it, and no text is known to go back to");
  assert.is(host.text(), before);
  assert.ok(isRunning(host.machine));
});

test("engineRoot() has an engine that can judge an edit before it stops it", async () => {
  const host = await badlyEdited("28.5.2", '{"log-level":"invalid"}');
  const stat = await host.readText("/proc/4711/stat");
  assert.match(String(await failing(host)), "--validate");
  assert.is(await host.readText("/proc/4711/stat"), stat, "it was not stopped");
  assert.ok(whole(host, OLD));
  assert.is(await named(host), OLD);
  host.machine.files.set(DAEMON_JSON, { text: '{"debug":false}', mode: 0o644, changedMs: 3 });
  assert.is(await failing(host), null);
  assert.is(await named(host), ROOT);
});

test("engineRoot() goes back past an edit that does not start to what the engine last came up with", async () => {
  for (const version of ["20.10.24", "28.5.2"]) {
    const host = await badlyEdited(version, '{"log-level":"nonsense"}');
    await host.writeText("/var/lib/berth/backup/daemon.json.ran", '{"debug":true}');
    const error = await failing(host);
    assert.is(error?.code, "docker");
    assert.match(error?.next ?? "", 'kept as "/var/lib/berth/backup/daemon.json.1"');
    assert.ok(isRunning(host.machine), "it runs again");
    assert.ok(whole(host, OLD));
    assert.is(await host.readText(DAEMON_JSON), '{"debug":true}');
    assert.is(await host.readText("/var/lib/berth/backup/daemon.json.1"), '{"log-level":"nonsense"}');
    assert.is(await failing(host), null);
    assert.ok(whole(host, ROOT));
  }
});

test("engineRoot() tells the exact next step where an edit that was judged good does not start all the same", async () => {
  const host = await badlyEdited("28.5.2");
  const error = await failing(host);
  assert.match(
    error?.next ?? "",
    /Where the engine is down, put ".*daemon\.json" right: .* kept as ".*daemon\.json\.1"/,
  );
  assert.ok(whole(host, OLD));
});

const MOUNTS = "21 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n";
test("engineRoot() refuses what it cannot move, before it stops anything", async () => {
  await refused(
    (host) =>
      host.writeText("/proc/self/mountinfo", `${MOUNTS}40 21 8:1 / ${OLD}/volumes rw - xfs /dev/sdb1 rw\n`),
    /mounted below it: \/var\/lib\/docker\/volumes \(xfs\)/,
  );
  await refused(
    (host) =>
      host.writeText(
        "/proc/self/mountinfo",
        `${MOUNTS}40 21 0:9 / ${OLD}/overlay2/x/merged rw - overlay o rw\n`,
      ),
    /the engine does not run, and its containers do/,
  );
  for (const driver of ["btrfs", "zfs"]) {
    await refused(
      (host) => host.makeDirectory(`${OLD}/${driver}`),
      new RegExp(`Cannot move "${OLD}": its layers are subvolumes \\(${driver}\\)`),
    );
  }
  await refused(
    (host) => host.writeText(`${ROOT}/.berth-copy`, '{"id":"another","from":"/var/lib/docker","number":""}'),
    /an unfinished copy that another system disk began/,
  );
});

test.run();
