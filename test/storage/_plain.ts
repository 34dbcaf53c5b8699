// Cases of layout plain that was chosen where no disk was found, and of what comes later: disks, disks that are asked
// for by name, and the volume group that was there all along. Told by cases.test.ts.
import { createFakeHost } from "../fake/host.ts";
import { apply, disk, ext4, type Ground, ground, plug, told } from "./_story.ts";

const OVERLAY = "storage: { layout: overlay }";
const NAMED = "storage: { disks: [virtio-disk-b] }";
/** What an engine has that has begun to live on the system disk. */
const LIVED: Readonly<Record<string, string>> = {
  "/var/lib/docker/containers/c0ffee/config.v2.json": "{}",
  "/var/lib/docker/image/overlay2/imagedb/content/sha256/beef": "{}",
  "/var/lib/docker/image/overlay2/imagedb/content/sha256/cafe": "{}",
};

/** Title, and what is told. */
export const PLAIN: Readonly<Record<string, () => Promise<string>>> = {
  "plain, and a disk that came later": async () => told(await later(disk("b"))),
  "plain, and a disk that came later and is asked for": async () => told(await later(disk("b")), OVERLAY),
  "plain, and a disk that came later and is named": async () => told(await later(disk("b")), NAMED),
  "plain, and a named disk that is not blank": async () => told(await later(disk("b", 100, ext4)), NAMED),
  "plain, and a named disk that is not there": async () =>
    told(await later(disk("b")), "storage: { disks: [nonesuch] }"),
  "no device-mapper, a disk named": () => told(unmapped(ground([disk("b")])), NAMED),
  "plain, no device-mapper any more, a disk named": async () => told(unmapped(await later(disk("b"))), NAMED),
  "plain, no device-mapper any more": async () => told(unmapped(await later(disk("b")))),
  "plain while berth's group was away": async () => {
    const machine = await returned();
    return [await told(machine), await told(machine)].join("\n--\n");
  },
  "plain while berth's group was away, without LVM's programs": async () => {
    const machine = await returned();
    machine.host.machine.files.delete("/usr/sbin/lvs");
    return told(machine);
  },
  "plain while berth's group was away, a disk of it still is": async () => {
    const machine = await returned();
    machine.lvm.disks.delete("/dev/sdb");
    machine.host.machine.files.delete("/dev/disk/by-id/virtio-disk-b");
    return told(machine);
  },
  "plain while berth's group was away, and lived on": async () => told(await returned(LIVED)),
  "plain while berth's group was away, lived on, its disk named": async () =>
    told(await returned(LIVED), NAMED),
  "plain while berth's group was away, lived on, the group asked for": async () =>
    told(await returned(LIVED), OVERLAY),
  "plain while berth's group was away, lived on, plain asked for": async () =>
    told(await returned(LIVED), "storage: { layout: plain }"),
  "plain while berth's group was away, which a link leads to": async () => {
    const machine = await returned({ "/vms/docker/containers/c0ffee/config.v2.json": "{}" });
    machine.host.machine.symlinks.set("/var/lib/docker", "/vms/docker");
    return told(machine);
  },
  "plain, and a group that is not berth's": async () => {
    const machine = await later(disk("b"));
    machine.lvm.groups.set("docker", { uuid: "foreign", tags: [], extent: 4 * 2 ** 20, systemId: "" });
    machine.lvm.physical.set("/dev/sdb", "docker");
    return told(machine);
  },
};

/** Chosen where there is none, then a disk comes. */
async function later(one: Parameters<typeof plug>[1]): Promise<Ground> {
  const machine = ground([]);
  await apply(machine);
  plug(machine, one);
  return machine;
}

/** Made, the system disk re-imaged, a first run while the group is away; the group back. */
async function returned(files: Readonly<Record<string, string>> = {}): Promise<Ground> {
  const first = ground([disk("b", 200)]);
  await apply(first, OVERLAY);
  const { lvm } = first;
  const away = { ...lvm, disks: [...lvm.disks], physical: [...lvm.physical], groups: [...lvm.groups] };
  const volumes = [...lvm.volumes];
  lvm.disks.delete("/dev/sdb");
  for (const map of [lvm.physical, lvm.groups, lvm.volumes]) map.clear();
  const machine = { lvm, host: createFakeHost(lvm.host({ files })) };
  const chosen = await told(machine);
  if (!chosen.startsWith("layout plain (chosen)")) throw new Error(chosen);
  away.disks.filter(([path]) => path === "/dev/sdb").forEach(([, one]) => plug(machine, one));
  away.physical.forEach(([path, group]) => lvm.physical.set(path, group));
  away.groups.forEach(([name, group]) => lvm.groups.set(name, group));
  volumes.forEach(([path, volume]) => lvm.volumes.set(path, volume));
  return machine;
}

function unmapped(machine: Ground): Ground {
  machine.host.machine.files.set("/proc/misc", { text: "183 hw_random\n", mode: 0o444 });
  return machine;
}
