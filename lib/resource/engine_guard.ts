// That nobody starts the engine while the file systems it lives on are missing: drop-ins where systemd runs, lines in
// the init script's own settings where sysvinit does. The directories under the mounts are immutable besides
// (kinds/mount.ts), which holds for whoever starts a dockerd by hand.
import { hasInit } from "../host/facts.ts";
import { CONTAINERD_ROOT } from "./containerd_root_look.ts";
import type { AnyResource } from "./ensure.ts";
import { dropIns } from "./kinds/drop_in.ts";
import { fileBlock } from "./kinds/file_block.ts";

/**
 * What the engine and its images run in; a drop-in of a unit that is not there does nothing. docker.socket needs none:
 * it starts docker.service and nothing else, and comes before basic.target, where a disk that does not come would keep
 * ssh and consoles waiting.
 */
const UNITS = ["docker.service", "containerd.service"];
/** Read by Debian's init script of docker, with the script's own arguments. */
const SETTINGS = "/etc/default/docker";

/**
 * The guards over these mount points, in whatever way the machine's init system takes them. systemd's has the root of
 * containerd, too: what is mounted there (containerd_root.ts), or nothing.
 */
export function engineGuards(mounts: readonly string[]): readonly AnyResource[] {
  const unit = `# Written by berth (host storage); changes here are lost\n[Unit]\nRequiresMountsFor=${
    [...mounts, CONTAINERD_ROOT].join(" ")
  }\n`;
  return [dropIns(UNITS, "berth-storage", unit), sysvGuard(mounts)];
}

function sysvGuard(mounts: readonly string[]): AnyResource {
  const lines = `case "$1" in start | restart | force-reload)
  for berth_mount in ${mounts.join(" ")}; do
    mountpoint -q "$berth_mount" && continue
    echo "Not started: $berth_mount is not mounted (berth host storage)" >&2
    exit 1
  done ;;
esac
`;
  const block = fileBlock(SETTINGS, lines);
  // Elsewhere the file is read by others, who do not take it for a script.
  return {
    ...block,
    async observe(look) {
      const isRead = await hasInit(look) === "sysvinit";
      return isRead ? { read: true, file: await block.observe(look) } : { read: false, file: null };
    },
    diff: (found) => found.read ? block.diff(found.file) : [],
    prior: (found) => block.prior(found?.file ?? null),
    revert: (prior, found) => found?.read ? block.revert(prior, found.file) : [],
  };
}
