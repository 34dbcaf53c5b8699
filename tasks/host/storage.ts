// `berth host storage`: disks, volumes, file systems and mounts as the layout wants them; the places where berth keeps
// its records; the engine's root, moved with its content. What a layout is made of is chosen in lib/resource/lvm.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import type { Look } from "../../lib/host/types.ts";
import { containerdRoot } from "../../lib/resource/containerd_root.ts";
import { engineGuards } from "../../lib/resource/engine_guard.ts";
import { engineRoot } from "../../lib/resource/engine_root.ts";
import { DEFAULT_ROOT } from "../../lib/resource/engine_root_look.ts";
import type { AnyResource } from "../../lib/resource/ensure.ts";
import { directory } from "../../lib/resource/kinds/file.ts";
import { fileSystem, grownFileSystem } from "../../lib/resource/kinds/file_system.ts";
import { fstabEntry } from "../../lib/resource/kinds/fstab.ts";
import { mounted } from "../../lib/resource/kinds/mount.ts";
import { chooseStorage } from "../../lib/resource/lvm/choose.ts";
import { storageFacts } from "../../lib/resource/lvm/look.ts";
import { ToolsMissing } from "../../lib/resource/lvm/tools.ts";
import type { StorageChoice, Volume } from "../../lib/resource/lvm/types.ts";
import { recordsAt } from "../../lib/resource/records_place.ts";
import { GATE_DIRECTORY, RUN_DIRECTORY, STATE_DIRECTORY, VNODES_DIRECTORY } from "../../lib/vnode/paths.ts";
import { type FoundStages, runStep, type Stage, type Step } from "./_step.ts";

/** Where records of vnodes stand in layouts with volumes: they outlive a re-imaged system disk. */
const VNODES_VOLUME = "/vminfo/berth/vnodes";

/** Directories that only root may enter: journal and records, the gate's batches, locks and lives. */
export function storageResources() {
  return directories([STATE_DIRECTORY, VNODES_DIRECTORY, GATE_DIRECTORY, RUN_DIRECTORY]);
}

function directories(paths: readonly string[]) {
  return paths.map((path) => directory(path, 0o700));
}

/** What a run is to do about storage: one look, before anything is changed. `back`: for an undo. */
export async function findStorage(
  look: Look,
  config: Config,
  { back = false }: { readonly back?: boolean } = {},
): Promise<FoundStages & { readonly choice: StorageChoice }> {
  const facts = await storageFacts(look, config.host.storage.layout);
  const choice = chooseStorage(config.host, facts);
  // Without device-mapper there is nothing but directories, and so nothing that could change of itself.
  const record = facts.deviceMapper ? [[choice.record]] : [];
  const stages = [
    ...(choice.layout === "plain"
      ? plain(config, back)
      : volumes(config, choice, { back, isBegun: facts.begun !== null })),
    ...record,
  ];
  return { stages: stages.map((resources): Stage => () => resources), said: choice.said, choice };
}

/** Each list is looked at when the one before it stands. */
type Lists = readonly (readonly AnyResource[])[];

function plain({ host: { engine } }: Config, back: boolean): Lists {
  const root = engine.root === DEFAULT_ROOT ? [] : [[engineRoot(engine.root, { back })]];
  return [storageResources(), ...root, ...(root.length === 0 ? [] : [[imagesBeside(engine.root, [], back)]])];
}

/** `isBegun`: this system disk began to take the disks, so what it finds bare may be what it has not come to yet. */
function volumes(
  { host }: Config,
  choice: StorageChoice,
  { back, isBegun }: { readonly back: boolean; readonly isBegun: boolean },
): Lists {
  const { fileSystem, adopt } = host.storage;
  const root = choice.engineRoot ?? host.engine.root;
  // The record comes last: where it stands, all of them stood. A group that another system disk made held content, too.
  const kept = choice.by === "recorded" || (choice.by === "group" && !isBegun);
  const mount = volumeOf(choice.volumes, root);
  return [
    directories([STATE_DIRECTORY, GATE_DIRECTORY, RUN_DIRECTORY]),
    choice.resources,
    ...choice.volumes.flatMap((volume) => onVolume(volume, fileSystem, { adopt, kept })),
    engineGuards(choice.volumes.map(({ mount }) => mount)),
    [recordsAt(VNODES_DIRECTORY, VNODES_VOLUME)],
    [engineRoot(root, { back, options: choice.engineOptions, ...(mount === undefined ? {} : { mount }) })],
    [imagesBeside(root, choice.volumes, back)],
  ];
}

function volumeOf(volumes: readonly Volume[], path: string): string | undefined {
  return volumes.findLast(({ mount }) => `${path}/`.startsWith(`${mount}/`))?.mount;
}

/** What a containerd keeps of the engine's moves beside the engine's root: "/vms/containerd". */
function imagesBeside(root: string, volumes: readonly Volume[], back: boolean): AnyResource {
  const place = root.replace(/[^/]+$/, "containerd");
  const mount = volumeOf(volumes, place);
  return containerdRoot(place, { back, ...(mount === undefined ? {} : { mount }) });
}

/** File system, line in fstab, mount, and the file system grown to what its volume has grown to. */
function onVolume(
  { name, device, mount, foreign }: Volume,
  type: "ext4" | "xfs",
  { adopt, kept }: { readonly adopt: boolean; readonly kept: boolean },
): Lists {
  const isXfs = type === "xfs";
  // By project quotas the engine limits what a container may write (overlay2.size); on ext4 it cannot.
  const options = isXfs ? ["prjquota"] : [];
  // The pool would fill for good with what was deleted. By fstab alone: xfs takes it up at no remount.
  const discards = name === "engine" ? ["discard"] : [];
  return [
    [fileSystem({ device, type, label: `berth-${name}`, adopt, kept, foreign })],
    [fstabEntry({
      source: device,
      target: mount,
      type,
      // A missing disk must not keep the machine from booting: the engine's own guards see that it waits. Nobody else
      // does, so the time may be long: a slow machine's group was complete after 60 s, and systemd gave up after 30.
      options: ["defaults", ...options, ...discards, "nofail", "x-systemd.device-timeout=5min"],
      pass: isXfs ? 0 : 2,
    })],
    [mounted({ target: mount, source: device, options })],
    [grownFileSystem(device, type, mount)],
  ];
}

export const storageStep: Step = {
  name: "storage",
  needs: ["packages"],
  stages: [],
  find: findStorage,
  later: (error) =>
    error instanceof ToolsMissing
      ? "what is on the disks can be told when LVM is installed; disks, volumes and the engine's root come after"
      : null,
};

export default task({
  summary: "Put images and records on volumes of their own, where there are disks",
  description:
    "The layout is chosen once and stays: overlay where a blank disk is found, else plain (directories). What is\n" +
    "not blank is refused, with the lines of host.yaml that would consent. The engine's root moves with its content;\n" +
    "the former directory is set aside. All of it stays when the host is given back without --storage.",
  changes: true,
  options: v.object({}),
  async run(context) {
    await runStep(context, storageStep);
    const found = await findStorage(context.host, await context.config()).catch((error) => {
      if (context.mode === "plan" && storageStep.later!(error) !== null) return null; // told as a change
      throw error;
    });
    if (found === null) return context.output({});
    const { layout, by, said } = found.choice;
    const isSaid = said.some((line) => line.startsWith("Layout "));
    context.output({ layout, by, said }, [...isSaid ? [] : [`Layout ${layout} (${by})`], ...said].join("\n"));
  },
});
