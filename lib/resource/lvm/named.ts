// The disks that the configuration names: each found, and each either blank, consented to, or in the group already.
// All that is in the way is told at once.
import type { HostConfig } from "../../config/types.ts";
import type { Issue } from "../../log/error.ts";
import { diskError, diskIssue } from "./consent.ts";
import { type Verdict, verdicts } from "./disks.ts";
import type { StorageFacts } from "./types.ts";

/**
 * Verdicts of `storage.disks`, in order.
 *
 * @throws {BerthError} code `missing` where one is not there, `refused` where one may not be taken.
 */
export function namedDisks(host: HostConfig, facts: StorageFacts): readonly Verdict[] {
  const all = verdicts(facts, host.consent.wipe);
  const issues: Issue[] = [];
  const found: Verdict[] = [];
  let isMissing = false;
  for (const name of host.storage.disks ?? []) {
    const verdict = all.find(({ disk }) => disk.names.includes(name));
    if (verdict === undefined) {
      isMissing = true;
      issues.push({
        place: `disk ${name}`,
        message: "Is not there, or is removable, read-only or empty",
        next: 'Look with "ls -l /dev/disk/by-id"',
      });
    } else if (["occupied", "void", "never"].includes(verdict.may)) issues.push(diskIssue(verdict));
    else if (!found.some(({ disk }) => disk.path === verdict.disk.path)) found.push({ ...verdict, name });
  }
  if (issues.length === 0) return found;
  throw diskError(
    isMissing ? "missing" : "refused",
    issues.length === 1
      ? "A disk of storage.disks cannot be used"
      : `${issues.length} disks of storage.disks cannot be used`,
    "Mend what is told above, or change storage.disks in host.yaml",
    issues,
  );
}
