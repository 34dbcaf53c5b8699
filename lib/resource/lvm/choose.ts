// From configuration and facts to what is to be done about storage. Pure; look.ts has looked, disks.ts judges, sizes.ts
// computes. Here it is decided which layout holds, and on what.
import type { Layout } from "../../config/types_storage.ts";
import type { HostConfig } from "../../config/types.ts";
import { BerthError, type Issue } from "../../log/error.ts";
import { diskError, diskIssue } from "./consent.ts";
import { foundDisks, isTwin, type Verdict, verdicts } from "./disks.ts";
import { notOurs } from "./group.ts";
import { lvmChoice } from "./lvm.ts";
import { FOREIGN_BESIDE_PLAIN, later, overPlain, PLAIN_NO_MORE, plainChoice, unused } from "./plain.ts";
import { namedDisks } from "./named.ts";
import { ToolsMissing } from "./tools.ts";
import {
  GROUP,
  type GroupFacts,
  LAYOUT_TAG,
  STORAGE_RECORD,
  type StorageChoice,
  type StorageFacts,
  TAG,
} from "./types.ts";

/** The first engine without the devicemapper driver (moby 25.0, its release notes). */
const NO_DEVICEMAPPER = 25;

/**
 * Chooses layout, disks and sizes, and makes the resources of them. An explicit layout that cannot be had is an
 * error, never a reason to take another.
 *
 * @throws {BerthError} code `refused` (not blank, not ours, not what is recorded), `missing` (device-mapper, disk,
 * volume group or room), `config` (sizes that cannot be had).
 */
export function chooseStorage(host: HostConfig, facts: StorageFacts): StorageChoice {
  const { layout: asked } = host.storage;
  const { record } = facts;
  // NaN is below nothing: an engine that does not tell what it is may have no driver either.
  if (asked === "devicemapper" && facts.engine !== null && !(facts.engine < NO_DEVICEMAPPER)) {
    throw noDriver(facts.engine);
  }
  if (record !== null && record.layout !== "plain") {
    sticks(asked, record.layout, `"${STORAGE_RECORD}"`);
    return lvmChoice(host, facts, {
      layout: record.layout,
      by: "recorded",
      group: recordedGroup(facts),
      disks: host.storage.disks === undefined ? [] : namedDisks(host, facts),
    });
  }
  const group = facts.groups.filter(({ name }) => name === GROUP);
  if (group.length > 1) throw twoGroups();
  const ours = group.find(({ tags }) => tags.includes(TAG));
  if (asked === "plain") {
    const told = ours && toldLayout(ours, facts);
    // Recorded and asked for: whoever writes that knows of the group, which a run has refused to take by itself.
    if (told !== undefined && record === null) sticks(asked, told, `volume group "${GROUP}"`);
    return plainChoice(told === undefined ? [] : [unused(told)], "configured");
  }
  // Disks that are named are asked for, and with them a layout that is made of disks.
  const isAsked = asked !== undefined || (host.storage.disks ?? []).length > 0;
  if (!facts.deviceMapper) {
    if (isAsked) throw noDeviceMapper(asked);
    if (record !== null) return plainChoice([], "recorded");
    return plainChoice(["This kernel has no device-mapper: no disk was looked at"]);
  }
  if (record !== null && !facts.tools) needsTools(verdicts(facts, host.consent.wipe));
  if (record !== null && asked === undefined) {
    // `plain` may have been chosen while the group's disk was away, or not there yet: the group was first.
    if (ours !== undefined) {
      return onGroup(host, facts, overPlain(ours, toldLayout(ours, facts), facts.lived));
    }
    if (!isAsked) {
      return plainChoice([...group.map(() => FOREIGN_BESIDE_PLAIN), ...later(host, facts)], "recorded");
    }
  }
  if (group[0] !== undefined) return onGroup(host, facts, group[0]);
  return onDisks(host, facts);
}

/** A group of that name is there and no record: a re-imaged system disk, a run that died, or somebody else's. */
function onGroup(host: HostConfig, facts: StorageFacts, group: GroupFacts): StorageChoice {
  const isOurs = group.tags.includes(TAG);
  if (!isOurs && !host.storage.adopt) throw notOurs(`volume-group ${GROUP}`);
  const told = isOurs ? toldLayout(group, facts) : undefined;
  if (told !== undefined) sticks(host.storage.layout, told, `volume group "${GROUP}"`);
  return lvmChoice(host, facts, {
    layout: told ?? host.storage.layout as Exclude<Layout, "plain"> ?? inferredLayout(facts),
    by: told === undefined ? "configured" : "group",
    group: usable(group),
    disks: host.storage.disks === undefined ? [] : namedDisks(host, facts),
    said: facts.record === null ? [] : [PLAIN_NO_MORE],
  });
}

/** Nothing is there yet: named disks, or found ones, or, where nobody asked for a layout, plain. */
function onDisks(host: HostConfig, facts: StorageFacts): StorageChoice {
  const { layout: asked, disks: named } = host.storage;
  const all = verdicts(facts, host.consent.wipe);
  if (!facts.tools) needsTools(all);
  const begun = facts.begun?.layout === "plain" ? null : facts.begun;
  const layout = (asked ?? begun?.layout ?? "overlay") as Exclude<Layout, "plain">;
  const by = asked === undefined ? "chosen" : "configured";
  if (named !== undefined) {
    return lvmChoice(host, facts, { layout, by, group: null, disks: namedDisks(host, facts) });
  }
  const issues = all.filter(({ may }) => may === "void").map(diskIssue);
  if (issues.length > 0) {
    throw diskError("refused", "Consent to wipe does not hold", "Look at what is told above", issues);
  }
  const { taken, left } = foundDisks(all, host.storage);
  const said = [
    ...left.map(({ name, why }) => `Left alone: ${name} (${why})`),
    ...all.filter(({ may, disk }) =>
      may === "occupied" && disk.kind === "disk" && !taken.some((one) => one.disk.parent === disk.path)
    ).map((one) => `Left alone: ${one.name} (${one.why})`),
    ...all.filter((one) => isTwin(one) && one.disk.kind === "disk").map((one) =>
      `Left alone: ${one.name} (${one.why}): ${diskIssue(one).next}`
    ),
  ];
  if (taken.length > 0) {
    return lvmChoice(host, facts, { layout, by, group: null, disks: begunFirst(taken, begun?.disks), said });
  }
  const occupied = all.filter(({ may, disk }) => may === "occupied" && disk.kind === "disk");
  if (asked === undefined) {
    return plainChoice([
      "No blank disk was found",
      ...said,
      ...occupied.slice(0, 4).flatMap((one) => diskIssue(one).next!),
    ]);
  }
  const never = all.filter(({ may, disk }) => may === "never" && disk.kind === "disk");
  throw diskError(
    occupied.length === 0 ? "missing" : "refused",
    `Layout ${asked} needs a blank disk, and none was found`,
    'Add a disk, consent to the loss of what is on one, or write "layout: plain"',
    [
      ...[...occupied, ...never].map(diskIssue),
      ...left.map(({ name, why }) => ({ place: `disk ${name}`, message: `Left out: ${why}` })),
    ],
  );
}

/** What a run that died had begun to take, if all of it can still be had: not more, not less. */
function begunFirst(taken: readonly Verdict[], begun: readonly string[] | undefined): readonly Verdict[] {
  const same = taken.filter(({ disk }) => disk.names.some((name) => begun?.includes(name)));
  return begun !== undefined && same.length === begun.length && same.length > 0 ? same : taken;
}

function recordedGroup(facts: StorageFacts): GroupFacts {
  const { record } = facts;
  const found = facts.groups.find(({ name, uuid }) => name === GROUP && uuid === record!.group);
  if (found !== undefined) return usable(found);
  const other = facts.groups.some(({ name }) => name === GROUP);
  if (facts.deviceMapper && !facts.tools) throw withoutTools(`layout ${record!.layout} is recorded`, []);
  const why = !facts.deviceMapper
    ? "this kernel has no device-mapper"
    : other
    ? "another volume group of that name is there"
    : "it is not there";
  throw new BerthError({
    code: "missing",
    object: `volume-group ${GROUP}`,
    message: `Layout ${record!.layout} is recorded on volume group "${GROUP}" (${record!.group}), but ${why}`,
    next: `Bring back its disks (${
      record!.disks.join(", ")
    }); if their content is lost for good, remove "${STORAGE_RECORD}" and choose anew`,
  });
}

function usable(group: GroupFacts): GroupFacts {
  if (group.missing === 0 && group.barred === null) return group;
  throw new BerthError({
    code: "missing",
    object: `volume-group ${GROUP}`,
    message: group.missing > 0
      ? `${group.missing} of its disks ${group.missing === 1 ? "is" : "are"} missing`
      : `It cannot be used here: it is ${group.barred}`,
    next: group.missing > 0
      ? `Bring back what "pvs" tells as missing; nothing of it is used until then`
      : 'Look with "vgs -a -o+systemid", and make it this machine\'s own',
  });
}

function toldLayout(group: GroupFacts, facts: StorageFacts): Exclude<Layout, "plain"> {
  const tag = group.tags.find((one) => one.startsWith(LAYOUT_TAG))?.slice(LAYOUT_TAG.length);
  return tag === "overlay" || tag === "thin" || tag === "devicemapper" ? tag : inferredLayout(facts);
}

function inferredLayout(facts: StorageFacts): Exclude<Layout, "plain"> {
  const has = (name: string) => facts.volumes.some((one) => one.group === GROUP && one.name === name);
  return has("engine") ? "thin" : has("pool") ? "devicemapper" : "overlay";
}

/** @throws {BerthError} code `refused` where another layout is asked for than the one that stays. */
function sticks(asked: Layout | undefined, stays: Layout, where: string): void {
  if (asked === undefined || asked === stays) return;
  throw new BerthError({
    code: "refused",
    object: "storage.layout",
    message: `Layout ${asked} is asked for, but this machine has layout ${stays}, as ${where} tells`,
    next: `Write "layout: ${stays}", or give storage back first: berth host down --storage`,
  });
}

/** Without LVM's programs nobody can tell whose a physical volume is. */
function needsTools(all: readonly Verdict[]): void {
  const members = all.filter(({ disk }) => disk.signatures.some(({ type }) => type === "LVM2_member"));
  if (members.length === 0) return;
  throw withoutTools("without them nobody can tell whose the physical volumes are", members.map(diskIssue));
}

function withoutTools(why: string, issues: readonly Issue[]): ToolsMissing {
  return new ToolsMissing({
    code: "missing",
    object: "storage",
    message: `LVM's programs are not there, and ${why}`,
    next: "Install package lvm2: berth host packages",
    issues,
  });
}

/** @param layout Undefined: disks are named, and no layout. */
function noDeviceMapper(layout: Layout | undefined): BerthError {
  return new BerthError({
    code: "missing",
    object: layout === undefined ? "storage.disks" : "storage.layout",
    message: `${layout === undefined ? "A layout on disks that are named" : `Layout ${layout}`} needs ` +
      'device-mapper (module "dm_mod"), which this kernel has neither built in nor as a module',
    next: layout === undefined
      ? "Install the kernel's modules; or remove storage.disks: directories on the system disk do then"
      : 'Install the kernel\'s modules, or write "layout: plain"',
  });
}

function noDriver(engine: number): BerthError {
  return new BerthError({
    code: "refused",
    object: "storage.layout",
    message: `Layout devicemapper needs an engine before ${NO_DEVICEMAPPER}: its driver was taken out, and ` +
      (Number.isNaN(engine)
        ? 'which one this is cannot be told from "dockerd --version"'
        : `this one is ${engine}`),
    next: 'Write "layout: thin": the engine\'s root on a thin volume',
  });
}

function twoGroups(): BerthError {
  return new BerthError({
    code: "refused",
    object: `volume-group ${GROUP}`,
    message: `Two volume groups are named "${GROUP}"`,
    next:
      `Rename the one that is not berth's, by its UUID: vgs -o vg_name,vg_uuid,vg_tags; vgrename UUID other`,
  });
}
