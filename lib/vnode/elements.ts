// What a vnode has in the sets and maps of the firewall, from its spec alone: names of host ends are hashes, control
// addresses are fixed, so there is no place to fill in. Pure. Used by wiring, and to find what is whose.
import { createHash } from "node:crypto";
import type { LinkSpec, VnodeSpec } from "../config/types.ts";
import { CONTROL_TABLE } from "../resource/firewall.ts";
import { LAN_SETS } from "../resource/firewall_lans.ts";
import { FORWARDS, NAT_TABLE, styleChain, VNODE_SETS, VNODES_TABLE } from "../resource/firewall_vnodes.ts";
import { canonicalNumber, type Element } from "../resource/nft_elements.ts";
import { ipv6Digits, ipv6Text, linkLocalDigits } from "./ipv6.ts";
import { hostEndName } from "./names.ts";
import { hasOwnChain, ownChainName } from "./vnode_rules.ts";

/** The bridge table, as elements name it. */
export const BRIDGE_TABLE = `${CONTROL_TABLE.family} ${CONTROL_TABLE.name}`;

/** All elements of a vnode, but for its control port: that one is Docker's to name. */
export function elementsOf(spec: VnodeSpec): readonly Element[] {
  return [
    ...controlElements(spec),
    ...spec.links.flatMap((link) => linkElements(hostEndName(spec.name, link.name), link)),
  ];
}

/** A number for an experiment: 31 bits of a hash of its name, never 0. Two of 1,000 are one with a chance of 0.02 %. */
export function experimentNumber(name: string): number {
  return (createHash("sha256").update(`experiment ${name}`).digest().readUInt32BE() & 0x7fffffff) || 1;
}

/** What holds of its control address: that it is known, its experiment, what judges it, what is forwarded to it. */
function controlElements(spec: VnodeSpec): Element[] {
  const { address } = spec.control;
  const element = (set: string, key: string, data?: string): Element => ({
    table: VNODES_TABLE,
    set,
    key,
    ...(data !== undefined && { data }),
  });
  const experiment = String(experimentNumber(spec.experiment ?? ""));
  const judge = (way: "in" | "out") => {
    const style = spec.firewall?.style ?? "open";
    return hasOwnChain(spec, way) ? ownChainName(spec.name, way) : styleChain(style, way);
  };
  const judged = ([["out", VNODE_SETS.out], ["in", VNODE_SETS.in]] as const).flatMap(([way, map]) => {
    const chain = judge(way);
    return chain === null ? [] : [element(map, address, `jump ${chain}`)];
  });
  const forwards = (spec.forwards ?? []).map(({ protocol, port, to }): Element => ({
    table: NAT_TABLE,
    set: FORWARDS,
    key: `${protocol} . ${port}`,
    data: `${address} . ${to}`,
  }));
  return [
    ...judged,
    element(VNODE_SETS.experiments, address, experiment),
    element(VNODE_SETS.members, `${address} . ${experiment}`),
    ...forwards,
    element(VNODE_SETS.known, address),
  ];
}

/** What a guarded link may claim, and that the host may be spoken to. Only a veth has an end on the host. */
function linkElements(end: string, link: LinkSpec): Element[] {
  if (link.device !== undefined || link.driver !== undefined) return [];
  const element = (set: string, ...parts: string[]): Element => ({
    table: BRIDGE_TABLE,
    set,
    key: [end, ...parts].join(" . "),
  });
  const host = link.host === true ? [element(LAN_SETS.hostPorts)] : [];
  if (link.antiSpoof !== true) return host;
  const { mac } = link;
  const addresses = link.addresses.map((address) => address.split("/")[0]!);
  const six = [
    ...new Set([
      linkLocalDigits(mac),
      ...addresses.filter((one) => one.includes(":")).map(ipv6Digits),
    ]),
  ];
  return [
    ...host,
    element(LAN_SETS.guarded),
    element(LAN_SETS.macs, mac),
    element(LAN_SETS.options, mac, canonicalNumber(`0x${mac.replaceAll(":", "")}`)),
    ...addresses.filter((one) => !one.includes(":")).map((one) => element(LAN_SETS.four, mac, one)),
    ...six.flatMap((digits) => [
      element(LAN_SETS.six, mac, ipv6Text(digits)),
      element(LAN_SETS.targets, mac, canonicalNumber(`0x${digits}`)),
    ]),
  ];
}

/** Sets and maps that hold elements of vnodes, as "TABLE/SET". */
export const VNODE_ELEMENT_SETS: readonly string[] = [
  ...[
    LAN_SETS.hostPorts,
    LAN_SETS.guarded,
    LAN_SETS.macs,
    LAN_SETS.options,
    LAN_SETS.four,
    LAN_SETS.six,
    LAN_SETS.targets,
  ].map((set) => `${BRIDGE_TABLE}/${set}`),
  ...Object.values(VNODE_SETS).map((set) => `${VNODES_TABLE}/${set}`),
  `${NAT_TABLE}/${FORWARDS}`,
];

/** What tells whose an element is: the host end or the control address that it is about. */
export function ownerKey({ table, key, data }: Element): string {
  return (table === NAT_TABLE ? data ?? "" : key).split(" . ")[0]!;
}
