// Addresses, subnets and MACs: read strictly, written canonically, compared as numbers, derived from names.
// Owns no cross-checks (check_*.ts); pure. Addresses are kept as BigInt so that IPv4 and IPv6 are one case.
import { createHash } from "node:crypto";
import ipaddr from "ipaddr.js";
import { Problem } from "./problem.ts";

export { linkMac } from "./link_mac.ts";

/** An address. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
  /** Canonical: dotted for IPv4, RFC 5952 for IPv6. */
  readonly text: string;
}

/** A block of addresses. `first` has no host bits. */
export interface Subnet {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
  readonly prefix: number;
  readonly text: string;
}

export const ADDRESS_FORM = 'an address, such as "10.0.0.1" or "fd00::1"';
export const IPV4_FORM = 'an IPv4 address, such as "172.16.0.10"';
export const SUBNET_FORM = 'a subnet, such as "10.0.0.0/24" or "fd00:1::/64"';
export const MAC_FORM = 'a unicast MAC, such as "02:00:00:00:00:01"';
export const MAC_PATTERN = "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$";

function addressOf(bytes: readonly number[]): Address {
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const parsed = ipaddr.fromByteArray([...bytes]);
  const text = parsed instanceof ipaddr.IPv6 ? parsed.toRFC5952String() : parsed.toString();
  return { family: bytes.length === 4 ? 4 : 6, value, text };
}

/** The address with a number. */
export function addressAt(family: 4 | 6, value: bigint): Address {
  const bytes: number[] = [];
  for (let i = family === 4 ? 3 : 15; i >= 0; i--) bytes.push(Number((value >> BigInt(8 * i)) & 255n));
  return addressOf(bytes);
}

function readAddress(text: string): Address | null {
  // ipaddr.js also reads "10.1", "0x7f.1" and "010.0.0.1" as the C library does: not here.
  if (/^(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}$/.test(text) && ipaddr.IPv4.isValid(text)) {
    return addressOf(ipaddr.IPv4.parse(text).toByteArray());
  }
  if (/^[0-9A-Fa-f:]{2,39}$/.test(text) && text.includes(":") && ipaddr.IPv6.isValid(text)) {
    return addressOf(ipaddr.IPv6.parse(text).toByteArray());
  }
  return null;
}

/** An address a node can have: not multicast, loopback, unspecified, broadcast or IPv4-mapped. */
export function parseAddress(text: string): Address | Problem {
  const address = readAddress(text);
  if (address === null) {
    const next = text.includes("/") && readAddress(text.slice(0, text.indexOf("/"))) !== null
      ? `Write ${JSON.stringify(text.slice(0, text.indexOf("/")))}, without the prefix length`
      : undefined;
    return new Problem("Is not an address", ADDRESS_FORM, next);
  }
  const range = ipaddr.parse(address.text).range();
  const unfit: Readonly<Record<string, string>> = {
    multicast: "a multicast",
    loopback: "a loopback",
    unspecified: "the unspecified",
    broadcast: "the broadcast",
    ipv4Mapped: "an IPv4-mapped",
  };
  return Object.hasOwn(unfit, range)
    ? new Problem(`Is ${unfit[range]} address`, "an address a node can have")
    : address;
}

/** An IPv4 address a node can have. */
export function parseIpv4Address(text: string): Address | Problem {
  const parsed = parseAddress(text);
  if (parsed instanceof Problem) return new Problem(parsed.message, IPV4_FORM, parsed.next);
  return parsed.family === 4 ? parsed : new Problem("Is an IPv6 address", IPV4_FORM);
}

/** The block of `prefix` bits around an address. */
export function subnetAround(address: Address, prefix: number): Subnet {
  const width = address.family === 4 ? 32 : 128;
  const host = (1n << BigInt(width - prefix)) - 1n;
  const first = address.value & ~host;
  const start = addressAt(address.family, first);
  return { family: address.family, first, last: first | host, prefix, text: `${start.text}/${prefix}` };
}

function readPrefix(text: string, family: 4 | 6): number | null {
  if (!/^[0-9]{1,3}$/.test(text) || (text.length > 1 && text.startsWith("0"))) return null;
  return Number(text) <= (family === 4 ? 32 : 128) ? Number(text) : null;
}

/** A subnet without host bits. */
export function parseSubnet(text: string): Subnet | Problem {
  const slash = text.indexOf("/");
  const address = readAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return new Problem("Is not a subnet", SUBNET_FORM);
  if (slash < 0) return new Problem("A subnet needs its prefix length", SUBNET_FORM);
  const prefix = readPrefix(text.slice(slash + 1), address.family);
  if (prefix === null) {
    return new Problem(
      "Is not a prefix length",
      `a number from 0 to ${address.family === 4 ? 32 : 128} after the /`,
    );
  }
  const subnet = subnetAround(address, prefix);
  if (subnet.first !== address.value) {
    return new Problem("Has host bits set", `the subnet "${subnet.text}"`, `Write "${subnet.text}"`);
  }
  return subnet;
}

/** An address with an optional prefix length: "10.0.0.1" or "10.0.0.1/24". */
export function parseInterfaceAddress(text: string): { address: Address; prefix?: number } | Problem {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address instanceof Problem || slash < 0) return address instanceof Problem ? address : { address };
  const prefix = readPrefix(text.slice(slash + 1), address.family);
  return prefix === null
    ? new Problem(
      "Is not a prefix length",
      `a number from 0 to ${address.family === 4 ? 32 : 128} after the /`,
    )
    : { address, prefix };
}

/** True when the address lies in the subnet. */
export function isWithin(address: Address, subnet: Subnet): boolean {
  return address.family === subnet.family && address.value >= subnet.first && address.value <= subnet.last;
}

/** True when two subnets share an address. */
export function isOverlapping(a: Subnet, b: Subnet): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** "network" or "broadcast" where the address is the subnet's own (IPv4 up to /30; IPv6: its anycast), or null. */
export function ownAddressOf(subnet: Subnet, address: Address): "network" | "broadcast" | null {
  if (!isWithin(address, subnet) || subnet.prefix >= (subnet.family === 4 ? 31 : 127)) return null;
  if (address.value === subnet.first) return "network";
  return subnet.family === 4 && address.value === subnet.last ? "broadcast" : null;
}

/** Private /16 and /20 blocks, most unlikely to be in use first; for hints when a subnet is taken. */
export function freeSubnets(taken: readonly Subnet[], count = 3): readonly string[] {
  const free: string[] = [];
  for (
    const candidate of ["172.16.0.0/12", "10.192.0.0/12", "10.96.0.0/12", "172.28.0.0/16", "192.168.128.0/18"]
  ) {
    const subnet = parseSubnet(candidate) as Subnet;
    if (!taken.some((other) => isOverlapping(other, subnet))) free.push(candidate);
  }
  return free.slice(0, count);
}

/** A MAC, lower case with colons. */
export function parseMac(text: string): string | Problem {
  if (!new RegExp(MAC_PATTERN).test(text)) {
    const colons = text.replaceAll("-", ":");
    const next = new RegExp(MAC_PATTERN).test(colons) ? `Write "${colons.toLowerCase()}"` : undefined;
    return new Problem("Is not a MAC", MAC_FORM, next);
  }
  const mac = text.toLowerCase();
  if (mac === "00:00:00:00:00:00") return new Problem("Is the null MAC", MAC_FORM);
  const first = parseInt(mac.slice(0, 2), 16);
  if ((first & 1) === 0) return mac;
  const even = (first & 0xfe | 2).toString(16).padStart(2, "0");
  return new Problem(
    "Is a multicast or broadcast MAC",
    MAC_FORM,
    `Make the first byte even, such as "${even}${mac.slice(2)}"`,
  );
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The MAC of a control interface: 02:00 and the four bytes of its IPv4 address. */
export function controlMac(address: Address): string {
  const hex = address.value.toString(16).padStart(8, "0");
  return `02:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}`;
}

/**
 * The control address of a vnode when none is given: a hash of its name within the subnet, the same for ever and
 * whatever other vnodes there are. Leaves out the network, broadcast and host's addresses.
 */
export function controlAddress(vnode: string, subnet: Subnet, host: Address): Address {
  const usable = subnet.last - subnet.first - 1n;
  let offset = hash(`berth control\0${vnode}`).readBigUInt64BE(0) % usable;
  if (subnet.first + 1n + offset === host.value) offset = (offset + 1n) % usable;
  return addressAt(4, subnet.first + 1n + offset);
}
