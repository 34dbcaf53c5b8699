// Files as berth reads and writes them: absent is null, writing is atomic and skipped when nothing would change.
// Knows nothing of what stands in them.
import { constants, type Stats } from "node:fs";
import * as fs from "node:fs/promises";
import { basename, dirname } from "node:path";
import { BerthError } from "../log/error.ts";
import type { FileStat } from "./types.ts";

const DEFAULT_FILE_MODE = 0o644;
const DEFAULT_DIRECTORY_MODE = 0o755;
let temporaries = 0;

/** The value, or null where the path (or a part of it) does not exist. */
async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  // ESRCH: a file of /proc whose process ended between open and read.
  return code === "ENOENT" || code === "ENOTDIR" || code === "ESRCH";
}

/**
 * The file's text, or null where there is none. Follows links. A pipe or a device would hold the reader for ever:
 * only those that were named as such, in /dev or /proc, are read.
 *
 * @throws {BerthError} code `refused` for a pipe, socket or device elsewhere.
 */
export async function readText(path: string): Promise<string | null> {
  if (!/^\/(dev|proc|sys)\//.test(path)) {
    const found = await orNull(fs.stat(path));
    if (found === null) return null;
    if (!found.isFile() && !found.isDirectory()) throw noFile("read", path, pipeOrDevice(found));
  }
  return await orNull(fs.readFile(path, "utf8"));
}

function pipeOrDevice(found: Stats): string {
  return found.isFIFO() ? "pipe" : found.isSocket() ? "socket" : "device";
}

function noFile(verb: string, path: string, found: string): BerthError {
  return new BerthError({
    code: "refused",
    object: `file ${path}`,
    message: `Cannot ${verb} "${path}": found a ${found}, wanted a file`,
    next: `Move "${path}" away`,
  });
}

/** Names in a directory, sorted by code point, or null where there is none. */
export async function list(path: string): Promise<readonly string[] | null> {
  const names = await orNull(fs.readdir(path));
  return names === null ? null : names.sort();
}

/** What stands at a path, or null. Does not follow a link. */
export async function stat(path: string): Promise<FileStat | null> {
  const found = await orNull(fs.lstat(path));
  if (found === null) return null;
  const { uid, gid, size, ctimeMs } = found;
  return { kind: kindOf(found), mode: found.mode & 0o7777, uid, gid, size, changedMs: ctimeMs };
}

function kindOf(found: Stats): FileStat["kind"] {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  if (found.isSymbolicLink()) return "link";
  return found.isSocket() ? "socket" : "other";
}

/** The target of a symbolic link, or null where there is none or something else. */
export async function readLink(path: string): Promise<string | null> {
  try {
    return await orNull(fs.readlink(path));
  } catch (error) {
    if ((error as { code?: string }).code === "EINVAL") return null;
    throw error;
  }
}

/** What begins the names of files that `writeText` is just writing, of which a killed berth leaves one. */
export const draftStart = (name: string): string => `.${name}.berth-`;

/**
 * Writes atomically: temporary file beside it, fsync, rename, fsync of the directory. Makes parents (0755).
 * Keeps the owner, and the mode unless one is given (a new file: 0644). Writes through a symbolic link.
 * Does nothing if bytes and mode are already so. Files of /proc and /sys are written in place: they know no rename.
 */
export async function writeText(path: string, text: string, options: { mode?: number } = {}): Promise<void> {
  if (/^\/(proc|sys)\//.test(path)) return await fs.writeFile(path, text);
  const target = (await orNull(fs.realpath(path))) ?? path;
  const found = await stat(target);
  if (found !== null && found.kind !== "file") {
    throw noFile("write", path, found.kind);
  }
  const mode = options.mode ?? found?.mode ?? DEFAULT_FILE_MODE;
  if (found !== null && found.mode === mode && (await readText(target)) === text) return;
  const directory = dirname(target);
  await makeDirectory(directory);
  const temporary = `${directory}/${draftStart(basename(target))}${process.pid}-${++temporaries}`;
  try {
    const handle = await fs.open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(text);
      if (found !== null) await handle.chown(found.uid, found.gid);
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, target);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw placed(error, target);
  }
  await syncDirectory(directory);
}

/**
 * Writes over a file that is there, in place: whoever has this very file bound or open sees the new text. Cut to length
 * last, so that no reader finds it empty and a crash leaves none so.
 *
 * @throws where there is no such file.
 */
export async function writeInPlace(path: string, text: string): Promise<void> {
  const handle = await fs.open(path, "r+");
  try {
    await handle.writeFile(text);
    await handle.truncate(Buffer.byteLength(text));
  } catch (error) {
    throw placed(error, path);
  } finally {
    await handle.close();
  }
}

/** Removes a file, an empty directory or a link. Does nothing where there is none. */
export async function remove(path: string): Promise<void> {
  const found = await stat(path);
  if (found === null) return;
  try {
    await (found.kind === "directory" ? fs.rmdir(path) : fs.unlink(path));
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes a directory with its parents (0755). Does nothing if it exists, save setting the mode where one is given. */
export async function makeDirectory(path: string, options: { mode?: number } = {}): Promise<void> {
  const made = await fs.mkdir(path, { recursive: true, mode: DEFAULT_DIRECTORY_MODE });
  // A directory of a given mode is set by chmod: mkdir's mode is cut by the umask, and absent for existing ones.
  if (options.mode !== undefined) await fs.chmod(path, options.mode);
  if (made !== undefined) await syncDirectory(dirname(made));
}

/** Appends and fsyncs; a new file is 0600 and its directory is fsynced too. The directory must exist. */
export async function appendText(path: string, text: string): Promise<void> {
  const isNew = (await stat(path)) === null;
  const handle = await fs.open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    throw placed(error, path);
  } finally {
    await handle.close();
  }
  if (isNew) await syncDirectory(dirname(path));
}

/** What the kernel says of an open file, a full file system above all, names none: nobody would know which. */
function placed(error: unknown, path: string): unknown {
  if (error instanceof Error && (error as { path?: string }).path === undefined) {
    error.message += ` '${path}'`;
  }
  return error;
}

/** Makes a rename or a new name in the directory survive a power cut. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await fs.open(path, "r");
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems (FUSE, overlay on odd lowers) refuse to fsync a directory: nothing more can be done there.
    if (!["EINVAL", "ENOTSUP", "EBADF"].includes((error as { code?: string }).code ?? "")) throw error;
  } finally {
    await handle.close();
  }
}
