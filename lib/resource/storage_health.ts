// Whether file systems and the thin pool are about to run full: what `berth status` warns of, before it happens.
// Looks only; df and lvs are asked, the thresholds stand here with their reasons.
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { sizeText } from "./size_text.ts";

/** How full one thing is. */
export interface Filling {
  /** "file system /vms", "thin pool docker/pool". */
  readonly of: string;
  /** What of it: "space", "inodes", "data", "metadata". */
  readonly what: "space" | "inodes" | "data" | "metadata";
  /** 0 to 100. */
  readonly percent: number;
  /** Bytes, or inodes, that are left; null where only the share is known. */
  readonly left: number | null;
}

/**
 * A file system warns from 90 % on, while less than 10 GB are left: an image layer is written twice while it is
 * unpacked, and a large one has some 5 GB. Terabytes that are 90 % full have room for days.
 */
const SPACE = { percent: 90, bytes: 10_000_000_000 };
/** Inodes of ext4 are counted out when it is made; layers of many small files use them up before the space. */
const INODE_PERCENT = 90;
/**
 * A thin pool that is full stops whoever writes, and the engine's file system with it. LVM extends it at 90 %
 * (berth's profile) by itself, while the group has room: 80 % leaves the time to give it some.
 */
const DATA_PERCENT = 80;
/** Full metadata can cost the whole pool (lvmthin(7), "Metadata space exhaustion"), and it grows in steps. */
const METADATA_PERCENT = 70;

/** The fillings that are worth a warning. Pure. */
export function warnings(fillings: readonly Filling[]): readonly string[] {
  return fillings.flatMap(({ of, what, percent, left }) => {
    const isLow = what === "space"
      ? percent >= SPACE.percent && (left ?? 0) < SPACE.bytes
      : percent >= { inodes: INODE_PERCENT, data: DATA_PERCENT, metadata: METADATA_PERCENT }[what];
    if (!isLow) return [];
    const rest = left === null ? "" : what === "space" ? `, ${sizeText(left)} left` : `, ${left} left`;
    return [`${of}: ${what} ${Math.floor(percent)} % used${rest}: ${nextStep(of, what)}`];
  });
}

function nextStep(of: string, what: Filling["what"]): string {
  const add = "add a disk to storage.disks in host.yaml, then: berth host storage";
  if (what === "data" || what === "metadata") return add;
  return of.endsWith(" /") ? "remove images and logs that nobody needs" : `docker system prune, or ${add}`;
}

/** How full the file systems of these paths are, each once, and the thin pools of a volume group. */
export async function fillings(
  look: Look,
  paths: readonly string[],
  group: string,
): Promise<readonly Filling[]> {
  const there = (await Promise.all(paths.map(async (path) => await look.stat(path) === null ? [] : [path])))
    .flat();
  const [files, pools] = await Promise.all([
    there.length === 0 ? [] : fileSystems(look, there),
    thinPools(look, group),
  ]);
  return [...files, ...pools];
}

async function fileSystems(look: Look, paths: readonly string[]): Promise<readonly Filling[]> {
  const { stdout } = await look.query({
    argv: ["df", "-B1", "--output=target,used,avail,itotal,iavail", ...paths],
    okExit: [0, 1],
  });
  return parseDf(stdout);
}

/** What `df -B1 --output=target,used,avail,itotal,iavail` says. Pure. */
export function parseDf(text: string): readonly Filling[] {
  const seen = new Set<string>();
  return text.split("\n").slice(1).flatMap((line): Filling[] => {
    const [, target, ...numbers] = /^(.*\S)\s+(\d+|-)\s+(\d+|-)\s+(\d+|-)\s+(\d+|-)$/.exec(line.trim()) ?? [];
    if (target === undefined || seen.has(target)) return [];
    seen.add(target);
    const [used = 0, free = 0, inodes = 0, freeInodes = 0] = numbers.map((word) => Number(word) || 0);
    const of = `file system ${target}`;
    const share = (part: number, rest: number) => 100 * part / (part + rest);
    return [
      ...(used + free === 0 ? [] : [{ of, what: "space" as const, percent: share(used, free), left: free }]),
      // Some file systems (btrfs) have no number of inodes to run out of.
      ...(inodes === 0 ? [] : [{
        of,
        what: "inodes" as const,
        percent: share(inodes - freeInodes, freeInodes),
        left: freeInodes,
      }]),
    ];
  });
}

async function thinPools(look: Look, group: string): Promise<readonly Filling[]> {
  // Where LVM is not used its programs are not asked: they would wait for devices of their own.
  if (await look.stat(`/dev/${group}`) === null) return [];
  try {
    const { stdout } = await look.query({
      argv: [
        ...["lvs", "--reportformat", "json", "--nosuffix"],
        ...["-o", "lv_name,vg_name,segtype,data_percent,metadata_percent", group],
      ],
      okExit: [0, 5],
    });
    return parsePools(stdout);
  } catch (error) {
    if (error instanceof BerthError && error.code === "missing") return [];
    throw error;
  }
}

/** What lvs says of thin pools, as JSON. Pure. */
export function parsePools(text: string): readonly Filling[] {
  const { report = [] } = JSON.parse(text.trim() || "{}") as {
    report?: readonly { readonly lv?: readonly Readonly<Record<string, string>>[] }[];
  };
  return report.flatMap(({ lv = [] }) => lv).filter(({ segtype }) => segtype === "thin-pool").flatMap((
    pool,
  ) =>
    (["data", "metadata"] as const).filter((what) => pool[`${what}_percent`]).map((what): Filling => ({
      of: `thin pool ${pool.vg_name}/${pool.lv_name}`,
      what,
      percent: Number(pool[`${what}_percent`]),
      left: null,
    }))
  );
}
