// The choice that stays, for layouts on the volume group: its UUID is known only when it stands.
import { fileChange } from "../kinds/file.ts";
import type { Resource } from "../types.ts";
import { lvmFacts } from "./look.ts";
import { parseRecord, recordText } from "./record.ts";
import { GROUP, STORAGE_RECORD, type StorageRecord } from "./types.ts";

/**
 * The record of a layout on the volume group, whose UUID is known when it stands. Undo removes it.
 */
export function groupRecord(record: StorageRecord): Resource<StorageRecord> {
  const id = `file ${STORAGE_RECORD}`;
  let group: string | undefined;
  return {
    id,
    desired: record,
    async observe(look) {
      const { groups } = await lvmFacts(look);
      group = groups.find(({ name }) => name === GROUP)?.uuid;
      return parseRecord(STORAGE_RECORD, await look.readText(STORAGE_RECORD));
    },
    diff(found) {
      const wanted = recordText({ ...record, group: group ?? "" });
      if (found !== null && recordText(found) === wanted) return [];
      const before = found === null ? null : { text: recordText(found), mode: 0o600 };
      const why = found === null ? "missing" : "tells other disks or another volume group";
      return [fileChange(id, STORAGE_RECORD, before, { text: wanted, mode: 0o600 }, why)];
    },
    prior: (found) => found,
    revert(prior, found) {
      if (found === null) return [];
      const now = { text: recordText(found), mode: 0o600 };
      const before = prior === null ? null : { text: recordText(prior), mode: 0o600 };
      if (before?.text === now.text) return [];
      return [fileChange(id, STORAGE_RECORD, now, before, "made by berth")];
    },
  };
}
