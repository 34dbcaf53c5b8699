// Layout `plain`: directories on the system disk, nothing of LVM. Only the record that makes the choice stay.
import { recordResource } from "./record.ts";
import type { StorageChoice } from "./types.ts";

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
