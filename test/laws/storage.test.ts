// The laws over disks and LVM, on disks in memory: both layouts with all their volumes, and a group that is adopted.
// With the real LVM: test/vm/storage.test.ts.
import { test } from "uvu";
import { textFile } from "../../lib/resource/kinds/file.ts";
import { volumeGroup } from "../../lib/resource/lvm/group.ts";
import { logicalVolume, thinPool, thinVolume } from "../../lib/resource/lvm/volumes.ts";
import { createFakeHost } from "../fake/host.ts";
import { createFakeLvm, type FakeLvm } from "../fake/lvm.ts";
import { laws, type Subject, type World } from "./laws.ts";

const GIB = 2 ** 30;
const EXTENT = 4 * 2 ** 20;
const machines = new WeakMap<World, FakeLvm>();

function diskWorld(): Promise<World> {
  const lvm = createFakeLvm([
    { path: "/dev/sdb", serial: "b", bytes: 100 * GIB },
    { path: "/dev/sdc", serial: "c", bytes: 100 * GIB },
    { path: "/dev/sdd", serial: "d", bytes: 50 * GIB, signatures: [{ type: "ext4" }] },
  ]);
  const host = createFakeHost(lvm.host());
  const world: World = {
    host,
    journal: "/var/lib/berth/journal",
    dump: () => Promise.resolve(`${host.text(["/var/lib/berth"])}\n${lvm.text()}`),
    close: () => Promise.resolve(),
  };
  machines.set(world, lvm);
  return Promise.resolve(world);
}

const base = { extentBytes: EXTENT, adopt: true, stripes: 2 };

/** As lib/resource/lvm/lvm.ts puts them together. */
function parts(layout: "overlay" | "thin") {
  const begun = { layout, disks: ["virtio-b", "virtio-c"] };
  const group = volumeGroup({ begun, disks: [{ path: "/dev/sdb" }, { path: "/dev/sdc" }], adopt: true });
  const volumes = [
    logicalVolume({ ...base, name: "vminfo", extents: 500 }),
    logicalVolume({ ...base, name: "vms", extents: 4000 }),
  ];
  const pool = [
    textFile("/etc/x.profile", "x"),
    thinPool({ ...base, name: "pool", extents: 10_000, metadataExtents: 100 }),
    thinVolume({ ...base, name: "engine", extents: 10_000, pool: "pool" }),
  ];
  return layout === "overlay" ? [group, ...volumes] : [group, ...volumes, ...pool];
}

const volume = (world: World, name: string) => machines.get(world)!.volumes.get(`docker/${name}`)!;

laws(
  "overlay",
  (world): Subject => ({
    resources: parts("overlay"),
    drift: {
      of: "logical-volume docker/vms",
      by() {
        volume(world, "vms").active = false;
        return Promise.resolve();
      },
    },
  }),
  diskWorld,
  { consent: true },
);

laws(
  "thin",
  (world): Subject => ({
    resources: parts("thin"),
    drift: {
      of: "thin-pool docker/pool",
      by() {
        Object.assign(volume(world, "pool"), { monitored: false, discards: "ignore" });
        return Promise.resolve();
      },
    },
    gone() {
      const { volumes, groups, physical } = machines.get(world)!;
      [volumes, groups, physical].forEach((part) => part.clear());
      return Promise.resolve();
    },
  }),
  diskWorld,
  { consent: true },
);

laws(
  "an adopted group",
  (world): Subject => ({
    resources: [
      volumeGroup({ begun: { layout: "overlay", disks: ["virtio-b"] }, disks: [], adopt: true }),
      logicalVolume({ ...base, stripes: 1, name: "vminfo", extents: 500 }),
      logicalVolume({ ...base, stripes: 1, name: "vms", extents: 1000 }),
    ],
    async plant(host) {
      const lvm = machines.get(world)!;
      lvm.groups.set("docker", { uuid: "theirs", tags: ["theirs"], extent: EXTENT, systemId: "" });
      lvm.physical.set("/dev/sdb", "docker");
      const cut = ["--type", "linear", "-l", "1000", "-n", "vms", "docker"];
      await host.exec({ argv: ["lvcreate", ...cut] });
    },
  }),
  diskWorld,
  { consent: true },
);

test.run();
