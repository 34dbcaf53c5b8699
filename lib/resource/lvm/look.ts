// What storage is decided from: one round of questions to lsblk, wipefs, blkid and LVM, and a few files. Only looks.
// Where the kernel has no device-mapper, no disk is looked at. What the answers mean stands in parse.ts.
import type { Layout } from "../../config/types_storage.ts";
import type { Command, DeviceEnds, Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { kernelModule } from "../kinds/kernel_module.ts";
import { livedIn } from "./lived.ts";
import {
  type BlockDevice,
  fstabDevices,
  isLooked,
  parseBlkid,
  parseGroups,
  parseLsblk,
  parsePhysical,
  parseVolumes,
  parseWipefs,
} from "./parse.ts";
import { parseRecord } from "./record.ts";
import { type DiskFacts, type Signature, STORAGE_BEGUN, STORAGE_RECORD, type StorageFacts } from "./types.ts";

const LSBLK = "NAME,PATH,TYPE,SIZE,ROTA,RM,RO,TRAN,SERIAL,WWN,FSTYPE,PARTTYPE,PARTUUID,LABEL,UUID,MOUNTPOINT";
const PVS = "pv_name,pv_uuid,vg_name,vg_uuid,pv_pe_count,pv_pe_alloc_count,pv_missing";
const VGS =
  "vg_name,vg_uuid,vg_tags,vg_extent_size,vg_extent_count,vg_free_count,vg_missing_pv_count,vg_exported,vg_lock_type,vg_systemid";
const LVS =
  "lv_name,vg_name,lv_uuid,lv_size,segtype,lv_tags,lv_active,pool_lv,origin,chunk_size,zero,discards,lv_profile,seg_monitor,lv_metadata_size,data_percent,metadata_percent";

/** A report of LVM's, in bytes and JSON. */
const report = (program: string, fields: string): Command => ({
  argv: [program, "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields],
});

/** berth's fixed PATH, in the order of a lookup. */
const FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** What LVM knows: all that its own resources need to look at. Nothing where there is no device-mapper or no LVM. */
export type LvmFacts = Pick<StorageFacts, "deviceMapper" | "tools" | "physical" | "groups" | "volumes">;

/** Looks at LVM alone: no disk is opened. */
export async function lvmFacts(look: Look): Promise<LvmFacts> {
  const [misc, module, hasLvm] = await Promise.all([
    look.readText("/proc/misc"),
    kernelModule("dm_mod").observe(look),
    hasProgram(look, "lvs"),
  ]);
  const deviceMapper = /\bdevice-mapper$/m.test(misc ?? "") || module?.how === "absent";
  const tools = deviceMapper && hasLvm;
  const ask = async (program: string, fields: string) =>
    tools ? (await look.query(report(program, fields))).stdout : null;
  const [pvs, vgs, lvs] = await Promise.all([ask("pvs", PVS), ask("vgs", VGS), ask("lvs", LVS)]);
  return {
    deviceMapper,
    tools,
    physical: parsePhysical(pvs),
    groups: parseGroups(vgs),
    volumes: parseVolumes(lvs),
  };
}

/**
 * Looks at all that storage is decided from. The engine is asked for its version only where the layout that is asked
 * for hangs on it: starting a program of its size takes seconds on a slow machine.
 */
export async function storageFacts(look: Look, asked?: Layout): Promise<StorageFacts> {
  const [lvm, thinTools, hasExt4, hasXfs, chattr, record, begun, engine] = await Promise.all([
    lvmFacts(look),
    hasProgram(look, "thin_check"),
    hasProgram(look, "mkfs.ext4"),
    hasProgram(look, "mkfs.xfs"),
    hasProgram(look, "chattr"),
    look.readText(STORAGE_RECORD),
    look.readText(STORAGE_BEGUN),
    asked === "devicemapper" ? engineMajor(look) : null,
  ]);
  const kept = parseRecord(STORAGE_RECORD, record);
  return {
    ...lvm,
    thinTools,
    fileSystems: [...hasExt4 ? ["ext4"] as const : [], ...hasXfs ? ["xfs"] as const : []],
    chattr,
    engine,
    disks: lvm.deviceMapper ? await diskFacts(look) : [],
    record: kept,
    begun: parseRecord(STORAGE_BEGUN, begun),
    lived: kept?.layout === "plain" ? await livedIn(look) : null,
  };
}

async function engineMajor(look: Look): Promise<number | null> {
  if (!await hasProgram(look, "dockerd")) return null;
  const { stdout } = await look.query({ argv: ["dockerd", "--version"] });
  return Number(/version (\d+)\./.exec(stdout)?.[1] ?? Number.NaN);
}

/** Whether a program is on berth's fixed PATH. */
export async function hasProgram(look: Look, name: string): Promise<boolean> {
  const found = await Promise.all(FOLDERS.map((folder) => look.stat(`${folder}/${name}`)));
  return found.some((stat) => stat !== null);
}

async function diskFacts(look: Look): Promise<readonly DiskFacts[]> {
  const [block, byId, byPath, fstab] = await Promise.all([
    look.query({ argv: ["lsblk", "-J", "-b", "-p", "-o", LSBLK] }).then(({ stdout }) => parseLsblk(stdout)),
    lastingNames(look, "/dev/disk/by-id"),
    lastingNames(look, "/dev/disk/by-path"),
    look.readText("/etc/fstab"),
  ]);
  const looked = block.filter(isLooked);
  if (looked.length === 0) return [];
  const [signatures, named, ends, transports] = await Promise.all([
    signaturesOf(look, looked.map(({ path }) => path)),
    namedInFstab(look, fstab ?? "", looked),
    allEnds(look, looked),
    Promise.all(looked.map(({ path, transport }) => transportOf(look, path, transport))),
  ]);
  return looked.map((device, index): DiskFacts => {
    const { kind, path, serial, wwn, twins, bytes, rotational, removable, readOnly, parent, partType } =
      device;
    const { free, zero, digest } = ends[index] ?? { free: false, zero: false, digest: "" };
    return {
      kind,
      path,
      names: [...byId.get(path) ?? [], ...byPath.get(path) ?? []],
      serial,
      wwn,
      twins,
      bytes,
      rotational,
      removable,
      readOnly,
      transport: transports[index]!,
      parent,
      partType,
      partitions: device.partitions,
      signatures: signatures.get(path) ?? [],
      holders: device.holders,
      uses: [...device.mounts, ...named.has(path) ? ["/etc/fstab"] : []],
      free,
      zero,
      digest,
    };
  });
}

/**
 * One after the other: while a partition is asked whether it is free, its disk is not. What is in use is not read.
 */
async function allEnds(look: Look, devices: readonly BlockDevice[]): Promise<readonly (DeviceEnds | null)[]> {
  const ends: (DeviceEnds | null)[] = [];
  for (const { path, bytes, mounts, holders } of devices) {
    ends.push(mounts.length > 0 || holders.length > 0 ? null : await endsOf(look, path, bytes));
  }
  return ends;
}

/** A disk that cannot be read is told as that, not taken for blank, and does not keep the others from being seen. */
async function endsOf(look: Look, path: string, bytes: number): Promise<DeviceEnds | null> {
  try {
    return await look.device(path, bytes);
  } catch (error) {
    if (typeof (error as { code?: unknown }).code === "string" && !(error instanceof BerthError)) return null;
    throw error;
  }
}

/** Names in a directory of links, by the path they lead to; the most telling first. */
async function lastingNames(look: Look, directory: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const names = [...await look.list(directory) ?? []].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const targets = await Promise.all(names.map((name) => look.readLink(`${directory}/${name}`)));
  const byPath = new Map<string, string[]>();
  names.forEach((name, index) => {
    const target = targets[index];
    if (target == null) return;
    const path = `/dev/${target.replace(/^(\.\.\/)+|^\/dev\//, "")}`;
    byPath.set(path, [...byPath.get(path) ?? [], name]);
  });
  return byPath;
}

/** Names with a model and a serial number tell an operator more than numbers alone. */
function rank(name: string): number {
  if (/^(wwn-|nvme-eui\.|nvme-nvme\.|scsi-[0-9])/.test(name)) return 1;
  return /^(lvm-pv-uuid-|dm-|md-)/.test(name) ? 2 : 0;
}

/** By path. One process each for all; where one disk spoils it, one for each disk. */
async function signaturesOf(
  look: Look,
  paths: readonly string[],
): Promise<ReadonlyMap<string, readonly Signature[]>> {
  const ask = async (some: readonly string[]) => {
    const [wipefs, blkid] = await Promise.all([
      look.query({ argv: ["wipefs", "-n", "-J", ...some] }),
      // 2: nothing known on one of them; 8: several things at once, which wipefs tells.
      look.query({ argv: ["blkid", "-p", "-o", "export", ...some], okExit: [0, 2, 8] }),
    ]);
    return parseBlkid(blkid.stdout, parseWipefs(wipefs.stdout));
  };
  try {
    return await ask(paths);
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== "command-failed") throw error;
  }
  const each = await Promise.all(paths.map(async (path): Promise<[string, readonly Signature[]]> => {
    try {
      return [path, (await ask([path])).get(path) ?? []];
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== "command-failed") throw error;
      return [path, [{ type: "unreadable", uuid: null, label: null, offset: null }]];
    }
  }));
  return new Map(each);
}

/** Paths of devices that /etc/fstab names: one that is named there is somebody's. */
async function namedInFstab(
  look: Look,
  fstab: string,
  devices: readonly BlockDevice[],
): Promise<ReadonlySet<string>> {
  const named = new Set<string>();
  for (const name of fstabDevices(fstab)) {
    const [, key, value] = /^(UUID|LABEL|PARTUUID)=(.*)$/.exec(name) ?? [];
    if (key !== undefined) {
      const field = key === "UUID" ? "uuid" : key === "LABEL" ? "label" : "partUuid";
      devices.filter((device) => device[field] === value).forEach(({ path }) => named.add(path));
    } else if (name.startsWith("/dev/")) {
      const target = await look.readLink(name);
      named.add(target === null ? name : `/dev/${target.replace(/^(\.\.\/)+|^\/dev\//, "")}`);
    }
  }
  return named;
}

/** An NVMe disk may be at the far end of a network: sysfs tells "pcie", "tcp", "rdma" or "fc". */
async function transportOf(look: Look, path: string, known: string | null): Promise<string | null> {
  const name = /^\/dev\/(nvme\d+n\d+)$/.exec(path)?.[1];
  if (name === undefined) return known;
  const told = (await look.readText(`/sys/block/${name}/device/transport`))?.trim();
  return told === undefined || told === "pcie" || told === "" ? "nvme" : `nvme over ${told}`;
}
