// The laws over what stands on a volume, on the fake host: file system, line in fstab, mount, guards of the engine.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { applyChanges } from "../../lib/resource/apply.ts";
import { engineGuards } from "../../lib/resource/engine_guard.ts";
import { parseConfig } from "../../lib/config/parse.ts";
import { consentTo } from "../../lib/resource/consent.ts";
import { BerthError } from "../../lib/log/error.ts";
import type { Change } from "../../lib/resource/types.ts";
import { type AnyResource, createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import { fileSystem, grownFileSystem } from "../../lib/resource/kinds/file_system.ts";
import { fstabEntry } from "../../lib/resource/kinds/fstab.ts";
import { mounted } from "../../lib/resource/kinds/mount.ts";
import { createFakeHost, type FakeHost, type FakeHostOptions } from "../fake/host.ts";
import { plantDevice, ROOT_MOUNT, volumeCommands } from "../fake/volumes.ts";
import { laws, type Subject, type World } from "./laws.ts";

const DEVICE = "/dev/fake/vms";
const MOUNTINFO = "/proc/self/mountinfo";

function machine(device?: FakeHostOptions["device"]): FakeHost {
  const host = createFakeHost({
    files: {
      "/etc/fstab": "# theirs\n/dev/vda / ext4 defaults 0 1",
      [MOUNTINFO]: ROOT_MOUNT,
      "/proc/1/comm": "systemd\n",
    },
    commands: [volumeCommands],
    ...device === undefined ? {} : { device },
  });
  plantDevice(host.machine, DEVICE);
  return host;
}

function open(): Promise<World> {
  const host = machine();
  const world: World = {
    host,
    journal: "/var/lib/berth/journal",
    dump: () => Promise.resolve(host.text(["/var/lib/berth", "/run/berth", "/etc/systemd"])),
    close: () => Promise.resolve(),
  };
  return Promise.resolve(world);
}

const wanted = fileSystem({ device: DEVICE, type: "ext4", label: "berth-vms" });
const line = fstabEntry({
  source: DEVICE,
  target: "/vms",
  type: "ext4",
  options: ["defaults", "nofail"],
  pass: 2,
});
const mount = mounted({ target: "/vms", source: DEVICE });
const made = async (host: FakeHost) =>
  void await createEnsure({ host, mode: "apply", journal: null }).ensure(wanted);

laws("a file system", (): Subject => ({ resources: [wanted], stays: true }), open);

laws(
  "a line in fstab",
  (world): Subject => ({
    resources: [line],
    plant: () => made(world.host as FakeHost),
    drift: {
      of: "fstab line of /vms",
      by: async (host) =>
        host.writeText("/etc/fstab", (await host.readText("/etc/fstab"))!.replace("nofail", "noauto")),
    },
    edit: {
      by: async (host) =>
        host.writeText("/etc/fstab", `${await host.readText("/etc/fstab")}tmpfs /x tmpfs ro 0 0\n`),
      survives: async (host) =>
        await host.readText("/etc/fstab") ===
          "# theirs\n/dev/vda / ext4 defaults 0 1\ntmpfs /x tmpfs ro 0 0\n",
    },
  }),
  () =>
    open().then((world) => ({
      ...world,
      dump: () => world.dump().then((text) => text.replace("0 1\\n", "0 1")),
    })),
);

laws("a mount", (world): Subject => ({
  resources: [mount],
  async plant() {
    const host = world.host as FakeHost;
    await made(host);
    await createEnsure({ host, mode: "apply", journal: null }).ensure(line);
  },
  drift: {
    of: "mount /vms",
    by: (host) => host.exec({ argv: ["umount", "/vms"] }).then(() => {}),
  },
}), open);

for (const init of ["systemd", "sysvinit"]) {
  laws(`guards of the engine with ${init}`, (): Subject => ({
    resources: engineGuards(["/vms", "/vms/docker"]),
    async plant(host) {
      if (init === "systemd") await host.makeDirectory("/run/systemd/system");
      else await host.writeText("/proc/1/comm", "init\n");
      await host.writeText("/etc/inittab", "");
      await host.writeText("/etc/default/docker", "# DOCKER_OPTS=\n");
    },
    edit: {
      by: async (host) =>
        host.writeText(
          "/etc/default/docker",
          `${await host.readText("/etc/default/docker")}DOCKER_OPTS=-D\n`,
        ),
      survives: async (host) =>
        await host.readText("/etc/default/docker") === "# DOCKER_OPTS=\nDOCKER_OPTS=-D\n",
    },
  }), open);
}

const ensuring = (host: FakeHost, consent = false) =>
  createEnsure({ host, mode: "apply", journal: createJournal(host), consent: () => consent });
const refusal = async (host: FakeHost, resource: AnyResource): Promise<string> => {
  const before = host.text(["/var/lib/berth"]);
  const said = await ensuring(host).ensure(resource).then(() => "not refused", String);
  assert.is(host.text(["/var/lib/berth"]), before, "nothing was changed");
  return said;
};

test("fileSystem() uses one again by type and label, and makes none over another without consent", async () => {
  const host = machine();
  plantDevice(host.machine, DEVICE, { type: "ext4", label: "berth-vms", uuid: "old" });
  assert.equal((await ensuring(host).ensure(wanted)).changes, []);
  for (const [type, label] of [["xfs", "berth-vms"], ["ext4", "theirs"], ["ext4", ""]] as const) {
    plantDevice(host.machine, DEVICE, { type, label, uuid: "old" });
    assert.match(await refusal(host, wanted), "its content would be lost");
  }
  assert.equal(
    (await ensuring(host).ensure(fileSystem({
      ...{ device: DEVICE, type: "ext4", label: "berth-vms", adopt: true },
    }))).changes,
    [],
  );
  await ensuring(host, true).ensure(wanted);
  assert.match(host.machine.files.get(DEVICE)!.text, '"label":"berth-vms"');
});

test("fileSystem() replaces only what the consent names: what has come since is refused again", async () => {
  let digest = "x";
  const host = machine(() => ({ free: true, zero: false, digest }));
  const plant = (uuid: string) => plantDevice(host.machine, DEVICE, { type: "xfs", label: "theirs", uuid });
  const attempt = async (yaml: string) => {
    const { consent } = parseConfig([{ path: "/etc/berth/host.yaml", text: yaml }]).host;
    const judge = (change: Change) => consentTo(consent, change);
    return await createEnsure({ host, mode: "apply", journal: createJournal(host), consent: judge })
      .ensure(wanted).then(({ changes }) => changes, (error) => error as BerthError);
  };
  const refused = async (yaml: string): Promise<BerthError> => {
    const before = host.text(["/var/lib/berth"]);
    const said = await attempt(yaml);
    assert.instance(said, BerthError);
    assert.is(host.text(["/var/lib/berth"]), before, "nothing was changed");
    return said as BerthError;
  };
  plant("first");
  // The name of the place alone is no consent to whatever may stand there.
  const said = await refused(`consent: { objects: ["file system ${DEVICE}"] }`);
  assert.match(said.message, 'xfs labelled "theirs", wanted ext4');
  const line = /add to host\.yaml: (consent: .*)$/.exec(said.next!)![1]!;
  assert.match(
    line,
    /^consent: \{ replace: \[\{ object: "file system \/dev\/fake\/vms", found: "xfs [0-9a-f]{12}" \}\] \}$/,
  );

  for (const come of [() => plant("second"), () => (plant("first"), digest = "y")]) {
    come();
    const again = await refused(line);
    assert.match(again.message, "consent is void, something else is there");
    assert.match(again.message, /found: "(xfs [0-9a-f]{12})"/.exec(line)![1]!);
    assert.match(again.next!, /change host\.yaml to: consent: \{ replace: /);
  }
  digest = "x";
  assert.equal((await attempt(line) as Change[]).map(({ verb }) => verb), ["replace"]);
  assert.match(host.machine.files.get(DEVICE)!.text, '"label":"berth-vms"');
});

test("fileSystem() makes none where one stood once, nor over what has come since it looked", async () => {
  const host = machine();
  const kept = fileSystem({ device: DEVICE, type: "ext4", label: "berth-vms", kept: true });
  assert.match(await refusal(host, kept), /Found nothing on "\/dev\/fake\/vms", which held a file system/);
  const away = fileSystem({ device: "/dev/fake/none", type: "ext4", label: "berth-vms", kept: true });
  assert.equal(away.diff(await away.observe(host)), []);

  plantDevice(host.machine, DEVICE, { type: "ext4", label: "theirs", uuid: "old" });
  const before = host.text(["/var/lib/berth"]);
  const said = await applyChanges(host, wanted.diff(null)).then(() => "done", String);
  assert.match(said, "blkid -p");
  assert.is(host.text(["/var/lib/berth"]), before);
});

test("fileSystem() takes a volume of others for blank only where its ends are zero", async () => {
  const foreign = fileSystem({
    device: DEVICE,
    type: "ext4",
    label: "berth-vms",
    adopt: true,
    foreign: true,
  });
  const ends = { free: true, digest: "x" };
  // A disk image of somebody's, without a signature; and one that cannot be read.
  for (const device of [() => ({ ...ends, zero: false }), () => null]) {
    const host = machine(device);
    assert.match(await refusal(host, foreign), "there before berth");
    assert.match((await ensuring(host, true).ensure(foreign)).changes[0]!.risk, "destructive");
    assert.match(host.machine.files.get(DEVICE)!.text, '"label":"berth-vms"');
    assert.equal((await ensuring(host).ensure(foreign)).changes, []);
  }
  const [change] = (await ensuring(machine(() => ({ ...ends, zero: true }))).ensure(foreign)).changes;
  assert.equal([change?.verb, change?.risk], ["create", "safe"]);
  // Not active yet: nobody can tell what is on it.
  assert.equal(foreign.diff(null), []);
  // One that berth made is what lvcreate left: only its first bytes are wiped.
  assert.is(
    (await ensuring(machine(() => ({ ...ends, zero: false }))).ensure(wanted)).changes[0]?.risk,
    "safe",
  );
});

test("fstabEntry() leaves a line of others for the same place alone, and says so", async () => {
  const host = machine();
  await made(host);
  await host.writeText("/etc/fstab", "/dev/sdb1 /vms ext3 defaults 0 2\n");
  assert.match(await refusal(host, line), 'not berth\'s: "/dev/sdb1 /vms ext3 defaults 0 2"');
});

test("mounted() covers nothing that has content, and no other mount", async () => {
  const host = machine();
  await made(host);
  await ensuring(host).ensure(line);
  await host.writeText("/vms/theirs", "content\n");
  assert.match(await refusal(host, mount), "found theirs in it, wanted an empty directory");
  await host.remove("/vms/theirs");
  await host.writeText(MOUNTINFO, `${ROOT_MOUNT}41 21 8:17 / /vms rw - xfs /dev/sdb1 rw\n`);
  assert.match(await refusal(host, mount), 'Found "/dev/sdb1" (xfs) mounted at "/vms"');
});

test("mounted() mends a mount that the kernel has made read-only", async () => {
  const host = machine();
  await made(host);
  await ensuring(host).ensureAll([line]);
  await ensuring(host).ensure(mount);
  const text = await host.readText(MOUNTINFO);
  await host.writeText(MOUNTINFO, text!.replace(" /vms rw ", " /vms ro "));
  const { changes } = await ensuring(host).ensure(mount);
  assert.equal(changes.map(({ why }) => why), ["mounted without rw"]);
});

test("grownFileSystem() grows what is smaller than its device, and nothing else", async () => {
  const host = machine();
  await made(host);
  const size = grownFileSystem(DEVICE, "ext4", "/vms");
  assert.equal(size.diff(await size.observe(host)), []);
  const grown = size.diff({ device: 12_000_000, fileSystem: 4_096_000 });
  assert.equal(grown.flatMap((change) => change.do), [{
    run: { argv: ["resize2fs", DEVICE], timeoutMs: 3_600_000 },
  }]);
  assert.equal(size.diff({ device: 4_000_000, fileSystem: 4_096_000 }), []);
});

test.run();
