// How large each volume is: the one place where it is computed. Pure; everything in extents, decisions in bytes.
// What is found and not to be shrunk is the business of choose.ts.
import type { Layout, Size, StorageSizes } from "../../config/types_storage.ts";
import { BerthError, type Issue } from "../../log/error.ts";

/** What volumes are cut from. */
export interface Room {
  readonly extentBytes: number;
  /** Extents of each physical volume, and the disk it is on. */
  readonly physical: readonly { readonly disk: string; readonly extents: number }[];
  /** Extents that volumes of others hold. */
  readonly foreign: number;
  /** Volumes are there already, and not all of them in stripes: what is added comes as it fits. */
  readonly linear: boolean;
}

/** Sizes in extents. */
export interface Extents {
  /** Physical volumes a new volume is striped over; 1: not striped. */
  readonly stripes: number;
  /** What shares are shares of. */
  readonly base: number;
  readonly vminfo: number;
  readonly vms: number;
  /** Of layouts with a thin pool. */
  readonly pool: { readonly data: number; readonly metadata: number } | null;
}

/** Chunk of the thin pool: what the predecessor used; few enough to keep 1 % of metadata ample. */
export const CHUNK_BYTES = 512 * 2 ** 10;
/** The default of vgcreate(8). */
export const EXTENT_BYTES = 4 * 2 ** 20;
/** The default data alignment of pvcreate(8): where a physical volume's first extent begins. */
const DATA_START = 2 ** 20;
/** Striping leaves what larger disks have more unused: it must be less than a quarter of all. */
const STRIPED_SHARE = 0.75;
/** Below that there is no room for an image of an operating system. */
const LEAST_BYTES = 2 ** 30;
/** mkfs.xfs makes nothing smaller since xfsprogs 5.19 ("Filesystem must be larger than 300MB"). */
const LEAST_FILE_SYSTEM = { ext4: 0, xfs: 300 * 2 ** 20 } as const;
const GB = 1e9;

/** Extents a disk of so many bytes will have; as vgcreate counts them (tried on 2.03.16). */
export function extentsOf(bytes: number, extentBytes: number = EXTENT_BYTES): number {
  return Math.max(0, Math.floor((bytes - DATA_START) / extentBytes));
}

/** Over how many physical volumes volumes are striped: all, where each is on a disk of its own and of like size. */
export function stripesOf({ physical, linear }: Pick<Room, "physical" | "linear">): number {
  const extents = physical.map((one) => one.extents);
  const isAlone = new Set(physical.map(({ disk }) => disk)).size === physical.length;
  const sum = extents.reduce((total, one) => total + one, 0);
  const striped = Math.min(...extents) * extents.length;
  return !linear && physical.length > 1 && isAlone && striped >= sum * STRIPED_SHARE ? physical.length : 1;
}

/**
 * The wanted sizes. overlay: vminfo min(5 GB, 3 %), vms 90 % of the base. thin, devicemapper: vminfo the same, vms
 * min(32 GB, 15 %) of what remains, pool 90 % of what remains then, of it 1 % (at most 16 GB) metadata. The base is
 * the sum of the physical volumes, or stripes × the smallest, without what others hold. vminfo is never smaller by
 * itself than its file system can be.
 *
 * @throws {BerthError} code `missing` where there is too little room, `config` where the configured sizes do not fit.
 */
export function volumeSizes(
  layout: Exclude<Layout, "plain">,
  sizes: StorageSizes,
  room: Room,
  fileSystem: "ext4" | "xfs",
): Extents {
  const { extentBytes, physical, foreign } = room;
  const stripes = stripesOf(room);
  const sum = physical.reduce((total, { extents }) => total + extents, 0);
  const whole = stripes === 1 ? sum : stripes * Math.min(...physical.map(({ extents }) => extents));
  const base = Math.max(0, Math.min(whole, sum - foreign));
  if (base * extentBytes < LEAST_BYTES) throw tooSmall(base * extentBytes);
  // A striped volume has as many extents on each physical volume.
  const even = (extents: number) => Math.floor(extents / stripes) * stripes;
  const share = (of: number, percent: number) => even(Math.floor(of * percent / 100));
  const most = (bytes: number) => even(Math.floor(bytes / extentBytes));
  const asked = (size: Size, of: number) =>
    "percent" in size
      ? share(of, size.percent)
      : Math.ceil(Math.ceil(size.bytes / extentBytes) / stripes) * stripes;
  const cut = (size: Size | undefined, of: number, computed: number) =>
    Math.max(stripes, size === undefined ? computed : asked(size, of));

  const least = Math.ceil(LEAST_FILE_SYSTEM[fileSystem] / extentBytes / stripes) * stripes;
  const vminfo = cut(sizes.vminfo, base, Math.max(least, Math.min(most(5 * GB), share(base, 3))));
  if (layout === "overlay") {
    const vms = cut(sizes.vms, base, share(base, 90));
    fits({ vminfo, vms }, base, extentBytes);
    holds(fileSystem, { vminfo, vms }, extentBytes);
    return { stripes, base, vminfo, vms, pool: null };
  }
  const left = Math.max(0, base - vminfo);
  const vms = cut(sizes.vms, left, Math.min(most(32 * GB), share(left, 15)));
  const rest = Math.max(0, left - vms);
  const pool = cut(sizes.pool, rest, share(rest, 90));
  const metadata = Math.max(
    1,
    sizes.metadata === undefined
      ? Math.min(Math.floor(16 * GB / extentBytes), Math.floor(pool / 100))
      : "percent" in sizes.metadata
      ? Math.floor(pool * sizes.metadata.percent / 100)
      : Math.ceil(sizes.metadata.bytes / extentBytes),
  );
  // The pool's data is whole chunks, also where an adopted group has smaller extents.
  const chunk = Math.max(1, Math.ceil(CHUNK_BYTES / extentBytes));
  const data = Math.floor(even(pool - metadata) / chunk) * chunk;
  // LVM keeps a spare of the metadata's size for repairs.
  fits({ vminfo, vms, pool, "the spare of the pool's metadata": metadata }, base, extentBytes);
  holds(fileSystem, { vminfo, vms, ...layout === "thin" ? { pool: data } : {} }, extentBytes);
  if (data < stripes || metadata > most(16 * GB) && sizes.metadata !== undefined) {
    throw noFit([{
      path: "storage.sizes.metadata",
      message: data < stripes ? "Leaves nothing of the pool for data" : "Is more than LVM can use",
      found: shownBytes(metadata * extentBytes),
      wanted: data < stripes ? `less than ${shownBytes(pool * extentBytes)}` : "at most 16 GB",
      next: "Leave it out: 1% is computed",
    }]);
  }
  return { stripes, base, vminfo, vms, pool: { data, metadata } };
}

function fits(parts: Readonly<Record<string, number>>, base: number, extentBytes: number): void {
  const sum = Object.values(parts).reduce((total, one) => total + one, 0);
  if (sum <= base) return;
  throw noFit(
    Object.entries(parts).map(([name, extents]): Issue => ({
      path: name.includes(" ") ? name : `storage.sizes.${name}`,
      message: "Does not fit together with the others",
      found: shownBytes(extents * extentBytes),
      wanted: `together at most ${shownBytes(base * extentBytes)}, not ${shownBytes(sum * extentBytes)}`,
      next: "Make the sizes smaller, or add a disk",
    })),
  );
}

/** Refuses volumes that their file system cannot be made on. */
function holds(
  fileSystem: "ext4" | "xfs",
  parts: Readonly<Record<string, number>>,
  extentBytes: number,
): void {
  const least = LEAST_FILE_SYSTEM[fileSystem];
  const small = Object.entries(parts).filter(([, extents]) => extents * extentBytes < least);
  if (small.length === 0) return;
  throw noFit(
    small.map(([name, extents]): Issue => ({
      path: `storage.sizes.${name}`,
      message: `Is too small for ${fileSystem}`,
      found: shownBytes(extents * extentBytes),
      wanted: `at least ${shownBytes(least)}`,
      next: `Make it larger, or write "fileSystem: ext4"`,
    })),
    "The sizes do not hold their file systems",
  );
}

function noFit(issues: readonly Issue[], message = "The sizes do not fit into the volume group"): BerthError {
  return new BerthError({
    code: "config",
    object: "storage.sizes",
    message,
    next: "Change storage.sizes in host.yaml",
    issues,
  });
}

function tooSmall(bytes: number): BerthError {
  return new BerthError({
    code: "missing",
    object: "volume-group docker",
    message: `There is room for ${shownBytes(bytes)}, wanted at least ${shownBytes(LEAST_BYTES)}`,
    next: 'Name larger disks in storage.disks, or write "layout: plain"',
  });
}

/** "37.3 GiB", for people. */
export function shownBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  // Never rounded up: what is told can be had.
  const shown = value >= 100 ? Math.floor(value) : Math.floor(value * 10) / 10;
  return `${shown} ${units[unit]}`;
}
