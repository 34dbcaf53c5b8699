// Warnings before file systems and thin pools run full.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseDf, parsePools, warnings } from "../../lib/resource/storage_health.ts";

const DF = `Mounted on            Used        Avail  Inodes  IFree
/                3000000000   5000000000  524288 480000
/vms            95000000000   4000000000 6553600 600000
/vms            95000000000   4000000000 6553600 600000
/big dir     95000000000000 5000000000000       0      0
/dev                      0            0       -      -
`;

test("warnings() tells of space and inodes, once for each file system, with the next step", () => {
  assert.equal(warnings(parseDf(DF)), [
    "file system /vms: space 95 % used, 4.0 GB left: docker system prune, or add a disk to storage.disks in " +
    "host.yaml, then: berth host storage",
    "file system /vms: inodes 90 % used, 600000 left: docker system prune, or add a disk to storage.disks in " +
    "host.yaml, then: berth host storage",
  ]);
});

const pools = (data: string, metadata: string) =>
  JSON.stringify({
    report: [{
      lv: [
        { lv_name: "vms", vg_name: "docker", segtype: "linear", data_percent: "", metadata_percent: "" },
        {
          lv_name: "pool",
          vg_name: "docker",
          segtype: "thin-pool",
          data_percent: data,
          metadata_percent: metadata,
        },
        { lv_name: "engine", vg_name: "docker", segtype: "thin", data_percent: "99.0", metadata_percent: "" },
      ],
    }],
  });

test("warnings() tells of a pool before LVM extends it, and of its metadata earlier", () => {
  assert.equal(warnings(parsePools(pools("79.90", "69.99"))), []);
  assert.equal(
    warnings(parsePools(pools("80.10", "70.00"))).map((line) => line.split(":").slice(0, 2).join(":")),
    [
      "thin pool docker/pool: data 80 % used",
      "thin pool docker/pool: metadata 70 % used",
    ],
  );
  assert.equal(warnings(parsePools("")), []);
});

test.run();
