// What is found of the engine's root: where daemon.json says it is, what stands there and at the place it shall have,
// what is mounted below. Only looks; engine_root.ts compares.
import type { Look } from "../host/types.ts";
import { DAEMON_JSON, type EngineState, observeEngine, parseJson } from "./engine_look.ts";
import { RAN_PATH } from "./engine_backup.ts";
import type { JsonObject } from "./kinds/json.ts";
import { jsonFile } from "./kinds/json_file.ts";
import { type Mount, MOUNTINFO, mountOf, parseMounts, rootWithin } from "./kinds/mounts.ts";
import { asidePath, COPY_MARK, isContent } from "./tree_ops.ts";

/** Where the engine keeps its data when nobody says otherwise (dockerd(8), --data-root). */
export const DEFAULT_ROOT = "/var/lib/docker";
/** On the system disk: where the engine's root came from, and what its copies are known by. */
export const ROOT_STATE = "/var/lib/berth/engine-root.json";
/** An engine that a move has stopped, and that is to be started again. Gone with a reboot, as the engine is. */
export const RESUME_PATH = "/run/berth/engine-root.json";

/** What stands in the mark of an unfinished copy. */
export interface CopyMark {
  /** Of the system disk that began it: another disk's copy is not ours to clear. */
  readonly id: string;
  readonly from: string;
  /** Under which number the former root is set aside. */
  readonly number: string;
}

/** One place of a root. */
export interface Place {
  readonly path: string;
  /** Where it leads, if it is a symbolic link: then nothing is in it. */
  readonly link: string | null;
  /** Nothing stands there. */
  readonly free: boolean;
  /** Something is in it that is content. */
  readonly filled: boolean;
  readonly isMount: boolean;
  /**
   * A mount of the directory on itself: an engine makes one where mounts are not shared, and leaves it when it is
   * killed (moby: setupDaemonRootPropagation).
   */
  readonly isOwnMount: boolean;
  readonly mark: CopyMark | null;
  /** How many containers it knows. */
  readonly containers: number;
  /** The first number under which nothing is set aside yet: "", "-2", "-3" … */
  readonly number: string;
  /** Mounts below it that are not the engine's own doing, "/path (type)". */
  readonly foreign: readonly string[];
  /** Mounts below it that containers have. */
  readonly busy: boolean;
  /** Drivers whose layers are file systems of their own: no copy of files has them, nor notices that it lacks them. */
  readonly subvolumes: readonly string[];
}

/** What is found. Plain data. */
export interface EngineRootState {
  readonly engine: EngineState;
  /** What daemon.json says, or the engine's default. */
  readonly current: string;
  /** The place it shall have, and the one it has or would go back to. */
  readonly place: Place;
  readonly home: Place;
  /** Of this system disk. */
  readonly id: string;
  readonly from: string | null;
  readonly resume: boolean;
  /** Bytes in the root that would move, and bytes free where it would go; null where nothing moves. */
  readonly room: { readonly used: number; readonly free: number } | null;
}

/** The file with the keys that are a root's. */
export function rootFile(root: string, options: Readonly<Record<string, unknown>>) {
  return jsonFile(DAEMON_JSON, { ...options as JsonObject, "data-root": root }, { good: RAN_PATH });
}

/** The root that a text of daemon.json names, or the engine's default. Pure. */
export function namedRoot(text: string | null): string {
  const said = parseJson(text)["data-root"];
  return typeof said === "string" && said !== "" ? said : DEFAULT_ROOT;
}

/** Looks at both places. `back`: what it takes to go home is looked at, too. */
export async function observeEngineRoot(
  look: Look,
  { root, file, back, mount }: {
    readonly root: string;
    readonly mount: string | undefined;
    readonly file: ReturnType<typeof rootFile>;
    readonly back: boolean;
  },
): Promise<EngineRootState> {
  const [engine, stateText, resume, bootId] = await Promise.all([
    observeEngine(look, file, { waits: true }),
    look.readText(ROOT_STATE),
    look.stat(RESUME_PATH),
    look.readText("/proc/sys/kernel/random/boot_id"),
  ]);
  const current = namedRoot(engine.text);
  const state = parseJson(stateText);
  const from = typeof state.from === "string" ? state.from : null;
  const mounts = parseMounts(await look.readText(MOUNTINFO) ?? "");
  const isThere = current === root;
  const [place, home] = await Promise.all([
    observePlace(look, root, mounts),
    observePlace(look, await followed(look, isThere ? from ?? DEFAULT_ROOT : current, root), mounts),
  ]);
  const [source, target] = isThere ? [place, home] : [home, place];
  const moves = source.filled && (isThere ? back : !target.filled || target.mark !== null);
  return {
    engine,
    current,
    place,
    home,
    id: typeof state.id === "string" ? state.id : (bootId ?? "").trim(),
    from,
    resume: resume !== null,
    room: moves
      ? await observeRoom(
        look,
        source.path,
        target,
        mount === undefined || mounts.some(({ at }) => at === mount),
      )
      : null,
  };
}

/** Where an operator's own link leads; ours is not followed. */
async function followed(look: Look, path: string, root: string): Promise<string> {
  const link = await look.readLink(path);
  return link !== null && link !== root && link.startsWith("/") ? link.replace(/(.)\/+$/, "$1") : path;
}

/** Bytes of a tree, and bytes that it may have where it would go. */
export async function observeRoom(
  look: Look,
  from: string,
  to: Pick<Place, "path" | "mark">,
  isMounted: boolean,
): Promise<{ readonly used: number; readonly free: number }> {
  const size = async (path: string) => {
    // Files come and go under a running engine: du then ends with 1 and has counted all others.
    const { stdout } = await look.query({
      argv: ["du", "-s", "-x", "-B1", path],
      okExit: [0, 1],
      timeoutMs: 3_600_000,
    });
    return Number(/^(\d+)\t/m.exec(stdout)?.[1] ?? 0);
  };
  // A plan that comes before the volume cannot tell what will be free there.
  if (!isMounted) return { used: await size(from), free: Number.MAX_SAFE_INTEGER };
  let above = to.path;
  while (await look.stat(above) === null && above !== "/") above = above.replace(/\/[^/]+$/, "") || "/";
  const { stdout } = await look.query({ argv: ["df", "-B1", "--output=avail", above] });
  const free = Number(stdout.trim().split("\n").at(-1));
  // What an unfinished copy holds is cleared first.
  return { used: await size(from), free: free + (to.mark !== null ? await size(to.path) : 0) };
}

/** Types that containers bring: their layers, their /dev/shm, their namespaces. */
const OF_CONTAINERS = new Set(["overlay", "aufs", "tmpfs", "nsfs", "proc", "fuse.fuse-overlayfs"]);

/** Directories of graph drivers (moby: daemon/graphdriver/btrfs, zfs). */
const SUBVOLUME_DRIVERS = ["btrfs", "zfs"];

/** One place, by looks. */
export async function observePlace(look: Look, path: string, mounts: readonly Mount[]): Promise<Place> {
  const link = await look.readLink(path);
  const names = link === null ? await look.list(path) : null;
  const own = mountOf(mounts, path);
  const above = mountOf(mounts.filter(({ at }) => at !== path), path);
  const isOwnMount = own?.at === path && above !== undefined && own.device === above.device &&
    own.root === rootWithin(above, path);
  const below = mounts.filter(({ at }) => at.startsWith(`${path}/`));
  const ofContainers = below.filter(({ type }) => OF_CONTAINERS.has(type));
  // An engine of old makes a mount of its own directory; that has the same device.
  const foreign = below.filter(({ type, device }) => !OF_CONTAINERS.has(type) && device !== own?.device);
  let number = "";
  const base = asidePath(path, "");
  const aside = async (name: string) =>
    await look.stat(`${base}${name}`) !== null || await look.stat(asidePath(`${path}/`, name)) !== null;
  for (let next = 2; await aside(number); next++) number = `-${next}`;
  return {
    path,
    link,
    free: link === null && names === null && await look.stat(path) === null,
    isMount: own?.at === path && !isOwnMount,
    isOwnMount,
    filled: (names ?? []).some(isContent),
    mark: names === null ? null : parseMark(await look.readText(`${path}/${COPY_MARK}`)),
    containers: names === null ? 0 : (await look.list(`${path}/containers`))?.length ?? 0,
    number,
    foreign: foreign.map(({ at, type }) => `${at} (${type})`),
    busy: ofContainers.length > 0,
    subvolumes: SUBVOLUME_DRIVERS.filter((driver) => names?.includes(driver)),
  };
}

function parseMark(text: string | null): CopyMark | null {
  if (text === null) return null;
  const { id, from, number } = parseJson(text);
  return { id: String(id ?? ""), from: String(from ?? ""), number: String(number ?? "") };
}
