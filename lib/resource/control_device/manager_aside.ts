// Keeps a network manager from what berth makes by itself: lans, ends of links, the control bridge without a device.
// networkd leaves alone what no file of its matches; a file that matches everything would take a bridge's address away
// and a port out of its bridge. Owns one file of networkd's.
import type { Look } from "../../host/types.ts";
import type { AnyResource } from "../ensure.ts";
import { type FileState, textFile } from "../kinds/file.ts";
import type { Change, Op, Resource } from "../types.ts";
import { networkProcesses } from "./manager_clients.ts";
import { isOperatorsBridge, UNMANAGED_FILE } from "./manager_networkd.ts";

/** Only what a changed file is about is set up anew. Without D-Bus there is no reload. */
const RELOAD: Op = {
  run: { argv: ["sh", "-c", "networkctl reload || systemctl restart systemd-networkd.service"] },
};

/**
 * Has the managers that run leave these links alone; to be ensured before the links are made. [] where none runs that
 * would not do so by itself.
 *
 * @param bridge the control bridge: left to networkd where the operator's own files make it, which give it the
 * machine's addresses.
 * @param links names, or patterns such as "bve-*".
 */
export async function managersAside(
  look: Look,
  bridge: string,
  links: readonly string[],
): Promise<readonly AnyResource[]> {
  const running = await networkProcesses(look);
  if (!running.some(({ program }) => program === "systemd-networkd")) return [];
  const names = await isOperatorsBridge(look, bridge) ? links : [bridge, ...links];
  const text = `# berth makes and minds these links itself.\n[Match]\nName=${
    names.join(" ")
  }\n\n[Link]\nUnmanaged=yes\n`;
  const file = textFile(UNMANAGED_FILE, text);
  const told = (change: Change): Change => ({
    ...change,
    do: [...change.do, RELOAD],
    undo: [...change.undo, RELOAD],
  });
  const aside: Resource<FileState> = {
    ...file,
    diff: (found) => file.diff(found).map(told),
    revert: (prior, found) => file.revert(prior, found).map(told),
  };
  return [aside];
}
