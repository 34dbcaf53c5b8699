// What an engine keeps on the system disk, where layout `plain` has left it: whether anything of value would be set
// aside by a volume group that comes back. Only looks; choose.ts judges.
import type { Look } from "../../host/types.ts";
import { DAEMON_JSON } from "../engine_look.ts";
import { namedRoot } from "../engine_root_look.ts";
import type { Lived } from "./types.ts";

/** Where layouts with volumes have the engine's root: what is there is not on the system disk. */
export const VOLUME_ROOT = "/vms/docker";
/** Beside the engine's root (moby: graphdriver store), and of a containerd that keeps its images. */
const CONTAINERD_BLOBS = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256";
/** What the engine itself keeps among volumes (moby: volume/service). */
const NO_VOLUMES: readonly string[] = ["metadata.db", "backingFsBlockDev"];

/** Counts what is of value in the engine's root; null: nothing is, or the root is where volumes have it. */
export async function livedIn(look: Look): Promise<Lived | null> {
  const root = namedRoot(await look.readText(DAEMON_JSON));
  if (root === VOLUME_ROOT || await look.readLink(root) === VOLUME_ROOT) return null;
  const list = async (path: string) => await look.list(path) ?? [];
  const [containers, drivers, blobs, volumes] = await Promise.all([
    list(`${root}/containers`),
    list(`${root}/image`),
    list(CONTAINERD_BLOBS),
    list(`${root}/volumes`),
  ]);
  const stores = await Promise.all(
    drivers.map((driver) => list(`${root}/image/${driver}/imagedb/content/sha256`)),
  );
  const lived: Lived = {
    root,
    containers: containers.length,
    images: stores.flat().length,
    blobs: blobs.length,
    volumes: volumes.filter((name) => !NO_VOLUMES.includes(name)).length,
  };
  return livedText(lived) === "" ? null : lived;
}

/** "1 container, 2 images"; "" where nothing is. Pure. */
export function livedText({ containers, images, blobs, volumes }: Lived): string {
  const counted = (count: number, one: string) =>
    count === 0 ? [] : [`${count} ${one}${count === 1 ? "" : "s"}`];
  return [
    ...counted(containers, "container"),
    ...counted(images, "image"),
    // Manifests, configurations and layers: how many images they are, only containerd can tell.
    ...(images > 0 || blobs === 0 ? [] : ["images in containerd"]),
    ...counted(volumes, "volume"),
  ].join(", ");
}
