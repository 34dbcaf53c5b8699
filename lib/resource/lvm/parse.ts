// The answers of lsblk, wipefs, blkid and LVM as plain data. Pure; tried on captured output (test/fixtures/storage).
import type { GroupFacts, PhysicalFacts, Signature, VolumeFacts } from "./types.ts";

/** A block device as lsblk tells it, with what hangs on it gathered. */
export interface BlockDevice {
  readonly kind: "disk" | "part";
  readonly path: string;
  readonly bytes: number;
  readonly rotational: boolean;
  readonly removable: boolean;
  readonly readOnly: boolean;
  readonly transport: string | null;
  readonly serial: string | null;
  readonly wwn: string | null;
  readonly twins: readonly string[];
  readonly parent: string | null;
  readonly partType: string | null;
  readonly partUuid: string | null;
  readonly label: string | null;
  readonly uuid: string | null;
  readonly partitions: readonly string[];
  readonly holders: readonly string[];
  readonly mounts: readonly string[];
}

interface Node {
  readonly path: string;
  readonly type: string;
  readonly size: number | string;
  readonly rota: boolean | string;
  readonly rm: boolean | string;
  readonly ro: boolean | string;
  readonly tran: string | null;
  readonly serial: string | null;
  readonly wwn?: string | null;
  readonly parttype: string | null;
  readonly partuuid: string | null;
  readonly label: string | null;
  readonly uuid: string | null;
  readonly mountpoint: string | null;
  readonly children?: readonly Node[];
}

/** lsblk's tree as a list of whole disks and partitions. */
export function parseLsblk(text: string): readonly BlockDevice[] {
  const { blockdevices } = JSON.parse(text) as { blockdevices: readonly Node[] };
  const disks = blockdevices.filter(({ type }) => type === "disk");
  return disks.flatMap((node) => devicesOf(node, null, twinsOf(node, disks)));
}

/**
 * Without multipathd one disk shows once for each path to it. Told by the WWN alone: serial numbers are shared by the
 * namespaces of an NVMe disk. Those that are read-only or empty count: a passive path may look like that.
 */
function twinsOf({ wwn }: Node, disks: readonly Node[]): readonly string[] {
  const same = wwn ? disks.filter((one) => one.wwn === wwn) : [];
  return same.length > 1 ? same.map(({ path }) => path) : [];
}

function devicesOf(node: Node, parent: Node | null, twins: readonly string[]): BlockDevice[] {
  const children = node.children ?? [];
  const parts = children.filter(({ type }) => type === "part");
  const others = children.filter(({ type }) => type !== "part");
  // util-linux before 2.33 writes "0" and "1".
  const isSet = (value: boolean | string) => value === true || value === "1";
  return [
    {
      kind: parent === null ? "disk" : "part",
      path: node.path,
      bytes: Number(node.size),
      rotational: isSet(node.rota),
      removable: isSet(node.rm),
      readOnly: isSet(node.ro),
      transport: node.tran ?? parent?.tran ?? null,
      serial: node.serial || null,
      wwn: node.wwn || null,
      twins,
      parent: parent?.path ?? null,
      partType: parent === null ? null : node.parttype,
      partUuid: node.partuuid,
      label: node.label,
      uuid: node.uuid,
      partitions: parts.map(({ path }) => path),
      holders: others.map(({ type, path }) => `${type} ${path.slice(path.lastIndexOf("/") + 1)}`),
      mounts: [...new Set([...mountsOf(node, false), ...others.flatMap((child) => mountsOf(child, true))])],
    },
    ...parts.flatMap((part) => devicesOf(part, node, twins)),
  ];
}

function mountsOf(node: Node, deep: boolean): string[] {
  const below = deep ? (node.children ?? []).flatMap((child) => mountsOf(child, true)) : [];
  return [...node.mountpoint ? [node.mountpoint] : [], ...below];
}

/** Devices that lsblk calls disks and that are memory, networks or parts of cards. */
const NO_DISK = /^\/dev\/(z?ram|loop|nbd|rbd|drbd|fd|sr|mtdblock|mmcblk\d+(boot|rpmb|gp)|dm-)/;

/** Whether a device is looked at more closely: never a network's, memory's or an empty drive's. */
export function isLooked({ path, bytes, removable, readOnly }: BlockDevice): boolean {
  return !NO_DISK.test(path) && bytes > 0 && !removable && !readOnly;
}

/** Signatures by path. wipefs names devices without their directory. */
export function parseWipefs(text: string): Map<string, Signature[]> {
  const found = new Map<string, Signature[]>();
  if (text.trim() === "") return found; // older than 2.38 prints nothing where there is nothing
  const { signatures } = JSON.parse(text) as {
    signatures: readonly { device: string; offset: string; type: string; uuid?: string; label?: string }[];
  };
  for (const { device, offset, type, uuid, label } of signatures) {
    const path = device.startsWith("/dev/") ? device : `/dev/${device}`;
    found.set(path, [...found.get(path) ?? [], { type, uuid: uuid || null, label: label || null, offset }]);
  }
  return found;
}

/** Adds what only blkid knows of: a type, or a partition table, that wipefs has not told. */
export function parseBlkid(
  text: string,
  known: ReadonlyMap<string, readonly Signature[]>,
): Map<string, readonly Signature[]> {
  const found = new Map<string, readonly Signature[]>(known);
  for (const block of text.split(/\n\n+|\n(?=DEVNAME=)/)) {
    const fields = Object.fromEntries(
      block.split("\n").flatMap((line) => {
        const at = line.indexOf("=");
        return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
      }),
    ) as Record<string, string | undefined>;
    const path = fields.DEVNAME;
    if (path === undefined) continue;
    for (const type of [fields.TYPE, fields.PTTYPE]) {
      const before = found.get(path) ?? [];
      if (type === undefined || before.some((one) => one.type === type)) continue;
      const isTable = type === fields.PTTYPE;
      const uuid = (isTable ? fields.PTUUID : fields.UUID) ?? null;
      found.set(path, [...before, {
        type,
        uuid,
        label: isTable ? null : fields.LABEL ?? null,
        offset: null,
      }]);
    }
  }
  return found;
}

/** First fields of fstab's lines (fstab(5); \040 is a space). */
export function fstabDevices(text: string): readonly string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/\s+/)[0]!.replaceAll('"', "").replaceAll("\\040", " "));
}

type Row = Readonly<Record<string, string>>;

/** Rows of a report of LVM's. Hidden volumes (in brackets) are left out. */
function rows(text: string | null, kind: "pv" | "vg" | "lv"): readonly Row[] {
  if (text === null || text.trim() === "") return [];
  const { report } = JSON.parse(text) as { report: readonly Readonly<Record<string, readonly Row[]>>[] };
  return report.flatMap((part) => part[kind] ?? []);
}

const words = (text: string | undefined) => (text ?? "").split(",").filter((word) => word !== "");

/** pvs. A missing one has the path "[unknown]". */
export function parsePhysical(text: string | null): readonly PhysicalFacts[] {
  return rows(text, "pv").map((row) => ({
    path: row.pv_name!,
    uuid: row.pv_uuid!,
    group: row.vg_name!,
    groupUuid: row.vg_uuid!,
    extents: Number(row.pv_pe_count),
    usedExtents: Number(row.pv_pe_alloc_count),
    missing: row.pv_missing !== "",
  }));
}

/** vgs. */
export function parseGroups(text: string | null): readonly GroupFacts[] {
  return rows(text, "vg").map((row) => ({
    name: row.vg_name!,
    uuid: row.vg_uuid!,
    tags: words(row.vg_tags).sort(),
    extentBytes: Number(row.vg_extent_size),
    extents: Number(row.vg_extent_count),
    freeExtents: Number(row.vg_free_count),
    missing: Number(row.vg_missing_pv_count),
    barred: row.vg_exported
      ? "exported"
      : row.vg_lock_type
      ? `shared (${row.vg_lock_type})`
      : row.vg_systemid
      ? `of system "${row.vg_systemid}"`
      : null,
  }));
}

/** lvs, a row for each segment, as one volume each. */
export function parseVolumes(text: string | null): readonly VolumeFacts[] {
  const found = new Map<string, VolumeFacts>();
  const share = (value: string | undefined) => value ? Number(value) : null;
  for (const row of rows(text, "lv")) {
    if (row.lv_name!.startsWith("[")) continue;
    const before = found.get(row.lv_uuid!);
    const isPool = row.segtype === "thin-pool";
    found.set(row.lv_uuid!, {
      name: row.lv_name!,
      group: row.vg_name!,
      uuid: row.lv_uuid!,
      bytes: Number(row.lv_size),
      types: [...new Set([...before?.types ?? [], row.segtype!])],
      tags: words(row.lv_tags).sort(),
      active: row.lv_active !== "",
      pool: row.pool_lv ?? "",
      origin: row.origin ?? "",
      thin: isPool
        ? {
          chunkBytes: Number(row.chunk_size),
          zeroing: row.zero === "zero",
          discards: row.discards ?? "",
          profile: row.lv_profile ?? "",
          monitored: row.seg_monitor === "monitored",
          metadataBytes: Number(row.lv_metadata_size),
          dataPercent: share(row.data_percent),
          metadataPercent: share(row.metadata_percent),
        }
        : before?.thin ?? null,
    });
  }
  return [...found.values()];
}
