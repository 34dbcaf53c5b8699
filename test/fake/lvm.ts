// Disks and LVM in memory, for a fake host: answers lsblk, wipefs, blkid, pvs, vgs and lvs in the form of the real
// ones (captured: test/fixtures/storage), and keeps to the rules of LVM's commands that berth relies on: vgcreate
// refuses what has a signature, volumes need free extents, a pool its metadata twice.
import type { DeviceEnds } from "../../lib/host/types.ts";
import type { FakeCommand, FakeHostOptions, FakeOutput } from "./host.ts";

/** A whole disk or a partition. */
export interface FakeDisk {
  readonly path: string;
  readonly bytes: number;
  /** Names in /dev/disk/by-id. @default {"virtio-" and the serial} */
  readonly ids?: readonly string[];
  readonly serial?: string;
  readonly wwn?: string;
  readonly solid?: boolean;
  readonly removable?: boolean;
  readonly readOnly?: boolean;
  readonly transport?: string;
  readonly parent?: string;
  readonly partType?: string;
  signatures?: { type: string; uuid?: string; label?: string; offset?: string }[];
  mount?: string;
  /** "crypt secret", "raid1 md0": what lsblk shows below it. */
  holder?: string;
  /** Held without a trace in lsblk. */
  busy?: boolean;
  /** Its ends are not zero. */
  data?: string;
  /** Cannot be read. */
  broken?: boolean;
}

interface FakeVolume {
  readonly uuid: string;
  extents: number;
  types: string[];
  tags: string[];
  active: boolean;
  pool: string;
  origin: string;
  metadata: number;
  chunk: number;
  zeroing: boolean;
  discards: string;
  profile: string;
  monitored: boolean;
}

/** Everything of disks and LVM. Tests may look and change at will. */
export interface FakeLvm {
  readonly disks: Map<string, FakeDisk>;
  /** Group of each physical volume, by path; "" for none. A path without a disk is a missing one. */
  readonly physical: Map<string, string>;
  readonly groups: Map<string, { uuid: string; tags: string[]; extent: number; systemId: string }>;
  /** By "group/name". */
  readonly volumes: Map<string, FakeVolume>;
  /** Of `dockerd --version`. */
  engine: string;
  /** What a fake host needs to have these disks. */
  host(more?: FakeHostOptions): FakeHostOptions;
  /** Canonical: equal text means equal disks. */
  text(): string;
}

const MIB = 2 ** 20;
const ROW = (row: Record<string, unknown>) => row;

/** What is installed on the machine. */
const PROGRAMS = ["lvs", "thin_check", "mkfs.ext4", "mkfs.xfs", "chattr", "dockerd"];

/** Makes disks and an empty LVM. */
export function createFakeLvm(disks: readonly FakeDisk[]): FakeLvm {
  let count = 0;
  const uuid = () => `fake-${String(++count).padStart(4, "0")}`;
  const lvm: FakeLvm = {
    disks: new Map(disks.map((disk) => [disk.path, { ...disk }])),
    physical: new Map(),
    groups: new Map(),
    volumes: new Map(),
    engine: "20.10.24+dfsg1",
    host: (more = {}) => ({
      ...more,
      files: {
        "/proc/misc": "236 device-mapper\n",
        ...Object.fromEntries(PROGRAMS.map((name) => [`/usr/sbin/${name}`, ""])),
        ...Object.fromEntries([...links(lvm).keys()].map((path) => [path, ""])),
        ...more.files,
      },
      commands: [...more.commands ?? [], (command, machine) => run(lvm, uuid)(command, machine)],
      readLink: (path) => links(lvm).get(path) ?? null,
      device: (path, bytes) => ends(lvm, path, bytes),
    }),
    text: () =>
      JSON.stringify(
        [
          [...lvm.disks.values()],
          [...lvm.physical].sort(),
          // UUIDs are made anew each time.
          [...lvm.groups].map(([name, { tags, extent }]) => [name, tags, extent]).sort(),
          [...lvm.volumes].map(([name, { uuid: _, ...rest }]) => [name, rest]).sort(),
        ],
        null,
        1,
      ),
  };
  return lvm;
}

function links(lvm: FakeLvm): Map<string, string> {
  return new Map(
    [...lvm.disks.values()].flatMap(({ path, ids, serial }) =>
      (ids ?? (serial === undefined ? [] : [`virtio-${serial}`])).map((id): [string, string] => [
        `/dev/disk/by-id/${id}`,
        `../../${path.slice(5)}`,
      ])
    ),
  );
}

function signaturesOf(lvm: FakeLvm, path: string) {
  const member = lvm.physical.has(path) ? [{ type: "LVM2_member", uuid: `pv-${path}`, offset: "0x218" }] : [];
  return [...member, ...lvm.disks.get(path)?.signatures ?? []];
}

function ends(lvm: FakeLvm, path: string, bytes: number): DeviceEnds | null {
  const disk = lvm.disks.get(path);
  if (disk === undefined) return null;
  if (disk.broken) throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  const content = disk.data ?? signaturesOf(lvm, path).map(({ type }) => type).join();
  const isHeld = disk.busy === true || disk.mount !== undefined || disk.holder !== undefined ||
    isActive(lvm, lvm.physical.get(path));
  return { free: !isHeld, zero: content === "", digest: `${content}/${bytes}` };
}

function isActive(lvm: FakeLvm, group: string | undefined): boolean {
  return [...lvm.volumes].some(([name, { active }]) => active && name.startsWith(`${group}/`));
}

const extentsOf = (lvm: FakeLvm, path: string, extent: number) =>
  Math.floor(((lvm.disks.get(path)?.bytes ?? 40 * 2 ** 30) - MIB) / extent);

function freeOf(lvm: FakeLvm, group: string): { all: number; free: number } {
  const { extent } = lvm.groups.get(group)!;
  const all = [...lvm.physical].filter(([, of]) => of === group)
    .reduce((sum, [path]) => sum + extentsOf(lvm, path, extent), 0);
  const used = [...lvm.volumes].filter(([name, { pool }]) => name.startsWith(`${group}/`) && pool === "")
    .reduce((sum, [, { extents, metadata }]) => sum + extents + 2 * metadata, 0);
  return { all, free: all - used };
}

function node(lvm: FakeLvm, disk: FakeDisk, hasWwn: boolean): Record<string, unknown> {
  const all = [...lvm.disks.values()];
  const group = lvm.physical.get(disk.path);
  const children = [
    ...all.filter(({ parent }) => parent === disk.path).map((part) => node(lvm, part, hasWwn)),
    ...disk.holder === undefined ? [] : [{
      type: disk.holder.split(" ")[0],
      path: `/dev/mapper/${disk.holder.split(" ")[1]}`,
      mountpoint: null,
    }],
    ...group && isActive(lvm, group)
      ? [{ type: "lvm", path: `/dev/mapper/${group}-vms`, mountpoint: null }]
      : [],
  ];
  const [first] = signaturesOf(lvm, disk.path) as { type: string; uuid?: string; label?: string }[];
  return {
    name: disk.path,
    path: disk.path,
    type: disk.parent === undefined ? "disk" : "part",
    size: disk.bytes,
    rota: disk.solid !== true,
    rm: disk.removable === true,
    ro: disk.readOnly === true,
    tran: disk.transport ?? null,
    serial: disk.serial ?? null,
    ...hasWwn ? { wwn: disk.wwn ?? null } : {},
    fstype: first?.type ?? null,
    parttype: disk.partType ?? null,
    partuuid: null,
    label: first?.label ?? null,
    uuid: first?.uuid ?? null,
    mountpoint: disk.mount ?? null,
    ...children.length === 0 ? {} : { children },
  };
}

function run(lvm: FakeLvm, uuid: () => string): FakeCommand {
  const report = (kind: string, rows: readonly Record<string, unknown>[]): FakeOutput => ({
    stdout: JSON.stringify({ report: [{ [kind]: rows }] }),
  });
  const fail = (stderr: string): FakeOutput => ({ exit: 5, stderr: `${stderr}\n` });
  const volumeAt = (path: string) => lvm.volumes.get(path);
  return ({ argv }) => {
    const [program, ...args] = argv;
    const after = (option: string) => args.includes(option) ? args[args.indexOf(option) + 1] : undefined;
    const every = (option: string) => args.flatMap((arg, at) => arg === option ? [args[at + 1]!] : []);
    const paths = args.filter((arg) => arg.startsWith("/dev/"));
    const last = args.at(-1)!;
    switch (program) {
      case "lsblk": {
        const roots = [...lvm.disks.values()].filter(({ parent }) => parent === undefined);
        const hasWwn = /\bWWN\b/.test(after("-o") ?? "");
        return { stdout: JSON.stringify({ blockdevices: roots.map((disk) => node(lvm, disk, hasWwn)) }) };
      }
      case "wipefs": {
        if (args[0] === "-a") {
          for (const path of paths) {
            lvm.physical.delete(path);
            lvm.disks.get(path)!.signatures = [];
            const isTable = [...lvm.disks.values()].filter(({ parent }) => parent === path);
            isTable.forEach((part) => lvm.disks.delete(part.path));
          }
          return {};
        }
        if (paths.some((path) => lvm.disks.get(path)?.broken)) {
          return { exit: 1, stderr: "wipefs: error: probing initialization failed: Input/output error\n" };
        }
        const signatures = paths.flatMap((path) =>
          signaturesOf(lvm, path).map(({ type, uuid = null, label = null, offset = "0x438" }: {
            type: string;
            uuid?: string | null;
            label?: string | null;
            offset?: string;
          }) => ({ device: path.slice(5), offset, type, uuid, label }))
        );
        return { stdout: JSON.stringify({ signatures }) };
      }
      case "blkid":
        return { exit: 2, stdout: "" };
      case "dockerd":
        return { stdout: `Docker version ${lvm.engine}, build 297e128\n` };
      case "dd":
        lvm.disks.get(args.find((arg) => arg.startsWith("of="))!.slice(3))!.data = "";
        return {};
      case "pvs":
        return report(
          "pv",
          [...lvm.physical].map(([path, group]) =>
            ROW({
              pv_name: lvm.disks.has(path) ? path : "[unknown]",
              pv_uuid: `pv-${path}`,
              vg_name: group,
              vg_uuid: lvm.groups.get(group)?.uuid ?? "",
              pv_pe_count: group === "" ? "0" : String(extentsOf(lvm, path, lvm.groups.get(group)!.extent)),
              pv_pe_alloc_count: "0",
              pv_missing: lvm.disks.has(path) ? "" : "missing",
            })
          ),
        );
      case "vgs":
        return report(
          "vg",
          [...lvm.groups].map(([name, group]) =>
            ROW({
              vg_name: name,
              vg_uuid: group.uuid,
              vg_tags: group.tags.join(","),
              vg_extent_size: String(group.extent),
              vg_extent_count: String(freeOf(lvm, name).all),
              vg_free_count: String(freeOf(lvm, name).free),
              vg_missing_pv_count: String(
                [...lvm.physical].filter(([path, of]) => of === name && !lvm.disks.has(path)).length,
              ),
              vg_exported: "",
              vg_lock_type: "",
              vg_systemid: group.systemId,
            })
          ),
        );
      case "lvs":
        return report(
          "lv",
          [...lvm.volumes].flatMap(([path, volume]) => {
            const [group, name] = path.split("/") as [string, string];
            const { extent } = lvm.groups.get(group)!;
            const isPool = volume.types.includes("thin-pool");
            return volume.types.map((segtype) =>
              ROW({
                lv_name: name,
                vg_name: group,
                lv_uuid: volume.uuid,
                lv_size: String(volume.extents * extent),
                segtype,
                lv_tags: volume.tags.join(","),
                lv_active: volume.active ? "active" : "",
                pool_lv: volume.pool,
                origin: volume.origin,
                chunk_size: String(volume.chunk),
                zero: isPool ? volume.zeroing ? "zero" : "" : "unknown",
                discards: volume.discards,
                lv_profile: volume.profile,
                seg_monitor: isPool ? volume.monitored ? "monitored" : "not monitored" : "",
                lv_metadata_size: isPool ? String(volume.metadata * extent) : "",
                data_percent: isPool ? "0.00" : "",
                metadata_percent: isPool ? "1.52" : "",
              })
            );
          }),
        );
      case "vgcreate":
      case "vgextend": {
        const name = args.find((arg, at) =>
          !arg.startsWith("-") && !arg.startsWith("/") && !args[at - 1]?.startsWith("--")
        )!;
        if (program === "vgcreate" && lvm.groups.has(name)) {
          return fail("A volume group called docker already exists.");
        }
        const taken = paths.find((path) => {
          const disk = lvm.disks.get(path)!;
          const isTaken = (lvm.physical.get(path) ?? "") !== "" || (disk.signatures ?? []).length > 0;
          return isTaken || disk.busy || disk.mount !== undefined;
        });
        if (taken !== undefined) return fail(`WARNING: signature detected on ${taken}. Aborted.`);
        if (program === "vgcreate") {
          lvm.groups.set(name, { uuid: uuid(), tags: every("--addtag"), extent: 4 * MIB, systemId: "" });
        }
        for (const path of paths) lvm.physical.set(path, name);
        return {};
      }
      case "vgchange": {
        const group = lvm.groups.get(last)!;
        group.tags = [...group.tags, ...every("--addtag")].filter((tag) => !every("--deltag").includes(tag));
        return {};
      }
      case "vgremove":
        for (const [path, group] of lvm.physical) if (group === last) lvm.physical.set(path, "");
        lvm.groups.delete(last);
        return {};
      case "pvremove":
        for (const path of paths) lvm.physical.delete(path);
        return {};
      case "lvcreate": {
        const group = last;
        const { extent } = lvm.groups.get(group)!;
        const path = `${group}/${after("-n")}`;
        const bytes = (text: string | undefined) => Number((text ?? "0b").slice(0, -1));
        const type = after("--type")!;
        const extents = type === "thin" ? bytes(after("-V")) / extent : Number(after("-l"));
        const metadata = bytes(after("--poolmetadatasize")) / extent;
        if (lvm.volumes.has(path)) return fail(`Logical Volume "${path}" already exists.`);
        const isCut = type !== "thin";
        if (isCut && extents + 2 * metadata > freeOf(lvm, group).free) return fail("insufficient free space");
        const isPool = type === "thin-pool";
        lvm.volumes.set(path, {
          uuid: uuid(),
          extents,
          types: [type],
          tags: every("--addtag"),
          active: true,
          pool: after("--thinpool") ?? "",
          origin: "",
          metadata,
          chunk: isPool ? bytes(after("-c")) : 0,
          zeroing: isPool && !args.includes("-Zn"),
          discards: after("--discards") ?? (type === "thin" ? "passdown" : ""),
          profile: after("--metadataprofile") ?? "",
          monitored: isPool,
        });
        return {};
      }
      case "lvextend": {
        const volume = volumeAt(last)!;
        const { extent } = lvm.groups.get(last.split("/")[0]!)!;
        const metadata = after("--poolmetadatasize");
        const free = freeOf(lvm, last.split("/")[0]!).free;
        if (metadata !== undefined) {
          volume.metadata = Number(metadata.slice(0, -1)) / extent;
          return {};
        }
        const wanted = after("-l") === undefined
          ? Number(after("-L")!.slice(0, -1)) / extent
          : Number(after("-l"));
        if (wanted <= volume.extents) return fail("New size matches existing size");
        if (volume.pool === "" && wanted - volume.extents > free) return fail("Insufficient free space");
        volume.extents = wanted;
        return {};
      }
      case "lvchange": {
        const volume = volumeAt(last)!;
        volume.tags = [...volume.tags, ...every("--addtag")].filter((tag) =>
          !every("--deltag").includes(tag)
        );
        if (args.includes("-ay")) volume.active = true;
        if (args.includes("-Zn")) volume.zeroing = false;
        if (args.includes("--monitor")) volume.monitored = after("--monitor") === "y";
        volume.discards = after("--discards") ?? volume.discards;
        volume.profile = after("--metadataprofile") ?? volume.profile;
        return {};
      }
      case "lvremove":
        if ([...lvm.volumes.values()].some(({ pool }) => pool !== "" && last.endsWith(`/${pool}`))) {
          return fail("Pool is used by volumes");
        }
        lvm.volumes.delete(last);
        return {};
      default:
        return null;
    }
  };
}
