// The resource that has ifupdown hold a moved device: its files rewritten, its notes of what is up, and its DHCP client
// on the bridge in place of the device. Persistent: at a boot ifupdown makes the bridge itself. Undoing gives the
// files back and has ifupdown set the device up.
import type { Look } from "../../host/types.ts";
import type { Op, Resource } from "../types.ts";
import { fileChange } from "../kinds/file.ts";
import type { InterfacesFile } from "./manager_ifupdown.ts";
import { withoutForm } from "./manager_interfaces.ts";
import { clientsOf } from "./manager_clients.ts";
import type { DhcpClient, ManagedDevice } from "./manager_types.ts";

/** What is there of it. */
export interface IfupdownState {
  /** Texts by path; null where there is no such file. */
  readonly files: Readonly<Record<string, string | null>>;
  /** ifupdown has noted the bridge as up. */
  readonly noted: boolean;
  /** DHCP clients of the device, which would give it its address back. */
  readonly onDevice: readonly DhcpClient[];
  readonly hasClient: boolean;
}

const IFSTATE = "/run/network/ifstate";
/** The original files, for an operator's eyes. Outside of what ifupdown or cloud-init read. */
const BACKUPS = "/var/lib/berth/backup";

/** Ends the DHCP clients of link $1 of this namespace without a word to the server: the lease lives on. */
const END_CLIENTS = `end_clients() {
  for pid in $(pidof dhclient udhcpc); do
    [ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ] || continue
    tr '\\0' '\\n' <"/proc/$pid/cmdline" | grep -qxF "$1" && kill -KILL "$pid"
  done
  for name in dhclient dhclient6; do
    [ ! -e "/var/lib/dhcp/$name.$1.leases" ] ||
      sed "s/interface \\"$1\\"/interface \\"$2\\"/" "/var/lib/dhcp/$name.$1.leases" >"/var/lib/dhcp/$name.$2.leases"
  done
}`;

/**
 * From device $1 to bridge $2, whose alias is $3, with the client's argv after them (none: the addresses are static).
 * The lease goes along with the DUID in it, so that the server knows the client. An address that stands is not set
 * again by the client's script at its first word, so it must not run out before the second.
 */
const TAKE = `${END_CLIENTS}
device=$1 bridge=$2 alias=$3
shift 3
end_clients "$device" "$bridge"
# A renewal since the move has put them back here.
ip route flush dev "$device"
ip addr flush dev "$device"
if [ "$#" -gt 0 ]; then
  ip -o -4 addr show dev "$bridge" dynamic | while read -r _ _ _ address _; do
    ip addr change "$address" dev "$bridge" valid_lft forever preferred_lft forever
  done
  # Not a child of the service that berth may be run by.
  [ ! -d /run/systemd/system ] || set -- systemd-run --quiet --scope --collect --slice=system.slice "$@"
  "$@" >/dev/null 2>&1 </dev/null || exit 1
fi
for link in "$device" "$bridge"; do
  grep -qsx "$link=.*" ${IFSTATE} || { echo "$link=$link" >>${IFSTATE} && echo "$link" >"${IFSTATE}.$link"; }
done
# The label keeps dhclient's script from taking it away with its own.
ip -o addr show dev "$bridge" label "$bridge:b" | grep -q . ||
  printf '%s\\n' "addr del $alias dev $bridge" "addr add $alias dev $bridge label $bridge:b" | ip -force -batch - 2>/dev/null || :`;

/** Back to the device $1 from the bridge $2, by ifupdown and its files as they are now. */
const GIVE_BACK = `${END_CLIENTS}
end_clients "$2" "$1"
ip addr flush dev "$2" scope global 2>/dev/null
ip addr flush dev "$1" scope global # ifup does not bear an address that stands
ip link set dev "$1" nomaster addrgenmode eui64 alias ""
sed -i "/^$2=/d; /^$1=/d" ${IFSTATE} && rm -f "${IFSTATE}.$1" "${IFSTATE}.$2"
exec ifup "$1"`;

/** Starts what is not there: the client of the bridge $1 has died. Its addresses may stand, so errors are no news. */
const AGAIN = 'exec ifup --force --ignore-errors "$1"';

/**
 * ifupdown's holding the bridge and its port by these files.
 *
 * @param files the rewritten ones.
 * @param usesDhcp a stanza gets its addresses by DHCP.
 */
export function ifupdownHolds(
  found: ManagedDevice,
  files: readonly InterfacesFile[],
  usesDhcp: boolean,
): Resource<IfupdownState> {
  const { device, bridge, alias } = found;
  const id = `ifupdown form of ${device}`;
  const wanted = Object.fromEntries(files.map(({ path, text }) => [path, text]));
  const modes = new Map(files.map(({ path, mode }) => [path, mode]));
  const script = (title: string, text: string, ...args: string[]): Op => ({
    run: { argv: ["setsid", "--wait", "sh", "-c", text, "sh", ...args], title, timeoutMs: 120_000 },
  });
  const giveBack = script(`have ifupdown give ${device} back`, GIVE_BACK, device, bridge);
  const put = (texts: IfupdownState["files"]): Op[] =>
    Object.entries(texts).flatMap(([path, text]) => {
      const mode = modes.get(path) ?? 0o644;
      return text === null ? [] : fileChange(id, path, null, { text, mode }, "").do;
    });
  const originals = (texts: IfupdownState["files"]) =>
    Object.fromEntries(
      Object.entries(texts).map(([path, text]) => [path, text === null ? null : withoutForm(text)]),
    );
  return {
    id,
    desired: { files: wanted, noted: true, onDevice: [], hasClient: usesDhcp },
    observe: (look) => observeHold(look, device, bridge, Object.keys(wanted)),
    diff(state) {
      if (state === null) return [];
      const differing = Object.keys(wanted).filter((path) => state.files[path] !== wanted[path]);
      const parts = [
        ...differing.map((path) => `"${path}" differs`),
        ...(state.noted ? [] : [`"${bridge}" is not noted as up`]),
        ...state.onDevice.map(({ program, pid }) => `${program} (${pid}) holds "${device}"`),
        ...(usesDhcp && !state.hasClient ? [`no DHCP client holds "${bridge}"`] : []),
      ];
      if (parts.length === 0) return [];
      const isNew = differing.some((path) => withoutForm(state.files[path] ?? "") === state.files[path]);
      const argvs = state.onDevice.map(({ argv }) => argv.map((word) => ofBridge(word, device, bridge)));
      const live = state.noted && state.onDevice.length === 0 && (state.hasClient || !usesDhcp)
        ? []
        : usesDhcp && argvs.length === 0 && !state.hasClient
        ? [script(`have ifupdown take ${bridge} up`, AGAIN, bridge)]
        : (argvs.length === 0 ? [[]] : argvs).map((argv) =>
          script(`have ifupdown take ${bridge} for ${device}`, TAKE, device, bridge, alias, ...argv)
        );
      const backups: Op[] = !isNew ? [] : differing.map((path) => (
        { write: BACKUPS + path, text: withoutForm(state.files[path] ?? ""), mode: 0o600 }
      ));
      return [{
        resource: id,
        verb: isNew ? "create" : "update",
        why: parts.join("; "),
        risk: "disruptive",
        do: [...backups, ...put(pick(wanted, differing)), ...live],
        undo: [...put(pick(state.files, differing)), ...(isNew ? [giveBack] : [])],
      }];
    },
    prior: (state) => state,
    revert(_prior, state) {
      if (state === null) return [];
      const back = originals(state.files);
      const ours = Object.keys(back).filter((path) => back[path] !== state.files[path]);
      // Noted still: an undo that ended before ifupdown was told.
      if (ours.length === 0 && !state.noted) return [];
      return [{
        resource: id,
        verb: "update",
        why: "written by berth",
        risk: "disruptive",
        do: [...put(pick(back, ours)), giveBack],
        undo: [...put(pick(state.files, ours)), script(`have ifupdown take ${bridge} up`, AGAIN, bridge)],
      }];
    },
  };
}

function pick<T>(all: Readonly<Record<string, T>>, keys: readonly string[]): Record<string, T> {
  return Object.fromEntries(keys.map((key) => [key, all[key]!]));
}

/** A word of a client's argument vector with the device's name in it: "eth0", "/run/dhclient.eth0.pid". */
export function ofBridge(word: string, device: string, bridge: string): string {
  const plain = device.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return word.replaceAll(new RegExp(`(?<![\\w-])${plain}(?![\\w-])`, "g"), bridge);
}

async function observeHold(
  look: Look,
  device: string,
  bridge: string,
  paths: readonly string[],
): Promise<IfupdownState> {
  const files: Record<string, string | null> = {};
  for (const path of paths) files[path] = await look.readText(path);
  const state = await look.readText(IFSTATE) ?? "";
  return {
    files,
    noted: state.split("\n").some((line) => line.startsWith(`${bridge}=`)),
    onDevice: await clientsOf(look, device),
    hasClient: (await clientsOf(look, bridge)).length > 0,
  };
}
