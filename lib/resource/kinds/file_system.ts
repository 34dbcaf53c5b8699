// A file system on a device: made where the device is blank, used again where it is as wanted, refused where it is
// anything else. That it fills its device is a thing of its own, for it can grow only while it is mounted.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { fingerprintOf } from "../consent.ts";
import type { Change, Op, Resource } from "../types.ts";

/** What is wanted of it. */
export interface FileSystemWish {
  readonly device: string;
  readonly type: "ext4" | "xfs";
  /** Told by blkid on any machine; at most 12 bytes (xfs). */
  readonly label: string;
  /** Project quotas, by which a directory's size can be limited. @default {false} */
  readonly projectQuota?: boolean;
  /** Any label will do: it was made by others. @default {false} */
  readonly adopt?: boolean;
  /** Its device was there before berth: without a signature it is blank only where its ends are zero. @default {false} */
  readonly foreign?: boolean;
  /** It stood once, with content: where none is found it is damaged or away, and none is made. @default {false} */
  readonly kept?: boolean;
}

/** What is found. */
export interface FileSystemState {
  /** The first signature's type, or null where the device is blank. */
  readonly type: string | null;
  readonly label: string;
  readonly uuid: string;
  /** More than one signature was found. */
  readonly ambivalent: boolean;
  /** ext4 only: the feature "project"; true elsewhere. */
  readonly projectQuota: boolean;
  /** Without a signature, and not known to be blank: on a device that was there before berth. @default {false} */
  readonly data?: boolean;
  /** The fingerprint of what is there, where a file system would be made over it. */
  readonly content?: string;
}

/** A file system of terabytes is made in seconds; what takes long is to discard a slow device. */
const MKFS_MS = 3_600_000;

/** A file system of that type and label. Undo leaves it: it goes with its volume. */
export function fileSystem(wish: FileSystemWish): Resource<FileSystemState> {
  const { device, type, label, projectQuota = false } = wish;
  const id = `file system ${device}`;
  const change = (
    verb: Change["verb"],
    why: string,
    ops: readonly Op[],
    risk: Change["risk"] = "safe",
  ): Change[] => [{ resource: id, verb, why, risk, do: ops, undo: [] }];
  const isRight = (found: FileSystemState) =>
    found.type === type && (found.label === label || wish.adopt === true) && !found.ambivalent;
  /** Consented to only by whoever names what is there: it may be something else by the time the consent is read. */
  const over = (found: FileSystemState, why: string, ops: readonly Op[]) =>
    change("replace", why, [...ops, make(wish, true)], "destructive")
      .map((one) => ({ ...one, found: found.content ?? "" }));
  return {
    id,
    desired: { type, label, uuid: "", ambivalent: false, projectQuota },
    async observe(look) {
      const found = await observeFileSystem(look, device);
      if (found === null || isRight(found)) return found;
      const isBare = found.type === null && !found.ambivalent;
      if (isBare && wish.foreign !== true) return found;
      const bytes = await deviceBytes(look, device);
      const ends = await look.device(device, bytes);
      if (isBare && ends?.zero === true) return { ...found, data: false };
      const whole = [bytes, found.type, found.label, found.uuid, ends?.digest];
      const content = fingerprintOf(found.type === null ? [] : [found.type], whole);
      return { ...found, ...isBare ? { data: true } : {}, content };
    },
    diff(found) {
      if (found === null || (found.type === null && !found.ambivalent)) {
        // A device that is not active yet comes with its volume; one that does not come cannot be mounted.
        if ((wish.kept === true || wish.foreign === true) && found === null) return [];
        if (wish.kept === true) throw lost(id, wish);
        if (found?.data === true) {
          const why =
            `no signature, but not zero, and it was there before berth; wanted ${type}: its content, ` +
            "such as a disk image or a database, would be lost";
          return over(found, why, [stillBlank(device)]);
        }
        const why = `${found === null ? "no device yet" : "blank"}, wanted ${type}`;
        return change("create", why, [stillBlank(device), make(wish, false)]);
      }
      if (!isRight(found)) {
        const wipe: Op = { run: { argv: ["wipefs", "-a", device] } };
        const why = `${described(found)}, wanted ${type} labelled "${label}": its content would be lost`;
        return over(found, why, [wipe]);
      }
      if (!projectQuota || found.projectQuota) return [];
      const tune = ["tune2fs", "-O", "project,quota", "-Q", "prjquota", device];
      return change("update", "without project quotas", [{ run: { argv: tune } }], "disruptive");
    },
    prior: (found) => found,
    revert: () => [],
  };
}

function described(found: FileSystemState): string {
  if (found.ambivalent) return "more than one signature";
  return `${found.type}${found.label === "" ? " without a label" : ` labelled "${found.label}"`}`;
}

/**
 * Fails where something is on the device: mkfs.ext4 asks about it only at a terminal (tried on 1.47), and a device that
 * udev was late to name may have come since it was looked at.
 */
function stillBlank(device: string): Op {
  return { run: { argv: ["blkid", "-p", device], okExit: [2] } };
}

function lost(id: string, { device, type }: FileSystemWish): BerthError {
  return new BerthError({
    code: "missing",
    object: id,
    message:
      `Found nothing on "${device}", which held a file system (${type}) of this machine: it may be damaged`,
    next:
      `Mend it (${
        type === "ext4" ? "e2fsck -b 32768" : "xfs_repair"
      } ${device}); if its content is lost for ` +
      "good, make it anew by hand",
  });
}

function make({ device, type, label, projectQuota }: FileSystemWish, force: boolean): Op {
  // Few blocks are kept for root alone: nobody else writes there. 256 bytes hold times to the nanosecond.
  const ext4 = ["mkfs.ext4", "-q", "-L", label, "-I", "256", "-m", "1"];
  const quota = projectQuota ? ["-O", "quota,project", "-E", "quotatype=prjquota"] : [];
  const argv = type === "ext4"
    ? [...ext4, ...quota, ...(force ? ["-F"] : []), device]
    : ["mkfs.xfs", "-q", "-L", label, ...(force ? ["-f"] : []), device];
  return { run: { argv, timeoutMs: MKFS_MS } };
}

/** What blkid says of a device (always -p: without it a cache is asked, and written); null where there is none. */
export async function observeFileSystem(look: Look, device: string): Promise<FileSystemState | null> {
  if (await look.stat(device) === null) return null;
  const { stdout, exit } = await look.query({
    argv: ["blkid", "-p", "-o", "export", device],
    okExit: [0, 2, 8],
  });
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(stdout)?.[1] ?? "";
  const type = value("TYPE") || value("PTTYPE") || null;
  return {
    type,
    label: value("LABEL"),
    uuid: value("UUID"),
    ambivalent: exit === 8,
    projectQuota: type !== "ext4" || / project\b/.test(await superblock(look, device)),
  };
}

async function deviceBytes(look: Look, device: string): Promise<number> {
  const { stdout } = await look.query({ argv: ["lsblk", "-d", "-n", "-b", "-o", "SIZE", device] });
  return Number(stdout.trim());
}

async function superblock(look: Look, device: string): Promise<string> {
  const { stdout } = await look.query({ argv: ["dumpe2fs", "-h", device], okExit: [0, 1] });
  return stdout;
}

/** Bytes of a device and of the file system on it; null where either cannot be told. */
export interface SizeState {
  readonly device: number;
  readonly fileSystem: number;
}

/** What a file system may leave of its device: the last group of ext4 that is too small to be one (some 2.3 MB). */
const SPARE_BYTES = 4 * 1024 * 1024;

/** A mounted file system that fills its device: it grew with it. Nothing shrinks. Undo leaves it. */
export function grownFileSystem(
  device: string,
  type: "ext4" | "xfs",
  mount: string,
): Resource<SizeState> {
  const id = `size of file system ${device}`;
  return {
    id,
    desired: { device: 0, fileSystem: 0 },
    async observe(look) {
      if (await look.stat(device) === null || (await observeFileSystem(look, device))?.type !== type) {
        return null;
      }
      return {
        device: await deviceBytes(look, device),
        fileSystem: await fileSystemBytes(look, device, type, mount),
      };
    },
    diff(found) {
      if (found === null || found.fileSystem === 0) return [];
      if (found.device - found.fileSystem < SPARE_BYTES) return [];
      const argv = type === "ext4" ? ["resize2fs", device] : ["xfs_growfs", mount];
      const why = `${found.fileSystem} bytes on a device of ${found.device}`;
      return [{
        resource: id,
        verb: "update",
        why,
        risk: "safe",
        do: [{ run: { argv, timeoutMs: MKFS_MS } }],
        undo: [],
      }];
    },
    prior: (found) => found,
    revert: () => [],
  };
}

async function fileSystemBytes(look: Look, device: string, type: string, mount: string): Promise<number> {
  if (type === "ext4") {
    const text = await superblock(look, device);
    const number = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
    return number("Block count") * number("Block size");
  }
  const { stdout } = await look.query({ argv: ["xfs_info", mount], okExit: [0, 1] });
  const [, size = 0, blocks = 0] = /^data\s+=\s+bsize=(\d+)\s+blocks=(\d+)/m.exec(stdout) ?? [];
  return Number(size) * Number(blocks);
}
