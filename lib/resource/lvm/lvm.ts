// The layouts on a volume group, as resources: disks wiped by consent, the group, its volumes, the thin pool. What is
// there stays at least as large as it is; what is added to the group makes its volumes grow. Pure.
import type { Layout } from "../../config/types_storage.ts";
import type { HostConfig } from "../../config/types.ts";
import { BerthError } from "../../log/error.ts";
import type { AnyResource } from "../ensure.ts";
import { textFile } from "../kinds/file.ts";
import type { Verdict } from "./disks.ts";
import { volumeGroup, wipedDisk } from "./group.ts";
import { groupRecord } from "./group_record.ts";
import { VOLUME_ROOT } from "./lived.ts";
import { EXTENT_BYTES, type Extents, extentsOf, type Room, shownBytes, volumeSizes } from "./sizes.ts";
import {
  ADOPTED_TAG,
  GROUP,
  type GroupFacts,
  PROFILE,
  STORAGE_RECORD,
  type StorageChoice,
  type StorageFacts,
  TAG,
  type Volume,
} from "./types.ts";
import { logicalVolume, thinPool, thinVolume } from "./volumes.ts";

/** What was decided before it comes to volumes. */
export interface Decision {
  readonly layout: Exclude<Layout, "plain">;
  readonly by: StorageChoice["by"];
  /** null: to be created. */
  readonly group: GroupFacts | null;
  /** Disks to create it from, or that must be in it. */
  readonly disks: readonly Verdict[];
  readonly said?: readonly string[];
}

/** Extends a pool by 10 % whenever 90 % of it are used (lvmthin(7)). */
const PROFILE_TEXT = `# berth: the thin pool of volume group "${GROUP}"
activation {
	thin_pool_autoextend_threshold=90
	thin_pool_autoextend_percent=10
}
`;
/** Below that the predecessor warned: 120 GB. */
const AMPLE_BYTES = 120e9;

/** A layout on the volume group: resources, volumes, and what is said of them. */
export function lvmChoice(host: HostConfig, facts: StorageFacts, decision: Decision): StorageChoice {
  const { layout, by, group, disks } = decision;
  if (by === "recorded") refuseLost(layout, facts);
  const extentBytes = group?.extentBytes ?? EXTENT_BYTES;
  const room = roomOf(facts, group, disks, extentBytes);
  const sizes = volumeSizes(layout, host.storage.sizes, room, host.storage.fileSystem);
  const grown = heldAndGrown(host, facts, decision, sizes, extentBytes, room);
  const names = [...new Set([...members(facts).map(({ name }) => name), ...disks.map(({ name }) => name)])];
  const begun = { layout, disks: names };
  const adopt = host.storage.adopt;
  const base = { extentBytes, adopt };
  const cut = { ...base, stripes: sizes.stripes };
  const pool = grown.pool;
  const resources: AnyResource[] = [
    ...pool === null ? [] : [textFile(`/etc/lvm/profile/${PROFILE}.profile`, PROFILE_TEXT)],
    ...disks.flatMap(({ may, consent }) => may === "wipe" && consent ? [wipedDisk(consent, begun)] : []),
    volumeGroup({ begun, disks: disks.map(({ disk }) => disk), adopt }),
    logicalVolume({ ...cut, name: "vminfo", extents: grown.vminfo }),
    logicalVolume({ ...cut, name: "vms", extents: grown.vms }),
  ];
  if (pool !== null) {
    resources.push(thinPool({ ...cut, name: "pool", extents: pool.data, metadataExtents: pool.metadata }));
  }
  if (layout === "thin") {
    resources.push(thinVolume({ ...base, name: "engine", pool: "pool", extents: grown.engine }));
  }
  const volume = (name: Volume["name"], mount: string, extents: number): Volume => (
    {
      name,
      device: `/dev/${GROUP}/${name}`,
      mount,
      bytes: extents * extentBytes,
      foreign: isForeign(facts, name),
    }
  );
  const volumes = [
    volume("vminfo", "/vminfo", grown.vminfo),
    volume("vms", "/vms", grown.vms),
    ...layout === "thin" ? [volume("engine", VOLUME_ROOT, grown.engine)] : [],
  ];
  return {
    layout,
    by,
    resources,
    record: groupRecord({ layout, disks: names }),
    volumes,
    engineRoot: VOLUME_ROOT,
    engineOptions: layout === "devicemapper" ? DEVICEMAPPER : {},
    said: [...sayings(decision, names, sizes, room, volumes, pool, extentBytes), ...decision.said ?? []],
  };
}

/** Told by its tags, which stay on it: a run that died between adoption and file system knows it by them, too. */
function isForeign({ volumes }: StorageFacts, name: string): boolean {
  const found = volumes.find((one) => one.group === GROUP && one.name === name);
  return found !== undefined && (!found.tags.includes(TAG) || found.tags.includes(ADOPTED_TAG));
}

/**
 * The record is written when all volumes stand. One that is not there any more had content: made anew it would be
 * empty, and an engine would begin anew on it.
 */
function refuseLost(layout: Decision["layout"], facts: StorageFacts): void {
  const wanted = [
    "vminfo",
    "vms",
    ...layout === "overlay" ? [] : ["pool"],
    ...layout === "thin" ? ["engine"] : [],
  ];
  const isThere = (name: string) => facts.volumes.some((one) => one.group === GROUP && one.name === name);
  const lost = wanted.filter((name) => !isThere(name));
  if (lost.length === 0) return;
  throw new BerthError({
    code: "missing",
    object: `logical-volume ${GROUP}/${lost[0]}`,
    message: `Layout ${layout} is recorded in "${STORAGE_RECORD}", but of its volumes ${
      lost.map((name) => `"${GROUP}/${name}"`).join(", ")
    } ${lost.length === 1 ? "is" : "are"} not there`,
    next:
      `Bring back what was renamed or removed (lvrename; vgcfgrestore --list ${GROUP}); if its content is lost ` +
      `for good, remove "${STORAGE_RECORD}": it is made anew then, empty`,
  });
}

/** Keys of daemon.json for an engine that takes the pool itself. */
const DEVICEMAPPER = {
  "storage-driver": "devicemapper",
  "storage-opts": [
    `dm.thinpooldev=/dev/mapper/${GROUP}-pool`,
    "dm.use_deferred_removal=true",
    "dm.use_deferred_deletion=true",
  ],
} as const;

function members(
  facts: StorageFacts,
): readonly { name: string; path: string; extents: number; disk: string }[] {
  return facts.physical.filter((one) => one.group === GROUP && !one.missing).map(({ path, extents }) => {
    const disk = facts.disks.find((one) => one.path === path);
    return { path, extents, name: disk?.names[0] ?? path, disk: disk?.parent ?? path };
  });
}

function roomOf(
  facts: StorageFacts,
  group: GroupFacts | null,
  disks: readonly Verdict[],
  extentBytes: number,
): Room {
  const there = group === null ? [] : members(facts);
  const added = disks.filter(({ disk }) => !there.some(({ path }) => path === disk.path));
  const ours = new Set(["vminfo", "vms", "pool", "engine"]);
  const volumes = facts.volumes.filter((one) => one.group === GROUP);
  // Snapshots and clones in the pool take room of the pool, not of the group.
  const foreign = volumes.filter(({ name, pool }) => !ours.has(name) && pool === "")
    .reduce((sum, { bytes }) => sum + Math.ceil(bytes / extentBytes), 0);
  const vms = volumes.find(({ name }) => name === "vms");
  return {
    extentBytes,
    foreign,
    linear: vms !== undefined && (added.length > 0 || vms.types.some((type) => type !== "striped")),
    physical: [
      ...there.map(({ disk, extents }) => ({ disk, extents })),
      ...added.map(({ disk }) => (
        { disk: disk.parent ?? disk.path, extents: extentsOf(disk.bytes, extentBytes) }
      )),
    ],
  };
}

interface Grown {
  readonly vminfo: number;
  readonly vms: number;
  readonly pool: { readonly data: number; readonly metadata: number } | null;
  readonly engine: number;
}

/**
 * What is there keeps its size where it has more than is wanted, or where the group has no room to let it grow. A
 * size that was asked for and cannot be had is an error.
 */
function heldAndGrown(
  host: HostConfig,
  facts: StorageFacts,
  { group, layout }: Decision,
  wanted: Extents,
  extentBytes: number,
  room: Room,
): Grown {
  const found = (name: string) => facts.volumes.find((one) => one.group === GROUP && one.name === name);
  const held = (name: string) => Math.ceil((found(name)?.bytes ?? 0) / extentBytes);
  const there = facts.physical.filter((one) => one.group === GROUP).reduce(
    (sum, { extents }) => sum + extents,
    0,
  );
  const all = room.physical.reduce((sum, { extents }) => sum + extents, 0);
  let free = group === null ? all : group.freeExtents + all - there;
  const take = (name: string, has: number, wants: number, size: unknown, spare = 1): number => {
    if (wants <= has) return has;
    const missing = (wants - has) * spare;
    if (missing <= free) {
      free -= missing;
      return wants;
    }
    if (has > 0 && size === undefined) return has;
    throw noRoom(name, missing * extentBytes, free * extentBytes);
  };
  const { sizes } = host.storage;
  const vminfo = take("vminfo", held("vminfo"), wanted.vminfo, sizes.vminfo);
  const vms = take("vms", held("vms"), wanted.vms, sizes.vms);
  if (wanted.pool === null) return { vminfo, vms, pool: null, engine: 0 };
  const data = take("pool", held("pool"), wanted.pool.data, sizes.pool);
  const has = Math.ceil((found("pool")?.thin?.metadataBytes ?? 0) / extentBytes);
  // Twice: the spare grows with it.
  const metadata = take("metadata of pool", has, wanted.pool.metadata, sizes.metadata, 2);
  const engine = layout === "thin" ? Math.max(held("engine"), Math.min(wanted.pool.data, data)) : 0;
  return { vminfo, vms, pool: { data, metadata }, engine };
}

function noRoom(name: string, needed: number, free: number): BerthError {
  return new BerthError({
    code: "missing",
    object: `logical-volume ${GROUP}/${name}`,
    message: `It needs ${shownBytes(needed)} more, and the volume group has ${shownBytes(free)} free`,
    next: "Add a disk to storage.disks, or make storage.sizes smaller",
  });
}

function sayings(
  { layout, by, group, disks }: Decision,
  names: readonly string[],
  { stripes }: Extents,
  room: Room,
  volumes: readonly Volume[],
  pool: Grown["pool"],
  extentBytes: number,
): readonly string[] {
  const bytes = room.physical.reduce((sum, { extents }) => sum + extents, 0) * extentBytes;
  const how = by === "group" ? `as volume group "${GROUP}" tells (tag ${TAG})` : by;
  const over = group === null && stripes > 1 ? `, striped over ${stripes}` : "";
  const parts = volumes.map(({ mount, bytes }) => `${mount} ${shownBytes(bytes)}`);
  if (pool !== null) parts.push(`pool ${shownBytes(pool.data * extentBytes)}`);
  const added = group === null ? [] : disks.filter(({ may }) => may !== "member");
  return [
    `Layout ${layout} (${how}) on ${names.join(", ")}: ${shownBytes(bytes)}${over}; ${parts.join(", ")}`,
    ...added.length === 0
      ? []
      : [`Added to volume group "${GROUP}": ${added.map(({ name }) => name).join(", ")}`],
    ...bytes < AMPLE_BYTES ? [`Only ${shownBytes(bytes)} for images and vnodes: 120 GB are usual`] : [],
  ];
}
