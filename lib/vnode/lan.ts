// A lan: a Linux bridge of ours without any address, a plain wire for layer 2. As a resource.
// Ports come and go with their vnodes (wire.ts); the host itself is kept off it by the firewall.
import type { LanSpec } from "../config/types.ts";
import type { Command, Look } from "../host/types.ts";
import type { AnyResource } from "../resource/ensure.ts";
import type { Change, Op, Resource } from "../resource/types.ts";
import { bridgeName, lanAlias } from "./names.ts";
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
}

/** A plain bridge eats 01:80:c2:00:00:03 to 0f (LLDP, LACP …); the kernel refuses to forward the first three. */
const GROUP_FORWARD = "0xfff8";

/** What the kernel makes a bridge with. */
const DEFAULT_MTU = 1500;

interface FoundLink {
  ifname: string;
  ifalias?: string;
  mtu: number;
  flags: string[];
  inet6_addr_gen_mode?: string;
  linkinfo?: { info_kind?: string; info_data?: Record<string, unknown> };
}

function ipBatchOp(lines: readonly string[]): Op {
  return { run: { argv: ["ip", "-batch", "-"], input: lines.join("\n") + "\n" } };
}

const ALL_LINKS: Command = { argv: ["ip", "-j", "-d", "link", "show"] };

/** The bridge of a lan. An interface of that name that is not ours is refused, unless the configuration consents. */
export function lan(spec: LanSpec): Resource<LanState> {
  const name = bridgeName(spec.name);
  const id = `lan ${spec.name}`;
  const desired: LanState = {
    alias: lanAlias(spec.name),
    kind: "bridge",
    mtu: spec.mtu,
    up: true,
    addrgenmode: speaksIpv6(spec.mtu) ? "none" : "",
    stp: 0,
    snooping: 0,
    groupForward: GROUP_FORWARD,
  };
  const options = `stp_state 0 mcast_snooping 0 group_fwd_mask ${GROUP_FORWARD}`;
  const set = [
    `link set ${name} mtu ${spec.mtu}`,
    ...(speaksIpv6(spec.mtu) ? [`link set ${name} addrgenmode none`] : []),
    `link set ${name} alias ${desired.alias}`,
    `link set ${name} type bridge ${options}`,
    `link set ${name} up`,
  ];
  // A bridge goes down to the least MTU of its ports until it is set to another than it has.
  const pinned = spec.mtu === DEFAULT_MTU ? [`link set ${name} mtu ${DEFAULT_MTU - 1}`] : [];
  return {
    id,
    desired,
    volatile: true,
    observe: async (look) => await observeBridge(look, name),
    diff(found): readonly Change[] {
      if (found === null) {
        return [{
          resource: id,
          verb: "create",
          why: "missing",
          risk: "safe",
          do: [ipBatchOp([`link add ${name} type bridge ${options}`, ...pinned, ...set])],
          undo: [ipBatchOp([`link del ${name}`])],
        }];
      }
      const why = Object.entries(desired)
        .filter(([key, value]) => found[key as keyof LanState] !== value)
        .map(([key, value]) => `${key} ${found[key as keyof LanState]}, wanted ${value}`);
      if (why.length === 0) return [];
      // IPv6 that comes back with the MTU on a bridge that is up would bring fe80:: along.
      const quiet = found.addrgenmode === "" ? [`link set ${name} down`] : [];
      const foreign = found.alias !== desired.alias || found.kind !== "bridge";
      return [{
        resource: id,
        verb: foreign ? "adopt" : "update",
        why: foreign ? `interface "${name}" exists and is not ours (alias "${found.alias}")` : why.join("; "),
        risk: foreign ? "destructive" : "safe",
        do: [ipBatchOp([...quiet, ...set])],
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
        do: [ipBatchOp([`link del ${name}`])],
        undo: [],
      }];
    },
  };
}

/** Everything that a lan is made of, in the order it is made. */
export function lanResources(spec: LanSpec): readonly AnyResource[] {
  return [lan(spec)];
}

async function observeBridge(look: Look, name: string): Promise<LanState | null> {
  const output = await look.query(ALL_LINKS);
  const link = (JSON.parse(output.stdout) as FoundLink[]).find((one) => one.ifname === name);
  if (link === undefined) return null;
  const data = link.linkinfo?.info_data ?? {};
  return {
    alias: link.ifalias ?? "",
    kind: link.linkinfo?.info_kind ?? "",
    mtu: link.mtu,
    up: link.flags.includes("UP"),
    addrgenmode: link.inet6_addr_gen_mode ?? "",
    stp: Number(data["stp_state"] ?? -1),
    snooping: Number(data["mcast_snooping"] ?? -1),
    groupForward: String(data["group_fwd_mask"] ?? ""),
  };
}
