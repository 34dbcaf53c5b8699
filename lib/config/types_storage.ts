// The storage part of the configuration after loading. Stands beside types.ts, which is made of it.

/** Where images and vnodes live. */
export type Layout = "overlay" | "thin" | "devicemapper" | "plain";

/** A wanted size: bytes, or percent of what the key is a share of. */
export type Size = { readonly bytes: number } | { readonly percent: number };

/** Sizes that go over the computed ones. Absent: computed (lib/resource/lvm/sizes.ts). */
export interface StorageSizes {
  /** /vminfo; percent of the volume group. */
  readonly vminfo?: Size;
  /** /vms; percent of the volume group (overlay), or of what /vminfo leaves (thin, devicemapper). */
  readonly vms?: Size;
  /** The thin pool, data and metadata together; percent of what /vminfo and /vms leave. */
  readonly pool?: Size;
  /** The pool's metadata; percent of the pool. */
  readonly metadata?: Size;
}

/** Consent to the loss of what is on one disk: void when something else is found there. */
export interface WipeConsent {
  /** A name of /dev/disk/by-id, without the directory, or the disk's serial number. Never a kernel name. */
  readonly disk: string;
  /** The fingerprint of its content, as berth has told it. */
  readonly found: string;
}

/** Consent to the loss of what is in one file system's place: void when something else is found there. */
export interface ReplaceConsent {
  /** As a plan names it: "file system /dev/docker/vms". */
  readonly object: string;
  /** The fingerprint of its content, as berth has told it. */
  readonly found: string;
}

/** `storage` of host.yaml. */
export interface StorageConfig {
  /** Absent: overlay where a spare disk is found, else plain; the first choice stays. */
  readonly layout?: Layout;
  /** Names of /dev/disk/by-id, without the directory. Absent: blank ones are found. */
  readonly disks?: readonly string[];
  /** @default {"ext4"} */
  readonly fileSystem: "ext4" | "xfs";
  /** Take over a volume group "docker" that berth did not make. @default {false} */
  readonly adopt: boolean;
  /** Whether solid-state disks are taken where disks are found. `last`: only if there are no others. @default {"last"} */
  readonly ssd: "last" | "equal" | "never";
  /** Bytes; smaller ones are not taken where disks are found. @default {34359738368} */
  readonly minimumBytes: number;
  readonly sizes: StorageSizes;
}
