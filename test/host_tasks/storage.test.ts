// What a reboot takes away of berth's directories is put back, and told as that; a plan on a machine whose disks want
// LVM before it is installed. Layouts: test/storage.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TaskContext } from "../../lib/cli/task.ts";
import { parseConfig } from "../../lib/config/parse.ts";
import { BerthError } from "../../lib/log/error.ts";
import type { FileSystemState } from "../../lib/resource/kinds/file_system.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import type { Change } from "../../lib/resource/types.ts";
import type { HostFacts } from "../../tasks/host/_facts.ts";
import { planStep, runStep } from "../../tasks/host/_step.ts";
import storageTask, { findStorage, storageResources, storageStep } from "../../tasks/host/storage.ts";
import { createFakeHost } from "../fake/host.ts";
import { apply, choiceOf, disk, type Ground, ground, reimaged } from "../storage/_story.ts";

test("storageResources() restores /run/berth after a reboot and changes nothing else", async () => {
  const machine = createFakeHost();
  const prepare = async () => {
    const host = { ...machine }; // another process: what the last one knew of its boot is forgotten
    const done = await createEnsure({ host, mode: "apply", journal: createJournal(host) })
      .ensureAll(storageResources());
    return done.flatMap(({ changes }) => changes.map((change) => `${change.verb} ${change.resource}`));
  };
  await machine.remove("/run/berth");
  assert.ok((await prepare()).includes("create directory /run/berth"));
  machine.reboot();
  await machine.remove("/run/berth");
  assert.equal(await prepare(), ["restore directory /run/berth"]);
  assert.equal(await prepare(), []);
});

/** A physical volume, maybe recorded, on a machine without LVM's programs. */
function without(files: Readonly<Record<string, string>> = {}): Ground {
  const found = ground([disk("b")], files);
  found.lvm.physical.set("/dev/sdb", "");
  for (const program of ["lvs", "thin_check"]) found.host.machine.files.delete(`/usr/sbin/${program}`);
  return found;
}

function contextOf({ host }: Ground, mode: "apply" | "plan", told: unknown[] = []): TaskContext<unknown> {
  const config = parseConfig([{ path: "/etc/berth/host.yaml", text: "" }]);
  return {
    ...{ host, mode, changes: [], config: () => Promise.resolve(config) },
    tell: (change: Change) => void told.push(change),
  } as unknown as TaskContext<unknown>;
}

test("a plan before LVM is installed tells that storage comes after, and a run fails with the way on", async () => {
  const recorded = {
    "/var/lib/berth/storage.json": '{"layout":"overlay","disks":["virtio-disk-b"],"group":"x"}',
  };
  for (const found of [without(), without(recorded)]) {
    const planned = await planStep(contextOf(found, "plan"), storageStep);
    assert.equal(planned.map(({ resource, do: ops }) => [resource, ops.length]), [["storage", 0]]);
    assert.match(planned[0]!.why, /can be told when LVM is installed/);
    const told: unknown[] = [];
    await runStep(contextOf(found, "plan", told), storageStep);
    assert.equal(told, planned);
    await storageTask.run({ ...contextOf(found, "plan"), output: (data) => told.push(data), options: {} });
    assert.equal(told.slice(1), [{}]);
    const failed = await runStep(contextOf(found, "apply"), storageStep).catch((error) => error);
    assert.instance(failed, BerthError);
    assert.is(failed.code, "missing");
    assert.match(failed.next, "berth host packages");
    assert.equal(found.host.done, []);
  }
});

/** What is done about a volume on which no signature is found. */
async function onBare({ host }: Ground): Promise<string> {
  const config = parseConfig([{ path: "/etc/berth/host.yaml", text: "" }]);
  const { stages } = await findStorage(host, config);
  const lists = await Promise.all(stages.map((stage) => stage(config, {} as HostFacts, host)));
  const volume = lists.flat().find(({ id }) => id === "file system /dev/docker/vms")!;
  const bare: FileSystemState = { type: null, label: "", uuid: "", ambivalent: false, projectQuota: true };
  try {
    return volume.diff(bare).map(({ verb, why }) => `${verb}: ${why}`).join();
  } catch (error) {
    return error instanceof BerthError ? `${error.code}: ${error.message}` : String(error);
  }
}

test("a damaged volume of a re-imaged machine gets no new file system, one that a crash left bare does", async () => {
  const first = ground([disk("b")]);
  const engine = createEnsure({ host: first.host, mode: "apply", journal: createJournal(first.host) });
  await engine.ensureAll((await choiceOf(first.host, "")).resources);
  assert.is(await onBare(first), "create: blank, wanted ext4");
  await apply(first);
  for (const machine of [first, reimaged(first)]) {
    assert.match(await onBare(machine), /^missing: Found nothing on .*: it may be damaged$/);
  }
});

test("what is deleted on a thin volume goes back to its pool, and other volumes are mounted as they were", async () => {
  const { host } = ground([disk("b", 500)]);
  const config = parseConfig([{ path: "/etc/berth/host.yaml", text: "storage: { layout: thin }" }]);
  const { stages } = await findStorage(host, config);
  const lists = await Promise.all(stages.map((stage) => stage(config, {} as HostFacts, host)));
  const entries = lists.flat().filter(({ id }) => id.startsWith("fstab"));
  const lines = entries.map((entry) => {
    const text = JSON.stringify(entry.diff({ file: null, source: "UUID=x" }));
    return /UUID=x (\S+) ext4 (\S+)/.exec(text)?.slice(1).join(" ");
  });
  const usual = "nofail,x-systemd.device-timeout=5min,x-berth";
  assert.equal(lines, [
    `/vminfo defaults,${usual}`,
    `/vms defaults,${usual}`,
    `/vms/docker defaults,discard,${usual}`,
  ]);
});

test.run();
