// A lan: a Linux bridge of ours, a plain wire for layer 2, as a resource; and all that a lan is made of. The host has
// an address on it only where `host` says so, else it is kept off by the firewall. Ports come and go with their
// vnodes (wire.ts); what joins it to the world is lan_uplink.ts's.
import { linkMac } from "../config/link_mac.ts";
import type { LanSpec } from "../config/types.ts";
import { ipBatch } from "../host/batch.ts";
import type { Look } from "../host/types.ts";
import { LAN_SETS } from "../resource/firewall_lans.ts";
import type { AnyResource } from "../resource/ensure.ts";
import { nftElement } from "../resource/kinds/nft_element.ts";
import type { Change, Op, Resource } from "../resource/types.ts";
import { lanLinks } from "./lan_links.ts";
import { hasTable, lanTable } from "./lan_table.ts";
import { lanBridge, lanUplink, portName } from "./lan_uplink.ts";
import { lanAlias } from "./names.ts";
import { speaksIpv6 } from "./wiring.ts";

/** What matters of a lan's bridge. */
export interface LanState {
  readonly alias: string;
  readonly kind: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly addrgenmode: string;
  readonly stp: number;
  readonly snooping: number;
  readonly groupForward: string;
  /** The host's own, with prefix length, sorted and joined by blanks. */
  readonly addresses: string;
  /** Its own where the host has addresses, for neighbours remember it; else "", for it goes by its ports'. */
  readonly mac: string;
  /** The host answers for the address asked for on this lan alone ("1"); "" where it has none on it. */
  readonly arpIgnore: string;
}

/** A plain bridge eats 01:80:c2:00:00:03 to 0f (LLDP, LACP …); the kernel refuses to forward the first three. */
const GROUP_FORWARD = "0xfff8";

/** What the kernel makes a bridge with. */
const DEFAULT_MTU = 1500;

/** The bridge of a lan. An interface of that name that is not ours is refused, unless the configuration consents. */
export function lan(spec: LanSpec): Resource<LanState> {
  const name = lanBridge(spec)!;
  const id = `lan ${spec.name}`;
  const host = spec.host ?? [];
  const desired: LanState = {
    alias: lanAlias(spec.name),
    kind: "bridge",
    mtu: spec.mtu,
    up: true,
    addrgenmode: addrgenmodeOf(spec),
    stp: 0,
    snooping: 0,
    groupForward: GROUP_FORWARD,
    addresses: [...host].sort().join(" "),
    mac: host.length === 0 ? "" : linkMac("", spec.name),
    arpIgnore: host.length === 0 ? "" : "1",
  };
  const options = `stp_state 0 mcast_snooping 0 group_fwd_mask ${GROUP_FORWARD}`;
  const set = [
    `link set ${name} mtu ${spec.mtu}`,
    ...(desired.addrgenmode === "" ? [] : [`link set ${name} addrgenmode ${desired.addrgenmode}`]),
    ...(desired.mac === "" ? [] : [`link set ${name} address ${desired.mac}`]),
    `link set ${name} alias ${desired.alias}`,
    `link set ${name} type bridge ${options}`,
    `link set ${name} up`,
  ];
  const addressLines = (found: readonly string[]) => [
    ...found.filter((one) => !host.includes(one)).map((one) => `addr del ${one} dev ${name}`),
    ...host.filter((one) => !found.includes(one))
      .map((one) => `addr add ${one} dev ${name}${one.includes(":") ? " nodad" : ""}`),
  ];
  const quietArp: readonly Op[] = host.length === 0
    ? []
    : [{ run: { argv: ["sysctl", "-qw", `net/ipv4/conf/${name}/arp_ignore=1`] } }];
  // A bridge goes down to the least MTU of its ports until it is set to another than it has.
  const pinned = spec.mtu === DEFAULT_MTU ? [`link set ${name} mtu ${DEFAULT_MTU - 1}`] : [];
  return {
    id,
    desired,
    volatile: true,
    observe: async (look) => await observeBridge(look, name, host.length > 0),
    diff(found): readonly Change[] {
      if (found === null) {
        return [{
          resource: id,
          verb: "create",
          why: "missing",
          risk: "safe",
          do: [
            {
              run: ipBatch([
                `link add ${name} type bridge ${options}`,
                ...pinned,
                ...set,
                ...addressLines([]),
              ]),
            },
            ...quietArp,
          ],
          undo: [{ run: ipBatch([`link del ${name}`]) }],
        }];
      }
      const why = Object.entries(desired)
        .filter(([key, value]) => found[key as keyof LanState] !== value)
        .map(([key, value]) => `${key} ${shown(found[key as keyof LanState])}, wanted ${shown(value)}`);
      if (why.length === 0) return [];
      // The kernel makes fe80:: of a bridge that goes up, and takes it away from one that goes down.
      const quiet = found.addrgenmode === desired.addrgenmode ? [] : [`link set ${name} down`];
      // What goes down loses its IPv6 addresses.
      const kept = found.addresses === ""
        ? []
        : found.addresses.split(" ").filter((one) => quiet.length === 0 || !one.includes(":"));
      const foreign = found.alias !== desired.alias || found.kind !== "bridge";
      return [{
        resource: id,
        verb: foreign ? "adopt" : "update",
        why: foreign ? `interface "${name}" exists and is not ours (alias "${found.alias}")` : why.join("; "),
        risk: foreign ? "destructive" : "safe",
        do: [{ run: ipBatch([...quiet, ...set, ...addressLines(kept)]) }, ...quietArp],
        undo: [],
      }];
    },
    prior: (found) => found,
    revert(prior, found): readonly Change[] {
      if (found === null || prior !== null || found.alias !== desired.alias) return [];
      return [{
        resource: id,
        verb: "delete",
        why: "no vnode is on it",
        risk: "safe",
        do: [{ run: ipBatch([`link del ${name}`]) }],
        undo: [],
      }];
    },
  };
}

const shown = (value: unknown) => value === "" ? "none" : String(value);

/** IPv6 neighbours are asked from a link-local address: the host needs one where it has an IPv6 address. */
function addrgenmodeOf({ mtu, host = [] }: LanSpec): string {
  if (!speaksIpv6(mtu)) return "";
  return host.some((one) => one.includes(":")) ? "eui64" : "none";
}

/** What a lan is made of, in the order it is made. */
export interface LanParts {
  /** What keeps the host off, and strangers from its tunnel: before anything that is walled speaks. */
  readonly walls: readonly AnyResource[];
  /** What is walled, and after it the holes that are wanted and walls that are not wanted any more. */
  readonly rest: readonly AnyResource[];
}

/** Everything that a lan is made of. */
export function lanParts(spec: LanSpec): LanParts {
  const port = portName(spec);
  const element = (set: string, present: boolean) =>
    port === null ? [] : [nftElement("bridge berth", set, port, present)];
  const table = lanTable(spec);
  // What we make is walled by its name; a device that macvlans sit on stays the machine's own.
  const isLent = port === spec.device && spec.driver === undefined;
  const isHosted = spec.host !== undefined;
  const uplinks = element(LAN_SETS.uplinks, isLent);
  const hole = element(LAN_SETS.hostPorts, isHosted);
  return {
    walls: [...(hasTable(spec) ? [table] : []), ...(isLent ? uplinks : []), ...(isHosted ? [] : hole)],
    rest: [
      ...(lanBridge(spec) === null ? [] : [lan(spec)]),
      lanUplink(spec),
      ...(hasTable(spec) ? [] : [table]),
      ...(isLent ? [] : uplinks),
      ...(isHosted ? hole : []),
    ],
  };
}

/** The same as one list. */
export function lanResources(spec: LanSpec): readonly AnyResource[] {
  const { walls, rest } = lanParts(spec);
  return [...walls, ...rest];
}

async function observeBridge(look: Look, name: string, hosted: boolean): Promise<LanState | null> {
  const link = (await lanLinks(look)).get(name);
  if (link === undefined) return null;
  const data = link.linkinfo?.info_data ?? {};
  const arpIgnore = hosted ? await look.readText(`/proc/sys/net/ipv4/conf/${name}/arp_ignore`) : "";
  return {
    alias: link.ifalias ?? "",
    kind: link.linkinfo?.info_kind ?? "",
    mtu: link.mtu,
    up: link.flags.includes("UP"),
    addrgenmode: link.inet6_addr_gen_mode ?? "",
    stp: Number(data["stp_state"] ?? -1),
    snooping: Number(data["mcast_snooping"] ?? -1),
    groupForward: String(data["group_fwd_mask"] ?? ""),
    addresses: (link.addr_info ?? []).filter((one) => one.scope !== "link")
      .map((one) => `${one.local}/${one.prefixlen}`).sort().join(" "),
    mac: hosted ? link.address ?? "" : "",
    arpIgnore: (arpIgnore ?? "").trim(),
  };
}
