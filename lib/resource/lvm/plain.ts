// Layout `plain`: directories on the system disk, nothing of LVM. Only the record that makes the choice stay, and what
// is told of disks and groups that came after it.
import type { Layout } from "../../config/types_storage.ts";
import type { HostConfig } from "../../config/types.ts";
import { BerthError } from "../../log/error.ts";
import { foundDisks, verdicts } from "./disks.ts";
import { livedText } from "./lived.ts";
import { recordResource } from "./record.ts";
import {
  GROUP,
  type GroupFacts,
  type Lived,
  STORAGE_RECORD,
  type StorageChoice,
  type StorageFacts,
  TAG,
} from "./types.ts";

/** What is said where a volume group of that name came after the choice, and bears no tag of berth's. */
export const FOREIGN_BESIDE_PLAIN =
  `Volume group "${GROUP}" is not berth's and left alone: layout plain is recorded; to use it, write ` +
  '"storage: { layout: overlay, adopt: true }"';

/** What is said where another layout takes the place of a recorded `plain`. */
export const PLAIN_NO_MORE = `Layout plain was recorded ("${STORAGE_RECORD}"), and is no more`;

/** What is to be done where directories on the system disk do: nothing but remember it. */
export function plainChoice(said: readonly string[], by: StorageChoice["by"] = "chosen"): StorageChoice {
  return {
    layout: "plain",
    by,
    resources: [],
    record: recordResource({ layout: "plain", disks: [] }),
    volumes: [],
    engineRoot: null,
    engineOptions: {},
    said,
  };
}

/** What is said of berth's group where `plain` is asked for all the same. */
export function unused(told: Layout): string {
  return `Volume group "${GROUP}" (tag ${TAG}, layout ${told}) stands there and is not used: layout plain is asked for`;
}

/** Blank disks that came after the choice of `plain`: told, not taken. */
export function later(host: HostConfig, facts: StorageFacts): readonly string[] {
  const { taken } = foundDisks(verdicts(facts, host.consent.wipe), host.storage);
  return taken.map(({ name }) =>
    `Disk ${name} is blank and not taken: layout plain is recorded; to use it, write "storage: { layout: overlay }"`
  );
}

/**
 * The group that takes the place of a recorded `plain` by itself.
 *
 * @throws {BerthError} code `refused` where an engine has come to live on the system disk meanwhile.
 */
export function overPlain(group: GroupFacts, told: Layout, lived: Lived | null): GroupFacts {
  if (lived === null) return group;
  throw new BerthError({
    code: "refused",
    object: "storage.layout",
    message:
      `Volume group "${GROUP}" (tag ${TAG}, layout ${told}) stands there, but layout plain is recorded in ` +
      `"${STORAGE_RECORD}", and "${lived.root}" on the system disk has ${livedText(lived)}`,
    next:
      `Write one of both in host.yaml: "storage: { layout: ${told} }" takes the volume group ("${lived.root}" ` +
      'is set aside where an engine has lived on the group, else moved there); "storage: { layout: plain }" stays ' +
      "on the system disk and leaves the group alone",
  });
}
