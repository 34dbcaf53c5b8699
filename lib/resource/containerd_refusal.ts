// What is refused before the root of a containerd is moved, while nothing is stopped yet. What is done is
// containerd_root.ts' business.
import { BerthError } from "../log/error.ts";
import { CONTAINERD_ROOT, type ContainerdRootState } from "./containerd_root_look.ts";
import { sizeText } from "./size_text.ts";
import { COPY_MARK } from "./tree_ops.ts";

/** As an engine's: a file system that is full to the last block is none to work on. */
const ROOM_TO_SPARE = 1.02;

function refuse(id: string, message: string, next: string): never {
  throw new BerthError({ code: "refused", object: id, message, next });
}

/** Throws for a copy that is not ours to go on with, or whose original is gone. */
export function refuseCopy(id: string, to: string, found: ContainerdRootState): void {
  const { mark } = found.place;
  if (mark!.id === found.id && found.home.filled) return;
  refuse(
    id,
    mark!.id !== found.id
      ? `Found at "${to}" an unfinished copy that another system disk began`
      : `Found at "${to}" an unfinished copy of "${mark!.from}", and nothing in "${CONTAINERD_ROOT}"`,
    `Move it away; or, if it is whole, remove "${to}/${COPY_MARK}": then it is adopted`,
  );
}

/** Throws: containers run, and there is no engine that could stop them. */
export function refuseBusy(id: string, from: string): never {
  return refuse(
    id,
    `Cannot move "${from}": the engine does not run, and containers that use it do`,
    "Start the engine (systemctl start docker), so that they can be stopped, then run this again",
  );
}

/** Throws for content that cannot be moved, or has no room where it would go. */
export function refuseMove(id: string, found: ContainerdRootState, from: string, to: string): void {
  const { home, busy, engine, room } = found;
  if (home.foreign.length > 0) {
    refuse(id, `Cannot move "${from}": mounted below it: ${home.foreign.join(", ")}`, "Unmount it");
  }
  if (engine.instance === null && busy) refuseBusy(id, from);
  if (room !== null && room.used * ROOM_TO_SPARE > room.free) {
    refuse(
      id,
      `Cannot move "${from}" to "${to}": it holds ${sizeText(room.used)}, and ${
        sizeText(room.free)
      } is free there`,
      "Remove images and containers, or give storage more disks",
    );
  }
}
