// The resource that has networkd hold a moved device: our files, and networkd's having read them. Persistent: after a
// reboot networkd makes the bridge itself, before berth runs. Undoing takes the files away; networkd does the rest.
import { ipBatch } from "../../host/batch.ts";
import type { Look } from "../../host/types.ts";
import type { Op, Resource } from "../types.ts";
import type { NetworkdForm } from "./manager_networkd.ts";
import type { ControlDevice } from "./manager_types.ts";

/** What is there of our files, and whether networkd goes by them. */
export interface NetworkdState {
  /** Texts by path; null where there is no such file. */
  readonly files: Readonly<Record<string, string | null>>;
  /** networkd holds bridge and port by our files. */
  readonly holds: boolean;
  /** It holds the port by our file, whether that is still there or not. */
  readonly holdsPort: boolean;
  /** The drop-in of the take-over is there: until the next boot, or a crash's. */
  readonly keeps: boolean;
}

/**
 * Seconds in which networkd must have set the bridge up. A DHCP server that checks whether an address is free takes 3;
 * a client's second try comes after 5 to 8.
 */
const CONFIGURED_S = 45;

/**
 * networkd reads its files anew and ends when the link $1 is set up by the file $2, or fails after the seconds $3.
 * Without D-Bus there is no reload. A session of its own: a shell that ends with its connection does not take it along.
 */
const TELL = `networkctl reload || systemctl restart systemd-networkd.service || exit 1
index=$(cat "/sys/class/net/$1/ifindex") && state=/run/systemd/netif/links/$index || exit 1
tries=0
until grep -qx ADMIN_STATE=configured "$state" && { [ -z "$2" ] || grep -qxF "NETWORK_FILE=$2" "$state"; }; do
  tries=$((tries + 1))
  [ "$tries" -le "$(($3 * 5))" ] || { echo "networkd does not set up $1:" >&2; cat "$state" >&2; exit 1; }
  sleep 0.2
done 2>/dev/null`;

/**
 * Keeps what is on the bridge until networkd has its own: no moment without the address, and none where the server
 * is slow. In /run: the next boot goes by the operator's own settings again.
 */
const KEEP = "# berth: keeps addresses and routes while networkd takes the bridge over\n" +
  "[Network]\nKeepConfiguration=yes\n";

/** networkd's holding the bridge and its port by these files. @param own the device's own .network file. */
export function networkdHolds(
  { device, bridge }: ControlDevice,
  form: NetworkdForm,
  own: string,
): Resource<NetworkdState> {
  const id = `networkd form of ${device}`;
  const { files, paths } = form;
  const keepFolder = `/run/systemd/network/${paths.bridge.slice(paths.bridge.lastIndexOf("/") + 1)}.d`;
  const tell = (link: string, by: string): Op => ({
    run: {
      argv: ["setsid", "--wait", "sh", "-c", TELL, "sh", link, by, String(CONFIGURED_S)],
      title: `have networkd reload and configure ${link}`,
      timeoutMs: (CONFIGURED_S + 30) * 1000,
    },
  });
  const put = (to: NetworkdState["files"]): Op[] =>
    Object.keys(files).map((path) => {
      const text = to[path] ?? null;
      return text === null ? { remove: path } : { write: path, text };
    });
  const keep: Op[] = [{ write: `${keepFolder}/berth.conf`, text: KEEP }];
  const letGo: Op[] = [{ remove: `${keepFolder}/berth.conf` }, { remove: keepFolder }];
  // The move's marks; networkd itself takes the device out of the bridge, and sets addrgenmode.
  const unmark: Op = { run: ipBatch([`link set dev ${device} alias ""`]) };
  const isOurs = (state: NetworkdState) => Object.values(state.files).some((text) => text !== null);
  return {
    id,
    desired: { files, holds: true, holdsPort: true, keeps: true },
    observe: (look) => observeHold(look, device, bridge, form, keepFolder),
    diff(found) {
      const before = found?.files ?? {};
      const differing = Object.keys(files).filter((path) => before[path] !== files[path]);
      if (differing.length === 0 && found?.holds) return [];
      const missing = differing.every((path) => (before[path] ?? null) === null);
      const why = differing.length === 0
        ? `networkd does not hold "${bridge}" by its files`
        : `${missing ? "missing" : "differing"}: ${differing.join(", ")}`;
      const isNew = found === null || !isOurs(found);
      const back = tell(isNew ? device : bridge, isNew ? own : "");
      return [{
        resource: id,
        verb: isNew ? "create" : "update",
        why,
        risk: "disruptive",
        // What the operator has changed counts at once: nothing of before is kept beside it.
        do: [
          ...(differing.length === 0 ? [] : isNew ? keep : letGo),
          ...put(files),
          tell(bridge, paths.bridge),
        ],
        undo: [...put(before), ...(isNew ? letGo : []), back],
      }];
    },
    prior: (found) => found,
    // Whatever was there before: files of these names are ours, and without them the device's own file counts.
    revert(_prior, found) {
      if (found === null || !(isOurs(found) || found.holdsPort || found.keeps)) return [];
      return [{
        resource: id,
        verb: "delete",
        why: "made by berth",
        risk: "disruptive",
        do: [...put({}), ...letGo, tell(device, own), unmark],
        undo: [...put(found.files), tell(bridge, paths.bridge)],
      }];
    },
  };
}

async function observeHold(
  look: Look,
  device: string,
  bridge: string,
  form: NetworkdForm,
  keepFolder: string,
): Promise<NetworkdState | null> {
  const files: Record<string, string | null> = {};
  for (const path of Object.keys(form.files)) files[path] = await look.readText(path);
  const ofBridge = await linkState(look, bridge);
  const ofPort = await linkState(look, device);
  // "configuring" is where a DHCP client waits for its lease: the files count, the server's silence is no difference.
  const holdsPort = ofPort["NETWORK_FILE"] === form.paths.port;
  const holds = holdsPort && ofBridge["NETWORK_FILE"] === form.paths.bridge &&
    ["configured", "configuring"].includes(ofBridge["ADMIN_STATE"] ?? "");
  return { files, holds, holdsPort, keeps: await look.stat(keepFolder) !== null };
}

/** What networkd says of a link, by key; {} where it says nothing. */
export async function linkState(look: Look, link: string): Promise<Readonly<Record<string, string>>> {
  const index = (await look.readText(`/sys/class/net/${link}/ifindex`))?.trim();
  if (index === undefined) return {};
  const text = await look.readText(`/run/systemd/netif/links/${index}`) ?? "";
  return Object.fromEntries(
    text.split("\n").filter((line) => /^\w+=/.test(line)).map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}
