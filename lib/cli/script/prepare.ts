// Copies a script, and the modules it imports by relative paths, to a private directory, with their imports of "zx"
// and "berth" pointing at the built-in copies. An executable has no node_modules that a script could find.
// Lines stay lines, so that a stack trace needs only its paths put right.
import { basename, dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { readText, writeText } from "../../host/files.ts";
import { BerthError } from "../../log/error.ts";
import { findPackage } from "./package.ts";
import type { ScriptSource } from "./source.ts";

/** Endings of modules that are copied; anything else a script imports is imported where it is. */
const MODULES = /\.[mc]?[jt]s$/;
/** Names that are built in, and the file of the private directory each stands for. */
export const BUILT_IN: Readonly<Record<string, string>> = {
  "zx": "zx.mjs",
  "zx/core": "zx.mjs",
  "zx/globals": "none.mjs",
  "berth": "berth.mjs",
};

/** A script that is ready to be imported. */
export interface Prepared {
  /** File URL of the copy. */
  readonly url: string;
  /** Path of each copy → how people know the original. */
  readonly shown: ReadonlyMap<string, string>;
}

/** Prepares a script in a directory that is its own. */
export async function prepareScript(source: ScriptSource, directory: string): Promise<Prepared> {
  // Where the runtimes' search for settings of modules ends.
  await writeText(`${directory}/package.json`, '{"type":"module"}\n', { mode: 0o600 });
  await writeText(`${directory}/tsconfig.json`, "{}\n", { mode: 0o600 });
  const { init, parse } = await import("es-module-lexer/js");
  await init;
  const shown = new Map<string, string>();
  const copies = new Map<string, string>();

  const copy = async (path: string, text: string, name: string): Promise<string> => {
    // A folder each: two modules of the same name stay apart, and the name is what traces show.
    const target = `${directory}/${copies.size}/${basename(path).replaceAll(" ", "_")}`;
    copies.set(path, target);
    shown.set(target, name);
    await writeText(target, await rewrite(path, text), { mode: 0o600 });
    return target;
  };
  const rewrite = async (path: string, text: string): Promise<string> => {
    let imports;
    try {
      imports = parse(text, path)[0];
    } catch {
      return text; // Not a module that can be read: the runtime says what is wrong with it, and where.
    }
    let out = "";
    let at = 0;
    const put = (start: number, end: number, replacement: string) => {
      out += text.slice(at, start) + replacement;
      at = end;
    };
    for (const found of imports) {
      if (found.type === "import-meta") {
        const member = /^\.(url|filename|dirname|main)\b/.exec(text.slice(found.end));
        if (member) {
          put(found.start, found.end + member[0].length, metaOf(path, member[1]!, path === source.path));
        }
      } else if (typeof found.specifier === "string") {
        if ("typeOnly" in found && found.typeOnly) continue; // The runtime erases it.
        const wanted = await resolveImport(found.specifier, path);
        if (wanted === undefined) {
          // Not left to the runtime, which would look for it upwards from the copy.
          if (found.type !== "dynamic") {
            throw noPackage(found.specifier, shown.get(copies.get(path)!) ?? path, text, found.start);
          }
          put(
            found.start,
            found.end,
            JSON.stringify(`file:///nonexistent/${encodeURIComponent(found.specifier)}`),
          );
          continue;
        }
        // A dynamic import's range has the quotes in it, a static one's has not.
        if (wanted !== null) {
          put(found.start, found.end, found.type === "dynamic" ? JSON.stringify(wanted) : wanted);
        }
      }
    }
    return out + text.slice(at);
  };
  const resolveImport = async (specifier: string, from: string): Promise<string | null | undefined> => {
    if (Object.hasOwn(BUILT_IN, specifier)) return pathToFileURL(`${directory}/${BUILT_IN[specifier]}`).href;
    if (/^(\.{1,2}\/|\/|file:)/.test(specifier)) {
      const path = specifier.startsWith("file:")
        ? fileURLToPath(specifier)
        : resolve(dirname(from), specifier);
      const known = copies.get(path);
      if (known !== undefined) return pathToFileURL(known).href;
      const text = MODULES.test(path) ? await readText(path) : null;
      return pathToFileURL(text === null ? path : await copy(path, text, path)).href;
    }
    if (/^[a-z]+:/.test(specifier)) return null;
    const found = await findPackage(specifier, from);
    return found?.startsWith("/") ? pathToFileURL(found).href : found;
  };

  const target = await copy(source.path, source.text, source.shown);
  return { url: pathToFileURL(target).href, shown };
}

function noPackage(specifier: string, path: string, text: string, at: number): BerthError {
  const line = text.slice(0, at).split("\n").length;
  return new BerthError({
    code: "missing",
    object: `script ${path}`,
    message: `Cannot find the package "${specifier}"`,
    next: `Put it into a node_modules beside the script; built in are ${
      Object.keys(BUILT_IN).join(", ")
    } and node:…`,
    issues: [{ place: `${path}:${line}`, message: `Imports "${specifier}"` }],
  });
}

function metaOf(path: string, member: string, main: boolean): string {
  if (member === "main") return String(main);
  if (member === "url") return JSON.stringify(pathToFileURL(path).href);
  return JSON.stringify(member === "dirname" ? dirname(path) : path);
}
