// Finds the configuration files in a directory through Look, and has them parsed. Owns which files count.
import { basename, dirname } from "node:path";
import { BerthError } from "../log/error.ts";
import type { Look } from "../host/types.ts";
import type { FileText } from "./parse.ts";
import type { Config } from "./types.ts";

/** Where to load from. */
export interface LoadOptions {
  readonly look: Pick<Look, "readText" | "list">;
  /** @default {"/etc/berth"} */
  readonly directory?: string;
  /** Goes over `engine.root`. */
  readonly engineRoot?: string;
  /** Further files of vnodes, already read: they are checked together with the rest. */
  readonly extra?: readonly FileText[];
}

/** The host's file, by its possible names. */
export const HOST_NAMES = ["host.yaml", "host.yml", "host.json"];

/**
 * Loads `host.yaml` and `vnodes.d/*` (.yaml, .yml, .json; in order of name; hidden files are left out). A directory
 * that is empty or missing is a valid configuration: all defaults, no vnodes.
 *
 * @throws {BerthError} code `config` with all issues, or where a file cannot be read.
 */
export async function loadConfig(options: LoadOptions): Promise<Config> {
  const { extra = [] } = options;
  const files = await readConfigFiles(options);
  const { parseConfig } = await import("./parse.ts");
  // A file given by name may be one of the directory's own: it counts once.
  const others = files.filter((file) => !extra.some((given) => given.path === file.path));
  return parseConfig(
    [...others, ...extra],
    options.engineRoot === undefined ? {} : { engineRoot: options.engineRoot },
  );
}

/** The texts of the files that `loadConfig` would load, `extra` not among them. */
export async function readConfigFiles(options: Pick<LoadOptions, "look" | "directory">): Promise<FileText[]> {
  const { look, directory = "/etc/berth" } = options;
  const folder = `${directory}/vnodes.d`;
  const listed = await orExplain("directory", folder, (path) => look.list(path));
  // Where a file stands in its place, a list is as absent as where there is nothing.
  if (listed === null && await look.readText(folder).catch(() => null) !== null) {
    throw unreadable("directory", folder, "it is a file");
  }
  const names = listed ?? [];
  const wanted = names.filter((name) => /^[^.].*\.(yaml|yml|json)$/s.test(name)).sort();
  return await readAll(look, [
    ...HOST_NAMES.map((name) => `${directory}/${name}`),
    ...wanted.map((name) => `${directory}/vnodes.d/${name}`),
  ]);
}

/**
 * Loads `host.yaml` alone, for what needs no vnode's specification: the answer has neither lans nor vnodes.
 *
 * @throws {BerthError} as `loadConfig`, but never for a file of vnodes.d.
 */
export async function loadHostConfig(
  options: Pick<LoadOptions, "look" | "directory" | "engineRoot">,
): Promise<Config> {
  const { look, directory = "/etc/berth", engineRoot } = options;
  const files = await readAll(look, HOST_NAMES.map((name) => `${directory}/${name}`));
  const { parseConfig } = await import("./parse.ts");
  return parseConfig(files, engineRoot === undefined ? {} : { engineRoot });
}

/** What a directory's configuration comes to without its faulty files. */
export interface Usable {
  readonly config: Config;
  /** Why files of vnodes.d were left out; null where none was. */
  readonly fault: BerthError | null;
}

/**
 * Loads the configuration without the files of vnodes.d that are wrong, or that stand on such a file's lans: at boot
 * a slip in one of them must not keep the others' vnodes down.
 *
 * @throws {BerthError} as `loadConfig`, for `host.yaml` only.
 */
export async function loadUsable(options: Pick<LoadOptions, "look" | "directory">): Promise<Usable> {
  const { look, directory = "/etc/berth" } = options;
  const left = new Set<string>();
  const rest: LoadOptions["look"] = {
    list: async (path) => (await look.list(path))?.filter((name) => !left.has(`${path}/${name}`)) ?? null,
    readText: (path) => look.readText(path),
  };
  let fault: BerthError | null = null;
  for (;;) {
    try {
      return { config: await loadConfig({ look: rest, directory }), fault };
    } catch (error) {
      if (!(error instanceof BerthError)) throw error;
      const places = [error.object.replace(/^file /, ""), ...error.issues.map(({ place }) => place ?? "")];
      const faulty = places.map((place) => place.replace(/:\d+$/, ""))
        .filter((place) => place.startsWith(`${directory}/vnodes.d/`) && !left.has(place));
      if (faulty.length === 0) return { config: await loadHostConfig(options), fault: fault ?? error };
      for (const path of faulty) left.add(path);
      // What is wrong without the first files may only follow from their absence.
      fault ??= error;
    }
  }
}

/** The texts of those of these files that are there. */
async function readAll(look: LoadOptions["look"], paths: readonly string[]): Promise<FileText[]> {
  const files: FileText[] = [];
  for (const path of paths) {
    const text = await orExplain("file", path, (path) => look.readText(path));
    if (text !== null) files.push({ path, text });
    // One that was taken away after it was listed is no fault: asked again.
    else if ((await look.list(dirname(path)).catch(() => null))?.includes(basename(path))) {
      throw unreadable("file", path, "it is a symbolic link to nothing");
    }
  }
  return files;
}

/** What reading a path gives. @throws {BerthError} code `config` where the system refuses it. */
async function orExplain<Read>(
  kind: "file" | "directory",
  path: string,
  read: (path: string) => Promise<Read>,
): Promise<Read> {
  try {
    return await read(path);
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    throw unreadable(kind, path, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unreadable(kind: "file" | "directory", path: string, reason: string, cause?: unknown): BerthError {
  return new BerthError({
    code: "config",
    object: `${kind} ${path}`,
    message: `Cannot read the configuration ${kind}: ${reason}`,
    next: `Make it a readable ${kind}, or remove it`,
    cause,
  });
}
