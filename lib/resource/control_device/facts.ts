// One look at a network device and all that hangs on it: addresses, routes of every table, rules, neighbours,
// parameters. Reads only, and parses what `ip` prints. What is done with it is batch.ts'.
import type { Look } from "../../host/types.ts";
import { ipList } from "../kinds/ip_list.ts";
import { askIp } from "../kinds/link.ts";

/** An address as `ip -j addr` tells it; only what is carried over. */
export interface DeviceAddress {
  readonly family: "inet" | "inet6";
  readonly local: string;
  readonly prefixlen: number;
  /** The other end of a point-to-point address. */
  readonly address?: string;
  readonly broadcast?: string;
  readonly scope: string;
  readonly label?: string;
  readonly metric?: number;
  readonly noprefixroute?: boolean;
  readonly mngtmpaddr?: boolean;
  readonly home?: boolean;
  readonly autojoin?: boolean;
  /** Made by the kernel beside a managed one. */
  readonly temporary?: boolean;
  readonly valid_life_time?: number;
  readonly preferred_life_time?: number;
}

/** A neighbour as `ip -j neigh` tells it. */
export interface DeviceNeighbour {
  readonly dst: string;
  readonly lladdr: string;
  readonly state: readonly string[];
}

/** A device and what hangs on it. Routes and rules are kept as the words that `ip` prints. */
export interface DeviceFacts {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Name of the bridge or bond it is a port of, or null. */
  readonly master: string | null;
  /** "veth", "vlan", "bond", "bridge" …; "" for hardware. */
  readonly kind: string;
  /** "ether". */
  readonly type: string;
  readonly alias: string;
  /** How it makes its link-local address: "eui64", "none" … */
  readonly addrgenmode: string;
  readonly addresses: readonly DeviceAddress[];
  readonly routes4: readonly string[];
  readonly routes6: readonly string[];
  readonly rules4: readonly string[];
  readonly rules6: readonly string[];
  readonly neighbours: readonly DeviceNeighbour[];
  /** Devices that take its frames before a bridge could (macvlan, macvtap, ipvlan). */
  readonly riders: readonly string[];
}

interface LinkJson {
  readonly ifname: string;
  readonly link?: string;
  readonly address?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
  readonly master?: string;
  readonly link_type?: string;
  readonly ifalias?: string;
  readonly inet6_addr_gen_mode?: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info?: readonly (Partial<DeviceAddress>)[];
}

/** Kinds that a device's frames go to before its bridge: the kernel refuses to make such a device a port. */
const RIDERS = ["macvlan", "macvtap", "ipvlan", "ipvtap"];

/** Looks at a device; null where there is none. */
export async function deviceFacts(look: Look, name: string): Promise<DeviceFacts | null> {
  const [links, routes4, routes6, rules4, rules6, neighbours] = await Promise.all([
    askIp(look, ["-j", "-d", "addr", "show"]),
    askIp(look, ["-N", "-d", "-o", "-4", "route", "show", "table", "all"]),
    askIp(look, ["-N", "-d", "-o", "-6", "route", "show", "table", "all"]),
    askIp(look, ["-4", "rule", "show"]),
    askIp(look, ["-6", "rule", "show"]),
    askIp(look, ["-j", "neigh", "show"]),
  ]);
  const all = ipList<LinkJson>(links.stdout);
  const link = all.find((one) => one.ifname === name);
  if (link === undefined) return null;
  return {
    name,
    mac: link.address ?? "",
    mtu: link.mtu ?? 0,
    up: link.flags?.includes("UP") ?? false,
    master: link.master ?? null,
    kind: link.linkinfo?.info_kind ?? "",
    type: link.link_type ?? "",
    alias: link.ifalias ?? "",
    addrgenmode: link.inet6_addr_gen_mode ?? "eui64",
    addresses: (link.addr_info ?? []).filter((one) => one.local !== undefined) as DeviceAddress[],
    routes4: routesOf(routes4.stdout, name),
    routes6: routesOf(routes6.stdout, name),
    rules4: rulesOf(rules4.stdout, name),
    rules6: rulesOf(rules6.stdout, name),
    neighbours: ipList<DeviceNeighbour & { dev?: string }>(neighbours.stdout)
      .filter((one) => one.dev === name && one.lladdr !== undefined)
      .map(({ dst, lladdr, state }) => ({ dst, lladdr, state })),
    riders: all.filter((one) => one.link === name && RIDERS.includes(one.linkinfo?.info_kind ?? ""))
      .map((one) => one.ifname),
  };
}

/** Whether words hold `keyword NAME`. */
function names(words: readonly string[], keywords: readonly string[], name: string): boolean {
  return words.some((word, at) => keywords.includes(word) && words[at + 1] === name);
}

/** Words that tell a route's state, not the route. */
const STATE_WORDS = [
  "linkdown",
  "dead",
  "offload",
  "rt_offload",
  "trap",
  "rt_trap",
  "rt_offload_failed",
  "\\",
];

/** Words of `ip -N` for a route's type (rtnetlink.h). */
const TYPES: Readonly<Record<string, string>> = {
  "1": "unicast",
  "2": "local",
  "3": "broadcast",
  "4": "anycast",
  "5": "multicast",
};

/** The protocol of what the kernel made by itself (RTPROT_KERNEL). */
export const KERNEL_PROTOCOL = "2";

/**
 * Routes that lead to the device, as the words of `ip route add`; none of those the kernel makes with an address.
 *
 * Numbers throughout (-N): a batch of iproute2 6.1 takes "proto boot" for the number of a line before it.
 */
function routesOf(text: string, name: string): string[] {
  return text.split("\n").map((line) => line.split(/\s+/).filter((word) => word !== ""))
    .filter((words) => names(words, ["dev"], name))
    .map(routeWords)
    .filter((words) =>
      !(/^(local|broadcast|anycast|multicast)$/.test(words[0]!) && names(words, ["proto"], KERNEL_PROTOCOL))
    )
    .map((words) => words.join(" "));
}

function routeWords(words: readonly string[]): string[] {
  const kept: string[] = [TYPES[words[0]!] ?? words[0]!];
  for (let at = 1; at < words.length; at++) {
    const word = words[at]!;
    if (STATE_WORDS.includes(word)) continue;
    if (word === "error") at++;
    else if (word === "expires") kept.push(word, words[++at]!.replace(/sec$/, ""));
    else kept.push(word);
  }
  return kept;
}

/** Rules that name the device: "PRIORITY from all iif eth0 lookup 100". */
function rulesOf(text: string, name: string): string[] {
  return text.split("\n").map((line) => line.replace(":", " ").split(/\s+/).filter((word) => word !== ""))
    .filter((words) => names(words, ["iif", "oif"], name))
    .map((words) => words.filter((word) => word !== "[detached]").join(" "));
}

/** Folders below /proc/sys/net that have a directory for each device. */
export const PARAMETER_FOLDERS = ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"] as const;

/**
 * What is the bridge's own or follows from elsewhere: `mtu` from the device, `addr_gen_mode` from the batch; the two
 * `_time` without `_ms` say again what those with it say; the rest cannot be written.
 */
const NOT_CARRIED =
  /\/(mtu|addr_gen_mode|base_reachable_time|retrans_time|retransmit_time|mc_forwarding|stable_secret|arp_notify)$/;

/** Parameters of a device by their path below /proc/sys/net, with "@" for its name. */
export async function deviceParameters(look: Look, name: string): Promise<Readonly<Record<string, string>>> {
  const folders = await Promise.all(PARAMETER_FOLDERS.map(async (folder) => {
    const path = `/proc/sys/net/${folder}/${name}`;
    return (await look.list(path) ?? []).map((key) => ({
      key: `${folder}/@/${key}`,
      path: `${path}/${key}`,
    }));
  }));
  const wanted = folders.flat().filter(({ key }) => !NOT_CARRIED.test(key));
  // Some cannot be read as long as nothing was written (stable_secret): they are as they were made, then.
  const texts = await Promise.all(wanted.map(({ path }) => look.readText(path).catch(() => null)));
  return Object.fromEntries(
    wanted.flatMap(({ key }, at) => texts[at] === null ? [] : [[key, texts[at]!.trim()]]),
  );
}
