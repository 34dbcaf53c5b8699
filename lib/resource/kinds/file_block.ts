// Some lines of a file that others write too, between two marks of ours; all other lines stay as they are.
import type { Change, Resource } from "../types.ts";
import { fileChange, type FileState, observeFile } from "./file.ts";

const BEGIN = "# berth: begin\n";
const END = "# berth: end\n";

/** The file has these lines (each with its end) between our marks, at its end where they are new. */
export function fileBlock(path: string, lines: string): Resource<FileState, { readonly existed: boolean }> {
  const id = `lines in ${path}`;
  const block = `${BEGIN}${lines}${END}`;
  const change = (found: FileState | null, text: string | null, why: string): Change[] => [
    fileChange(id, path, found, text === null ? null : { text, mode: found?.mode ?? 0o644 }, why),
  ];
  return {
    id,
    desired: { text: block, mode: 0o644 },
    observe: (look) => observeFile(look, path),
    diff(found) {
      const text = found?.text ?? "";
      const parts = split(text);
      if (parts === null) {
        const end = text === "" || text.endsWith("\n") ? "" : "\n";
        return change(found, text + end + block, found === null ? "missing" : "without our lines");
      }
      if (parts.block === block) return [];
      return change(found, parts.before + block + parts.after, "our lines differ");
    },
    prior: (found) => ({ existed: found !== null }),
    revert({ existed }, found) {
      const parts = split(found?.text ?? "");
      if (parts === null) return [];
      const text = parts.before + parts.after;
      return change(found, text === "" && !existed ? null : text, "written by berth");
    },
  };
}

/** A block that has lost its end reaches to the end of the file. */
function split(text: string): { before: string; block: string; after: string } | null {
  const at = text.startsWith(BEGIN) ? 0 : text.indexOf(`\n${BEGIN}`) + 1;
  if (at === 0 && !text.startsWith(BEGIN)) return null;
  const end = text.indexOf(END, at);
  const until = end < 0 ? text.length : end + END.length;
  return { before: text.slice(0, at), block: text.slice(at, until), after: text.slice(until) };
}
