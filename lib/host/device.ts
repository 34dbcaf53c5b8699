// A block device as far as one may look at it without changing it: whether anybody holds it, and its two ends.
// Opened for reading only: the kernel tells nobody of it, and nothing is written, not even a time.
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { DeviceEnds } from "./types.ts";

/**
 * Bytes looked at from each end: every signature of util-linux's libblkid and LVM's and md's metadata lie within
 * (the backup GPT in the last 33 sectors, md 1.0 in the last 8 KiB; btrfs' and ZFS' first copies at 64 and 16 KiB).
 */
const END_BYTES = 4 * 2 ** 20;
/** Bytes of each end that the digest is made of: superblocks and tables change there. */
const DIGEST_BYTES = 256 * 2 ** 10;
/** Milliseconds a device may seem held by one who only asks, like us, whether it is. */
const ASKING_MS = 3000;
const ZEROS = Buffer.alloc(END_BYTES);

/**
 * Looks at a device of so many bytes: O_EXCL without O_CREAT fails with EBUSY where the device is mounted, swapped on
 * or held by device-mapper, md or another (open(2)). null where there is none, or no medium in it.
 */
export async function deviceEnds(path: string, bytes: number): Promise<DeviceEnds | null> {
  const found = await fs.stat(path).catch(() => null);
  if (!found?.isBlockDevice()) return null;
  const free = await isFree(path);
  if (free === null) return null;
  const handle = await fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const hash = createHash("sha256");
    let zero = true;
    const starts = bytes <= 2 * END_BYTES ? [[0, bytes]] : [[0, END_BYTES], [bytes - END_BYTES, END_BYTES]];
    for (const [start, length] of starts as [number, number][]) {
      const end = await part(handle, start, length);
      zero &&= end.length === length && end.equals(ZEROS.subarray(0, length));
      hash.update(start === 0 ? end.subarray(0, DIGEST_BYTES) : end.subarray(-DIGEST_BYTES));
    }
    return { free, zero, digest: hash.digest("hex") };
  } finally {
    await handle.close();
  }
}

/**
 * Whether it opens with O_EXCL; null where there is nothing to open. Another look at the same disk, or at one of its
 * partitions, holds it for a moment, too: what neither /sys nor /proc knows of is asked again.
 */
async function isFree(path: string): Promise<boolean | null> {
  const deadline = performance.now() + ASKING_MS;
  for (;;) {
    const free = await opens(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK);
    if (free !== false || performance.now() > deadline || await isHeld(path)) return free;
    await sleep(20);
  }
}

async function opens(path: string, flags: number): Promise<boolean | null> {
  try {
    await (await fs.open(path, flags)).close();
    return true;
  } catch (error) {
    // Deno takes O_EXCL for "create anew" and refuses it for reading, with a TypeError that has no code.
    if (error instanceof TypeError) return !await isHeld(path);
    const code = (error as { code?: string }).code ?? "";
    if (code === "EBUSY") return false;
    if (["ENOENT", "ENOTDIR", "ENXIO", "ENOMEDIUM", "ENODEV"].includes(code)) return null;
    throw error;
  }
}

/** What O_EXCL would tell, from /sys and /proc: holders, mounts and swap of the device and its partitions. */
async function isHeld(path: string): Promise<boolean> {
  const real = await fs.realpath(path).catch(() => path);
  const name = real.slice(real.lastIndexOf("/") + 1);
  const folder = `/sys/class/block/${name}`;
  const read = (file: string) => fs.readFile(file, "utf8").catch(() => "");
  const list = (directory: string) => fs.readdir(directory).catch(() => []);
  const parts = (await list(folder)).filter((entry) => entry.startsWith(name));
  const mounts = `${await read("/proc/self/mountinfo")}\n${await read("/proc/1/mountinfo")}`;
  const swaps = await read("/proc/swaps");
  for (const one of [folder, ...parts.map((part) => `${folder}/${part}`)]) {
    const number = (await read(`${one}/dev`)).trim();
    if ((await list(`${one}/holders`)).length > 0) return true;
    if (number !== "" && mounts.includes(` ${number} `)) return true;
    if (swaps.includes(`/dev/${one.slice(one.lastIndexOf("/") + 1)} `)) return true;
  }
  return false;
}

/** Up to so many bytes from a place; fewer where the device ends. */
async function part(handle: fs.FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(buffer, done, length - done, start + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}
