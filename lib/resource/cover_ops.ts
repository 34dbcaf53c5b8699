// A directory under a mount, as ops: what a bind mount covers is reached through a second mount of the directory above
// it, so that it can be filled or emptied while everybody sees the mount alone. Owns the scripts, as tree_ops.ts does
// for trees; containerd_root.ts says when they are run.
import { ASIDE, COPY_MARK, NO_CONTENT, treeScript } from "./tree_ops.ts";
import type { Op } from "./types.ts";

/** Where the directory above is mounted a second time. */
export const UNDER = "/run/berth/under";
/** Private, or what is mounted below the one would come up below the other. What a crash has left is closed first. */
const OPEN = `set -e
while mountpoint -q "$1"; do umount "$1"; done
mkdir -p "$1"
mount --bind "$2" "$1"
mount --make-private "$1"
[ ! -d "$3" ] || chattr -i "$3" 2>/dev/null || true
mkdir -p "$3"`;

const CLOSE = `set -e
mountpoint -q "$1" || exit 0
umount "$1"
rmdir "$1"`;

const SEAL = `[ -n "$(ls -A "$1")" ] || chattr +i "$1" 2>/dev/null || true`;

/**
 * Each entry by a rename: the directory itself cannot be renamed while something is mounted on it. An unfinished copy
 * is no content.
 */
const ASIDE_UNDER = `set -e
[ -d "$1" ] && [ ! -e "$1/${COPY_MARK}" ] || exit 0
[ -n "$(find "$1" -mindepth 1 -maxdepth 1 ${NO_CONTENT} -print -quit)" ] || exit 0
mkdir -p "$2"
chown --reference="$1" "$2"
chmod --reference="$1" "$2"
find "$1" -mindepth 1 -maxdepth 1 ! -name lost+found -exec mv -t "$2" -- {} +`;

const BACK_UNDER = `set -e
[ -d "$2" ] || exit 0
find "$2" -mindepth 1 -maxdepth 1 -exec mv -t "$1" -- {} +
rmdir "$2"`;

/** Fails, naming it, where a container's layers are still mounted from a tree: overlay tells its upper directory. */
const UNUSED = `set -e
found=$(grep -F -m 1 -e "upperdir=$1/" /proc/self/mountinfo | cut -d ' ' -f 5) || true
[ -z "$found" ] || { echo "$found is still mounted from $1" >&2; exit 1; }`;

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";

/** Where the covered content of a directory is, between `openCover` and `closeCover`. */
export function underCover(path: string): string {
  return `${UNDER}/${path.slice(path.lastIndexOf("/") + 1)}`;
}

/** Makes what a mount covers reachable, and writable. */
export function openCover(path: string): Op {
  return treeScript("berth-open-cover", `open what is under ${path}`, OPEN, [
    UNDER,
    parentOf(path),
    underCover(path),
  ]);
}

/** Ends that. Does nothing where it is not open. */
export function closeCover(): Op {
  return treeScript("berth-close-cover", `close ${UNDER}`, CLOSE, [UNDER]);
}

/** Makes what is covered immutable where it is empty and its file system can: nobody begins there without the mount. */
export function sealCover(path: string): Op {
  return treeScript("berth-seal-cover", `make what is under ${path} immutable`, SEAL, [underCover(path)]);
}

/** Sets aside what a mount covers, beside the mount point. Goes on where an earlier run has stopped. */
export function asideUnder(path: string, number: string): Op {
  return treeScript("berth-aside-under", `set aside what is under ${path}`, ASIDE_UNDER, [
    underCover(path),
    `${underCover(path)}${ASIDE}${number}`,
  ]);
}

/** Brings back what was set aside so. Does nothing where it is gone. */
export function backUnder(path: string, number: string): Op {
  return treeScript("berth-back-under", `bring back what was set aside under ${path}`, BACK_UNDER, [
    underCover(path),
    `${underCover(path)}${ASIDE}${number}`,
  ]);
}

/** Fails where containers still run from a containerd's root. */
export function unusedTree(path: string): Op {
  return treeScript("berth-unused", `see that no container runs from ${path}`, UNUSED, [path], 60_000);
}
