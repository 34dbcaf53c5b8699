// The words of storage: what is found on disks and in LVM, what is chosen from it, what is kept on the system disk.
// Plain data, so that tests can make them up. look.ts finds, choose.ts chooses, the rest makes it so.
import type { Layout } from "../../config/types_storage.ts";
import type { AnyResource } from "../ensure.ts";

/** The volume group berth works in. */
export const GROUP = "docker";
/** The tag of everything of ours in LVM. */
export const TAG = "berth";
/** The tag of a volume that was there before berth: what is on it was never berth's to lose. */
export const ADOPTED_TAG = "berth-adopted";
/** Followed by the layout: the tag by which a volume group tells it, also to a re-imaged machine. */
export const LAYOUT_TAG = "berth-layout-";
/** What was chosen, on the system disk: the layout stays as it is from then on. */
export const STORAGE_RECORD = "/var/lib/berth/storage.json";
/** Disks that berth has begun to take: what a crash left half-done on them is ours. */
export const STORAGE_BEGUN = "/var/lib/berth/storage-begun.json";
/** The LVM profile of the thin pool, without its directory and ".profile". */
export const PROFILE = "berth-pool";

/** A signature as wipefs and blkid tell it. */
export interface Signature {
  /** "ext4", "gpt", "LVM2_member". */
  readonly type: string;
  readonly uuid: string | null;
  readonly label: string | null;
  /** Byte offset as wipefs writes it, "0x438"; null where only blkid knows of it. */
  readonly offset: string | null;
}

/** A whole disk or a partition. */
export interface DiskFacts {
  readonly kind: "disk" | "part";
  /** Today's path, for commands: "/dev/sdb". */
  readonly path: string;
  /** Its names in /dev/disk/by-id, the most telling first. */
  readonly names: readonly string[];
  readonly serial: string | null;
  /** The number of the medium itself, the same by whatever path; null: unknown (virtio). */
  readonly wwn: string | null;
  /** Paths of all whole disks of its number (of its disk's, for a partition) where there are several, else none. */
  readonly twins: readonly string[];
  readonly bytes: number;
  readonly rotational: boolean;
  readonly removable: boolean;
  readonly readOnly: boolean;
  /** "sata", "nvme", "usb", "iscsi", "fc", …; null: unknown (virtio). */
  readonly transport: string | null;
  /** Path of the disk a partition is on, or null. */
  readonly parent: string | null;
  /** "0x83" or a GUID; null for a whole disk. */
  readonly partType: string | null;
  /** Paths of its partitions. */
  readonly partitions: readonly string[];
  readonly signatures: readonly Signature[];
  /** What hangs on it: "lvm docker-vms", "crypt secret", "raid1 md0", "mpath mpatha". */
  readonly holders: readonly string[];
  /** Where it, or what hangs on it, is mounted or named: "/", "swap", "/etc/fstab". */
  readonly uses: readonly string[];
  /** Opens with O_EXCL: nobody in the kernel holds it. */
  readonly free: boolean;
  /** First and last 4 MiB are zero. */
  readonly zero: boolean;
  /** SHA-256 of its first and last 256 KiB, hexadecimal; "" where it is in use. */
  readonly digest: string;
}

/** A physical volume. */
export interface PhysicalFacts {
  readonly path: string;
  readonly uuid: string;
  /** "" where it is in no volume group. */
  readonly group: string;
  readonly groupUuid: string;
  readonly extents: number;
  readonly usedExtents: number;
  readonly missing: boolean;
}

/** A volume group. */
export interface GroupFacts {
  readonly name: string;
  readonly uuid: string;
  readonly tags: readonly string[];
  readonly extentBytes: number;
  readonly extents: number;
  readonly freeExtents: number;
  readonly missing: number;
  /** Why it cannot be used here: "exported", "shared", "of system NAME"; null: usable. */
  readonly barred: string | null;
}

/** A logical volume; hidden ones in brackets are left out but for their sizes. */
export interface VolumeFacts {
  readonly name: string;
  readonly group: string;
  readonly uuid: string;
  readonly bytes: number;
  /** Segment types: "linear", "striped", "thin-pool", "thin". */
  readonly types: readonly string[];
  readonly tags: readonly string[];
  readonly active: boolean;
  /** Of a thin volume: its pool; else "". */
  readonly pool: string;
  /** Of a snapshot or clone: what it came from; else "". */
  readonly origin: string;
  /** Of a thin pool, else null. */
  readonly thin: {
    readonly chunkBytes: number;
    readonly zeroing: boolean;
    readonly discards: string;
    readonly profile: string;
    readonly monitored: boolean;
    readonly metadataBytes: number;
    /** 0 to 100; null while inactive. */
    readonly dataPercent: number | null;
    readonly metadataPercent: number | null;
  } | null;
}

/** What was chosen once, kept on the system disk. */
export interface StorageRecord {
  readonly layout: Layout;
  /** UUID of the volume group; absent for `plain`. */
  readonly group?: string;
  /** Lasting names of its disks. */
  readonly disks: readonly string[];
}

/** What berth has begun to take, told to the disk before the first change. */
export interface StorageBegun {
  readonly layout: Layout;
  /** Lasting names. */
  readonly disks: readonly string[];
}

/** What an engine has in its root on the system disk: counts. */
export interface Lived {
  /** "/var/lib/docker". */
  readonly root: string;
  readonly containers: number;
  readonly images: number;
  /** Of a containerd that keeps the engine's images. */
  readonly blobs: number;
  readonly volumes: number;
}

/** Everything storage is decided from. */
export interface StorageFacts {
  /** This kernel has device-mapper, or a module of it. Where not, no disk is looked at. */
  readonly deviceMapper: boolean;
  /** LVM's programs are there; without them groups, physical and logical volumes are unknown (empty). */
  readonly tools: boolean;
  /** thin_check is there: LVM activates no pool without it. */
  readonly thinTools: boolean;
  /** The file systems whose mkfs is there. */
  readonly fileSystems: readonly ("ext4" | "xfs")[];
  /** chattr is there, which bars the directories under mounts. */
  readonly chattr: boolean;
  /** The engine's major version; NaN: it does not tell; null: none is installed. */
  readonly engine: number | null;
  readonly disks: readonly DiskFacts[];
  readonly physical: readonly PhysicalFacts[];
  readonly groups: readonly GroupFacts[];
  readonly volumes: readonly VolumeFacts[];
  readonly record: StorageRecord | null;
  readonly begun: StorageBegun | null;
  /** What has come to live on the system disk since `plain` was recorded; null: nothing, or another layout. */
  readonly lived: Lived | null;
}

/** A volume that gets a file system. */
export interface Volume {
  readonly name: "vminfo" | "vms" | "engine";
  /** "/dev/docker/vms". */
  readonly device: string;
  /** "/vminfo", "/vms", "/vms/docker". */
  readonly mount: string;
  /** Bytes it has at least when the resources stand. Where it was smaller before, its file system is to grow. */
  readonly bytes: number;
  /** It was there before berth, and taken over: it may hold data that no signature tells of. */
  readonly foreign: boolean;
}

/** What is to be done about storage. */
export interface StorageChoice {
  readonly layout: Layout;
  /** "configured", "recorded", "told by the volume group", "chosen". */
  readonly by: "configured" | "recorded" | "group" | "chosen";
  /** Disks, volume group, logical volumes, in order; [] for `plain`. All of them in one ensureAll, or one by one. */
  readonly resources: readonly AnyResource[];
  /** Makes the layout stay. To be ensured last, when the engine's root is where it belongs. */
  readonly record: AnyResource;
  /** In the order of mounting; [] for `plain`. */
  readonly volumes: readonly Volume[];
  /** Where the engine's data belongs; null: left where it is (`plain`). */
  readonly engineRoot: string | null;
  /** Keys of daemon.json that the layout needs: `devicemapper` only. */
  readonly engineOptions: Readonly<Record<string, unknown>>;
  /** What the operator is told: what was chosen, which disks were left alone and why. Sentences. */
  readonly said: readonly string[];
}
