// The volume group, and the wipe of a disk that goes into it. The group is created from disks that choose.ts has
// judged; vgcreate, which is never told to answer "yes", refuses by itself what has got a signature since.
import { BerthError } from "../../log/error.ts";
import type { WipeConsent } from "../../config/types_storage.ts";
import type { Change, Op, Resource } from "../types.ts";
import { diskIssue } from "./consent.ts";
import { type Verdict, verdicts } from "./disks.ts";
import { type LvmFacts, lvmFacts, storageFacts } from "./look.ts";
import { recordText } from "./record.ts";
import { type DiskFacts, GROUP, LAYOUT_TAG, STORAGE_BEGUN, type StorageBegun, TAG } from "./types.ts";

/** The volume group as far as berth cares. */
export interface GroupState {
  /** False: only physical volumes are there, left by a run of ours that died. */
  readonly stands: boolean;
  readonly tags: readonly string[];
  /** Paths of its disks, sorted. */
  readonly disks: readonly string[];
  /** Its physical volumes that are not there. */
  readonly missing: number;
  /** It holds volumes that are not berth's. */
  readonly filled: boolean;
}

/** What the group is made of. */
export interface GroupOptions {
  readonly begun: StorageBegun;
  /** Disks that must be in it, by today's paths. */
  readonly disks: readonly Pick<DiskFacts, "path">[];
  /** Tag a group that is not ours. */
  readonly adopt: boolean;
}

/** Milliseconds for one LVM command: many disks, slow ones, a busy udev. */
export const LVM_TIMEOUT_MS = 300_000;

/** One LVM command that changes something. */
export function lvm(...argv: readonly string[]): Op {
  return { run: { argv, timeoutMs: LVM_TIMEOUT_MS } };
}

/** An orphan physical volume that a crash left, or a blank disk, becomes part of the group "docker", tagged `berth`. */
export function volumeGroup(options: GroupOptions): Resource<GroupState> {
  const id = `volume-group ${GROUP}`;
  const paths = options.disks.map(({ path }) => path).sort();
  const tags = [TAG, `${LAYOUT_TAG}${options.begun.layout}`];
  const begin: Op = { write: STORAGE_BEGUN, text: recordText(options.begun), mode: 0o600 };
  const change = (verb: Change["verb"], why: string, ...ops: readonly Op[]): Change => (
    { resource: id, verb, why, risk: "safe", do: ops, undo: [] }
  );
  return {
    id,
    desired: { stands: true, tags, disks: paths, missing: 0, filled: false },
    async observe(look) {
      const [facts, isBegun] = await Promise.all([lvmFacts(look), look.stat(STORAGE_BEGUN)]);
      return groupState(facts) ?? (isBegun === null ? null : orphans(facts, paths));
    },
    diff(found) {
      if (found === null || !found.stands) {
        const extent = ["--physicalextentsize", "4m", "--dataalignment", "1m"];
        const tagged = tags.flatMap((tag) => ["--addtag", tag]);
        return [change("create", "missing", begin, lvm("vgcreate", ...extent, ...tagged, GROUP, ...paths))];
      }
      const changes: Change[] = [];
      const untagged = tags.filter((tag) => !found.tags.includes(tag));
      if (untagged.length > 0) {
        if (!found.tags.includes(TAG) && !options.adopt) throw notOurs(id);
        const add = untagged.flatMap((tag) => ["--addtag", tag]);
        changes.push(change("adopt", `without tag ${untagged.join(", ")}`, lvm("vgchange", ...add, GROUP)));
      }
      const added = paths.filter((path) => !found.disks.includes(path));
      if (added.length > 0) {
        const why = `without ${added.join(", ")}`;
        changes.push(change("update", why, begin, lvm("vgextend", "--dataalignment", "1m", GROUP, ...added)));
      }
      return changes;
    },
    prior: (found) => found?.stands ? found : null,
    revert(prior, found) {
      if (found === null) return [];
      const clean = [lvm("pvremove", ...found.disks), { remove: STORAGE_BEGUN }];
      if (!found.stands) return [{ ...change("delete", "begun by berth", ...clean), risk: "destructive" }];
      if (!found.tags.includes(TAG)) return [];
      if (prior !== null) { // it was there before us: only our tags go, its disks stay
        const ours = found.tags.filter((tag) => tags.includes(tag) && !prior.tags.includes(tag));
        const remove = ours.flatMap((tag) => ["--deltag", tag]);
        return ours.length === 0
          ? []
          : [change("update", "tagged by berth", lvm("vgchange", ...remove, GROUP))];
      }
      if (found.filled) throw stillFilled(id);
      // Told before, so that a crash leaves physical volumes that are known for ours.
      const remove = [begin, lvm("vgremove", GROUP), ...clean];
      return [{ ...change("delete", "made by berth", ...remove), risk: "destructive" }];
    },
  };
}

function groupState(facts: LvmFacts): GroupState | null {
  const group = facts.groups.find(({ name }) => name === GROUP);
  if (group === undefined) return null;
  const disks = facts.physical.filter((one) => one.group === GROUP && !one.missing).map(({ path }) => path)
    .sort();
  const filled = facts.volumes.some((one) => one.group === GROUP && !one.tags.includes(TAG));
  return { stands: true, tags: group.tags, disks, missing: group.missing, filled };
}

/** What a run that died between physical volumes and group, or group and physical volumes, has left. */
function orphans({ physical }: LvmFacts, paths: readonly string[]): GroupState | null {
  const disks = physical.filter(({ path, group }) => group === "" && paths.includes(path)).map(({ path }) =>
    path
  );
  return disks.length === 0
    ? null
    : { stands: false, tags: [], disks: disks.sort(), missing: 0, filled: false };
}

/** The error for a group of that name which berth did not make. */
export function notOurs(object: string): BerthError {
  return new BerthError({
    code: "refused",
    object,
    message: `A volume group "${GROUP}" is there that berth did not make: it lacks tag "${TAG}"`,
    next:
      'If berth shall take it over with its volumes, write "storage: { adopt: true }"; if not, "storage: { layout: plain }", or rename it: vgrename',
  });
}

function stillFilled(object: string): BerthError {
  return new BerthError({
    code: "refused",
    object,
    message: "Logical volumes are left in it that are not berth's",
    next: `Look with "lvs ${GROUP}", and move away what is needed`,
  });
}

/** What is on a disk before it is wiped. */
export interface WipeState {
  readonly verdict: Verdict["may"];
  readonly fingerprint: string;
}

/**
 * A disk without what was on it, by consent. Does nothing where it is blank or in our group already. Undo cannot
 * bring back what was lost.
 *
 * @throws {BerthError} code `refused` where something else is on it than was consented to.
 */
export function wipedDisk(
  consent: WipeConsent,
  begun: StorageBegun,
): Resource<WipeState & { parts?: unknown }, null> {
  const id = `disk ${consent.disk}`;
  const isBegun = ["blank", "begun", "member"];
  let seen: Verdict | undefined;
  let parts: readonly string[] = [];
  return {
    id,
    desired: { verdict: "blank", fingerprint: "" },
    async observe(look) {
      const facts = await storageFacts(look);
      seen = verdicts(facts, [consent]).find((one) => one.consent !== undefined);
      parts = seen?.disk.partitions ?? [];
      return seen === undefined ? null : { verdict: seen.may, fingerprint: seen.fingerprint };
    },
    diff(found) {
      if (found === null || isBegun.includes(found.verdict) || seen === undefined) return [];
      if (found.verdict !== "wipe") {
        const { message, next, ...rest } = diskIssue(seen);
        throw new BerthError({
          code: "refused",
          object: id,
          message,
          ...(next === undefined ? {} : { next }),
          issues: [{ message, ...rest }],
        });
      }
      const { path, bytes } = seen.disk;
      const zero = (from: number): Op => ({
        run: {
          argv: [
            "dd",
            "if=/dev/zero",
            `of=${path}`,
            "bs=1M",
            "count=4",
            "oflag=seek_bytes",
            `seek=${from}`,
            "conv=notrunc,fsync",
          ],
          timeoutMs: LVM_TIMEOUT_MS,
        },
      });
      const ops: Op[] = [
        { write: STORAGE_BEGUN, text: recordText(begun), mode: 0o600 },
        ...parts.map((part) => lvm("wipefs", "-a", part)),
        lvm("wipefs", "-a", path),
        zero(0),
        zero(Math.max(0, bytes - 4 * 2 ** 20)),
      ];
      const why = `consented to the loss of ${seen.why}`;
      return [{ resource: id, verb: "delete", why, risk: "destructive", do: ops, undo: [] }];
    },
    prior: () => null,
    revert: () => [],
  };
}
