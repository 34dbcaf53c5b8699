// What is mounted where, as the kernel tells it. Pure; who looks reads /proc/self/mountinfo.

/** Where the kernel tells it. */
export const MOUNTINFO = "/proc/self/mountinfo";

/** One mount, as /proc/self/mountinfo tells it. */
export interface Mount {
  /** "254:0". */
  readonly device: string;
  /** What of the file system is seen there: "/" for all of it. */
  readonly root: string;
  readonly at: string;
  readonly type: string;
  readonly source: string;
  /** Of the mount and of the file system together. */
  readonly options: readonly string[];
}

/** Parses /proc/self/mountinfo (proc(5)), in order: of two at one place the later is the one that is seen. Pure. */
export function parseMounts(text: string): readonly Mount[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const end = fields.indexOf("-");
    if (end < 6) return [];
    const path = (field: string) =>
      field.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
    const [type = "", source = "", more = ""] = fields.slice(end + 1);
    return [{
      device: fields[2]!,
      root: path(fields[3]!),
      at: path(fields[4]!),
      type,
      source: path(source),
      options: [...fields[5]!.split(","), ...more.split(",")],
    }];
  });
}

/** The mount that is seen at a path, or the one above it. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  return mounts.findLast(({ at }) => at === path || path.startsWith(at === "/" ? "/" : `${at}/`));
}

/** What a bind mount of a path has as its root, where that path is seen through this mount. */
export function rootWithin(mount: Mount, path: string): string {
  const below = path.slice(mount.at === "/" ? 0 : mount.at.length);
  return `${mount.root === "/" ? "" : mount.root}${below}` || "/";
}
