// What the host-side kernel state of one running vnode should be, as plain data computed from its spec, and
// the batches that make it from nothing. Pure. The gate runs these batches as they are (with the places for
// pid, generation and port filled in); wire() runs those lines of them that are missing.
import { IPV6_MTU } from "../config/ipv6_mtu.ts";
import type { LanSpec, LinkSpec, RouteSpec, VnodeSpec } from "../config/types.ts";
import type { Element } from "../resource/nft_elements.ts";
import { elementsOf } from "./elements.ts";
import { bridgeName, hostEndName, ifbName, linkAlias, macvlanBridgeName, vlanName } from "./names.ts";
import { isPlain, qdiscLines, type Qdiscs, qdiscsOf } from "./shape.ts";

/** Places in a batch that only the moment of the start can fill. */
export const PLACE = { pid: "@PID@", generation: "@GEN@", port: "@PORT@" } as const;

/** A path below /proc/sys of a network namespace, and what is written there. */
export type Sysctl = readonly [path: string, value: string];

/** The control interface's name inside: vnodes have exactly one Docker network of ours. */
export const CONTROL_INSIDE = "eth0";

/** One link, on the host and inside. */
export interface LinkWiring {
  /** "macvlan" has no end on the host; "device" is the machine's own and has neither end nor lan. */
  readonly kind: "veth" | "macvlan" | "device";
  /** What a macvlan sits on. */
  readonly parent?: string;
  /** The machine's own name of a device that is handed in. */
  readonly device?: string;
  readonly end: string;
  /** Present where what the vnode sends is shaped. */
  readonly ifb: string | null;
  readonly bridge: string;
  readonly lan: string;
  readonly name: string;
  /** "" for a device that keeps its own. */
  readonly mac: string;
  /** 0 for a device that keeps its own. */
  readonly mtu: number;
  readonly addresses: readonly string[];
  /** On the host end's root: what the vnode hears. */
  readonly ingress: Qdiscs;
  /** On the ifb's root: what the vnode says. */
  readonly egress: Qdiscs;
  /** What the vnode sends leaves it frame by frame. */
  readonly oneSegment: boolean;
  /** False where it has no carrier. */
  readonly up: boolean;
  /** False on a hub. */
  readonly learning: boolean;
  /** Of this interface inside, with IPv6 back on where it has such an address: Docker switches it off. */
  readonly sysctls: readonly Sysctl[];
}

/** Everything that wiring a vnode means. */
export interface Wiring {
  readonly vnode: string;
  readonly links: readonly LinkWiring[];
  readonly routes: readonly RouteSpec[];
  readonly control: { readonly address: string; readonly mac: string };
  /** Lines of /etc/hosts beside Docker's own, without the marks. */
  readonly hosts: readonly string[];
  /** What it has in the sets and maps of the firewall. */
  readonly elements: readonly Element[];
  /** Of its network namespace, before those of its links. */
  readonly sysctls: readonly Sysctl[];
  /** The control network's gateway; null where its default route is left to the engine. */
  readonly gateway: string | null;
}

/** Marks of our block in the container's /etc/hosts. */
export const HOSTS_BEGIN = "# berth: begin";
export const HOSTS_END = "# berth: end";

function linkWiring(vnode: string, link: LinkSpec): LinkWiring {
  return {
    kind: link.device !== undefined ? "device" : link.driver ?? "veth",
    ...(link.driver === "macvlan" && { parent: parentOf(link) }),
    ...(link.device !== undefined && { device: link.device }),
    end: hostEndName(vnode, link.name),
    ifb: isPlain(link.egress) ? null : ifbName(vnode, link.name),
    bridge: bridgeName(link.lan),
    lan: link.lan,
    name: link.name,
    mac: link.mac,
    mtu: link.mtu,
    addresses: link.addresses,
    ingress: qdiscsOf(link.ingress, link.mtu),
    egress: qdiscsOf(link.egress, link.mtu),
    oneSegment: link.oneSegment === true,
    up: link.up !== false,
    learning: link.learning !== false,
    sysctls: linkSysctls(link),
  };
}

/** What a macvlan sits on. */
function parentOf({ lan, parent }: LinkSpec): string {
  return parent === undefined ? macvlanBridgeName(lan) : parent === "" ? vlanName(lan) : parent;
}

function linkSysctls({ name, addresses, sysctls = {} }: LinkSpec): Sysctl[] {
  const path = (key: string) => {
    const [family = "", ...rest] = key.split(".");
    return `net/${family}/conf/${name}/${rest.join("/")}`;
  };
  const ipv6 = addresses.some((address) => address.includes(":"));
  return [
    ...(ipv6 ? [[path("ipv6.disable_ipv6"), "0"] as const] : []),
    ...Object.entries(sysctls).map(([key, value]): Sysctl => [path(key), value]),
  ];
}

/**
 * Whether a vnode hands on, written either way: a container begins with what the host does (devconf_inherit). First of
 * all, since the kernel resets others with it. IPv6 only where the vnode has it: a host may have none. Its loopback
 * then, too, which engines before 26 switch it off on: a vnode would not reach its own addresses.
 */
function forwardingSysctls({ forwarding, links }: VnodeSpec): Sysctl[] {
  if (forwarding === undefined) return [];
  const value = forwarding ? "1" : "0";
  const ipv6 = links.some((link) => link.addresses.some((address) => address.includes(":")));
  return [
    ["net/ipv4/ip_forward", value],
    ...(ipv6
      ? [["net/ipv6/conf/all/forwarding", value], ["net/ipv6/conf/lo/disable_ipv6", "0"]] as const
      : []),
  ];
}

/** All that is written below /proc/sys when a vnode's life begins, in order. */
export function sysctlsOf(wiring: Wiring): Sysctl[] {
  return [...wiring.sysctls, ...wiring.links.flatMap((link) => link.sysctls)];
}

/** The wiring of a vnode's spec. */
export function wiringOf(spec: VnodeSpec): Wiring {
  return {
    vnode: spec.name,
    links: spec.links.map((link) => linkWiring(spec.name, link)),
    routes: spec.routes,
    control: spec.control,
    hosts: [
      ...Object.entries(spec.hosts).map(([name, address]) => `${address}\t${name}`),
      ...(spec.names ?? []),
    ],
    elements: elementsOf(spec),
    sysctls: [
      ...forwardingSysctls(spec),
      ...Object.entries(spec.sysctls ?? {}).map(([key, value]): Sysctl => [key.replaceAll(".", "/"), value]),
    ],
    gateway: spec.gateway ?? null,
  };
}

/** The lans a vnode's links are on, of those declared. */
export function lansOf(spec: VnodeSpec, lans: readonly LanSpec[]): LanSpec[] {
  return lans.filter((lan) => spec.links.some((link) => link.lan === lan.name));
}

/** The kernel's own limit (GSO_MAX_SEGS), which a veth starts with. */
const ALL_SEGMENTS = 65535;

/**
 * How many segments each end of a link may hand on as one packet (`gso_max_segs`). The end inside is what counts: a
 * vnode's packets are cut as they leave it, before any of our queues. The host's end is set too, to be looked at.
 */
export function segmentsOf(link: LinkWiring): number {
  return link.oneSegment ? 1 : ALL_SEGMENTS;
}

/**
 * True for an interface of that MTU that would get fe80::, so that it must be kept from it. On a smaller one
 * "addrgenmode" is refused.
 */
export function speaksIpv6(mtu: number): boolean {
  return mtu >= IPV6_MTU;
}

/** `ip -batch` lines on the host for one link. `up` inside the `link add` fails (measured): lines of their own. */
export function hostLinkLines(wiring: Wiring, link: LinkWiring, pid: string, generation: string): string[] {
  // What it was stands in its mark, which only the moment of the start can tell (devices.ts).
  if (link.kind === "device") return [];
  if (link.kind === "macvlan") {
    return [
      `link add link ${link.parent} name ${link.name} netns ${pid} address ${link.mac} mtu ${link.mtu} ` +
      "type macvlan mode bridge",
    ];
  }
  const alias = linkAlias(wiring.vnode, link.name, generation);
  const segments = link.oneSegment ? " gso_max_segs 1" : "";
  return [
    `link add ${link.end} mtu ${link.mtu}${segments} master ${link.bridge} type veth ` +
    `peer name ${link.name} netns ${pid} address ${link.mac} mtu ${link.mtu}${segments}`,
    // A bridge port without an address would still get fe80:: and speak on the lan.
    ...(speaksIpv6(link.mtu) ? [`link set ${link.end} addrgenmode none`] : []),
    ...(link.learning ? [] : [learningLine(link)]),
    `link set ${link.end} alias ${alias}${link.up ? " up" : ""}`,
  ];
}

/** The `ip` line that makes a port of a switch or of a hub of a host end, and forgets what it had learned. */
export function learningLine({ end, learning }: LinkWiring): string {
  return `link set ${end} type bridge_slave learning ${learning ? "on" : "off"} fdb_flush`;
}

/** `ip -batch` lines on the host for the ifb of one link; [] where what it sends is not shaped. */
export function ifbLines(wiring: Wiring, link: LinkWiring, generation: string): string[] {
  if (link.ifb === null) return [];
  return [
    `link add ${link.ifb} type ifb`,
    `link set ${link.ifb} addrgenmode none`,
    `link set ${link.ifb} alias ${linkAlias(wiring.vnode, link.name, generation)} up`,
  ];
}

/** The `ip -batch` line inside that gives an interface an address. */
export function addressLine(dev: string, address: string, verb: "add" | "replace" = "add"): string {
  // nodad: the address works from the first instruction on; the lan is ours, duplicates are refused before.
  return `addr ${verb} ${address} dev ${dev}${address.includes(":") ? " nodad" : ""}`;
}

/** `ip -batch` lines inside the vnode for its links, without its routes. */
export function insideLinkLines(link: LinkWiring): string[] {
  return [
    ...link.addresses.map((address) => addressLine(link.name, address)),
    // With "dev": an interface may be called "up", or by the beginning of another word of ip's.
    `link set dev ${link.name} up`,
  ];
}

/**
 * All routes inside. The control network's gateway is the default unless another is written: where a container is on
 * several of its networks, each engine has another opinion of whose gateway that is.
 */
export function routesOf({ routes, gateway }: Wiring): readonly RouteSpec[] {
  const isWritten = routes.some((route) => route.to === "default" && !route.via.includes(":"));
  return gateway === null || isWritten ? routes : [{ to: "default", via: gateway }, ...routes];
}

/** A route's destination as `ip` and the kernel have it: "default" is of both families. */
export function destinationOf({ to, via }: RouteSpec): string {
  return to === "default" && via.includes(":") ? "::/0" : to;
}

/** The `ip -batch` line inside that makes a route so. */
export function routeLine(route: RouteSpec): string {
  const dev = route.dev === undefined ? "" : ` dev ${route.dev}`;
  return `route replace ${destinationOf(route)} via ${route.via}${dev}`;
}

/** `ip -batch` lines inside the vnode for its routes. */
export function routeLines(wiring: Wiring): string[] {
  return routesOf(wiring).map(routeLine);
}

/** `tc -batch` lines that lead what a vnode says through its ifb: every protocol, VLAN and ARP included. */
export function redirectLines(link: LinkWiring): string[] {
  if (link.ifb === null) return [];
  return [
    `qdisc add dev ${link.end} ingress`,
    `filter add dev ${link.end} parent ffff: protocol all prio 1 u32 match u32 0 0 ` +
    `action mirred egress redirect dev ${link.ifb}`,
  ];
}

/** `tc -batch` lines for one link. */
export function shapeLines(link: LinkWiring): string[] {
  return [
    ...qdiscLines(link.end, link.ingress),
    ...(link.ifb === null ? [] : [...qdiscLines(link.ifb, link.egress), ...redirectLines(link)]),
  ];
}

/** Our block of the container's hosts file; "" where there is nothing to say. */
export function hostsBlock(wiring: Wiring): string {
  if (wiring.hosts.length === 0) return "";
  return [HOSTS_BEGIN, ...wiring.hosts, HOSTS_END, ""].join("\n");
}

/** All host-side names, so that what is left of an earlier life can be taken away first. */
export function hostNames(wiring: Wiring): string[] {
  return wiring.links.filter((link) => link.kind === "veth")
    .flatMap((link) => link.ifb === null ? [link.end] : [link.end, link.ifb]);
}
