// The images of an engine that keeps them in a containerd of its own, at their wanted place: engine and containerd are
// stopped, the content copied and verified, then switched to by a line in fstab and a bind mount over containerd's
// root; what stood there is set aside, never deleted. Whoever looks there after a crash finds the old root or the new
// one, whole: what is under the mount is only ever touched while the mount covers it (cover_ops.ts).
import {
  CONTAINERD_RESUME,
  CONTAINERD_ROOT,
  CONTAINERD_STATE,
  containerdLine,
  type ContainerdRootState,
  observeContainerdRoot,
} from "./containerd_root_look.ts";
import { containerdPause } from "./containerd_service.ts";
import {
  asideUnder,
  backUnder,
  closeCover,
  openCover,
  sealCover,
  underCover,
  unusedTree,
} from "./cover_ops.ts";
import { carefulPause, type EnginePause, enginePause } from "./engine_pause.ts";
import { refuseBusy, refuseCopy, refuseMove } from "./containerd_refusal.ts";
import { sizeText } from "./size_text.ts";
import {
  asidePath,
  clearTree,
  COPY_MARK,
  copyTree,
  setAside,
  syncTree,
  takeBack,
  unmark,
  verifyTree,
} from "./tree_ops.ts";
import type { Change, Op, Resource } from "./types.ts";

/** What the journal keeps. */
export interface ContainerdRootPrior {
  /** That there was a directory before. */
  readonly existed: boolean;
  readonly line: { readonly existed: boolean };
}

/** How it is wanted. */
export interface ContainerdRootOptions {
  /** For an undo, which then tells beforehand what has no room. @default {false} */
  readonly back?: boolean;
  /** The mount point it lies on: before anything is mounted there, nothing is known of the room. */
  readonly mount?: string;
}

const HOME = CONTAINERD_ROOT;

/**
 * A containerd that keeps the engine's images has its content at `to`. Nothing where there is no such containerd, where
 * its root is a link or a mount of the operator's own, or where the engine keeps no images there.
 *
 * Content that stands there already is adopted, and what is fresh set aside; where both have images that needs consent.
 */
export function containerdRoot(
  to: string,
  { back = false, mount }: ContainerdRootOptions = {},
): Resource<ContainerdRootState | null, ContainerdRootPrior> {
  const id = `containerd root ${to}`;
  const line = containerdLine(to);
  const all = (found: ContainerdRootState): Parts => ({ id, to, found, pause: pauseOf(found) });
  return {
    id,
    desired: null,
    observe: (look) => observeContainerdRoot(look, { to, back, mount }),
    diff(found) {
      if (found === null || !isWanted(found)) return [];
      const changes = line.diff(found.line);
      const ops = { write: changes.flatMap((one) => one.do), former: changes.flatMap((one) => one.undo) };
      const parts = all(found);
      if (found.mounted === "place") return mountedAlready(parts, ops.write);
      const { place, home, isSwitched } = found;
      const isCopy = place.mark !== null && !isSwitched;
      if (isCopy) refuseCopy(id, to, found);
      // On the way back the line goes first: without it, what stands here is whole and the one in use.
      if (home.mark !== null && ops.write.length > 0) return move(parts, ops, finishBack(parts));
      if (home.mark !== null) return adopt(parts, ops, [clearTree(HOME), unmark(HOME)]);
      if (!isCopy && (place.filled || isSwitched)) return adopt(parts, ops, []);
      return home.filled ? move(parts, ops) : adopt(parts, ops, []);
    },
    prior: (found) => ({
      existed: found !== null && !found.home.free,
      line: line.prior(found?.line ?? null),
    }),
    revert(prior, found) {
      if (found === null) return [];
      const parts = all(found);
      const changes = line.revert(prior.line, found.line);
      const without = {
        write: changes.flatMap((one) => one.do),
        former: changes.flatMap((one) => one.undo),
      };
      if (found.mounted === "place") return goBack(parts, prior, without, []);
      if (found.mounted === "other") return [];
      const { place, home, isSwitched } = found;
      if (home.mark !== null && without.write.length === 0) {
        return [
          change(parts, "update", "the way back was cut short after its switch", "safe", [
            ...finishBack(parts),
            ...(found.note === null ? [] : parts.pause.start),
          ]),
        ];
      }
      const isCopy = place.mark !== null && !isSwitched;
      if (without.write.length > 0 && !isCopy) {
        const clear = home.mark === null ? [] : [clearTree(HOME), unmark(HOME)];
        return goBack(parts, prior, without, [...clear, ...mountOps()]);
      }
      const left = isSwitched ? [unmark(to)] : place.mark?.id === found.id ? cleared(to, place.isMount) : [];
      const bare = !prior.existed && !home.free && !home.filled ? bareHome() : [];
      const ops = [...without.write, ...left, ...bare, ...(found.note === null ? [] : parts.pause.start)];
      return ops.length === 0 ? [] : [change(parts, "delete", "a move that was cut short", "safe", ops)];
    },
  };
}

interface Parts {
  readonly id: string;
  readonly to: string;
  readonly found: ContainerdRootState;
  readonly pause: EnginePause;
}

/** What writes the line in fstab, and what writes it back. */
interface LineOps {
  readonly write: readonly Op[];
  readonly former: readonly Op[];
}

function isWanted({ home, mounted, keepsImages, note, line, place }: ContainerdRootState): boolean {
  if (home.link !== null || mounted === "other") return false;
  const isOurs = (line?.file?.text ?? "").split("\n").some((text) =>
    text.split(/\s+/)[1] === HOME && text.includes("x-berth")
  );
  return keepsImages || isOurs || note !== null || place.mark !== null;
}

function pauseOf({ engine, containerd, note }: ContainerdRootState): EnginePause {
  const argv = containerd.runs ? containerd.argv : note?.argv ?? null;
  return enginePause(engine, {
    note: CONTAINERD_RESUME,
    text: `${JSON.stringify({ engine: engine.instance !== null || note?.engine === true, argv })}\n`,
    resume: note?.engine === true,
    also: containerdPause(containerd, note?.argv ?? null) ??
      (note === null ? undefined : { stop: [], halt: [], start: [] }),
  });
}

function change(
  { id }: Parts,
  verb: Change["verb"],
  why: string,
  risk: Change["risk"],
  ops: readonly Op[],
  undo: readonly Op[] = [],
): Change {
  return { resource: id, verb, why, risk, do: ops, undo };
}

/** From its line in fstab. */
function mountOps(): readonly Op[] {
  return [{ directory: HOME }, { run: { argv: ["mount", HOME], timeoutMs: 300_000 } }];
}

function markOp(path: string, { found: { id } }: Parts, from: string, number: string, switched = false): Op {
  const text = JSON.stringify({ id, from, number, ...(switched ? { switched } : {}) });
  return { write: `${path}/${COPY_MARK}`, text: `${text}\n`, mode: 0o600 };
}

/** The place is mounted and in use: what is under it goes aside, and the mark goes. */
function finish(parts: Parts, number: string): readonly Op[] {
  const { to } = parts;
  return [
    // From now on this is the one, also where the mount is missing: what is under it may be half by then.
    markOp(to, parts, HOME, number, true),
    openCover(HOME),
    asideUnder(HOME, number),
    sealCover(HOME),
    closeCover(),
    unmark(to),
  ];
}

/** For an engine that may not come back with its daemon.json: what that is judged by, and a roll-back that is. */
function careful(parts: Parts): { readonly parts: Parts; readonly judged: readonly Change[] } {
  const { pause, before, back } = carefulPause(parts.id, parts.found.engine, parts.pause, []);
  return { parts: { ...parts, pause: { ...pause, halt: [...pause.halt, ...back] } }, judged: before };
}

function move(given: Parts, { write, former }: LineOps, before: readonly Op[] = []): readonly Change[] {
  const { parts, judged } = careful(given);
  const { to, found, pause } = parts;
  const { number } = found.home;
  refuseMove(parts.id, found, HOME, to);
  const size = found.room === null ? "" : `${sizeText(found.room.used)} `;
  const why = `at "${HOME}", wanted "${to}": moves ${size}of images, sets the former content aside as "` +
    `${asidePath(HOME, number)}"${pause.why}`;
  const mark = markOp(to, parts, HOME, number);
  return [
    ...judged,
    change(parts, "update", why, pause.risk, [
      ...pause.stop,
      unusedTree(HOME),
      stateOp(found.id),
      ...before,
      mark,
      clearTree(to),
      copyTree(HOME, to),
      verifyTree(HOME, to),
      syncTree(to),
      ...write,
      ...mountOps(),
      ...finish(parts, number),
      ...pause.start,
    ], rollBack(parts, former, number)),
  ];
}

/** Under the mount first, so that nobody sees half of it; the mark first of all, for the copy is none to be used. */
function rollBack(parts: Parts, former: readonly Op[], number: string): readonly Op[] {
  return [
    ...parts.pause.halt,
    markOp(parts.to, parts, HOME, number),
    ...former,
    openCover(HOME),
    backUnder(HOME, number),
    closeCover(),
    { run: { argv: ["umount", HOME], okExit: [0, 1, 32] } },
    ...parts.pause.start,
  ];
}

/** Content stands at the place, or nothing does anywhere: no copy. */
function adopt(given: Parts, { write, former }: LineOps, before: readonly Op[]): readonly Change[] {
  const { parts, judged } = careful(given);
  const { to, found, pause } = parts;
  const { home, place, images } = found;
  // Also over a place without any: images must not go out of sight for what is none.
  const isBoth = home.filled && images > 0;
  const aside = home.filled && before.length === 0;
  if (found.busy && found.engine.instance === null) refuseBusy(parts.id, HOME);
  const why = isBoth && found.placeImages === 0
    ? `"${HOME}" has images, and "${to}" has content without any`
    : isBoth
    ? `both "${HOME}" and "${to}" have images`
    : write.length === 0
    ? `"${to}" is not mounted at "${HOME}"`
    : !place.filled
    ? `images would go to "${HOME}", wanted "${to}"; nothing to move`
    : `content of a containerd stands at "${to}"`;
  const tail = aside ? `; sets what is in "${HOME}" aside as "${asidePath(HOME, home.number)}"` : "";
  const verb = !place.filled ? "create" : write.length === 0 ? "update" : "adopt";
  const marked = aside || found.isSwitched;
  return [
    ...judged,
    change(parts, verb, why + tail + pause.why, isBoth ? "destructive" : pause.risk, [
      ...pause.stop,
      unusedTree(HOME),
      stateOp(found.id),
      { directory: to, mode: 0o711 },
      // Whoever comes after a crash must know what is under the mount, and that the place is the one to be used.
      ...(marked ? [markOp(to, parts, HOME, home.number, true)] : []),
      ...before,
      ...write,
      ...mountOps(),
      ...(marked ? finish(parts, home.number) : [openCover(HOME), sealCover(HOME), closeCover()]),
      ...pause.start,
    ], [
      ...pause.halt,
      ...former,
      ...(aside ? [openCover(HOME), backUnder(HOME, home.number), closeCover()] : []),
      { run: { argv: ["umount", HOME], okExit: [0, 1, 32] } },
      ...pause.start,
    ]),
  ];
}

/** Its line is missing, or a crash has left something to do after the switch. */
function mountedAlready(parts: Parts, write: readonly Op[]): readonly Change[] {
  const { found } = parts;
  const { mark } = found.place;
  const whys = [
    ...(write.length === 0 ? [] : ["no line in fstab that mounts it"]),
    ...(mark === null ? [] : ["the switch to it was cut short"]),
    ...(found.note === null ? [] : ["what was stopped for it has not been started again"]),
  ];
  if (found.cover !== null) whys.push("what it covers was left open");
  if (whys.length === 0) return [];
  return [change(parts, "update", whys.join("; "), "safe", [
    ...write,
    ...(found.cover === null
      ? []
      : found.cover.marked
      ? [clearTree(underCover(HOME)), unmark(underCover(HOME)), closeCover()]
      : [closeCover()]),
    ...(mark === null ? [] : finish(parts, mark.number)),
    ...(found.note === null ? [] : startAgain(parts)),
  ])];
}

function startAgain({ found, pause }: Parts): readonly Op[] {
  return found.engine.instance === null ? pause.start : pause.again;
}

/** To the directory under the mount, while everybody still sees the mount. */
function goBack(
  given: Parts,
  prior: ContainerdRootPrior,
  { write: without, former }: LineOps,
  before: readonly Op[],
): readonly Change[] {
  const { parts, judged } = careful(given);
  const { to, found, pause } = parts;
  const { place } = found;
  const stop = [...pause.stop, unusedTree(HOME), ...before];
  const unmount: Op = { run: { argv: ["umount", HOME], timeoutMs: 300_000 } };
  if (!place.filled) {
    return [
      ...judged,
      change(parts, "delete", "mounted by berth; nothing to move", pause.risk, [
        ...stop,
        openCover(HOME), // no longer immutable
        closeCover(),
        ...without,
        unmount,
        ...(prior.existed ? [] : bareHome()),
        unmark(to),
        ...(place.isMount ? [] : [{ remove: to }]),
        ...pause.start,
      ]),
    ];
  }
  refuseMove(parts.id, found, to, HOME);
  const under = underCover(HOME);
  const size = found.room === null ? "" : `${sizeText(found.room.used)} `;
  const why = `at "${to}": moves ${size}of images back to "${HOME}", sets "${to}" aside${pause.why}`;
  return [
    ...judged,
    change(parts, "update", why, pause.risk, [
      ...stop,
      // What an interrupted switch has left of the former content is that of an earlier day: aside.
      ...(place.mark === null ? [] : finish(parts, place.mark.number)),
      openCover(HOME),
      asideUnder(HOME, place.mark === null ? found.home.number : `${place.mark.number}-under`),
      markOp(under, parts, to, place.number),
      clearTree(under),
      copyTree(to, under),
      verifyTree(to, under),
      syncTree(under),
      closeCover(),
      ...without,
      unmount,
      setAside(to, place.number),
      unmark(HOME),
      ...pause.start,
    ], [
      ...pause.halt,
      closeCover(),
      takeBack(to, place.number),
      ...former,
      { run: { argv: ["sh", "-c", 'mountpoint -q "$1" || mount "$1"', "berth-mount-again", HOME] } },
      ...pause.start,
    ]),
  ];
}

/** A way back whose line in fstab is gone: the copy at home was whole before that. */
function finishBack({ to, found }: Parts): readonly Op[] {
  return [setAside(to, found.home.mark!.number), unmark(HOME)];
}

function bareHome(): readonly Op[] {
  return [{ run: { argv: ["chattr", "-i", HOME], okExit: [0, 1] } }, { remove: HOME }];
}

function cleared(to: string, isMount: boolean): readonly Op[] {
  return [clearTree(to), unmark(to), ...(isMount ? [] : [{ remove: to }])];
}

function stateOp(id: string): Op {
  return { write: CONTAINERD_STATE, text: `${JSON.stringify({ id })}\n`, mode: 0o600 };
}
