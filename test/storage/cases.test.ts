// Forty cases of storage and more, on disks in memory: what is chosen, what is done, or why not, each as it would be
// read. Golden text: test/golden/storage/cases.txt, UPDATE=1 writes it anew.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PLAIN } from "./_plain.ts";
import {
  apply,
  choiceOf,
  consentTo,
  disk,
  ext4,
  GIB,
  type Ground,
  ground,
  named,
  plug,
  reimaged,
  told,
} from "./_story.ts";
import { TWINS } from "./_twins.ts";

const GOLDEN = fileURLToPath(new URL("../golden/storage/cases.txt", import.meta.url));
const OVERLAY = "storage: { layout: overlay }";
const THIN = "storage: { layout: thin }";

/** Title, and what is told; the text may be that of several runs. */
const CASES: Readonly<Record<string, () => Promise<string>>> = {
  // What is found
  "one blank disk": () => told(ground([disk("b")])),
  "two like disks are striped": () => told(ground([disk("b"), disk("c")]), OVERLAY),
  "two unlike disks are not": () => told(ground([disk("b", 100), disk("c", 400)]), OVERLAY),
  "layout thin": () => told(ground([disk("b", 500)]), THIN),
  "layout devicemapper on 20.10": () => told(ground([disk("b", 500)]), "storage: { layout: devicemapper }"),
  "layout devicemapper on 26.1": () => {
    const machine = ground([disk("b", 500)]);
    machine.lvm.engine = "26.1.5+dfsg1";
    return told(machine, "storage: { layout: devicemapper }");
  },
  "layout devicemapper on an engine that does not tell its version": () => {
    const machine = ground([disk("b", 500)]);
    machine.lvm.engine = "library-import";
    return told(machine, "storage: { layout: devicemapper }");
  },
  "layout plain beside a blank disk": () => told(ground([disk("b")]), "storage: { layout: plain }"),
  "no disk at all": () => told(ground([])),
  "no disk at all, overlay asked for": () => told(ground([]), OVERLAY),
  "no device-mapper": () => {
    const { lvm, host } = ground([disk("b")]);
    host.machine.files.set("/proc/misc", { text: "183 hw_random\n", mode: 0o444 });
    return told({ lvm, host });
  },
  "no device-mapper, thin asked for": () => {
    const { lvm, host } = ground([disk("b")]);
    host.machine.files.set("/proc/misc", { text: "183 hw_random\n", mode: 0o444 });
    return told({ lvm, host }, THIN);
  },
  "solid-state disks are avoided": () => told(ground([disk("b", 400, { solid: true }), disk("c", 200)])),
  "solid-state disks are all there is": () => told(ground([disk("b", 400, { solid: true })])),
  "solid-state disks never": () => told(ground([disk("b", 400, { solid: true })]), "storage: { ssd: never }"),
  "a disk that is too small": () => told(ground([disk("b", 20)]), OVERLAY),
  "a small one beside large ones": () => told(ground([disk("b", 1000), disk("c", 40)]), OVERLAY),
  "an unused partition of the system disk": () =>
    told(ground([disk("a4", 200, { parent: "/dev/sda", partType: "0x0", ids: ["virtio-system-part4"] })])),
  "partitions: the largest of each disk": () =>
    told(ground([
      disk("b", 500, { signatures: [{ type: "gpt", uuid: "2222" }] }),
      disk("b1", 100, { parent: "/dev/sdb", partType: "0x83", ids: ["virtio-disk-b-part1"] }),
      disk("b2", 300, { parent: "/dev/sdb", partType: "0x8e", ids: ["virtio-disk-b-part2"] }),
    ])),
  "a partition of a type with a meaning": () =>
    told(ground([disk("a4", 200, { parent: "/dev/sda", partType: "0x82", ids: ["virtio-system-part4"] })])),
  // What is refused
  "signatures of every kind": () =>
    told(
      ground([
        disk("b", 100, ext4),
        disk("c", 100, { signatures: [{ type: "xfs" }, { type: "dos", offset: "0x1fe" }] }),
        disk("d", 100, { signatures: [{ type: "linux_raid_member" }] }),
        disk("e", 100, { signatures: [{ type: "crypto_LUKS", uuid: "3333" }] }),
        disk("f", 100, { signatures: [{ type: "swap" }] }),
        disk("g", 100, { signatures: [{ type: "zfs_member", label: "tank" }] }),
        disk("h", 100, { signatures: [{ type: "btrfs" }] }),
        disk("i", 100, { signatures: [{ type: "gpt" }] }),
        disk("j", 100, { data: "ceph" }),
      ]),
      OVERLAY,
    ),
  "a disk that is not blank, no layout asked for": () => told(ground([disk("b", 100, ext4)])),
  "disks in use": () =>
    told(
      ground([
        disk("b", 100, { mount: "/srv" }),
        disk("c", 100, { mount: "[SWAP]", signatures: [{ type: "swap" }] }),
        disk("d", 100, { holder: "crypt secret" }),
        disk("e", 100, { holder: "raid1 md0" }),
        disk("f", 100, { busy: true }),
        disk("g", 100, { signatures: [{ type: "mpath_member" }] }),
        disk("h", 100),
      ], { "/etc/fstab": "# data\n/dev/disk/by-id/virtio-disk-h /data xfs defaults 0 0\n" }),
      OVERLAY,
    ),
  "disks that come and go": () =>
    told(
      ground([
        disk("b", 100, { transport: "usb" }),
        disk("c", 100, { transport: "iscsi" }),
        disk("d", 100, { transport: "fc" }),
        disk("e", 100, { removable: true }),
        disk("f", 100, { readOnly: true }),
        { path: "/dev/nbd0", bytes: 100 * GIB, serial: "nbd" },
        { path: "/dev/rbd0", bytes: 100 * GIB, serial: "rbd" },
        { path: "/dev/zram0", bytes: 100 * GIB },
      ]),
      OVERLAY,
    ),
  "a disk without a lasting name": () => told(ground([disk("b", 100, { ids: [] })]), OVERLAY),
  ...TWINS,
  "a disk that cannot be read, beside one that can": () =>
    told(ground([disk("b", 100, { broken: true }), disk("c", 100)]), OVERLAY),
  "a stale physical volume": () => {
    const machine = ground([disk("b")]);
    machine.lvm.physical.set("/dev/sdb", "");
    return told(machine, OVERLAY);
  },
  "a foreign volume group on the disk": () => {
    const machine = ground([disk("b")]);
    foreignGroup(machine, "vg0", "/dev/sdb");
    return told(machine, OVERLAY);
  },
  // Named disks and consent
  "a named disk": () => told(ground([disk("b"), disk("c")]), named("virtio-disk-c")),
  "a named disk that is not there, one that is small, one in use": () =>
    told(
      ground([disk("b", 10), disk("c", 100, { mount: "/srv" })]),
      named("ata-none", "virtio-disk-b", "virtio-disk-c"),
    ),
  "a named disk, not blank": () => told(ground([disk("b", 100, ext4)]), named("virtio-disk-b")),
  "a disk with partitions, not blank": () => told(partitioned(), named("virtio-disk-b")),
  "consent to wipe": async () => {
    const machine = partitioned();
    return told(machine, `${named("virtio-disk-b")}\n${await consentTo(machine, named("virtio-disk-b"))}`);
  },
  "consent to wipe, by serial number": async () => {
    const machine = ground([disk("b", 100, ext4)]);
    const line = await consentTo(machine, OVERLAY);
    return told(machine, `${OVERLAY}\n${line.replace("virtio-disk-b", "disk-b")}`);
  },
  "consent is void when something else is found": async () => {
    const machine = ground([disk("b", 100, ext4)]);
    const line = await consentTo(machine, OVERLAY);
    machine.lvm.disks.get("/dev/sdb")!.signatures = [{ type: "xfs", uuid: "9999" }];
    return told(machine, `${OVERLAY}\n${line}`);
  },
  "consent is void on another disk": async () => {
    const line = await consentTo(ground([disk("b", 100, ext4)]), OVERLAY);
    return told(ground([disk("c", 100, ext4)]), `${OVERLAY}\n${line}`);
  },
  "consent that was used is void when something else is found": async () => {
    const machine = ground([disk("b", 100, ext4), disk("c")]);
    const yaml = named("virtio-disk-b", "virtio-disk-c");
    const consented = `${yaml}\n${await consentTo(machine, yaml)}`;
    await apply(machine, consented);
    // The operator takes the disk out of the group again, for a file system of his own.
    machine.lvm.physical.delete("/dev/sdb");
    machine.lvm.disks.get("/dev/sdb")!.signatures = [{ type: "xfs", uuid: "9999" }];
    return told(machine, consented);
  },
  "a physical volume of somebody's on a disk that was taken once": async () => {
    const machine = ground([disk("b"), disk("c")]);
    const yaml = named("virtio-disk-b", "virtio-disk-c");
    await apply(machine, yaml);
    machine.lvm.physical.set("/dev/sdb", "");
    return told(machine, yaml);
  },
  "consent does not help a disk in use": async () => {
    const machine = ground([disk("b", 100, ext4)]);
    const line = await consentTo(machine, OVERLAY);
    machine.lvm.disks.get("/dev/sdb")!.mount = "/srv";
    return told(machine, `${named("virtio-disk-b")}\n${line}`);
  },
  // Sizes
  "sizes asked for": () =>
    told(
      ground([disk("b", 500)]),
      "storage: { layout: thin, sizes: { vminfo: 10GiB, vms: 20%, pool: 50%, metadata: 1GiB } }",
    ),
  "sizes that do not fit": () =>
    told(ground([disk("b", 100)]), "storage: { layout: overlay, sizes: { vminfo: 50GiB, vms: 60GiB } }"),
  "no room for the pool's metadata": () =>
    told(ground([disk("b", 100)]), "storage: { layout: thin, sizes: { pool: 100% } }"),
  "a disk far too small": () => told(ground([disk("b", 0.5)]), named("virtio-disk-b")),
  // What is there
  "the same again": async () => {
    const machine = ground([disk("b")]);
    return `${await told(machine, THIN)}\n--\n${await told(machine, THIN)}`;
  },
  "a volume group of that name that is not berth's": () => {
    const machine = ground([disk("b")]);
    foreignGroup(machine, "docker", "/dev/sdb");
    return told(machine);
  },
  "a volume group of that name, adopted": () => {
    const machine = ground([disk("b")]);
    foreignGroup(machine, "docker", "/dev/sdb");
    return told(machine, "storage: { layout: overlay, adopt: true }");
  },
  "a volume of the wrong type": async () => {
    const machine = await made(OVERLAY);
    machine.lvm.volumes.get("docker/vms")!.types = ["thin"];
    return told(machine);
  },
  "a pool with other chunks": async () => {
    const machine = await made(THIN);
    machine.lvm.volumes.get("docker/pool")!.chunk = 65_536;
    return told(machine);
  },
  "a volume without berth's tag": async () => {
    const machine = await made(OVERLAY);
    machine.lvm.volumes.get("docker/vms")!.tags = [];
    return told(machine);
  },
  "drift of the pool": async () => {
    const machine = await made(THIN);
    Object.assign(machine.lvm.volumes.get("docker/pool")!, {
      zeroing: true,
      discards: "nopassdown",
      profile: "",
      monitored: false,
    });
    machine.lvm.volumes.get("docker/vms")!.active = false;
    return told(machine);
  },
  "a re-imaged system disk": async () => told(reimaged(await made(THIN))),
  "a re-imaged system disk, another layout asked for": async () => told(reimaged(await made(THIN)), OVERLAY),
  "another layout asked for later": async () => told(await made(OVERLAY), THIN),
  ...PLAIN,
  "a disk added to the configuration": async () => {
    const machine = await made(`storage: { layout: thin, disks: [virtio-disk-b] }`);
    plug(machine, disk("c", 300));
    return told(machine, "storage: { layout: thin, disks: [virtio-disk-b, virtio-disk-c] }");
  },
  "a disk added to the configuration, not blank": async () => {
    const machine = await made(`storage: { layout: thin, disks: [virtio-disk-b] }`);
    plug(machine, disk("c", 300, ext4));
    return told(machine, "storage: { layout: thin, disks: [virtio-disk-b, virtio-disk-c] }");
  },
  "a volume group that vanished": async () => {
    const machine = await made(OVERLAY);
    machine.lvm.disks.delete("/dev/sdb");
    machine.lvm.physical.clear();
    machine.lvm.groups.clear();
    machine.lvm.volumes.clear();
    return told(machine);
  },
  "a disk of two that vanished": async () => {
    const machine = ground([disk("b"), disk("c")]);
    await apply(machine, OVERLAY);
    machine.lvm.disks.delete("/dev/sdc");
    return told(machine);
  },
  "a volume that vanished": async () => {
    const machine = await made(OVERLAY);
    machine.lvm.volumes.delete("docker/vms");
    return told(machine);
  },
  "volumes that vanished, of layout thin": async () => {
    const machine = await made(THIN);
    ["docker/pool", "docker/engine"].forEach((name) => machine.lvm.volumes.delete(name));
    return told(machine);
  },
  "another volume group of that name in its place": async () => {
    const machine = await made(OVERLAY);
    machine.lvm.groups.get("docker")!.uuid = "other";
    return told(machine);
  },
  "a group of another system": async () => {
    const machine = await made(OVERLAY);
    machine.lvm.groups.get("docker")!.systemId = "elsewhere";
    return told(machine);
  },
  "a pool that extended itself": async () => {
    const machine = await made(THIN);
    machine.lvm.volumes.get("docker/pool")!.extents += 100;
    return told(machine);
  },
  "a record that is damaged": () => told(ground([disk("b")], { "/var/lib/berth/storage.json": "{torn" })),
  "killed between physical volume and group": () => {
    const begun = JSON.stringify({ layout: "thin", disks: ["virtio-disk-b"] });
    const machine = ground([disk("b"), disk("c")], { "/var/lib/berth/storage-begun.json": begun });
    machine.lvm.physical.set("/dev/sdb", "");
    return told(machine);
  },
  "killed while the pool was made": async () => {
    const machine = await made(THIN);
    const pool = machine.lvm.volumes.get("docker/pool")!;
    machine.lvm.volumes.delete("docker/engine");
    Object.assign(pool, { types: ["linear"], extents: pool.metadata, metadata: 0 });
    return told(reimaged(machine));
  },
  "killed in the middle of a wipe": async () => {
    const machine = ground([disk("b", 100, ext4)]);
    const line = await consentTo(machine, OVERLAY);
    const begun = JSON.stringify({ layout: "overlay", disks: ["virtio-disk-b"] });
    const disks = [disk("b", 100, { data: "half" })];
    return told(ground(disks, { "/var/lib/berth/storage-begun.json": begun }), `${OVERLAY}\n${line}`);
  },
};

/** A machine as its first run left it. */
async function made(yaml: string): Promise<Ground> {
  const machine = ground([disk("b", 200)]);
  await apply(machine, yaml);
  return machine;
}

function partitioned(): Ground {
  return ground([
    disk("b", 100, { signatures: [{ type: "dos", offset: "0x1fe" }] }),
    disk("b1", 50, { ...ext4, parent: "/dev/sdb", partType: "0x83", ids: ["virtio-disk-b-part1"] }),
    disk("b2", 50, { parent: "/dev/sdb", partType: "0x83", ids: ["virtio-disk-b-part2"] }),
  ]);
}

function foreignGroup({ lvm }: Ground, name: string, path: string): void {
  lvm.groups.set(name, { uuid: "foreign", tags: [], extent: 4 * 2 ** 20, systemId: "" });
  lvm.physical.set(path, name);
}

const titles = Object.keys(CASES);
const golden = new Map<string, string>();
if (process.env.UPDATE !== "1") {
  for (const part of readFileSync(GOLDEN, "utf8").split(/^# /m).slice(1)) {
    const [title, ...rest] = part.split("\n");
    golden.set(title!, rest.join("\n").trim());
  }
}
const answers = new Map<string, string>();

titles.forEach((title) =>
  test(title, async () => {
    const answer = (await CASES[title]!()).trim();
    answers.set(title, answer);
    if (process.env.UPDATE !== "1") assert.fixture(answer, golden.get(title) ?? "", title);
  })
);

test("there are at least forty cases, and no others in the golden file", () => {
  assert.ok(titles.length >= 40);
  if (process.env.UPDATE === "1") {
    writeFileSync(GOLDEN, titles.map((title) => `# ${title}\n${answers.get(title)}\n`).join("\n"));
  } else assert.equal([...golden.keys()], titles);
});

test("two berths at once make one volume group", async () => {
  const machine = ground([disk("b"), disk("c")]);
  const [one, two] = await Promise.all([apply(machine, THIN), apply(machine, THIN)]);
  assert.equal([one.changes.length, two.changes.length].sort(), [0, one.changes.length + two.changes.length]);
  assert.equal([...machine.lvm.groups.keys()], ["docker"]);
  assert.equal((await apply(machine, THIN)).changes, []);
});

test("a volume that was there before berth stays known as that", async () => {
  const machine = ground([disk("b")]);
  foreignGroup(machine, "docker", "/dev/sdb");
  await machine.host.exec({ argv: ["lvcreate", "--type", "linear", "-l", "20000", "-n", "vms", "docker"] });
  const yaml = "storage: { layout: overlay, adopt: true }";
  const before = (await apply(machine, yaml)).volumes;
  const after = (await choiceOf(reimaged(machine).host, yaml)).volumes;
  for (const volumes of [before, after]) {
    assert.equal(volumes.map(({ name, foreign }) => [name, foreign]), [["vminfo", false], ["vms", true]]);
  }
});

test("a thin volume is never larger than its pool, whatever is grown", async () => {
  const machine = await made("storage: { layout: thin, disks: [virtio-disk-b] }");
  const sizes = () => ["pool", "engine"].map((name) => machine.lvm.volumes.get(`docker/${name}`)!.extents);
  assert.ok(sizes()[1]! <= sizes()[0]!);
  plug(machine, disk("c", 300));
  await apply(machine, "storage: { layout: thin, disks: [virtio-disk-b, virtio-disk-c] }");
  const [pool, engine] = sizes();
  assert.is(engine, pool);
  const { volumes } = await choiceOf(machine.host, "");
  assert.is(volumes.at(-1)!.bytes, engine! * 4 * 2 ** 20);
});

test.run();
