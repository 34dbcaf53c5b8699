// The shape of host.yaml's storage section and of consent to wipe disks: keys, defaults, descriptions. The rules
// between them stand in check_storage.ts.
import * as v from "valibot";
import { field, flag, list, map, Problem } from "./problem.ts";
import { word } from "./schema_fields.ts";
import type { Layout, Size } from "./types_storage.ts";
import { FORMS, parsePercent, parseSize, PATTERNS } from "./units.ts";
import { DISK_FORM, parseDisk, parseFingerprint, parseReplaceable, REPLACEABLE_FORM } from "./words.ts";

/** The layouts, in the order of the reference. */
export const LAYOUTS: readonly Layout[] = ["overlay", "thin", "devicemapper", "plain"];

const SIZE_FORM = 'a size with KiB, MiB, GiB or TiB, or a share with %, such as "20GiB" or "15%"';
const SIZE_PATTERN = `${PATTERNS.size}|${PATTERNS.percent}`;

function parseSizeOrShare(text: string): Size | Problem {
  if (/%\s*$/.test(text)) {
    const percent = parsePercent(text);
    if (percent instanceof Problem) return new Problem(percent.message, SIZE_FORM, percent.next);
    return percent === 0 ? new Problem("Is no room at all", "more than 0%") : { percent };
  }
  const bytes = parseSize(text);
  if (bytes instanceof Problem) {
    const next = /^[0-9]+$/.test(text) ? `Write "${text}GiB" or "${text}%"` : bytes.next;
    return new Problem(bytes.message, SIZE_FORM, next);
  }
  return bytes < 4 * 2 ** 20
    ? new Problem("Is smaller than one extent of a volume group", "at least 4MiB")
    : { bytes };
}

const size = (description: string) =>
  v.optional(
    field({ description, wanted: SIZE_FORM, pattern: SIZE_PATTERN, unit: "GiB" }, parseSizeOrShare),
  );

function parseMinimum(text: string): number | Problem {
  const bytes = parseSize(text);
  return bytes instanceof Problem || bytes >= 2 ** 30
    ? bytes
    : new Problem("Is too small for a disk of images", "at least 1GiB");
}

const sizes = map("Sizes", {
  vminfo: size(
    "/vminfo: records and console logs. A share is one of the volume group. Default: 3%, at most 5 GB.",
  ),
  vms: size(
    "/vms. overlay: holds the engine's root; a share is one of the volume group; default: 90%. thin, devicemapper: a share is one of what /vminfo leaves; default: 15%, at most 32 GB.",
  ),
  pool: size("The thin pool with its metadata. A share is one of what /vminfo and /vms leave. Default: 90%."),
  metadata: size("The thin pool's metadata. A share is one of the pool. Default: 1%, at most 16 GB."),
});

const disk = field({ description: "Disk.", wanted: DISK_FORM }, (text) => parseDisk(text, "link"));

/** `storage`. */
export const storageSchema = map("Storage", {
  layout: v.pipe(
    v.nullish(word("layout", LAYOUTS, "Layout.")),
    v.description(
      "Where images and vnodes live. overlay: volumes of a volume group, the engine's root on /vms. thin: the engine's root on a thin volume, with snapshots. devicemapper: the engine takes the thin pool itself (engines before 25). plain: directories on the system disk. Default: overlay where a blank disk is found or disks are named, else plain; what was chosen first stays, but a volume group of berth's comes before plain.",
    ),
  ),
  disks: v.pipe(
    v.nullish(list("Disks", disk, 1)),
    v.description(
      "Disks to build on, as names of /dev/disk/by-id. Default: blank disks and unused partitions are found.",
    ),
  ),
  fileSystem: v.optional(
    word("file system", ["ext4", "xfs"], "File system of /vminfo, /vms and the engine's root."),
    "ext4",
  ),
  adopt: v.optional(
    flag('A volume group "docker" that berth did not make is taken over, with its volumes.'),
    false,
  ),
  ssd: v.optional(
    word(
      "use of solid-state disks",
      ["last", "equal", "never"],
      "Solid-state disks, where disks are found. last: only if there are no others.",
    ),
    "last",
  ),
  minimumDisk: v.optional(
    field({
      description: "Smaller disks and partitions are left out, where disks are found.",
      wanted: FORMS.size,
      unit: "GiB",
      pattern: PATTERNS.size,
    }, parseMinimum),
    "32GiB",
  ),
  sizes: v.pipe(v.nullish(sizes, {}), v.description("Sizes of the volumes.")),
});

/** An item of `consent.replace`. */
export const replaceSchema = map("A consent to replace", {
  object: field({
    description: "The file system, as a plan names it.",
    wanted: REPLACEABLE_FORM,
  }, parseReplaceable),
  found: field({
    description: "What is there, word for word as berth has told it: void when something else is found.",
    wanted: 'the fingerprint that berth has told, such as "xfs 3f9a1c2b4d5e"',
  }, parseFingerprint),
});

/** An item of `consent.wipe`. */
export const wipeSchema = map("A consent to wipe", {
  disk: field({
    description: "The disk, as a name of /dev/disk/by-id or by its serial number.",
    wanted: DISK_FORM,
  }, (text) => parseDisk(text, "serial")),
  found: field({
    description: "What is on it, word for word as berth has told it: void when something else is found.",
    wanted: 'the fingerprint that berth has told, such as "ext4 3f9a1c2b4d5e"',
  }, parseFingerprint),
});
