// Which disks may be taken, and why the others may not. Pure. Never guesses: what is not blank is taken only with
// consent that names the disk and what is on it, and what is in use is never taken.
import type { StorageConfig, WipeConsent } from "../../config/types_storage.ts";
import { fingerprintOf } from "../consent.ts";
import { type DiskFacts, GROUP, type StorageFacts } from "./types.ts";

/** What may become of one disk or partition. */
export interface Verdict {
  readonly disk: DiskFacts;
  /** Its lasting name, or its path where it has none. */
  readonly name: string;
  /**
   * `blank`: may be taken. `begun`: a run of ours that died was taking it. `wipe`: may be taken after a wipe that was
   * consented to. `member`: a physical volume of our group. `occupied`: something is on it, consent would help.
   * `void`: there is consent, for something else. `never`: in use, or nothing to build on.
   */
  readonly may: "blank" | "begun" | "wipe" | "member" | "occupied" | "void" | "never";
  /** Why not, or what is on it: "mounted on /"; "ext4 \"data\"". */
  readonly why: string;
  /** Of `occupied`, `void` and `wipe`. */
  readonly fingerprint: string;
  readonly consent?: WipeConsent;
}

/** Ways of attachment on which no engine's root should hang: they come late, go, or are shared with other machines. */
const LOOSE = /^(usb|iscsi|fc|fcoe|sbp|ieee1394|nvme over .*)$/;
/** Partition types that say "anything of Linux": none, Linux file system, Linux LVM (MBR and GPT). */
const PLAIN_TYPES: ReadonlySet<string> = new Set([
  "0x0",
  "0x83",
  "0x8e",
  "0fc63daf-8483-4772-8e79-3d69d8477de4",
  "e6d6d379-f507-44c2-a23c-238f2a3df928",
]);

/** Begins why a disk is out of the question that shows more than once. */
const TWIN = "one disk by several paths:";

/** Whether it is refused because there are several paths to it: nothing else is the matter with it. */
export function isTwin({ may, why }: Verdict): boolean {
  return may === "never" && why.startsWith(TWIN);
}

/** Judges every disk and partition. */
export function verdicts(facts: StorageFacts, consents: readonly WipeConsent[]): readonly Verdict[] {
  return facts.disks.map((disk) => verdictOf(disk, facts, consents));
}

/** The lasting name, or the path of a disk that has none. */
export function nameOf(disk: DiskFacts): string {
  return disk.names[0] ?? disk.path;
}

function verdictOf(disk: DiskFacts, facts: StorageFacts, consents: readonly WipeConsent[]): Verdict {
  const name = nameOf(disk);
  const print = fingerprint(disk, facts.disks);
  const consent = consents.find((one) => disk.names.includes(one.disk) || one.disk === disk.serial);
  const verdict = (may: Verdict["may"], why: string): Verdict => ({
    disk,
    name,
    may,
    why,
    fingerprint: print,
    ...(consent === undefined ? {} : { consent }),
  });
  const physical = facts.physical.find(({ path }) => path === disk.path);
  if (physical?.group === GROUP) return verdict("member", `physical volume of "${GROUP}"`);
  const never = whyNever(disk, facts);
  if (never !== null) return verdict("never", never);
  const content = contentOf(disk, facts);
  if (content === "") return verdict("blank", "");
  const isBegun = disk.names.some((one) => facts.begun?.disks.includes(one));
  const isOrphan = disk.signatures.every(({ type }) => type === "LVM2_member") &&
    disk.signatures.length > 0 && physical?.group === "";
  if (isBegun && isOrphan) return verdict("begun", content);
  if (consent === undefined) return verdict("occupied", content);
  // A wipe of ours that a crash interrupted has changed what is found.
  return verdict(consent.found === print || isBegun ? "wipe" : "void", content);
}

/** Why a disk is out of the question, with or without consent. */
function whyNever(disk: DiskFacts, { disks }: StorageFacts): string | null {
  const parts = disks.filter(({ parent }) => parent === disk.path);
  const uses = [disk, ...parts].flatMap((one) => one.uses);
  if (uses.length > 0) {
    return uses.map((use) =>
      use === "/etc/fstab" ? "named in /etc/fstab" : use === "[SWAP]" ? "used as swap" : `mounted on ${use}`
    ).join(", ");
  }
  const holders = [disk, ...parts].flatMap((one) => one.holders);
  if (holders.length > 0) return `held by ${holders.join(", ")}`;
  if (disk.signatures.some(({ type }) => type === "unreadable")) return "cannot be read";
  if (disk.signatures.some(({ type }) => type === "mpath_member")) return "part of a multipath device";
  // Taken twice it would be one group over itself, and each write to one half would spoil the other.
  if (disk.twins.length > 0) return `${TWIN} ${disk.twins.join(", ")} (WWN ${disk.wwn})`;
  if (!disk.free) return "held by something in the kernel";
  if (disk.transport !== null && LOOSE.test(disk.transport)) return `attached by ${disk.transport}`;
  if (disk.names.length === 0) {
    return "without a lasting name: nothing in /dev/disk/by-id or by-path leads to it";
  }
  return null;
}

/** What is on it, in words; "" where it is blank. */
function contentOf(disk: DiskFacts, facts: StorageFacts): string {
  const said = disk.signatures.map(({ type, label, uuid }) => {
    if (type !== "LVM2_member") return label === null ? type : `${type} "${label}"`;
    const group = facts.physical.find((one) => one.path === disk.path || one.uuid === uuid)?.group;
    return group ? `LVM physical volume of "${group}"` : "LVM physical volume without a group";
  });
  for (const part of disk.partitions.flatMap((path) => facts.disks.filter((one) => one.path === path))) {
    said.push(`partition ${part.path.slice(5)} (${contentOf(part, facts) || "blank"})`);
  }
  if (said.length > 0) return [...new Set(said)].join(", ");
  if (!disk.zero) return "unknown data";
  return disk.partType === null || PLAIN_TYPES.has(disk.partType) ? "" : `partition type ${disk.partType}`;
}

/**
 * What is on a disk, short enough to be copied: the kinds of what is found, and a digest over its size, every
 * signature with offset, UUID and label, those of its partitions, and the first and last 256 KiB of each.
 */
export function fingerprint(disk: DiskFacts, all: readonly DiskFacts[]): string {
  const parts = all.filter(({ parent }) => parent === disk.path);
  const things = [disk, ...parts];
  const kinds = things.flatMap(({ signatures }) => signatures.map(({ type }) => type));
  const whole = things.map((
    { bytes, digest, signatures, partType },
  ) => [bytes, digest, partType, signatures]);
  return fingerprintOf(kinds, whole);
}

/** Disks that are taken by themselves, and a word about each that was left out. */
export function foundDisks(
  all: readonly Verdict[],
  config: StorageConfig,
): { readonly taken: readonly Verdict[]; readonly left: readonly { name: string; why: string }[] } {
  const left: { name: string; why: string }[] = [];
  const leave = (verdict: Verdict, why: string) => void left.push({ name: verdict.name, why });
  const usable = all.filter((verdict) => {
    if (!["blank", "begun", "wipe"].includes(verdict.may)) return false;
    if (verdict.disk.bytes >= config.minimumBytes) return true;
    if (verdict.disk.kind === "disk") leave(verdict, "smaller than storage.minimumDisk");
    return false;
  });
  // A disk that is wiped has no partitions any more.
  const largest = largestOfEach(
    usable.filter(({ disk }) => !usable.some((other) => other.disk.path === disk.parent)),
  );
  const spinning = largest.filter(({ disk }) => disk.rotational);
  const solid = largest.filter(({ disk }) => !disk.rotational);
  const isWithSolid = config.ssd === "equal" || (config.ssd === "last" && spinning.length === 0);
  const why = config.ssd === "never"
    ? "solid-state, and storage.ssd is never"
    : "solid-state, and there are others";
  if (!isWithSolid) solid.forEach((verdict) => leave(verdict, why));
  const taken = isWithSolid ? largest : spinning;
  // A tenth of what there is: a volume striped over it would be no larger than it (the predecessor's threshold).
  const sum = taken.reduce((total, { disk }) => total + disk.bytes, 0);
  const isWorth = ({ disk }: Verdict) => disk.bytes * 10 >= sum;
  taken.filter((one) => !isWorth(one)).forEach((one) => leave(one, "less than a tenth of all there is"));
  return { taken: taken.filter(isWorth), left };
}

/** Of each partitioned disk its largest usable partition; whole disks as they are. */
function largestOfEach(usable: readonly Verdict[]): readonly Verdict[] {
  return usable.filter((one) =>
    one.disk.parent === null ||
    !usable.some((other) =>
      other.disk.parent === one.disk.parent &&
      (other.disk.bytes > one.disk.bytes ||
        (other.disk.bytes === one.disk.bytes && other.disk.path < one.disk.path))
    )
  );
}
