// deadline: 1500s
// Disks and LVM for real, on a whole machine: signatures that are refused, the thin pool as it stands, growth by a disk
// whose loss was consented to. The cases stand in test/storage, on disks in memory.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { build } from "../../tasks/dev/build.ts";
import { skip } from "../skip.ts";
import { type Machine, openMachine, whyNoMachine } from "./harness.ts";

/** A berth run with LVM in an emulated machine, on a busy machine. */
const BERTH_MS = 1_200_000;

let machine: Machine;

const tell = (line: string) => void process.stdout.write(`\n  ${line}`);
const berth = (...args: string[]) => machine.run(["berth", ...args], { timeoutMs: BERTH_MS });
const configure = (yaml: string) => machine.write("/etc/berth/host.yaml", yaml);

/** `berth host storage`, which must succeed. */
async function storage(): Promise<string> {
  const began = Date.now();
  const said = await berth("host", "storage");
  assert.is(said.exit, 0, `${said.stdout}\n${said.stderr}`);
  tell(`berth host storage: ${((Date.now() - began) / 1000).toFixed(1)} s`);
  return said.stdout;
}

/** One field of LVM's report. */
async function lvm(program: string, field: string, what: string): Promise<string> {
  const report = `${program} --noheadings --nosuffix --units b -o ${field} ${what}`;
  return (await machine.sh(report)).trim();
}

/** An MBR with one partition of type 83, written by hand: the machine has no sfdisk. */
const MBR = `
  printf '\\x00\\xfe\\xff\\xff\\x83\\xfe\\xff\\xff\\x00\\x08\\x00\\x00\\x00\\x00\\x20\\x00' |
    dd of=/dev/disk/by-id/virtio-disk1 bs=1 seek=446 conv=notrunc status=none
  printf '\\x55\\xaa' | dd of=/dev/disk/by-id/virtio-disk1 bs=1 seek=510 conv=notrunc status=none
  blockdev --rereadpt /dev/disk/by-id/virtio-disk1
  udevadm settle
  mkfs.ext4 -q /dev/disk/by-id/virtio-disk1-part1`;

const absent = await whyNoMachine("bookworm");
const story = (name: string, play: () => Promise<void>) =>
  absent === null ? test(name, play) : skip(test, name, absent);

let consent = "";

/** Minutes of emulation: for the long run. */
const longStory: typeof story = (name, play) =>
  process.env["BERTH_LONG"] === "1" ? story(name, play) : skip(test, name, "minutes long: deno task long");

story("what is not blank is refused, with what is on it and the lines that would consent", async () => {
  const files = { "/usr/local/bin/berth": { copy: await build(), mode: 0o755 } };
  machine = await openMachine({
    suite: "bookworm",
    files,
    disks: [40_960, 40_960, 40_960, 40_960],
    bootMs: 600_000,
  });
  await machine.sh(
    `
    mkfs.ext4 -q -L data /dev/disk/by-id/virtio-disk0
    ${MBR}
    pvcreate -q /dev/disk/by-id/virtio-disk2
    udevadm settle`,
    { timeoutMs: BERTH_MS },
  );
  await configure("storage: { layout: thin, disks: [virtio-disk0, virtio-disk1, virtio-disk2] }\n");
  const before = await machine.sh("wipefs -n /dev/vd? /dev/vd??");
  const said = await berth("host", "storage");
  assert.is(said.exit, 5, `${said.stdout}\n${said.stderr}`);
  for (
    const line of [
      /disk virtio-disk0: Is not blank: ext4 "data"/,
      /disk virtio-disk1: Is not blank: dos, partition vd\w1 \(ext4\)/,
      /disk virtio-disk2: Is not blank: LVM physical volume without a group/,
      /add to host\.yaml: consent: \{ wipe: \[\{ disk: "virtio-disk1", found: "dos ext4 [0-9a-f]{12}" \}\] \}/,
    ]
  ) assert.match(said.stderr, line);
  consent = /add to host\.yaml: (consent: .*"virtio-disk0".*)$/m.exec(said.stderr)![1]!;
  assert.is(await machine.sh("wipefs -n /dev/vd? /dev/vd??"), before, "nothing was written");
});

longStory(
  "the thin pool has its chunks, its profile and a watcher, and its volume is no larger than it",
  async () => {
    await configure("storage: { layout: thin, disks: [virtio-disk3] }\n");
    await storage();
    assert.is(await lvm("vgs", "vg_name,vg_tags", ""), "docker berth,berth-layout-thin");
    const pool = await lvm("lvs", "chunk_size,zero,discards,lv_profile,seg_monitor", "docker/pool");
    assert.is(pool.replaceAll(/\s+/g, " "), "524288 passdown berth-pool monitored");
    assert.is(await lvm("lvs", "lv_size", "docker/engine"), await lvm("lvs", "lv_size", "docker/pool"));
    assert.match(
      await machine.sh("findmnt -n -o SOURCE,TARGET /vms/docker"),
      /docker-engine\s+\/vms\/docker/,
    );
  },
);

longStory("a disk added with consent makes group, volumes and file systems grow where they are", async () => {
  const sizes = () => machine.sh("df -B1 --output=size /vms /vms/docker | tail -n +2");
  const before = (await sizes()).trim().split(/\s+/).map(Number);
  await machine.sh("echo kept >/vms/docker/kept");
  await configure(`storage: { layout: thin, disks: [virtio-disk3, virtio-disk0] }\n${consent}\n`);
  await storage();
  const after = (await sizes()).trim().split(/\s+/).map(Number);
  tell(`file systems of ${before.join(", ")} bytes grew to ${after.join(", ")}`);
  assert.ok(after[0]! > before[0]! * 1.5 && after[1]! > before[1]! * 1.5, `${before} → ${after}`);
  assert.is(await machine.sh("cat /vms/docker/kept"), "kept\n");
  assert.is(await lvm("vgs", "pv_count", "docker"), "2");
  assert.is(await lvm("lvs", "lv_size", "docker/engine"), await lvm("lvs", "lv_size", "docker/pool"));
});

test.after(async () => await machine?.close());
test.run();
