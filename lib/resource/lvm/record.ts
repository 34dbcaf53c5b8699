// What berth keeps about storage on the system disk: the choice that stays, and what it has begun to take.
import { BerthError } from "../../log/error.ts";
import type { AnyResource } from "../ensure.ts";
import { textFile } from "../kinds/file.ts";
import { STORAGE_BEGUN, STORAGE_RECORD, type StorageBegun, type StorageRecord } from "./types.ts";

const LAYOUTS: readonly unknown[] = ["overlay", "thin", "devicemapper", "plain"];

/** The file that makes the choice stay. Undo removes it: the next run chooses anew. */
export function recordResource(record: StorageRecord): AnyResource {
  return textFile(STORAGE_RECORD, recordText(record), { mode: 0o600 });
}

/** The text of either file. */
export function recordText(record: StorageRecord | StorageBegun): string {
  return `${JSON.stringify(record)}\n`;
}

/** @throws {BerthError} code `refused` where the file is none of berth's: nothing is guessed then. */
export function parseRecord(path: string, text: string | null): StorageRecord | null {
  if (text === null) return null;
  try {
    const { layout, disks, group } = JSON.parse(text) as Partial<StorageRecord>;
    const isRecord = LAYOUTS.includes(layout) && Array.isArray(disks) &&
      disks.every((disk) => typeof disk === "string") &&
      (group === undefined || typeof group === "string");
    if (isRecord) {
      return { layout: layout!, disks: disks as string[], ...(group === undefined ? {} : { group }) };
    }
  } catch {
    // Not JSON: told below.
  }
  throw new BerthError({
    code: "refused",
    object: `file ${path}`,
    message: "Is not what berth writes, so it cannot tell which layout this machine has",
    next: path === STORAGE_BEGUN
      ? `Remove "${path}"; disks that berth had begun to take must be wiped then`
      : `Put it back, or remove "${path}": the layout is chosen anew then`,
  });
}
