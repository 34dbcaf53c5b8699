// Logical volumes: plain ones, the thin pool and the thin volume in it. Reused only where every property that matters
// is as wanted; they grow, and never shrink.
import { BerthError } from "../../log/error.ts";
import type { Change, Op, Resource } from "../types.ts";
import { lvm } from "./group.ts";
import { lvmFacts } from "./look.ts";
import { CHUNK_BYTES, shownBytes } from "./sizes.ts";
import { ADOPTED_TAG, GROUP, PROFILE, TAG, type VolumeFacts } from "./types.ts";

/** What every volume is told. */
interface Wanted {
  readonly name: string;
  readonly extents: number;
  readonly extentBytes: number;
  /** Tag one that is not ours. */
  readonly adopt: boolean;
}

/** Of a volume that is cut from the group itself. */
export interface LogicalVolumeOptions extends Wanted {
  readonly stripes: number;
}

/** Bytes a stripe is wide: LVM's default, and a divisor of every extent size. */
const STRIPE = ["-I", "64k"];

/** A linear or striped volume of at least so many extents. */
export function logicalVolume(options: LogicalVolumeOptions): Resource<VolumeFacts> {
  const striped = options.stripes > 1 ? ["-i", String(options.stripes), ...STRIPE] : [];
  const cut = [
    "--type",
    options.stripes > 1 ? "striped" : "linear",
    ...striped,
    "-l",
    String(options.extents),
  ];
  return volume(options, {
    kind: "logical-volume",
    types: ["linear", "striped"],
    create: ["lvcreate", "-y", "-Wy", "-Zy", ...cut],
    // What is added comes as it fits, not in stripes.
    extend: ["lvextend", "-i", "1", "-l", String(options.extents)],
  });
}

/** Of the thin pool. */
export interface ThinPoolOptions extends LogicalVolumeOptions {
  readonly metadataExtents: number;
}

/**
 * The thin pool: chunks of 512 KiB, not zeroed, discards passed down, with a profile that extends it by 10 % at 90 %,
 * watched by dmeventd. `extents` are those of its data.
 */
export function thinPool(options: ThinPoolOptions): Resource<VolumeFacts> {
  const { extents, extentBytes, metadataExtents, stripes } = options;
  const metadata = metadataExtents * extentBytes;
  const striped = stripes > 1 ? ["-i", String(stripes), ...STRIPE] : [];
  const shape = ["-c", `${CHUNK_BYTES}b`, "-Zn", "--discards", "passdown", "--metadataprofile", PROFILE];
  const path = `${GROUP}/${options.name}`;
  return volume(options, {
    kind: "thin-pool",
    types: ["thin-pool"],
    create: ["lvcreate", "-y", "--type", "thin-pool", "-l", String(extents), ...striped, ...shape].concat(
      "--poolmetadatasize",
      `${metadata}b`,
      "--monitor",
      "y",
    ),
    // As for a plain volume: what is added comes as it fits.
    extend: ["lvextend", "-i", "1", "-l", String(extents)],
    // lvcreate first makes the metadata as a plain volume of the pool's name and writes zeros to it, for seconds.
    isUnfinished: (found) =>
      found.types.join() === "linear" && found.tags.includes(TAG) && found.bytes === metadata,
    also(found, change) {
      const thin = found.thin!;
      if (thin.chunkBytes !== CHUNK_BYTES) {
        throw unfit(
          change.resource,
          `chunks of ${shownBytes(thin.chunkBytes)}, wanted ${shownBytes(CHUNK_BYTES)}`,
        );
      }
      const set = (why: string, verb: Change["verb"], ...args: string[]): Change => ({
        ...change,
        verb,
        why,
        do: [lvm("lvchange", ...args, path)],
      });
      return [
        ...thin.zeroing ? [set("zeroes new chunks", "update", "-Zn")] : [],
        ...thin.discards === "passdown"
          ? []
          : [set(`discards "${thin.discards}", wanted "passdown"`, "update", "--discards", "passdown")],
        ...thin.profile === PROFILE
          ? []
          : [set(`profile "${thin.profile}", wanted "${PROFILE}"`, "update", "--metadataprofile", PROFILE)],
        ...thin.monitored || !found.active ? [] : [set("not monitored", "restore", "--monitor", "y")],
        ...thin.metadataBytes >= metadata ? [] : [{
          ...change,
          why: `metadata ${shownBytes(thin.metadataBytes)}, wanted ${shownBytes(metadata)}`,
          do: [lvm("lvextend", "--poolmetadatasize", `${metadata}b`, path)],
        }],
      ];
    },
  });
}

/** A thin volume in a pool, as large as it may be without being more than the pool has. */
export function thinVolume(options: Wanted & { readonly pool: string }): Resource<VolumeFacts> {
  const bytes = `${options.extents * options.extentBytes}b`;
  return volume(options, {
    kind: "thin-volume",
    types: ["thin"],
    create: ["lvcreate", "-y", "-Wy", "--type", "thin", "-V", bytes, "--thinpool", options.pool],
    extend: ["lvextend", "-L", bytes],
    also(found, change) {
      if (found.pool === options.pool) return [];
      throw unfit(change.resource, `is in pool "${found.pool}", wanted "${options.pool}"`);
    },
  });
}

interface Kind {
  readonly kind: string;
  readonly types: readonly string[];
  readonly create: readonly string[];
  readonly extend: readonly string[];
  /** It is what a crash of its creation leaves: without anything on it. */
  isUnfinished?(found: VolumeFacts): boolean;
  /** Further differences of one that is there. `change`: an update to build on. */
  also?(found: VolumeFacts, change: Change): readonly Change[];
}

function volume(wanted: Wanted, kind: Kind): Resource<VolumeFacts> {
  const path = `${GROUP}/${wanted.name}`;
  const id = `${kind.kind} ${path}`;
  const bytes = wanted.extents * wanted.extentBytes;
  const change = (verb: Change["verb"], why: string, ...ops: readonly Op[]): Change => (
    { resource: id, verb, why, risk: "safe", do: ops, undo: [] }
  );
  const remove = lvm("lvremove", "-y", path);
  return {
    id,
    desired: {
      name: wanted.name,
      group: GROUP,
      uuid: "",
      bytes,
      types: kind.types.slice(0, 1),
      tags: [TAG],
      active: true,
      pool: "",
      origin: "",
      thin: null,
    },
    async observe(look) {
      const { volumes } = await lvmFacts(look);
      return volumes.find(({ group, name }) => group === GROUP && name === wanted.name) ?? null;
    },
    diff(found) {
      if (found === null) {
        const create = lvm(...kind.create, "-n", wanted.name, "--addtag", TAG, GROUP);
        return [{ ...change("create", "missing", create), undo: [remove] }];
      }
      if (kind.isUnfinished?.(found)) {
        const create = lvm(...kind.create, "-n", wanted.name, "--addtag", TAG, GROUP);
        return [change("replace", "left unfinished by a run that died", remove, create)];
      }
      if (!found.types.every((type) => kind.types.includes(type))) {
        throw unfit(id, `is of type ${found.types.join(" and ")}, wanted ${kind.types.join(" or ")}`);
      }
      if (found.origin !== "") throw unfit(id, `is a snapshot of "${found.origin}"`);
      const changes: Change[] = [];
      if (!found.tags.includes(TAG)) {
        if (!wanted.adopt) throw foreign(id, path);
        const tags = ["--addtag", TAG, "--addtag", ADOPTED_TAG];
        changes.push(change("adopt", `without tag ${TAG}`, lvm("lvchange", ...tags, path)));
      }
      if (!found.active) changes.push(change("restore", "not active", lvm("lvchange", "-ay", "-K", path)));
      if (found.bytes < bytes) {
        const why = `${shownBytes(found.bytes)}, wanted ${shownBytes(bytes)}`;
        changes.push(change("update", why, lvm(...kind.extend, path)));
      }
      return [...changes, ...kind.also?.(found, change("update", "differs")) ?? []];
    },
    prior: (found) => found,
    revert(prior, found) {
      if (found === null || !found.tags.includes(TAG)) return [];
      if (prior === null) return [{ ...change("delete", "made by berth", remove), risk: "destructive" }];
      if (prior.tags.includes(TAG)) return [];
      const tags = [TAG, ADOPTED_TAG].filter((tag) => found.tags.includes(tag));
      const untag = lvm("lvchange", ...tags.flatMap((tag) => ["--deltag", tag]), path);
      return [change("update", "tagged by berth", untag)];
    },
  };
}

function unfit(object: string, why: string): BerthError {
  return new BerthError({
    code: "refused",
    object,
    message: `Is not as wanted, and berth does not make it anew: ${why}`,
    next: "Move away what is on it and remove it (lvremove), then run this again",
  });
}

function foreign(object: string, path: string): BerthError {
  return new BerthError({
    code: "refused",
    object,
    message: `A volume "${path}" is there that berth did not make: it lacks tag "${TAG}"`,
    next: `If berth shall take it over, write "storage: { adopt: true }"; if not, rename it: lvrename`,
  });
}
