// The choice that stays, for layouts on the volume group: its UUID is known only when it stands. With it what was begun
// is done: from then on nothing on a disk is taken for what a run of ours has left half-way.
import { fileChange } from "../kinds/file.ts";
import type { Change, Op, Resource } from "../types.ts";
import { lvmFacts } from "./look.ts";
import { parseRecord, recordText } from "./record.ts";
import { GROUP, STORAGE_BEGUN, STORAGE_RECORD, type StorageRecord } from "./types.ts";

/**
 * The record of a layout on the volume group, whose UUID is known when it stands; the note of disks that were being
 * taken goes with it. Undo removes it.
 */
export function groupRecord(record: StorageRecord): Resource<StorageRecord> {
  const id = `file ${STORAGE_RECORD}`;
  let group: string | undefined;
  let isBegun = false;
  const forget: Op = { remove: STORAGE_BEGUN };
  return {
    id,
    desired: record,
    async observe(look) {
      const { groups } = await lvmFacts(look);
      group = groups.find(({ name }) => name === GROUP)?.uuid;
      isBegun = await look.stat(STORAGE_BEGUN) !== null;
      return parseRecord(STORAGE_RECORD, await look.readText(STORAGE_RECORD));
    },
    diff(found): readonly Change[] {
      const wanted = recordText({ ...record, group: group ?? "" });
      if (found !== null && recordText(found) === wanted) {
        if (!isBegun) return [];
        const why = `"${STORAGE_BEGUN}" tells of disks that are taken by now`;
        return [{ resource: id, verb: "update", why, risk: "safe", do: [forget], undo: [] }];
      }
      const before = found === null ? null : { text: recordText(found), mode: 0o600 };
      const why = found === null ? "missing" : "tells other disks or another volume group";
      const change = fileChange(id, STORAGE_RECORD, before, { text: wanted, mode: 0o600 }, why);
      return [{ ...change, do: [...change.do, forget] }];
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
