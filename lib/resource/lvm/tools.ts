// The packages that storage needs before it can be looked at whole: LVM's programs, those of thin pools, and those of
// the file system and for the directories under mounts, which Debian 13 no longer brings by itself.
import type { HostConfig } from "../../config/types.ts";
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { AnyResource } from "../ensure.ts";
import { packages } from "../kinds/package.ts";
import { foundDisks, verdicts } from "./disks.ts";
import { hasProgram, storageFacts } from "./look.ts";
import type { StorageFacts } from "./types.ts";

/** Which package makes, grows and mends a file system. */
const FILE_SYSTEM_PACKAGE = { ext4: "e2fsprogs", xfs: "xfsprogs" } as const;

/** Nothing but LVM's programs is missing: once they are installed, it can be told what is to be done. */
export class ToolsMissing extends BerthError {}

/**
 * As storageTools, with a look of its own; where all of them are there, as on most runs, no disk is looked at.
 */
export async function missingStorageTools(look: Look, host: HostConfig): Promise<readonly AnyResource[]> {
  const { fileSystem, layout } = host.storage;
  if (layout === "plain") return [];
  const names = ["lvs", "thin_check", `mkfs.${fileSystem}`, "chattr"];
  const programs = await Promise.all(names.map((name) => hasProgram(look, name)));
  if (programs.every((isThere) => isThere)) return [];
  return storageTools(host, await storageFacts(look, layout));
}

/**
 * What must be installed before chooseStorage is asked: nothing for `plain`, nothing where no disk could be taken and
 * nothing of LVM's is there, nothing that is there already. To be ensured first, and the facts looked at again.
 */
export function storageTools(host: HostConfig, facts: StorageFacts): readonly AnyResource[] {
  const { layout: asked, disks = [] } = host.storage;
  const recorded = facts.record?.layout;
  if (!facts.deviceMapper || asked === "plain") return [];
  const layout = asked ?? (recorded === "plain" ? undefined : recorded);
  const isMember = facts.disks.some(({ signatures }) =>
    signatures.some(({ type }) => type === "LVM2_member")
  );
  // Where plain is recorded, no blank disk is taken; but a physical volume may be of the group that was away then.
  const isWanted = layout !== undefined || isMember || disks.length > 0 ||
    (recorded !== "plain" && foundDisks(verdicts(facts, host.consent.wipe), host.storage).taken.length > 0);
  if (!isWanted) return [];
  const isThin = layout === "thin" || layout === "devicemapper" ||
    facts.volumes.some(({ thin }) => thin !== null);
  const names = new Set([
    ...facts.tools ? [] : ["lvm2"],
    ...isThin && !facts.thinTools ? ["thin-provisioning-tools"] : [],
    ...facts.fileSystems.includes(host.storage.fileSystem)
      ? []
      : [FILE_SYSTEM_PACKAGE[host.storage.fileSystem]],
    ...facts.chattr ? [] : ["e2fsprogs"],
  ]);
  return names.size === 0 ? [] : [packages([...names])];
}
