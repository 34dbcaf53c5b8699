// What lsblk, wipefs, blkid and LVM say, as captured on bookworm, and what berth makes of it.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  fstabDevices,
  isLooked,
  parseBlkid,
  parseGroups,
  parseLsblk,
  parsePhysical,
  parseVolumes,
  parseWipefs,
} from "../../lib/resource/lvm/parse.ts";
import { parseRecord } from "../../lib/resource/lvm/record.ts";
import { STORAGE_RECORD } from "../../lib/resource/lvm/types.ts";

const captured = (name: string) =>
  readFileSync(new URL(`../fixtures/storage/${name}`, import.meta.url), "utf8");

test("parseLsblk() tells disks, partitions, mounts, and what hangs on a disk", () => {
  const devices = parseLsblk(captured("lsblk-2.38.1-lvm-and-partitions.json"));
  const of = (path: string) => devices.find((one) => one.path === path)!;
  assert.equal(devices.filter(({ kind }) => kind === "disk").length, 8);
  assert.equal(of("/dev/vda").mounts, ["/"]);
  assert.equal(of("/dev/vdg").partitions, ["/dev/vdg1", "/dev/vdg2", "/dev/vdg3"]);
  assert.equal([of("/dev/vdg2").parent, of("/dev/vdg2").partType], ["/dev/vdg", "0x0"]);
  assert.ok(of("/dev/vdd").holders.includes("lvm docker-vminfo"), String(of("/dev/vdd").holders));
  assert.equal([of("/dev/vdc").serial, of("/dev/vda").serial], ["disk0", null]);
  assert.not.ok(isLooked(of("/dev/vdb")), "read-only");
  assert.ok(isLooked(of("/dev/vdc")));
});

test("parseWipefs() and parseBlkid() tell each signature once", () => {
  const several = parseWipefs(captured("wipefs-2.38.1-several.json"));
  assert.equal([...several.keys()], ["/dev/vdc", "/dev/vdg", "/dev/vdg1", "/dev/vdh"]);
  assert.equal(several.get("/dev/vdc"), [
    { type: "ext4", uuid: "8809308d-9312-4ff1-94be-493a73f62112", label: "data", offset: "0x438" },
  ]);
  assert.is(parseWipefs(captured("wipefs-2.38.1-blank.json")).size, 0);
  assert.is(parseWipefs("").size, 0);
  const both = parseBlkid(captured("blkid-2.38.1-partitions.txt"), several);
  assert.equal(both.get("/dev/vdg1")!.length, 1);
  assert.equal(both.get("/dev/vdg2"), undefined, "the entry in the table is no signature");
  const alone = parseBlkid(captured("blkid-2.38.1-partitions.txt"), new Map());
  assert.equal(alone.get("/dev/vdg"), [{ type: "dos", uuid: null, label: null, offset: null }]);
  assert.is(alone.get("/dev/vdg1")![0]!.type, "ext4");
});

test("parsePhysical(), parseGroups() and parseVolumes() tell what LVM knows", () => {
  const physical = parsePhysical(captured("pvs-2.03.16-group-and-orphan.json"));
  assert.equal(physical.map(({ path, group, extents }) => [path, group, extents]), [
    ["/dev/vdd", "docker", 10_239],
    ["/dev/vde", "docker", 25_599],
    ["/dev/vdh", "", 0],
  ]);
  const [group] = parseGroups(captured("vgs-2.03.16-tagged.json"));
  assert.equal([group!.tags, group!.extents, group!.barred], [["berth", "berth-layout-thin"], 35_838, null]);
  const volumes = parseVolumes(captured("lvs-2.03.16-thin-segments.json"));
  assert.equal(
    volumes.map(({ name }) => name),
    ["engine", "pool", "vminfo", "vms"],
    "hidden ones are left out",
  );
  const pool = volumes[1]!.thin!;
  assert.equal([pool.chunkBytes, pool.zeroing, pool.discards, pool.profile, pool.monitored], [
    524_288,
    false,
    "passdown",
    "berth-pool",
    true,
  ]);
  assert.is(volumes[0]!.pool, "pool");
  assert.equal([parsePhysical(null), parseGroups(""), parseVolumes(null)], [[], [], []]);
});

test("fstabDevices() leaves out comments and quotes", () => {
  const text = '# a\n\nUUID="1-2" / ext4\n  /dev/sdb1\t/x xfs\nLABEL=my\\040disk /y ext4\n';
  assert.equal(fstabDevices(text), ["UUID=1-2", "/dev/sdb1", "LABEL=my disk"]);
});

test("parseRecord() guesses nothing", () => {
  assert.is(parseRecord(STORAGE_RECORD, null), null);
  assert.equal(parseRecord(STORAGE_RECORD, '{"layout":"plain","disks":[]}'), { layout: "plain", disks: [] });
  for (
    const text of ["", "{", "[]", "null", '{"layout":"zfs","disks":[]}', '{"layout":"thin"}', '{"disks":[1]}']
  ) {
    assert.throws(() => parseRecord(STORAGE_RECORD, text), /which layout/, text);
  }
});

test.run();
