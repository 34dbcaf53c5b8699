// Finds a package that lies beside a script, in a node_modules on the way up from it. Done here because an executable
// that reads no package.json from disk by itself (so that a stranger's cannot steer it) cannot do it either.
import { createRequire, isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import { readText, stat } from "../../host/files.ts";

/** What is read of a package.json. */
interface Package {
  readonly exports?: unknown;
  readonly module?: string;
  readonly main?: string;
}

/** The file or the node: name a bare specifier stands for, seen from a file; undefined where there is none. */
export async function findPackage(specifier: string, from: string): Promise<string | undefined> {
  if (isBuiltin(specifier)) return specifier.startsWith("node:") ? specifier : `node:${specifier}`;
  try {
    return createRequire(from).resolve(specifier);
  } catch {
    // By hand, then: an ES module alone, or a runtime that does not look.
  }
  const [name, subpath] = /^((?:@[^/]+\/)?[^/]+)(?:\/(.+))?$/.exec(specifier)?.slice(1) ?? [];
  if (name === undefined) return undefined;
  for (let directory = dirname(from);; directory = dirname(directory)) {
    const root = join(directory, "node_modules", name);
    const text = await readText(join(root, "package.json"));
    if (text !== null) return await fileOf(root, JSON.parse(text) as Package, subpath);
    if (directory === dirname(directory)) return undefined;
  }
}

async function fileOf(
  root: string,
  found: Package,
  subpath: string | undefined,
): Promise<string | undefined> {
  const key = subpath === undefined ? "." : `./${subpath}`;
  const listed = found.exports as Record<string, unknown> | string | undefined;
  const exported = typeof listed === "object" && Object.keys(listed).some((name) => name.startsWith("."))
    ? listed[key]
    : key === "."
    ? listed
    : undefined;
  const target = conditional(exported);
  const asked = listed !== undefined
    ? [target]
    : subpath !== undefined
    ? [subpath, `${subpath}.js`, `${subpath}/index.js`]
    : [found.module, found.main, "index.js"];
  for (const path of asked) {
    if (path !== undefined && (await stat(join(root, path)))?.kind === "file") return join(root, path);
  }
  return undefined;
}

/** The target of an entry of `exports`; an ES module where there is one. */
function conditional(entry: unknown): string | undefined {
  if (typeof entry === "string") return entry;
  if (typeof entry !== "object" || entry === null) return undefined;
  for (const [condition, deeper] of Object.entries(entry)) {
    const target = ["node", "import", "require", "default"].includes(condition)
      ? conditional(deeper)
      : undefined;
    if (target !== undefined) return target;
  }
  return undefined;
}
