// What is found of a containerd's root: whether the engine's images live there, what stands there and at the place it
// shall have, what is mounted, what a crash has left. Only looks; containerd_root.ts compares.
import type { Look } from "../host/types.ts";
import { type ContainerdState, observeContainerd } from "./containerd_service.ts";
import { UNDER, underCover } from "./cover_ops.ts";
import { RAN_PATH } from "./engine_backup.ts";
import { DAEMON_JSON, type EngineState, observeEngine, parseJson } from "./engine_look.ts";
import { observePlace, observeRoom, type Place } from "./engine_root_look.ts";
import { jsonFile } from "./kinds/json_file.ts";
import { fstabEntry, type FstabState } from "./kinds/fstab.ts";
import { MOUNTINFO, mountOf, parseMounts, rootWithin } from "./kinds/mounts.ts";
import { COPY_MARK } from "./tree_ops.ts";

/** Where a containerd keeps its content when nobody says otherwise (containerd-config.toml(5), root). */
export const CONTAINERD_ROOT = "/var/lib/containerd";
/** On the system disk: what its copies are known by. */
export const CONTAINERD_STATE = "/var/lib/berth/containerd-root.json";
/** What a move has stopped, and how it is started again. Gone with a reboot, as they are. */
export const CONTAINERD_RESUME = "/run/berth/containerd-root.json";
/** Where images show: the overlay snapshotter's layers, and what was pulled. */
const OF_IMAGES = [
  "io.containerd.snapshotter.v1.overlayfs/snapshots",
  "io.containerd.content.v1.content/blobs/sha256",
];
/** What `docker info` says of an engine whose images are containerd's. */
const SNAPSHOTTER = "io.containerd.snapshotter.v1";

/** What a crash has left stopped. */
export interface ContainerdNote {
  readonly engine: boolean;
  /** How containerd was started; [] under systemd; null: it did not run. */
  readonly argv: readonly string[] | null;
}

/** What is found. Plain data. */
export interface ContainerdRootState {
  readonly engine: EngineState;
  readonly containerd: ContainerdState;
  /** The engine's images live there, or shall. */
  readonly keepsImages: boolean;
  /** Its root, and the place it shall have. What stands at `home` is what everybody sees, mounts included. */
  readonly home: Place;
  readonly place: Place;
  /** A crash has left open what the mount covers; `marked`: with an unfinished copy in it. */
  readonly cover: { readonly marked: boolean } | null;
  /** The copy is finished and this is the one in use, whatever is mounted. */
  readonly isSwitched: boolean;
  /** Mounted at `home`: the place; something else; nothing. */
  readonly mounted: "place" | "other" | null;
  /** At `home` while nothing is mounted there, and at the place: how many layers and blobs. */
  readonly images: number;
  readonly placeImages: number;
  readonly line: FstabState | null;
  /** Of this system disk. */
  readonly id: string;
  readonly note: ContainerdNote | null;
  /** Containers' layers are mounted from there. */
  readonly busy: boolean;
  /** Bytes that would move, and bytes free where they would go; null where nothing moves. */
  readonly room: { readonly used: number; readonly free: number } | null;
}

/** The line that mounts it at boot. */
export function containerdLine(place: string) {
  return fstabEntry({
    source: place,
    target: CONTAINERD_ROOT,
    type: "none",
    options: ["bind", "nofail"],
    pass: 0,
  });
}

/** Looks at both places. `back`: what it takes to go home is looked at, too. */
export async function observeContainerdRoot(
  look: Look,
  { to, back, mount }: { readonly to: string; readonly back: boolean; readonly mount: string | undefined },
): Promise<ContainerdRootState> {
  const [engine, containerd, line, stateText, noteText, bootId, markText, mountText] = await Promise.all([
    observeEngine(look, jsonFile(DAEMON_JSON, {}, { good: RAN_PATH }), { waits: true }),
    observeContainerd(look),
    containerdLine(to).observe(look),
    look.readText(CONTAINERD_STATE),
    look.readText(CONTAINERD_RESUME),
    look.readText("/proc/sys/kernel/random/boot_id"),
    look.readText(`${to}/${COPY_MARK}`),
    look.readText(MOUNTINFO),
  ]);
  const mounts = parseMounts(mountText ?? "");
  const [home, place] = await Promise.all([
    observePlace(look, CONTAINERD_ROOT, mounts),
    observePlace(look, to, mounts),
  ]);
  const above = mountOf(mounts, to);
  const at = mounts.findLast((each) => each.at === CONTAINERD_ROOT);
  const isOurs = at !== undefined && above !== undefined && at.device === above.device &&
    at.root === rootWithin(above, to);
  const mounted = at === undefined ? null : isOurs ? "place" : "other";
  const [images, placeImages] = await Promise.all([
    mounted === null ? imagesAt(look, CONTAINERD_ROOT) : 0,
    imagesAt(look, to),
  ]);
  const state = parseJson(stateText);
  const note = noteText === null ? null : parseJson(noteText);
  const isBack = mounted === "place";
  const moves = isBack ? back && place.filled : home.filled && (!place.filled || place.mark !== null);
  const keepsImages = await keeps(look, engine, containerd, images + placeImages);
  const isThere = mount === undefined || mounts.some((each) => each.at === mount);
  return {
    ...{ engine, containerd, home, place, mounted, images, placeImages, line, keepsImages },
    cover: mounts.some((each) => each.at === UNDER)
      ? { marked: await look.stat(`${underCover(CONTAINERD_ROOT)}/${COPY_MARK}`) !== null }
      : null,
    isSwitched: parseJson(markText).switched === true,
    id: typeof state.id === "string" ? state.id : (bootId ?? "").trim(),
    note: note === null ? null : {
      engine: note.engine === true,
      argv: Array.isArray(note.argv) ? note.argv.map(String) : null,
    },
    busy: mounts.some(({ options }) =>
      options.some((option) => option.startsWith(`upperdir=${CONTAINERD_ROOT}/`))
    ),
    room: !moves || !(keepsImages || isBack)
      ? null
      : isBack
      ? await observeRoom(look, to, { path: `${CONTAINERD_ROOT.replace(/\/[^/]+$/, "")}`, mark: null }, true)
      : await observeRoom(look, CONTAINERD_ROOT, place, isThere),
  };
}

async function imagesAt(look: Look, root: string): Promise<number> {
  const lists = await Promise.all(OF_IMAGES.map((part) => look.list(`${root}/${part}`)));
  return lists.reduce((sum, names) => sum + (names?.length ?? 0), 0);
}

/** An engine that answers says it itself; of one that does not run, what is found there does, or its daemon.json. */
async function keeps(
  look: Look,
  engine: EngineState,
  containerd: ContainerdState,
  images: number,
): Promise<boolean> {
  if (!containerd.isThere) return false;
  if (engine.instance === null) {
    const { features } = parseJson(engine.text);
    return images > 0 ||
      (features as Record<string, unknown> | undefined)?.["containerd-snapshotter"] === true;
  }
  const info = await look.engine("/info");
  const { DriverStatus = [] } = (info?.body ?? {}) as {
    readonly DriverStatus?: readonly (readonly string[])[];
  };
  const isIts = (DriverStatus ?? []).some(([key, value]) => key === "driver-type" && value === SNAPSHOTTER);
  // Its containerd may have been given another root.
  return isIts && await look.stat(`${CONTAINERD_ROOT}/io.containerd.metadata.v1.bolt`) !== null;
}
