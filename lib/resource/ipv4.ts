// Arithmetic of IPv4 subnets for the host's networks: overlap, membership, free alternatives. Pure.

/** A subnet: its first address as an unsigned number, and the length of its prefix. */
export interface Subnet {
  readonly base: number;
  readonly bits: number;
}

/** The number of "10.0.0.1", or null where it is no IPv4 address. */
export function addressNumber(text: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  const bytes = match.slice(1).map(Number);
  if (bytes.some((byte) => byte > 255)) return null;
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

/** "10.1.2.3/8" as 10.0.0.0/8; an address alone as /32; null where it is neither (IPv6, names). */
export function parseSubnet(text: string): Subnet | null {
  const [address = "", prefix = "32"] = text.split("/");
  const number = addressNumber(address);
  const bits = /^\d{1,2}$/.test(prefix) ? Number(prefix) : NaN;
  if (number === null || !(bits <= 32)) return null;
  const size = 2 ** (32 - bits);
  return { base: Math.floor(number / size) * size, bits };
}

/** The network address and prefix of an address with prefix: "192.168.254.1/24" gives "192.168.254.0/24". */
export function subnetText(subnet: Subnet): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(subnet.base / 2 ** shift) % 256);
  return `${bytes.join(".")}/${subnet.bits}`;
}

/** Whether two subnets share an address. */
export function overlap(one: Subnet, other: Subnet): boolean {
  const size = 2 ** (32 - Math.min(one.bits, other.bits));
  return Math.floor(one.base / size) === Math.floor(other.base / size);
}

/** Private subnets, large ones first, of which alternatives are offered. */
const CANDIDATES: readonly string[] = [
  "172.16.0.0/12",
  ...Array.from({ length: 15 }, (_, index) => `10.${240 - 16 * index}.0.0/12`),
  "192.168.128.0/17",
  "192.168.0.0/17",
];

/** Up to three private subnets that overlap none of those taken. */
export function freeSubnets(taken: readonly Subnet[]): readonly string[] {
  return CANDIDATES.filter((text) => !taken.some((one) => overlap(one, parseSubnet(text)!))).slice(0, 3);
}
