// LVM's programs are installed where a disk wants them, and nowhere else.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import { missingStorageTools } from "../../lib/resource/lvm/tools.ts";
import { disk, type Ground, ground } from "./_story.ts";

async function missing({ host }: Ground, yaml = "", without: readonly string[] = ["lvs", "thin_check"]) {
  for (const program of without) host.machine.files.delete(`/usr/sbin/${program}`);
  const config = parseConfig([{ path: "/etc/berth/host.yaml", text: yaml }]).host;
  return (await missingStorageTools(host, config)).map(({ id }) => id);
}

test("missingStorageTools() names LVM where there is a blank disk or a physical volume", async () => {
  assert.equal(await missing(ground([disk("b")])), ["packages lvm2"]);
  const stale = ground([disk("b")]);
  stale.lvm.physical.set("/dev/sdb", "");
  assert.equal(await missing(stale), ["packages lvm2"]);
  assert.equal(await missing(ground([disk("b", 500)]), "storage: { layout: thin }"), [
    "packages lvm2 thin-provisioning-tools",
  ]);
});

test("missingStorageTools() names what makes the file system where Debian has left it out", async () => {
  assert.equal(await missing(ground([disk("b")]), "", ["mkfs.ext4"]), ["packages e2fsprogs"]);
  assert.equal(await missing(ground([disk("b")]), "storage: { fileSystem: xfs }", ["lvs", "mkfs.xfs"]), [
    "packages lvm2 xfsprogs",
  ]);
  assert.equal(await missing(ground([disk("b")]), "storage: { fileSystem: xfs }", ["mkfs.ext4"]), []);
  assert.equal(await missing(ground([disk("b")]), "storage: { layout: plain }", ["mkfs.ext4"]), []);
});

test("missingStorageTools() names what has chattr for volumes of any file system", async () => {
  assert.equal(await missing(ground([disk("b")]), "storage: { fileSystem: xfs }", ["mkfs.ext4", "chattr"]), [
    "packages e2fsprogs",
  ]);
  assert.equal(
    await missing(ground([disk("b")]), "storage: { fileSystem: xfs }", ["lvs", "mkfs.xfs", "chattr"]),
    [
      "packages e2fsprogs lvm2 xfsprogs",
    ],
  );
  assert.equal(await missing(ground([]), "storage: { fileSystem: xfs }", ["mkfs.ext4", "chattr"]), []);
});

test("missingStorageTools() names nothing where no disk wants it", async () => {
  assert.equal(await missing(ground([])), []);
  assert.equal(await missing(ground([disk("b")]), "storage: { layout: plain }"), []);
  assert.equal(await missing(ground([disk("b")]), "", []), []);
  const recorded = { "/var/lib/berth/storage.json": '{"layout":"plain","disks":[]}' };
  assert.equal(await missing(ground([disk("b")], recorded)), []);
});

test("missingStorageTools() names LVM on plain, too, where a physical volume came back or disks are named", async () => {
  const recorded = { "/var/lib/berth/storage.json": '{"layout":"plain","disks":[]}' };
  const back = ground([disk("b")], recorded);
  back.lvm.physical.set("/dev/sdb", "docker");
  assert.equal(await missing(back), ["packages lvm2"]);
  const named = "storage: { disks: [virtio-disk-b] }";
  assert.equal(await missing(ground([disk("b")], recorded), named), ["packages lvm2"]);
});

test.run();
