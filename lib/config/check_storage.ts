// The rules between the keys of host.yaml's storage section, and its normal form.
import { Problem } from "./problem.ts";
import type { HostDraft } from "./schema_host.ts";
import type { ReplaceConsent, StorageConfig, WipeConsent } from "./types_storage.ts";
import type { Loose, Report, Where } from "./validate.ts";

/** Checks layout, disks, sizes and consent against each other. */
export function checkStorage(draft: Loose<HostDraft>, where: Where, report: Report): void {
  const at = (...path: (string | number)[]): Where => ({ file: where.file, path });
  const { sizes = {} } = draft.storage ?? {};
  const layout = draft.storage?.layout ?? undefined;
  const disks = draft.storage?.disks ?? [];
  repeated(disks).forEach((index) => {
    const problem = new Problem("Is named twice", "each disk once", "Remove it");
    report.add(at("storage", "disks", index), problem, disks[index]);
  });
  if (layout === "plain" && disks.length > 0) {
    const problem = new Problem(
      "Layout plain takes no disk",
      "no disks, or another layout",
      'Remove storage.disks, or write "layout: overlay"',
    );
    report.add(at("storage", "disks"), problem);
  }
  for (const key of ["vminfo", "vms", "pool", "metadata"] as const) {
    if (sizes[key] === undefined) continue;
    const hasPool = layout === "thin" || layout === "devicemapper";
    if (layout === "plain" || ((key === "pool" || key === "metadata") && !hasPool)) {
      const problem = new Problem(
        layout === undefined ? `Only some layouts have ${key}` : `Layout ${layout} has no ${key}`,
        layout === "plain" ? "no sizes" : "layout thin or devicemapper",
        layout === undefined ? 'Write "layout: thin" beside it' : "Remove it",
      );
      report.add(at("storage", "sizes", key), problem);
    }
  }
  const wipes = draft.consent?.wipe ?? [];
  repeated(wipes.map((wipe) => wipe?.disk)).forEach((index) => {
    const problem = new Problem("Is named twice", "each disk once", "Remove what does not hold any more");
    report.add(at("consent", "wipe", index, "disk"), problem, wipes[index]?.disk);
  });
  const replaced = (draft.consent?.replace ?? []).map((one) => one?.object);
  repeated(replaced).forEach((index) => {
    const problem = new Problem("Is named twice", "each once", "Remove what does not hold any more");
    report.add(at("consent", "replace", index, "object"), problem, replaced[index]);
  });
}

/** Where a value stands that stood before. */
function repeated(values: readonly (string | undefined)[]): readonly number[] {
  return values.flatMap((value, index) =>
    value !== undefined && values.indexOf(value) < index ? [index] : []
  );
}

/** The normal form. To be called only when nothing was refused. */
export function storageConfig({ storage }: HostDraft): StorageConfig {
  const { layout, disks, fileSystem, adopt, ssd, minimumDisk, sizes } = storage;
  return {
    ...(layout == null ? {} : { layout }),
    ...(disks == null ? {} : { disks }),
    fileSystem,
    adopt,
    ssd,
    minimumBytes: minimumDisk,
    sizes: Object.fromEntries(Object.entries(sizes).filter(([, size]) => size !== undefined)),
  };
}

/** The consents to replace. */
export function replaceConsents({ consent }: HostDraft): readonly ReplaceConsent[] {
  return consent.replace.map(({ object, found }) => ({ object, found }));
}

/** The consents to wipe. */
export function wipeConsents({ consent }: HostDraft): readonly WipeConsent[] {
  return consent.wipe.map(({ disk, found }) => ({ disk, found }));
}
