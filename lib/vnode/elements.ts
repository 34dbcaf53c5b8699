// What a vnode has in the sets and maps of the firewall, from its spec alone: names of host ends are hashes, control
// addresses are fixed, so there is no place to fill in. Pure. Used by wiring, and to find what is whose.
import type { LinkSpec, VnodeSpec } from "../config/types.ts";
import { CONTROL_TABLE } from "../resource/firewall.ts";
import { LAN_SETS } from "../resource/firewall_lans.ts";
import { canonicalNumber, type Element } from "../resource/nft_elements.ts";
import { hostEndName } from "./names.ts";

/** The bridge table, as elements name it. */
export const BRIDGE_TABLE = `${CONTROL_TABLE.family} ${CONTROL_TABLE.name}`;

/** All elements of a vnode, but for its control port: that one is Docker's to name. */
export function elementsOf(spec: VnodeSpec): readonly Element[] {
  return spec.links.flatMap((link) => linkElements(hostEndName(spec.name, link.name), link));
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
  LAN_SETS.hostPorts,
  LAN_SETS.guarded,
  LAN_SETS.macs,
  LAN_SETS.options,
  LAN_SETS.four,
  LAN_SETS.six,
  LAN_SETS.targets,
].map((set) => `${BRIDGE_TABLE}/${set}`);

/** What tells whose an element is: the host end or the control address that it is about. */
export function ownerKey(element: Element): string {
  return element.key.split(" . ")[0]!;
}
