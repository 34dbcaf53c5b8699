// The engine's root directory at its wanted place, with its content: the engine is stopped, the content copied,
// verified and switched to by one rename of daemon.json; the former directory is set aside, never deleted.
// Whichever step a crash comes after, daemon.json names one whole root: the old one until that rename, then the new.
// What is found is engine_root_look.ts', what a tree is copied with tree_ops.ts'.
import { BerthError } from "../log/error.ts";
import { refuseClashes } from "./engine_flags.ts";
import { textAfter } from "./engine_former.ts";
import { parseJson } from "./engine_look.ts";
import { carefulPause, type EnginePause, enginePause } from "./engine_pause.ts";
import {
  DEFAULT_ROOT,
  type EngineRootState,
  observeEngineRoot,
  type Place,
  RESUME_PATH,
  ROOT_STATE,
  rootFile,
} from "./engine_root_look.ts";
import type { JsonFilePrior } from "./kinds/json_file.ts";
import { sizeText } from "./size_text.ts";
import {
  asidePath,
  clearTree,
  COPY_MARK,
  copyTree,
  leaveLink,
  nothingMountedBelow,
  rebaseContainers,
  setAside,
  syncTree,
  takeBack,
  unmark,
  verifyTree,
} from "./tree_ops.ts";
import type { Change, Op, Resource } from "./types.ts";

/** What the journal keeps. */
export interface EngineRootPrior {
  readonly file: JsonFilePrior;
}

/** How it is wanted. */
export interface EngineRootOptions {
  /** For an undo, which then tells beforehand what has no room. @default {false} */
  readonly back?: boolean;
  /** The mount point it lies on: before anything is mounted there, nothing is known of the room. */
  readonly mount?: string;
  /** Further keys of daemon.json that belong to the place. @default {{}} */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A file system that is full to the last block is none to work on. */
const ROOM_TO_SPARE = 1.02;

/**
 * The engine keeps its data at `root`.
 *
 * A root that stands there already (a re-imaged system disk, kept data disks) is adopted and the fresh one set aside;
 * where both know containers that needs consent.
 */
export function engineRoot(
  root: string,
  { back = false, options = {}, mount }: EngineRootOptions = {},
): Resource<EngineRootState, EngineRootPrior> {
  const id = `engine root ${root}`;
  const file = rootFile(root, options);
  const place = (path: string): Place => ({
    ...{ path, link: null, free: true, filled: false, isMount: false, isOwnMount: false, mark: null },
    ...{ containers: 0, number: "", foreign: [], busy: false, subvolumes: [] },
  });
  return {
    id,
    desired: {
      ...{ engine: { instance: null } as EngineRootState["engine"], current: root },
      ...{ place: place(root), home: place(DEFAULT_ROOT), id: "", from: null, resume: false, room: null },
    },
    observe: (look) => observeEngineRoot(look, { root, file, back, mount }),
    diff(found) {
      if (found === null) return [];
      const { place, home } = found;
      if (found.current === root && file.diff(found.engine.file).length === 0) {
        return [...unfinished(id, found, place), ...unlinked(id, found)];
      }
      const ops = file.diff(found.engine.file).flatMap((change) => change.do);
      const former = file.diff(found.engine.file).flatMap((change) => change.undo);
      // A root that a flag names is not known here as the one to move from, and no roll-back would help the engine.
      refuseClashes(found.engine.lines, Object.keys(parseJson(textAfter(found.engine, ops))), {});
      const wish = { id, found, from: home, to: place, ops, former };
      if (found.current === root) return [...unfinished(id, found, place), ...onlyFile(wish)];
      if (place.mark !== null && home.link !== root) return move(wish);
      if (home.link === root) return onlyFile(wish); // by its link it is there already
      if (place.filled) return adopt(wish);
      return home.filled ? move(wish) : onlyFile(wish);
    },
    prior: (found) => ({ file: file.prior(found?.engine.file ?? null) }),
    revert(prior, found) {
      if (found === null) return [];
      const { place, home } = found;
      const changes = file.revert(prior.file, found.engine.file);
      if (found.current !== root) {
        const left = place.mark?.id === found.id ? [cleared(id, place)] : [];
        return [...changes, ...left, ...unfinished(id, found, home)];
      }
      const ops = changes.flatMap((change) => change.do);
      const former = changes.flatMap((change) => change.undo);
      if (ops.length === 0) return []; // others have made it theirs since
      const before: readonly Op[] = home.link === root ? [{ remove: home.path }] : [];
      const wish = { id, found, from: place, to: home, ops, former, back: before };
      return place.filled ? move(wish) : onlyFile(wish);
    },
  };
}

interface Wish {
  readonly id: string;
  readonly found: EngineRootState;
  readonly from: Place;
  readonly to: Place;
  /** What writes daemon.json, and what writes it back. */
  readonly ops: readonly Op[];
  readonly former: readonly Op[];
  /** On the way back: what takes the link away that the way there has left. */
  readonly back?: readonly Op[];
}

/** Nothing to copy: the engine has never run, or not yet. */
function onlyFile({ id, found, from, to, ops, former, back }: Wish): readonly Change[] {
  if (ops.length === 0) return [];
  const { pause: service, before, back: known } = carefulPause(id, found.engine, around(found), ops);
  return [...before, {
    resource: id,
    verb: "update",
    why: (found.current === to.path
      ? "other options of storage in daemon.json"
      : `at "${found.current}", wanted "${to.path}"; nothing to move`) + service.why,
    risk: service.risk,
    do: [
      ...service.stop,
      stateOp(found),
      ...(back ?? []),
      ...ops,
      ...(back === undefined && from.path !== to.path ? [leaveLink(from.path, to.path)] : []),
      ...service.start,
    ],
    undo: [...service.halt, ...known.length > 0 ? known : former, ...service.start],
  }];
}

function move({ id, found, from, to, ops, former, back }: Wish): readonly Change[] {
  refuseMove(id, found, from, to);
  const { pause: service, before: judged, back: known } = carefulPause(id, found.engine, around(found), ops);
  const { number } = from;
  const mark: Op = {
    write: `${to.path}/${COPY_MARK}`,
    text: `${JSON.stringify({ id: found.id, from: from.path, number })}\n`,
    mode: 0o600,
  };
  // A switch that a crash has cut short is finished first.
  const before = from.mark === null ? [] : finish(from, false);
  const size = found.room === null ? "" : `${sizeText(found.room.used)} `;
  return [...judged, {
    resource: id,
    verb: "update",
    why:
      `at "${from.path}", wanted "${to.path}": moves ${size}of content, sets the former directory aside as "` +
      `${asidePath(from.path + (from.isMount ? "/" : ""), number)}"${service.why}`,
    risk: service.risk,
    do: [
      ...service.stop,
      ...released(from, to),
      nothingMountedBelow(from.path),
      stateOp(found),
      ...before,
      ...(back ?? []),
      mark,
      clearTree(to.path),
      copyTree(from.path, to.path),
      verifyTree(from.path, to.path),
      rebaseContainers(to.path, from.path),
      syncTree(to.path),
      ...ops,
      setAside(from.path, number),
      ...(back === undefined ? [leaveLink(from.path, to.path)] : []),
      unmark(to.path),
      ...service.start,
    ],
    // The mark first: what was copied must never be taken for a root that somebody has used.
    undo: [
      ...service.halt,
      mark,
      ...known.length > 0 ? known : former,
      takeBack(from.path, number),
      ...service.start,
    ],
  }];
}

/** A root that was in use before stands at the place: the re-imaged machine gets its containers back. */
function adopt({ id, found, from, to, ops, former }: Wish): readonly Change[] {
  const { pause: service, before, back: known } = carefulPause(id, found.engine, around(found), ops);
  const both = from.containers > 0;
  const why = both
    ? `both "${from.path}" (${counted(from)}) and "${to.path}" (${counted(to)}) are roots of an engine`
    : `a root with ${counted(to)} stands at "${to.path}"`;
  const { number } = from;
  const fresh = from.filled
    ? `; sets "${from.path}" aside as "${asidePath(from.path + (from.isMount ? "/" : ""), number)}"`
    : "";
  return [...before, {
    resource: id,
    verb: "adopt",
    why: why + fresh + service.why,
    risk: both ? "destructive" : service.risk,
    do: [
      ...service.stop,
      ...released(from, to),
      nothingMountedBelow(from.path),
      stateOp(found),
      // Before the file: the engine finds the old root or the adopted one, and what is fresh can be had again.
      ...(from.filled ? [setAside(from.path, number)] : []),
      ...ops,
      leaveLink(from.path, to.path),
      ...service.start,
    ],
    undo: [
      ...service.halt,
      ...known.length > 0 ? known : former,
      ...(from.filled ? [takeBack(from.path, number)] : []),
      ...service.start,
    ],
  }];
}

/** Mounts that an engine has left of its own directories: they are in the way of a rename. */
function released(...places: readonly Place[]): readonly Op[] {
  return places.filter(({ isOwnMount }) => isOwnMount)
    .map(({ path }) => ({ run: { argv: ["umount", path], okExit: [0, 1, 32] } }));
}

/** What a crash after the switch has left to do. */
function unfinished(id: string, found: EngineRootState, to: Place): readonly Change[] {
  if (to.mark === null && !found.resume) return [];
  const why = [
    ...(to.mark === null ? [] : ["the switch to it was cut short"]),
    ...(found.resume ? ["what was stopped for it has not been started again"] : []),
  ].join("; ");
  const { engine, home } = found;
  const service = around(found);
  const start = engine.instance === null ? service.start : service.again;
  const ops = [
    ...(to.mark === null
      ? []
      : [...(engine.instance === null ? released(home) : []), ...finish(to, to === found.place)]),
    ...(found.resume ? start : []),
  ];
  return [{ resource: id, verb: "update", why, risk: "safe", do: ops, undo: [] }];
}

function finish({ path, mark }: Place, linked: boolean): readonly Op[] {
  const { from, number } = mark!;
  const link = linked ? [leaveLink(from, path)] : [];
  return [setAside(from, number), ...link, unmark(path)];
}

/** Nothing stands where the root was: whoever goes there, an engine without its daemon.json too, finds it by a link. */
function unlinked(id: string, { home, place }: EngineRootState): readonly Change[] {
  if (!home.free || place.mark !== null) return [];
  const why = `nothing at "${home.path}", wanted a link to "${place.path}"`;
  return [{
    resource: id,
    verb: "update",
    why,
    risk: "safe",
    do: [leaveLink(home.path, place.path)],
    undo: [],
  }];
}

function cleared(id: string, place: Place): Change {
  return {
    resource: id,
    verb: "delete",
    why: `an unfinished copy stands at "${place.path}"`,
    risk: "safe",
    do: [
      clearTree(place.path),
      unmark(place.path),
      ...(place.isMount ? [] : [{ remove: place.path }]),
    ],
    undo: [],
  };
}

/** Stopping and starting around a move. */
function around({ engine, resume }: EngineRootState): EnginePause {
  return enginePause(engine, { note: RESUME_PATH, resume });
}

function stateOp({ id, home, from }: EngineRootState): Op {
  return {
    write: ROOT_STATE,
    text: `${JSON.stringify({ id, from: from ?? home.path })}\n`,
    mode: 0o600,
  };
}

function counted({ containers }: Place): string {
  return `${containers} container${containers === 1 ? "" : "s"}`;
}

function refuseMove(id: string, found: EngineRootState, from: Place, to: Place): void {
  const refuse = (message: string, next: string) => {
    throw new BerthError({ code: "refused", object: id, message, next });
  };
  const { mark } = to;
  if (mark !== null && (mark.id !== found.id || !from.filled)) {
    refuse(
      mark.id !== found.id
        ? `Found at "${to.path}" an unfinished copy that another system disk began`
        : `Found at "${to.path}" an unfinished copy of "${mark.from}", and nothing in "${from.path}"`,
      `Move it away; or, if it is whole, remove "${to.path}/${COPY_MARK}": then it is adopted`,
    );
  }
  if (mark === null && to.filled && from.mark === null) {
    refuse(`Cannot move "${from.path}" to "${to.path}": something stands there`, `Move "${to.path}" away`);
  }
  if (from.foreign.length > 0) {
    refuse(
      `Cannot move "${from.path}": mounted below it: ${from.foreign.join(", ")}`,
      "Unmount it, or set engine.root in host.yaml to where it is",
    );
  }
  if (from.subvolumes.length > 0) {
    refuse(
      `Cannot move "${from.path}": its layers are subvolumes (${from.subvolumes.join(", ")})`,
      "Save what is needed of images and containers (docker save, docker export), and give the engine an empty root; " +
        'or write "storage: { layout: plain }"',
    );
  }
  if (found.engine.instance === null && from.busy) {
    refuse(
      `Cannot move "${from.path}": the engine does not run, and its containers do`,
      "Start the engine (systemctl start docker), so that they can be stopped, then run this again",
    );
  }
  const { room } = found;
  if (room !== null && room.used * ROOM_TO_SPARE > room.free) {
    refuse(
      `Cannot move "${from.path}" to "${to.path}": it holds ${sizeText(room.used)}, and ` +
        `${sizeText(room.free)} is free there`,
      "Remove images and containers, or give storage more disks",
    );
  }
}
