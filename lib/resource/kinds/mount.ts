// Something is mounted at a place, now: the right device, with the right options. The directory under it stays empty
// and, where its file system can, immutable: nobody can begin an empty state there while the mount is missing.
// That it is mounted again at boot is fstab.ts' business.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { Change, Op, Resource } from "../types.ts";
import { type Mount, MOUNTINFO, mountOf, parseMounts, rootWithin } from "./mounts.ts";

/** What is wanted. */
export interface MountWish {
  readonly target: string;
  /** A device; or a directory, for a bind mount. */
  readonly source: string;
  /** Options that the kernel must know of it: "prjquota". @default {[]} */
  readonly options?: readonly string[];
}

/** What is found. */
export interface MountState {
  /** What is mounted at the target, the uppermost; null: nothing. */
  readonly mount: Mount | null;
  /** Device and root that are wanted there; null while there is no such device. */
  readonly wanted: { readonly device: string; readonly root: string } | null;
  /** Names in the directory under it; null where there is none. Only looked at where nothing is mounted. */
  readonly names: readonly string[] | null;
}

/** Mounting a large file system after a power cut replays its journal. */
const MOUNT_MS = 300_000;

/** A mount that the line in fstab describes. A reboot forgets it, and makes it again. */
export function mounted(wish: MountWish): Resource<MountState> {
  const { target, options = [] } = wish;
  const id = `mount ${target}`;
  const run = (argv: readonly string[], okExit: readonly number[] = [0]): Op => ({
    run: { argv, okExit, timeoutMs: MOUNT_MS },
  });
  const change = (verb: Change["verb"], why: string, ops: readonly Op[], undo: readonly Op[]): Change[] => [
    { resource: id, verb, why, risk: "safe", do: ops, undo },
  ];
  // Not every file system knows the flag (overlay, tmpfs).
  const immutable = (flag: "+i" | "-i") => run(["chattr", flag, target], [0, 1]);
  const unmount = (made: boolean): readonly Op[] => [
    run(["umount", target]),
    immutable("-i"),
    ...(made ? [{ remove: target }] : []),
  ];
  return {
    id,
    desired: { mount: null, wanted: null, names: [] },
    volatile: true,
    observe: (look) => observeMount(look, wish),
    diff(found) {
      if (found === null || found.mount === null) {
        const names = (found?.names ?? []).filter((name) => name !== "lost+found");
        if (names.length > 0) throw filled(id, target, names);
        return change(
          "create",
          "not mounted",
          [{ directory: target }, immutable("+i"), run(["mount", target])],
          [run(["umount", target], [0, 32]), immutable("-i")],
        );
      }
      const { mount, wanted } = found;
      if (wanted === null) return [];
      if (mount.device !== wanted.device || mount.root !== wanted.root) throw another(id, mount, wish);
      const missing = options.filter((option) => !mount.options.includes(option));
      if (mount.options.includes("ro")) missing.push("rw");
      if (missing.length === 0) return [];
      const remount = run(["mount", "-o", `remount,${missing.join(",")}`, target]);
      return change("update", `mounted without ${missing.join(", ")}`, [remount], []);
    },
    prior: (found) => found,
    revert(prior, found) {
      if (found === null || prior?.mount != null) return [];
      if (found.mount === null) {
        if (prior?.names != null || found.names === null || found.names.length > 0) return [];
        return change("delete", "made by berth", [immutable("-i"), { remove: target }], []);
      }
      if (found.mount.device !== found.wanted?.device) return [];
      return change("delete", "mounted by berth", unmount(prior?.names == null), [run(["mount", target])]);
    },
  };
}

async function observeMount(look: Look, { target, source }: MountWish): Promise<MountState> {
  const mounts = parseMounts(await look.readText(MOUNTINFO) ?? "");
  const mount = mounts.findLast(({ at }) => at === target) ?? null;
  return {
    mount,
    wanted: await wantedOf(look, source, mounts),
    names: mount === null ? await look.list(target) : null,
  };
}

async function wantedOf(look: Look, source: string, mounts: readonly Mount[]): Promise<MountState["wanted"]> {
  if (await look.stat(source) === null) return null;
  if (!source.startsWith("/dev/")) {
    const above = mountOf(mounts, source);
    if (above === undefined) return null;
    return { device: above.device, root: rootWithin(above, source) };
  }
  const { stdout } = await look.query({ argv: ["lsblk", "-d", "-n", "-o", "MAJ:MIN", source] });
  return { device: stdout.trim(), root: "/" };
}

function filled(id: string, target: string, names: readonly string[]): BerthError {
  const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? " …" : "");
  return new BerthError({
    code: "refused",
    object: id,
    message: `Cannot mount over "${target}": found ${shown} in it, wanted an empty directory`,
    next: `Move what is in "${target}" away (mv ${target} ${target}.old), then run this again`,
  });
}

function another(id: string, mount: Mount, { target, source }: MountWish): BerthError {
  return new BerthError({
    code: "refused",
    object: id,
    message: `Found "${mount.source}" (${mount.type}) mounted at "${target}", wanted "${source}"`,
    next: `Unmount it: umount ${target}`,
  });
}
