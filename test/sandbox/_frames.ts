// Raw Ethernet frames for tests of the firewall: built here byte by byte, sent and heard by perl's AF_PACKET sockets
// from inside a network namespace (perl-base is on every Debian). Owns the bytes; asserts nothing.
// Each frame carries a token of six bytes where no router or bridge cuts it off, which is what the listener looks for.
import type { Background, EnterOptions, Sandbox } from "./harness.ts";

/** Who speaks or is spoken to: MAC and addresses in text form. */
export interface Party {
  readonly mac: string;
  readonly ip: string;
  /** Absent where no IPv6 is spoken. */
  readonly ip6?: string;
}

/** All hosts of a segment. */
export const BROADCAST = "ff:ff:ff:ff:ff:ff";
/** A MAC and addresses that nobody has. */
export const NOBODY: Party = { mac: "02:de:ad:00:00:01", ip: "172.16.9.9", ip6: "fd00:9::9" };

const hex = (value: number, bytes: number) => value.toString(16).padStart(2 * bytes, "0");
/** A MAC's digits. */
export const bare = (mac: string) => mac.replaceAll(":", "");
const ipHex = (ip: string) => ip.split(".").map((part) => hex(Number(part), 1)).join("");

/** An IPv6 address as 32 digits. */
export function ip6Hex(ip: string): string {
  const [head = "", tail] = ip.split("::") as [string, string?];
  const groups = (text: string | undefined) =>
    (text ?? "") === "" ? [] : text!.split(":").map((one) => one.padStart(4, "0"));
  const [first, last] = [groups(head), groups(tail)];
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => "0000"), ...last].join(
    "",
  );
}

/** The internet checksum over the digits. */
function checksum(digits: string): string {
  let sum = 0;
  for (let at = 0; at < digits.length; at += 4) {
    sum += Number.parseInt(digits.slice(at, at + 4).padEnd(4, "0"), 16);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return hex(0xffff - sum, 2);
}

/** The token of a number: "bt" and four bytes. */
export function token(id: number): string {
  return `6274${hex(id, 4)}`;
}

/** A frame of any type. */
export function frame(to: string, from: string, type: number, payload: string): string {
  return (bare(to) + bare(from) + hex(type, 2) + payload).padEnd(120, "0");
}

/** The same with tags before its type: [0x8100, 5] is VLAN 5. */
export function tagged(tags: readonly (readonly [number, number])[], untagged: string): string {
  return untagged.slice(0, 24) + tags.map(([type, id]) => hex(type, 2) + hex(id, 2)).join("") +
    untagged.slice(24);
}

/** An IPv4 packet with a UDP datagram, by default to port 9 (discard), that carries the token. */
export function udp4(
  from: string,
  to: string,
  id: number,
  ports: readonly [number, number] = [40009, 9],
): string {
  const data = token(id) + "0".repeat(24);
  const udp = hex(ports[0], 2) + hex(ports[1], 2) + hex(8 + data.length / 2, 2) + "0000" + data;
  const header = (sum: string) =>
    `4500${hex(20 + udp.length / 2, 2)}000040004011${sum}${ipHex(from)}${ipHex(to)}`;
  return header(checksum(header("0000"))) + udp;
}

/** An ARP packet; the token follows it as padding does. */
export function arp(
  id: number,
  { operation = 1, sender, target, htype = 1, ptype = 0x0800 }: {
    readonly operation?: number;
    readonly sender: { readonly mac: string; readonly ip: string };
    readonly target: { readonly mac: string; readonly ip: string };
    readonly htype?: number;
    readonly ptype?: number;
  },
): string {
  return hex(htype, 2) + hex(ptype, 2) + "0604" + hex(operation, 2) + bare(sender.mac) + ipHex(sender.ip) +
    bare(target.mac) + ipHex(target.ip) + token(id);
}

function ip6(from: string, to: string, next: number, hops: number, body: (pseudo: string) => string): string {
  const length = body("").length / 2;
  const pseudo = ip6Hex(from) + ip6Hex(to) + hex(length, 4) + "000000" + hex(next, 1);
  return `60000000${hex(length, 2)}${hex(next, 1)}${hex(hops, 1)}${ip6Hex(from)}${ip6Hex(to)}${body(pseudo)}`;
}

/** An IPv6 packet with a UDP datagram to port 9 that carries the token. */
export function udp6(from: string, to: string, id: number): string {
  return ip6(from, to, 17, 64, (pseudo) => {
    const data = token(id) + "0".repeat(24);
    const udp = (sum: string) => hex(40009, 2) + hex(9, 2) + hex(8 + data.length / 2, 2) + sum + data;
    return udp(checksum(pseudo + udp("0000")));
  });
}

function icmp6Packet(from: string, to: string, type: number, message: string): string {
  return ip6(from, to, 58, 255, (pseudo) => {
    const body = (sum: string) => `${hex(type, 1)}00${sum}${message}`;
    return body(checksum(pseudo + body("0000")));
  });
}

/** An ICMPv6 message, whole but for its checksum; a nonce option with the token goes behind it. */
export function icmp6(from: string, to: string, type: number, message: string, id: number): string {
  return icmp6Packet(from, to, type, `${message}0e01${token(id)}`);
}

/** An ICMPv6 message as it is; the token follows the packet as padding does. */
export function icmp6Bare(from: string, to: string, type: number, message: string, id: number): string {
  return icmp6Packet(from, to, type, message) + token(id);
}

/**
 * An ICMPv6 message in two fragments. The token stands in the message, where its checksum and its four next bytes do: it
 * is told by type, and by what follows those.
 *
 * @param first how many of its bytes go into the first one, which the trailer follows as padding does. 0: destination
 * options alone; the message is all in the second.
 */
export function icmp6Fragments(
  id: number,
  [from, to]: readonly [string, string],
  [type, message]: readonly [number, string],
  first: number,
  trailer = "",
): readonly string[] {
  const whole = `${hex(type, 1)}00${token(id)}${message}`;
  const [kind, head, tail] = first === 0
    ? [60, "3a00010400000000", whole]
    : [58, whole.slice(0, 2 * first), whole.slice(2 * first)];
  const piece = (body: string, offset: number) =>
    ip6(from, to, 44, 255, () => `${hex(kind, 1)}00${hex(offset, 2)}${hex(id, 4)}${body}`);
  return [piece(head, 1) + trailer, piece(tail, head.length / 2)];
}

/** The link-local address that the kernel makes from a MAC. */
export function linkLocal(mac: string): string {
  const [first = 0, ...rest] = mac.split(":").map((byte) => Number.parseInt(byte, 16));
  const bytes = [first ^ 2, rest[0]!, rest[1]!, 0xff, 0xfe, ...rest.slice(2)].map((byte) => hex(byte, 1));
  const groups = [0, 2, 4, 6].map((at) => Number.parseInt(bytes[at]! + bytes[at + 1]!, 16).toString(16));
  return `fe80::${groups.join(":")}`;
}

/** ICMPv6 messages' types. */
export const ND = { solicit: 135, advertise: 136, router: 134, echo: 128, listener: 143 } as const;

/** A neighbour solicitation's or advertisement's body: a target, and the option with a MAC where one is given. */
export function neighbour(
  target: string,
  option: { readonly type: 1 | 2; readonly mac: string } | null,
  flags = 0,
): string {
  return hex(flags, 4) + ip6Hex(target) + (option === null ? "" : `0${option.type}01${bare(option.mac)}`);
}

/** Where a multicast IPv6 address goes. */
export function multicastMac(ip: string): string {
  return `33:33:${ip6Hex(ip).slice(24).replace(/..(?=.)/g, "$&:")}`;
}

/** The solicited-node group of an address. */
export function solicitedNode(ip: string): string {
  const tail = ip6Hex(ip).slice(26);
  return `ff02::1:ff${tail.slice(0, 2)}:${tail.slice(2)}`;
}

/** Reads frames as lines of digits from stdin and sends each out of the interface. */
const SEND = `
socket(my $s, 17, 3, 0x0300) or die "socket: $!";
my $r = pack("a16x16", $ARGV[0]);
ioctl($s, 0x8933, $r) or die "$ARGV[0]: $!";
my $to = pack("S n i S C C a8", 17, 3, unpack("x16 i", $r), 1, 0, 6, "");
while (<STDIN>) { chomp; send($s, pack("H*", $_), 0, $to) or die "send: $!" }`;

/** Prints the token of each frame heard on the interface, one a line; says "ready" first. */
const HEAR = `
$| = 1;
socket(my $s, 17, 3, 0x0300) or die "socket: $!";
my $r = pack("a16x16", $ARGV[0]);
ioctl($s, 0x8933, $r) or die "$ARGV[0]: $!";
bind($s, pack("S n i x12", 17, 3, unpack("x16 i", $r))) or die "bind: $!";
print "ready\\n";
while (defined(recv($s, my $f, 2000, 0))) { print unpack("N", $1), "\\n" if $f =~ /bt(....)/s }`;

/** Where something speaks or listens: a process whose network namespace it is (1: the host's), or the router; and the interface. */
export interface Place {
  readonly pid: number | "router";
  readonly device: string;
}

function enter({ pid, device }: Place, script: string): [readonly string[], EnterOptions] {
  const argv = ["perl", "-e", script, device];
  return pid === "router"
    ? [argv, { network: "router" }]
    : [["nsenter", `--net=/proc/${pid}/ns/net`, ...argv], {}];
}

/** Sends frames one after the other. @throws {Error} where one cannot be sent. */
export async function send(box: Sandbox, from: Place, frames: readonly string[]): Promise<void> {
  const [argv, how] = enter(from, SEND);
  const said = await box.run(argv, { ...how, input: frames.map((one) => `${one}\n`).join("") });
  if (said.exit !== 0) throw new Error(`Cannot send from ${from.device}: ${said.stderr}`);
}

/** A listener: what it has heard so far. */
export interface Ear {
  /** Tokens' numbers heard. */
  heard(): ReadonlySet<number>;
  close(): Promise<unknown>;
}

/** Listens at a place until closed, or the sandbox is. */
export async function listen(box: Sandbox, at: Place): Promise<Ear> {
  const running: Background = box.spawn(...enter(at, HEAR));
  await box.until(`an ear on ${at.device}`, (seen) => {
    seen(running.stdout + running.stderr);
    return running.stdout.startsWith("ready");
  });
  return {
    heard: () => new Set(running.stdout.split("\n").slice(1, -1).map(Number)),
    close() {
      running.kill();
      return running.ended;
    },
  };
}

/** Packets that rules with a drop have counted, over tables such as "bridge berth". */
export async function drops(box: Sandbox, ...tables: readonly string[]): Promise<number> {
  const listings = await box.sh(tables.map((table) => `nft -j list table ${table}`).join("\n"));
  type Statement = { readonly counter?: { readonly packets: number }; readonly drop?: null };
  let sum = 0;
  for (const line of listings.trim().split("\n")) {
    const { nftables } = JSON.parse(line) as {
      nftables: readonly { rule?: { expr: readonly Statement[] } }[];
    };
    for (const { rule } of nftables) {
      if (rule?.expr.some((one) => "drop" in one)) {
        sum += rule.expr.find((one) => one.counter !== undefined)?.counter?.packets ?? 0;
      }
    }
  }
  return sum;
}
