// Whole files and directories that are ours. A file shared with others is json_file.ts's business.
import { BerthError } from "../../log/error.ts";
import type { FileStat, Look } from "../../host/types.ts";
import type { Change, Op, Resource } from "../types.ts";

/** A file as far as berth cares. */
export interface FileState {
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

/** The change that brings a file from one state to another; null is absence. Shared by the kinds that are files. */
export function fileChange(
  resource: string,
  path: string,
  found: FileState | null,
  wanted: FileState | null,
  why: string,
): Change {
  const op = (state: FileState | null): Op =>
    state === null ? { remove: path } : { write: path, text: state.text, mode: state.mode };
  const verb = wanted === null ? "delete" : found === null ? "create" : "update";
  return { resource, verb, why, risk: "safe", do: [op(wanted)], undo: [op(found)] };
}

/** A file with exactly this text. Prior: the whole former file. @param options.mode @default {0o644} */
export function textFile(path: string, text: string, options: { mode?: number } = {}): Resource<FileState> {
  const id = `file ${path}`;
  const desired: FileState = { text, mode: options.mode ?? 0o644 };
  return {
    id,
    desired,
    observe: (look) => observeFile(look, path),
    diff(found) {
      const why = difference(found, desired);
      return why === null ? [] : [fileChange(id, path, found, desired, why)];
    },
    prior: (found) => found,
    revert(prior, found) {
      // Removed since: that is others' edit, or an undo before us. Edited since: it is still our file.
      if (found === null || difference(found, prior) === null) return [];
      return [fileChange(id, path, found, prior, prior === null ? "made by berth" : "changed by berth")];
    },
  };
}

/** Reads a file's text and mode. @throws {BerthError} code `refused` where something else stands there. */
export async function observeFile(look: Look, path: string): Promise<FileState | null> {
  const found = await look.stat(path);
  if (found === null) return null;
  if (found.kind !== "file" && found.kind !== "link") throw notA("file", path, found);
  const text = await look.readText(path);
  if (text === null && found.kind === "link") throw nowhere(path, await look.readLink(path));
  // A link is written through, so its target's mode is none of ours; 0644 is what a new target would get.
  return text === null ? null : { text, mode: found.kind === "link" ? 0o644 : found.mode };
}

function difference(found: FileState | null, wanted: FileState | null): string | null {
  if (found === null || wanted === null) return found === wanted ? null : "missing";
  if (found.text !== wanted.text) return "text differs";
  if (found.mode !== wanted.mode) return `mode ${octal(found.mode)}, wanted ${octal(wanted.mode)}`;
  return null;
}

/** A directory as far as berth cares. */
export interface DirectoryState {
  readonly mode: number;
  /** Nothing is in it: only then may it be removed. */
  readonly empty: boolean;
}

/**
 * A directory with this mode; parents are made 0755. Undo removes it only while it is empty. One below /run is gone
 * with a reboot (hier(7)): making it again is a restoration.
 */
export function directory(path: string, mode = 0o755): Resource<DirectoryState> {
  const id = `directory ${path}`;
  return {
    id,
    desired: { mode, empty: true },
    volatile: path.startsWith("/run/"),
    async observe(look) {
      const found = await look.stat(path);
      if (found === null) return null;
      if (found.kind !== "directory") throw notA("directory", path, found);
      return { mode: found.mode, empty: (await look.list(path))?.length === 0 };
    },
    diff(found) {
      if (found?.mode === mode) return [];
      const why = found === null ? "missing" : `mode ${octal(found.mode)}, wanted ${octal(mode)}`;
      const undo: Op = found === null ? { remove: path } : { directory: path, mode: found.mode };
      const verb = found === null ? "create" : "update";
      return [{ resource: id, verb, why, risk: "safe", do: [{ directory: path, mode }], undo: [undo] }];
    },
    prior: (found) => found,
    revert(prior, found) {
      const ours: Op = { directory: path, mode };
      const change = { resource: id, why: "made by berth", risk: "safe" } as const;
      if (found === null) return [];
      if (prior === null) {
        return found.empty ? [{ ...change, verb: "delete", do: [{ remove: path }], undo: [ours] }] : [];
      }
      if (found.mode !== mode || prior.mode === mode) return [];
      const back: Op = { directory: path, mode: prior.mode };
      return [{ ...change, why: "mode set by berth", verb: "update", do: [back], undo: [ours] }];
    },
  };
}

function notA(wanted: string, path: string, found: FileStat): BerthError {
  return new BerthError({
    code: "refused",
    object: `${wanted} ${path}`,
    message: `Found a ${found.kind} at "${path}", wanted a ${wanted}`,
    next: `Move "${path}" away, then run this again`,
  });
}

/** Nothing can be written through it, and what it was for, only who made it knows. */
function nowhere(path: string, target: string | null): BerthError {
  return new BerthError({
    code: "refused",
    object: `file ${path}`,
    message: `"${path}" is a symbolic link to "${target ?? ""}", where nothing is`,
    next: `Put the file back that it leads to, or remove the link: rm ${path}`,
  });
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}
