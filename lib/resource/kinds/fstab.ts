// One line of /etc/fstab that is ours, by its option x-berth; all other lines stay as they are, to the byte.
// Owns the file's form; mounting is mount.ts' business.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { Change, Resource } from "../types.ts";
import { fileChange, type FileState, observeFile } from "./file.ts";
import { observeFileSystem } from "./file_system.ts";

/** Where it stands. */
export const FSTAB = "/etc/fstab";
/** Options that begin with "x-" are for others than the kernel: by this one our lines are known (mount(8)). */
const MARK = "x-berth";

/** What is wanted. */
export interface FstabWish {
  /** A device, written as its UUID; or, for type "none", a path as it is. */
  readonly source: string;
  readonly target: string;
  /** "ext4", "xfs"; "none" for a bind mount. */
  readonly type: string;
  readonly options: readonly string[];
  /** When fsck looks at it at boot, 0 for never. */
  readonly pass: number;
}

/** What is found. */
export interface FstabState {
  readonly file: FileState | null;
  /** "UUID=…" or a path; null where the device cannot tell yet. */
  readonly source: string | null;
}

/** A line of ours for that target. Undo takes it out. */
export function fstabEntry(wish: FstabWish): Resource<FstabState, { readonly existed: boolean }> {
  const { target } = wish;
  const id = `fstab line of ${target}`;
  const change = (found: FstabState | null, text: string | null, why: string): Change[] => {
    const before = found?.file ?? null;
    const after = text === null ? null : { text, mode: before?.mode ?? 0o644 };
    // No daemon-reload: what is mounted has its unit by that, and the next boot reads the file anyhow.
    return [fileChange(id, FSTAB, before, after, why)];
  };
  return {
    id,
    desired: { file: null, source: wish.source },
    async observe(look: Look) {
      const uuid = wish.type === "none"
        ? wish.source
        : (await observeFileSystem(look, wish.source))?.uuid ?? "";
      return {
        file: await observeFile(look, FSTAB),
        source: wish.type === "none" ? uuid : uuid === "" ? null : `UUID=${uuid}`,
      };
    },
    diff(found) {
      const lines = linesOf(found?.file?.text ?? "");
      const foreign = lines.find((line) => targetOf(line) === target && !isOurs(line));
      if (foreign !== undefined) throw foreignLine(id, target, foreign);
      const at = lines.findIndex((line) => targetOf(line) === target);
      if (found === null || found.source === null) {
        return at >= 0 ? [] : change(found, lines.join(""), "missing");
      }
      const line = written(wish, found.source);
      if (lines[at] === line) return [];
      const next = at < 0 ? appended(lines, line) : lines.with(at, line);
      return change(
        found,
        next.join(""),
        at < 0 ? "missing" : `"${lines[at]!.trim()}", wanted "${line.trim()}"`,
      );
    },
    prior: (found) => ({ existed: found?.file != null }),
    revert({ existed }, found) {
      const lines = linesOf(found?.file?.text ?? "");
      const left = lines.filter((line) => targetOf(line) !== target || !isOurs(line));
      if (left.length === lines.length) return [];
      return change(found, left.length === 0 && !existed ? null : left.join(""), "written by berth");
    },
  };
}

/** With their ends. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function appended(lines: readonly string[], line: string): string[] {
  const last = lines.at(-1);
  // A last line without its end must not become the beginning of ours.
  return last === undefined || last.endsWith("\n")
    ? [...lines, line]
    : [...lines.slice(0, -1), `${last}\n`, line];
}

function fieldsOf(line: string): readonly string[] {
  return line.trimStart().startsWith("#") ? [] : line.trim().split(/\s+/);
}

function targetOf(line: string): string | undefined {
  return fieldsOf(line)[1]?.replace(/(.)\/+$/, "$1");
}

function isOurs(line: string): boolean {
  return fieldsOf(line)[3]?.split(",").includes(MARK) ?? false;
}

function written({ target, type, options, pass }: FstabWish, source: string): string {
  return `${source} ${target} ${type} ${[...options, MARK].join(",")} 0 ${pass}\n`;
}

function foreignLine(id: string, target: string, line: string): BerthError {
  return new BerthError({
    code: "refused",
    object: id,
    message: `${FSTAB} has a line for "${target}" that is not berth's: "${line.trim()}"`,
    next: "Take that line out, or set another layout in storage of host.yaml",
  });
}
