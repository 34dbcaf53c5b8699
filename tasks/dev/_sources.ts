// The sources as a graph: which file imports which, how long each is. Used by `deno task ok` and by the test
// that holds the architecture. Reads text with expressions, not a parser: the formatter keeps imports regular.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** No file may be longer. */
export const MAX_LINES = 400;

export interface Import {
  /** As written: "../host/types.ts", "undici", "node:fs". */
  readonly specifier: string;
  /** From the top of the checkout, for files of ours; else null. */
  readonly path: string | null;
  /** `import type` or only `type` names: gone before anything runs. */
  readonly typeOnly: boolean;
  /** `import("…")`. */
  readonly lazy: boolean;
}

export interface Source {
  /** From the top of the checkout: "lib/host/types.ts". */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

/** Every .ts file of lib, tasks and test (fixtures left out) and mod.ts. */
export function readSources(root: string): readonly Source[] {
  const paths = ["lib", "tasks", "test"].filter((name) => existsSync(join(root, name))).flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: "utf8" }).map((below) => `${top}/${below}`)
  ).filter((path) => path.endsWith(".ts") && !path.includes("/fixtures/"));
  if (existsSync(join(root, "mod.ts"))) paths.push("mod.ts");
  return paths.sort().filter((path) => statSync(join(root, path)).isFile()).map((path) => {
    const text = readFileSync(join(root, path), "utf8");
    return { path, text, imports: importsOf(path, text) };
  });
}

/** The imports and re-exports of a file, static and lazy. */
export function importsOf(path: string, text: string): readonly Import[] {
  const code = text.replace(/^\s*\/\/.*$/gm, "").replace(/\/\*[\s\S]*?\*\//g, "");
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean, lazy: boolean) => {
    found.push({ specifier, path: resolve(path, specifier), typeOnly, lazy });
  };
  for (const match of code.matchAll(/^(?:import|export)\s+(type\s+)?([^;"'`=()]+?)\s+from\s+"([^"]+)"/gm)) {
    const names = match[2]!.match(/^\{([\s\S]*)\}$/)?.[1]?.split(",").map((name) => name.trim()).filter(
      Boolean,
    );
    const allTypes = names !== undefined && names.length > 0 &&
      names.every((name) => name.startsWith("type "));
    add(match[3]!, match[1] !== undefined || allTypes, false);
  }
  for (const match of code.matchAll(/^import\s+"([^"]+)"/gm)) add(match[1]!, false, false);
  // `typeof import("…")` and `import("…").Type` are types; a lazy import stands after await, `=>`, `(` or `return`.
  for (const match of code.matchAll(/(typeof\s+)?\bimport\(\s*"([^"]+)"\s*,?\s*\)(\.[A-Z])?/g)) {
    add(match[2]!, match[1] !== undefined || match[3] !== undefined, true);
  }
  return found;
}

function resolve(from: string, specifier: string): string | null {
  if (specifier === "#tasks") return "tasks/_tree.ts";
  return specifier.startsWith(".") ? normalize(join(dirname(from), specifier)) : null;
}

/** "lib/x.ts: 412 lines, at most 400". */
export function tooLong(sources: readonly Source[]): readonly string[] {
  return sources
    .map((source) => ({ path: source.path, lines: source.text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > MAX_LINES)
    .map(({ path, lines }) => `${path}: ${lines} lines, at most ${MAX_LINES}`);
}

/** Circles of static imports that are still there at run time, each once, first file repeated at its end. */
export function circles(sources: readonly Source[]): readonly (readonly string[])[] {
  const graph = new Map(
    sources.map((source) => [
      source.path,
      source.imports.filter((one) => one.path !== null && !one.typeOnly && !one.lazy).map((one) => one.path!),
    ]),
  );
  const done = new Set<string>();
  const found: string[][] = [];
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      found.push([...trail.slice(at), path]);
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}
