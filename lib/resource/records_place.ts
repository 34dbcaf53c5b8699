// The records of vnodes at a place that outlives the system disk: their one path becomes a symbolic link to it, so that
// an unmounted place is an error and never an empty state. Records that stand at the path move with it.
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { asidePath, setAside } from "./tree_ops.ts";
import type { Change, Op, Resource } from "./types.ts";

/** What is found. */
export interface RecordsState {
  /** What stands at the path. */
  readonly kind: "link" | "directory" | null;
  readonly link: string | null;
  /** Names at the path (through the link), and at the target. */
  readonly names: readonly string[];
  readonly stored: readonly string[];
  /** Permission bits of the target; null: it is not there. */
  readonly mode: number | null;
  /** The first numbers under which nothing is set aside: of the path, of the target. */
  readonly number: string;
  readonly storedNumber: string;
}

/**
 * By a copy beside them, each one renamed into its place when it is whole. One that stands there already and differs
 * is of an earlier life of the machine: set aside.
 */
const MOVE = `set -e
rm -rf "$2.incoming"
cp -a "$1" "$2.incoming"
sync -f "$2.incoming"
for one in "$2.incoming"/*; do
  [ -e "$one" ] || continue
  name=\${one##*/}
  if [ -e "$2/$name" ]; then
    diff -rq "$one" "$2/$name" >/dev/null && continue
    mkdir -p "$2.earlier"
    mv -T --backup=numbered "$2/$name" "$2.earlier/$name"
  fi
  mv -T "$one" "$2/$name"
done
rm -rf "$2.incoming"
sync -f "$2"`;

/** Back: a whole copy beside the link, which then takes its place. */
const BRING_BACK = `set -e
rm -rf "$1.incoming"
cp -a "$2" "$1.incoming"
sync -f "$1.incoming"
[ ! -L "$1" ] || rm "$1"
mv -T "$1.incoming" "$1"`;

const script = (name: string, title: string, text: string, path: string, target: string): Op => ({
  run: { argv: ["sh", "-c", text, name, path, target], title },
});

/** `path` is a link to the directory `target` (0700), which has the records that stood at the path. */
export function recordsAt(path: string, target: string): Resource<RecordsState> {
  const id = `records ${path}`;
  const make: Op = { directory: target, mode: 0o700 };
  const link: Op = { run: { argv: ["ln", "-s", "-T", target, path] } };
  const change = (verb: Change["verb"], why: string, ops: readonly Op[]): Change[] => [
    { resource: id, verb, why, risk: "safe", do: ops, undo: [] },
  ];
  return {
    id,
    desired: {
      ...{ kind: "link", link: target, names: [], stored: [], mode: 0o700, number: "", storedNumber: "" },
    },
    observe: (look) => observeRecords(look, path, target),
    diff(found) {
      if (found === null || found.kind === null) return change("create", "missing", [make, link]);
      if (found.kind === "link") {
        if (found.link !== target) throw elsewhere(id, path, target, found.link);
        return found.mode === 0o700 ? [] : change("update", `no directory "${target}" (0700)`, [make]);
      }
      const count = found.names.length;
      return change(
        "update",
        `a directory with ${count} record${count === 1 ? "" : "s"}, wanted a link to "${target}"`,
        count === 0 ? [make, { remove: path }, link] : [
          make,
          script("berth-move-records", `move the records in ${path} to ${target}`, MOVE, path, target),
          setAside(path, found.number),
          link,
        ],
      );
    },
    prior: (found) => found,
    revert(prior, found) {
      if (found === null || found.kind === "directory") return [];
      if (found.kind === "link" && found.link !== target) return []; // others' by now
      if (found.stored.length > 0) {
        return change("update", `a link to "${target}" with ${found.stored.length} records`, [
          script("berth-bring-back-records", `bring the records back to ${path}`, BRING_BACK, path, target),
          setAside(target, found.storedNumber),
        ]);
      }
      const back: readonly Op[] = prior?.kind === "directory" ? [{ directory: path, mode: 0o700 }] : [];
      const ops = [...(found.kind === "link" ? [{ remove: path }] : []), ...back];
      return ops.length === 0 ? [] : change("delete", "made by berth", ops);
    },
  };
}

async function observeRecords(look: Look, path: string, target: string): Promise<RecordsState> {
  const [found, link, names, stored, at] = await Promise.all([
    look.stat(path),
    look.readLink(path),
    look.list(path),
    look.list(target),
    look.stat(target),
  ]);
  const free = async (base: string) => {
    let number = "";
    for (let next = 2; await look.stat(asidePath(base, number)) !== null; next++) number = `-${next}`;
    return number;
  };
  return {
    kind: found?.kind === "link" ? "link" : found?.kind === "directory" ? "directory" : null,
    link,
    names: names ?? [],
    stored: stored ?? [],
    mode: at?.kind === "directory" ? at.mode : null,
    number: await free(path),
    storedNumber: await free(target),
  };
}

function elsewhere(id: string, path: string, target: string, found: string | null): BerthError {
  return new BerthError({
    code: "refused",
    object: id,
    message: `Found "${path}" to be a link to "${found}", wanted "${target}"`,
    next: `Bring what is there to "${target}", and remove the link`,
  });
}
