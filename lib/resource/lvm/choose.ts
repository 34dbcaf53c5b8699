// From configuration and facts to what is to be done about storage. Pure; look.ts has looked.
import type { HostConfig } from "../../config/types.ts";
import type { StorageChoice, StorageFacts } from "./types.ts";
import { plainChoice } from "./plain.ts";

/**
 * Chooses layout, disks and sizes, and makes the resources of them.
 *
 * @throws {BerthError} code `refused` (not blank, not ours, not what is recorded), `missing` (device-mapper, disk,
 * volume group or room), `config` (sizes that cannot be had).
 */
export function chooseStorage(_host: HostConfig, _facts: StorageFacts): StorageChoice {
  return plainChoice([]);
}
