// What a vnode has in the sets and maps of the firewall, from its spec alone: names of host ends are hashes, control
// addresses are fixed, so there is no place to fill in. Pure. Used by wiring, and to find what is whose.
import { createHash } from "node:crypto";
import type { LinkSpec, VnodeSpec } from "../config/types.ts";
import { CONTROL_TABLE } from "../resource/firewall.ts";
import { LAN_SETS } from "../resource/firewall_lans.ts";
import { FORWARDS, NAT_TABLE, styleChain, VNODE_SETS, VNODES_TABLE } from "../resource/firewall_vnodes.ts";
import { canonicalNumber, type Element } from "../resource/nft_elements.ts";
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

/** The link-local address that the kernel makes from a MAC (EUI-64), as 32 digits. */
function linkLocal(mac: string): string {
  const bytes = mac.split(":").map((byte) => Number.parseInt(byte, 16));
  const [first = 0, ...rest] = bytes;
  return "fe80000000000000" +
    [first ^ 2, rest[0]!, rest[1]!, 0xff, 0xfe, ...rest.slice(2)].map(byteText).join("");
}

const byteText = (byte: number) => byte.toString(16).padStart(2, "0");

/** An address of RFC 5952's form as 32 digits. */
function ipv6Digits(address: string): string {
  const [head = "", tail] = address.split("::") as [string, string?];
  const groups = (text: string) => text === "" ? [] : text.split(":").map((one) => one.padStart(4, "0"));
  if (tail === undefined) return groups(head).join("");
  const [first, last] = [groups(head), groups(tail)];
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => "0000"), ...last].join(
    "",
  );
}

/** 32 digits as nft prints an address: the first of the longest runs of zero groups, two at least, is left out. */
export function ipv6Text(digits: string): string {
  const groups = digits.match(/.{4}/g)!.map((group) => group.replace(/^0{1,3}/, ""));
  const runs = [...groups.join(":").matchAll(/(?<=^|:)0(:0)+(?=$|:)/g)];
  const longest = runs.reduce<RegExpMatchArray | null>(
    (best, run) => best === null || run[0].length > best[0].length ? run : best,
    null,
  );
  if (longest === null) return groups.join(":");
  const text = groups.join(":");
  const [before, after] = [text.slice(0, longest.index), text.slice(longest.index! + longest[0].length)];
  return `${before.replace(/:$/, "")}::${after.replace(/^:/, "")}`;
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
      linkLocal(mac),
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
