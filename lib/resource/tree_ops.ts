// Whole directory trees as ops: copied, verified, set aside, never deleted save for what a copy of ours left
// unfinished. Owns the scripts; when they are run is the business of who moves something (engine_root.ts).
// Each script has a name as its $0, by which fakes know it.
import { draftStart } from "../host/files.ts";
import type { Op } from "./types.ts";

/** In a tree: it is an unfinished copy, or one whose switch is not finished; its truth stands elsewhere. */
export const COPY_MARK = ".berth-copy";
/** What begins the name of a mark that a killed berth was just writing: it says nothing yet. */
const MARK_DRAFT = draftStart(COPY_MARK);
/** What begins the names of what was set aside within a mount point. */
export const ASIDE = ".set-aside";
/** Names that are no content of a tree, for find. */
export const NO_CONTENT =
  `! -name lost+found ! -name ${COPY_MARK} ! -name '${MARK_DRAFT}*' ! -name '${ASIDE}*'`;
/** Millions of files on slow disks take hours; a day is no more a copy but a fault. */
const COPY_MS = 86_400_000;

/** True for a name at the top of a tree that is content of it. */
export function isContent(name: string): boolean {
  return name !== "lost+found" && name !== COPY_MARK && !name.startsWith(MARK_DRAFT) &&
    !name.startsWith(ASIDE);
}

/** With everything that an image is made of: owners, times, hard links, xattrs (ACLs among them), devices, holes. */
const COPY = `set -e
mkdir -p "$2"
find "$1" -mindepth 1 -maxdepth 1 ${NO_CONTENT} -exec cp -dR \
  --preserve=mode,ownership,timestamps,links,xattr --sparse=auto --one-file-system -t "$2" -- {} +
chown --reference="$1" "$2"
chmod --reference="$1" "$2"`;

/**
 * Kind, mode, owner, size, number of names, time and target of each; numbers of devices; and the content itself of
 * what the engine keeps its books in. Layers are not read again: what cp could not write it has told.
 */
const VERIFY = `set -e
list() {
  cd "$1"
  find . -mindepth 1 -maxdepth 1 ${NO_CONTENT} -print0 | sort -z | xargs -0r sh -c '
    find "$@" -xdev \\( -type d -printf "d %m %U %G %T@ %p\\\\0" \\
      -o -type f -printf "f %m %U %G %s %n %T@ %p\\\\0" \\
      -o -type l -printf "l %U %G %T@ %p %l\\\\0" -o -printf "%y %m %U %G %T@ %p\\\\0" \\) | sort -z
    find "$@" -xdev \\( -type c -o -type b \\) -exec stat -c "%n %t:%T" {} + | sort
    for part in ./image ./containers ./network ./volumes/metadata.db \\
      ./io.containerd.metadata.v1.bolt ./io.containerd.snapshotter.v1.overlayfs/metadata.db; do
      [ ! -e "$part" ] || find "$part" -xdev -type f ! -name "*.log" -print0 | sort -z | xargs -0r sha256sum
    done' list
}
[ -d "$1" ] && [ -d "$2" ]
old=$(list "$1" | sha256sum)
new=$(list "$2" | sha256sum)
[ "$old" = "$new" ] && exit 0
count() { list "$1" | tr -cd '\\0\\n' | wc -c; }
echo "The copy differs: $(count "$1") entries in $1, $(count "$2") in $2" >&2
exit 1`;

/** Content only: the mark stays, so that it is still known for what it is. */
const CLEAR = `set -e
[ -e "$1/${COPY_MARK}" ]
find "$1" -mindepth 1 -maxdepth 1 ${NO_CONTENT} -exec rm -rf --one-file-system -- {} +`;

/** With what was never finished of it; for good before what comes next. */
const UNMARK = `set -e
[ -d "$1" ] || exit 0
rm -f -- "$1/${COPY_MARK}" "$1/${MARK_DRAFT}"*
sync "$1" 2>/dev/null || true`;

/** By one rename; a mount point cannot be renamed: what is in it moves into a directory of it. */
const SET_ASIDE = `set -e
[ -d "$1" ] || exit 0
[ ! -L "$1" ] || exit 0
if mountpoint -q "$1"; then
  mkdir -p "$1/${ASIDE}$3"
  find "$1" -mindepth 1 -maxdepth 1 ${NO_CONTENT} -exec mv -t "$1/${ASIDE}$3" -- {} +
else
  [ -e "$2" ] || mv -T "$1" "$2"
fi`;

/**
 * The engine writes where its volumes and logs are into each container's file, with the root's path, and finds a
 * container's volumes nowhere else (20.10, 28.5: "error evaluating symlinks from mount source").
 */
const REBASE = `set -e
[ -d "$1/containers" ] || exit 0
find "$1/containers" -mindepth 2 -maxdepth 2 -name config.v2.json -exec sed -i "s#\"$2/#\"$3/#g" {} +`;

/** For whoever still knows the former path, and for an engine that has lost its daemon.json. */
const LEAVE_LINK = `set -e
[ -e "$1" ] || [ -L "$1" ] || ln -s -T "$2" "$1"`;

/** The way back: only where nothing has taken the place meanwhile. */
const TAKE_BACK = `set -e
if mountpoint -q "$1"; then
  [ -d "$1/${ASIDE}$3" ] || exit 0
  find "$1/${ASIDE}$3" -mindepth 1 -maxdepth 1 -exec mv -t "$1" -- {} +
  rmdir "$1/${ASIDE}$3"
else
  if [ -e "$2" ] && [ -L "$1" ]; then rm "$1"; fi
  [ ! -e "$2" ] || [ -e "$1" ] || mv -T "$2" "$1"
fi`;

/** mountinfo's own words: a path with blanks is escaped alike on both sides. */
const UNMOUNTED = `while read -r _ _ _ _ at _; do
  case $at in "$1"/*) echo "$at is still mounted" >&2; exit 1 ;; esac
done </proc/self/mountinfo`;

/**
 * One at a time: a copy whose berth was killed goes on by itself, and must not write into what the next run makes. The
 * lock is held by every process of a script, and released by the kernel with the last one.
 */
const ALONE = `mkdir -p /run/berth/lock
exec 9>/run/berth/lock/trees
flock 9
`;

/** A script over trees, with a name for its $0 and a title for people. It waits for any other such script to end. */
export function treeScript(
  name: string,
  title: string,
  text: string,
  args: readonly string[],
  timeoutMs = COPY_MS,
): Op {
  return { run: { argv: ["sh", "-c", ALONE + text, name, ...args], title, timeoutMs } };
}

/** Copies the content of one tree into another, which is made where it is missing. */
export function copyTree(from: string, to: string): Op {
  return treeScript("berth-copy-tree", `copy ${from} to ${to}`, COPY, [from, to]);
}

/** Fails where two trees are not the same. */
export function verifyTree(from: string, to: string): Op {
  return treeScript("berth-verify-tree", `compare ${to} with ${from}`, VERIFY, [from, to]);
}

/** Deletes the content of a tree that bears the mark of an unfinished copy; fails on any other. */
export function clearTree(path: string): Op {
  return treeScript("berth-clear-tree", `clear the unfinished copy ${path}`, CLEAR, [path]);
}

/** Takes the mark away: the tree is what it is. Does nothing where there is none. */
export function unmark(path: string): Op {
  return treeScript("berth-unmark", `take the mark of a copy from ${path}`, UNMARK, [path], 60_000);
}

/** Where a tree goes when it is set aside. `number` is "" or "-2", "-3" …, so that nothing stands there yet. */
export function asidePath(path: string, number: string): string {
  return `${path}${ASIDE}${number}`;
}

/** Sets a tree aside, by one rename where it is not a mount point. Does nothing where it is gone. */
export function setAside(path: string, number: string): Op {
  return treeScript("berth-set-aside", `set ${path} aside`, SET_ASIDE, [
    path,
    asidePath(path, number),
    number,
  ]);
}

/** Brings back what was set aside. Does nothing where it is gone, or its place is taken. */
export function takeBack(path: string, number: string): Op {
  return treeScript("berth-take-back", `bring back what was set aside of ${path}`, TAKE_BACK, [
    path,
    asidePath(path, number),
    number,
  ]);
}

/** In a copied root, the containers' own paths into the root it was copied from become paths into this one. */
export function rebaseContainers(root: string, from: string): Op {
  const pattern = from.replace(/[.*[\]^$\\#]/g, "\\$&");
  return treeScript("berth-rebase", `write the new paths into the containers of ${root}`, REBASE, [
    root,
    pattern,
    root,
  ]);
}

/** A symbolic link at a path that has become free. Does nothing where anything stands there. */
export function leaveLink(path: string, target: string): Op {
  return treeScript("berth-leave-link", `link ${path} to ${target}`, LEAVE_LINK, [path, target]);
}

/** Fails, naming it, where something is mounted below a path. */
export function nothingMountedBelow(path: string): Op {
  return treeScript(
    "berth-unmounted",
    `see that nothing is mounted below ${path}`,
    UNMOUNTED,
    [path],
    60_000,
  );
}

/** Brings what was written to that file system to its disk. */
export function syncTree(path: string): Op {
  return { run: { argv: ["sync", "-f", path], timeoutMs: COPY_MS } };
}
