// The record of a vnode: what was asked for, which container it is, and whether it is wanted up.
// Kept apart from what is. One JSON file a vnode, written atomically, 0600.
import type { Flap, LanSpec, Shape, VnodeSpec } from "../config/types.ts";
import { locked } from "../host/locked.ts";
import type { Host, Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { recordLockPath, recordPath, VNODES_DIRECTORY } from "./paths.ts";

/** Wanted up or halted, who said so, and when (ISO 8601). */
export interface Wanted {
  readonly state: "up" | "halted";
  /** "berth vnode up", "docker stop": what said it. */
  readonly by: string;
  readonly at: string;
}

/** What an operator has changed of a running link, over its spec. Absent fields: as the spec says. */
export interface LiveLink {
  readonly egress?: Shape;
  readonly ingress?: Shape;
  readonly up?: boolean;
  /** null: none, whatever the spec says. */
  readonly flap?: Flap | null;
  readonly oneSegment?: true;
}

/** Live changes by the link's name inside. */
export type Live = Readonly<Record<string, LiveLink>>;

/** One vnode, as berth remembers it. */
export interface VnodeRecord {
  /** Of this format. */
  readonly version: 1;
  readonly name: string;
  readonly containerId: string;
  readonly spec: VnodeSpec;
  /** The lans of its links, so that they can be made again without the configuration. */
  readonly lans: readonly LanSpec[];
  readonly wanted: Wanted;
  /** The container's hosts file on the host. */
  readonly hostsPath: string;
  /** Specs that the life that runs may still be as inside, while a change is under way (pending.ts). */
  readonly pending?: readonly VnodeSpec[];
  /** What was changed live. It outlives restarts and reboots, until it is reset or the spec says otherwise. */
  readonly live?: Live;
}

/** The record of a vnode, or null where there is none. @throws {BerthError} when it cannot be read as one. */
export async function readRecord(look: Look, vnode: string): Promise<VnodeRecord | null> {
  const path = recordPath(vnode);
  const text = await look.readText(path);
  if (text === null) {
    await recordNames(look); // an unmounted place of records is no record that is not there
    return null;
  }
  try {
    const record = JSON.parse(text) as VnodeRecord;
    if (record.version !== 1 || typeof record.containerId !== "string" || record.name !== vnode) {
      throw new Error(`version ${record.version}, name "${record.name}"`);
    }
    return record;
  } catch (error) {
    throw new BerthError({
      code: "refused",
      object: `vnode ${vnode}`,
      message: `Cannot read its record "${path}"`,
      next: `berth vnode up ${vnode} writes it anew`,
      cause: error,
    });
  }
}

/**
 * The names that have a record, sorted.
 *
 * @throws {BerthError} code `missing` where the file system with the records is not mounted: to take that for "no
 * vnodes" would forget them all.
 */
async function recordNames(look: Look): Promise<readonly string[]> {
  const names = await look.list(VNODES_DIRECTORY);
  if (names !== null) return names;
  const target = await look.readLink(VNODES_DIRECTORY);
  if (target === null) return [];
  throw new BerthError({
    code: "missing",
    object: `directory ${target}`,
    message:
      `The records of vnodes are out of reach: "${VNODES_DIRECTORY}" leads to "${target}", which is not there`,
    next: "Mount what holds it: berth host storage",
  });
}

/**
 * All records, by name. Unreadable ones are handed to `onBroken` and left out: who takes away what is nobody's asks for
 * them, since nobody knows what is theirs.
 */
export async function readRecords(
  look: Look,
  onBroken?: (error: unknown, vnode: string) => void,
): Promise<VnodeRecord[]> {
  const names = await recordNames(look);
  const records = await Promise.all(names.map(async (name) => {
    try {
      return await readRecord(look, name);
    } catch (error) {
      onBroken?.(error, name);
      return null;
    }
  }));
  return records.filter((record) => record !== null);
}

/** Writes a record. */
export async function writeRecord(host: Host, record: VnodeRecord): Promise<void> {
  await alone(host, record.name, () => put(host, record));
}

/** Removes a record. Does nothing where there is none. */
export async function forgetRecord(host: Host, vnode: string): Promise<void> {
  await alone(host, vnode, () => host.remove(recordPath(vnode)));
}

/**
 * Says what is wanted of a vnode, and answers with its record as it then is. Only that is changed, in the record
 * as it stands now: the watch and an operator's command write at the same moments. Does nothing when that is
 * wanted already, whoever said it, nor when the record is gone or of another container by now.
 *
 * @param at when it was said, which may be before we are told of it.
 */
export async function want(
  host: Host,
  record: Pick<VnodeRecord, "name" | "containerId">,
  state: Wanted["state"],
  by: string,
  at: Date = new Date(),
): Promise<VnodeRecord | null> {
  const settled = (found: VnodeRecord | null) =>
    found === null || found.containerId !== record.containerId || found.wanted.state === state;
  const before = await readRecord(host, record.name);
  if (settled(before)) return before;
  return await alone(host, record.name, async () => {
    const now = await readRecord(host, record.name);
    if (now === null || settled(now)) return now;
    const next: VnodeRecord = { ...now, wanted: { state, by, at: at.toISOString() } };
    await put(host, next);
    return next;
  });
}

/**
 * Changes a record in place, as it stands now: others write at the same moments. Answers with it, or with null where
 * it is gone or of another container by now; does nothing then, nor where `change` gives back the same.
 */
export async function amendRecord(
  host: Host,
  record: Pick<VnodeRecord, "name" | "containerId">,
  change: (now: VnodeRecord) => VnodeRecord,
): Promise<VnodeRecord | null> {
  return await alone(host, record.name, async () => {
    const now = await readRecord(host, record.name);
    if (now === null || now.containerId !== record.containerId) return null;
    const next = change(now);
    if (next !== now) await put(host, next);
    return next;
  });
}

async function put(host: Host, record: VnodeRecord): Promise<void> {
  await host.writeText(recordPath(record.name), JSON.stringify(record, null, 2) + "\n", { mode: 0o600 });
}

async function alone<T>(host: Host, vnode: string, work: () => Promise<T>): Promise<T> {
  return await locked(host, recordLockPath(vnode), { waitMs: 10_000 }, work);
}
