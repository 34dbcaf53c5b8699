// The sizes of volumes: the founding document's rules, on disks of many kinds; and that nothing is ever more than
// there is.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { StorageSizes } from "../../lib/config/types_storage.ts";
import { extentsOf, type Room, shownBytes, stripesOf, volumeSizes } from "../../lib/resource/lvm/sizes.ts";
import { BerthError } from "../../lib/log/error.ts";

const EXTENT = 4 * 2 ** 20;
const GB = 1e9;
const room = (...gib: number[]): Room => ({
  extentBytes: EXTENT,
  foreign: 0,
  linear: false,
  physical: gib.map((size, index) => ({ disk: `d${index}`, extents: extentsOf(size * 2 ** 30) })),
});
const bytes = (extents: number) => extents * EXTENT;
const near = (found: number, wanted: number, stripes = 1) =>
  assert.ok(Math.abs(found - wanted) <= stripes * EXTENT, `${found}, wanted ${wanted}`);

test("extentsOf() is what vgcreate makes of a disk of 40 GiB", () => {
  assert.is(extentsOf(40 * 2 ** 30), 10_239); // captured from 2.03.16
  assert.is(extentsOf(100 * 2 ** 30), 25_599);
  assert.is(extentsOf(0), 0);
});

test("volumeSizes() of overlay: 3 % or 5 GB, and 90 %", () => {
  const small = volumeSizes("overlay", {}, room(100), "ext4");
  near(bytes(small.vminfo), bytes(small.base) * 0.03);
  near(bytes(small.vms), bytes(small.base) * 0.9);
  near(bytes(volumeSizes("overlay", {}, room(4000), "ext4").vminfo), 5 * GB);
});

test("volumeSizes() of thin: 15 % or 32 GB, then 90 %, of it 1 % or 16 GB of metadata", () => {
  for (const gib of [50, 500, 8000]) {
    const { base, vminfo, vms, pool } = volumeSizes("thin", {}, room(gib), "ext4");
    const left = bytes(base) - bytes(vminfo);
    near(bytes(vms), Math.min(32 * GB, left * 0.15));
    const whole = (left - bytes(vms)) * 0.9;
    near(bytes(pool!.data + pool!.metadata), whole, 2);
    near(bytes(pool!.metadata), Math.min(16 * GB, whole * 0.01), 2);
  }
});

test("stripesOf() takes disks of like size, each alone on its disk", () => {
  assert.is(stripesOf(room(100)), 1);
  assert.is(stripesOf(room(100, 100, 110)), 3);
  assert.is(stripesOf(room(100, 1000)), 1);
  assert.is(stripesOf({ ...room(100, 100), linear: true }), 1);
  const twice = room(100, 100).physical.map((one) => ({ ...one, disk: "d0" }));
  assert.is(stripesOf({ physical: twice, linear: false }), 1);
});

test("volumeSizes() gives no file system less than it can be made on", () => {
  const { vminfo } = volumeSizes("overlay", {}, room(8), "xfs");
  assert.is(bytes(vminfo), 300 * 2 ** 20);
  assert.is(bytes(volumeSizes("overlay", {}, room(8, 8), "xfs").vminfo) % (2 * EXTENT), 0);
  assert.ok(
    bytes(volumeSizes("overlay", {}, room(8), "ext4").vminfo) < 300 * 2 ** 20,
    "ext4 is content with less",
  );
  const sizes = { vminfo: { bytes: 100 * 2 ** 20 }, vms: { bytes: 200 * 2 ** 20 } };
  try {
    volumeSizes("thin", sizes, room(8), "xfs");
    assert.unreachable();
  } catch (error) {
    assert.instance(error, BerthError);
    const { issues } = error as BerthError;
    assert.equal(issues.map(({ path, found, wanted }) => [path, found, wanted]), [
      ["storage.sizes.vminfo", "100 MiB", "at least 300 MiB"],
      ["storage.sizes.vms", "200 MiB", "at least 300 MiB"],
    ]);
  }
});

test("volumeSizes() leaves alone what others hold", () => {
  const all = room(100);
  const part = { ...all, foreign: 10_000 };
  assert.is(
    volumeSizes("overlay", {}, part, "ext4").base,
    volumeSizes("overlay", {}, all, "ext4").base - 10_000,
  );
});

test("volumeSizes() never gives more than there is, whatever is asked for", () => {
  const size = fc.oneof(
    fc.record({ bytes: fc.integer({ min: 4 * 2 ** 20, max: 2 ** 41 }) }),
    fc.record({ percent: fc.double({ min: 0.001, max: 100, noNaN: true }) }),
  );
  const sizes = fc.record({ vminfo: size, vms: size, pool: size, metadata: size }, { requiredKeys: [] });
  const disks = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(fc.constantFrom("overlay", "thin"), sizes, disks, (layout, asked, gib) => {
    const ground = room(...gib);
    try {
      const { stripes, base, vminfo, vms, pool } = volumeSizes(layout, asked as StorageSizes, ground, "ext4");
      const sum = ground.physical.reduce((total, { extents }) => total + extents, 0);
      assert.ok(base <= sum);
      assert.ok(vminfo + vms + (pool?.data ?? 0) + 2 * (pool?.metadata ?? 0) <= base);
      for (const one of [vminfo, vms, pool?.data ?? stripes]) assert.ok(one > 0 && one % stripes === 0);
    } catch (error) {
      assert.instance(error, BerthError);
    }
  }));
});

test("shownBytes() never rounds up", () => {
  assert.is(shownBytes(100 * 2 ** 30 - 1), "99.9 GiB");
  assert.is(shownBytes(512), "512 B");
  assert.is(shownBytes(2 ** 40), "1 TiB");
});

test.run();
