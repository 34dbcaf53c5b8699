// The nets of an experiment: which vnode is on which subnet of which lan, and from there the routes of one vnode to all
// of them. Pure. Paths are shortest.ts's, merging is prefixes.ts's, what becomes of the routes is topology.ts's.
import {
  type Address,
  isOverlapping,
  isWithin,
  parseInterfaceAddress,
  parseSubnet,
  type Subnet,
  subnetAround,
} from "../config/address.ts";
import { Problem } from "../config/problem.ts";
import type { LanSpec, LinkSpec, RouteSpec, VnodeSpec } from "../config/types.ts";
import { KEPT_FREE, merged, NO_HOP, type Prefixes, prefixesOf } from "./prefixes.ts";
import { type Graph, type GraphLink, graphOf, type Paths, shortestPaths } from "./shortest.ts";

/** A subnet of a lan: its members reach one another without a next hop. */
export interface Net {
  readonly lan: string;
  readonly subnet: Subnet;
}

/** A vnode's place on a net. */
export interface Place {
  /** Of the vnode's links, counted from 0. */
  readonly link: number;
  /** By number. */
  readonly net: number;
  /** Its first address there, without prefix length. */
  readonly address: string;
}

/** What of an experiment is of one address family. */
export interface Family {
  readonly family: 4 | 6;
  readonly nets: readonly Net[];
  /** By vnode, in the order of its links. */
  readonly places: readonly (readonly Place[])[];
  readonly graph: Graph;
  readonly prefixes: Prefixes;
}

/** All vnodes of one experiment, by name. */
export interface Topology {
  readonly specs: readonly VnodeSpec[];
  readonly numbers: ReadonlyMap<string, number>;
  readonly families: readonly [Family, Family];
}

/** A link's cost where none is written. */
const DEFAULT_COST = 1;

/** True where a link takes part in routes: it leads to a lan and its carrier is not off. */
export function carries(link: LinkSpec): boolean {
  return link.lan !== "" && link.up !== false;
}

/**
 * The topology that specs make. Links that lead to a device of the machine, or are down, carry nothing. Where a lan has
 * no subnets, those of the addresses' own prefix lengths count.
 */
export function topologyOf(vnodes: readonly VnodeSpec[], lans: readonly LanSpec[]): Topology {
  const specs = [...vnodes].sort((a, b) => a.name < b.name ? -1 : 1);
  const subnets = new Map(lans.map((lan) => [lan.name, lan.subnets.map(subnetOf)]));
  return {
    specs,
    numbers: new Map(specs.map((spec, number) => [spec.name, number])),
    families: [familyOf(4, specs, subnets), familyOf(6, specs, subnets)],
  };
}

function familyOf(
  family: 4 | 6,
  specs: readonly VnodeSpec[],
  subnets: ReadonlyMap<string, readonly Subnet[]>,
): Family {
  const nets: Net[] = [];
  const numbers = new Map<string, number>();
  const links: GraphLink[] = [];
  const places = specs.map((spec, vnode) => {
    const mine: Place[] = [];
    spec.links.forEach((link, index) => {
      if (!carries(link)) return;
      for (const text of link.addresses) {
        const { address, subnet } = placed(text, subnets.get(link.lan) ?? []);
        if (address.family !== family) continue;
        const key = `${link.lan} ${subnet.text}`;
        const net = numbers.get(key) ?? nets.push({ lan: link.lan, subnet }) - 1;
        numbers.set(key, net);
        if (mine.some((place) => place.link === index && place.net === net)) continue;
        mine.push({ link: index, net, address: address.text });
        links.push({ vnode, net, cost: link.cost ?? DEFAULT_COST });
      }
    });
    return mine;
  });
  return {
    family,
    nets,
    places,
    graph: graphOf(
      { vnodes: specs.length, nets: nets.length },
      links,
      (vnode) => specs[vnode]!.forwarding === true,
    ),
    prefixes: prefixesOf(nets.map((net) => net.subnet)),
  };
}

function placed(text: string, subnets: readonly Subnet[]): { address: Address; subnet: Subnet } {
  const { address, prefix } = checked(parseInterfaceAddress(text), text);
  const subnet = subnets.find((one) => isWithin(address, one)) ??
    subnetAround(address, prefix ?? (address.family === 4 ? 32 : 128));
  return { address, subnet };
}

function subnetOf(text: string): Subnet {
  return checked(parseSubnet(text), text);
}

/** Specs and records hold what was checked when it was read. */
function checked<Read>(read: Read | Problem, text: string): Read {
  if (read instanceof Problem) throw new TypeError(`A checked spec holds "${text}": ${read.message}`);
  return read;
}

/** One vnode's view of an experiment: its paths to every net, of both families. */
export interface Standpoint {
  readonly topology: Topology;
  readonly vnode: number;
  readonly paths: readonly [Paths, Paths];
}

/** Looks at an experiment from one of its vnodes. */
export function standpointOf(topology: Topology, name: string): Standpoint {
  const vnode = topology.numbers.get(name);
  if (vnode === undefined) throw new TypeError(`No vnode "${name}" in this topology`);
  const [four, six] = topology.families;
  return { topology, vnode, paths: [shortestPaths(four.graph, vnode), shortestPaths(six.graph, vnode)] };
}

/**
 * The routes of a vnode to every net it is not on itself, halves of one next hop merged, in the order of addresses.
 * Where two nets have one subnet, the nearer. Destinations with a written route are left to that; never a default.
 */
export function routesFrom({ topology, vnode, paths }: Standpoint): RouteSpec[] {
  const spec = topology.specs[vnode]!;
  const written = new Set(spec.routes.map((route) => route.to));
  return topology.families.flatMap((family, at) => {
    const { distance, neighbour, link } = paths[at]!;
    const { prefixes, nets } = family;
    const own = family.places[vnode]!;
    const hops = new Int32Array(prefixes.subnets.length).fill(NO_HOP);
    const nearest = new Float64Array(hops.length).fill(Infinity);
    nets.forEach(({ subnet }, net) => {
      const number = prefixes.numbers.get(subnet.text)!;
      if (neighbour[net]! < 0) return;
      const hop = neighbour[net]! * own.length + link[net]!;
      const isNearer = distance[net]! < nearest[number]!;
      if (!isNearer && !(distance[net] === nearest[number] && hop < hops[number]!)) return;
      hops[number] = hop;
      nearest[number] = distance[net]!;
    });
    for (const place of own) hops[prefixes.numbers.get(nets[place.net]!.subnet.text)!] = KEPT_FREE;
    for (const to of written) {
      const number = prefixes.numbers.get(to);
      if (number !== undefined) hops[number] = KEPT_FREE;
    }
    const after = merged(prefixes, hops);
    return prefixes.order.filter((number) => after[number]! >= 0).map((number): RouteSpec => {
      const { net, link } = own[after[number]! % own.length]!;
      const { address } = family.places[Math.floor(after[number]! / own.length)]!.find((one) =>
        one.net === net
      )!;
      // Two of its nets may have one subnet: they are separate wires, and the address alone leads to either.
      const isTwin = own.some((one) =>
        one.link !== link && isOverlapping(nets[one.net]!.subnet, nets[net]!.subnet)
      );
      return {
        to: prefixes.subnets[number]!.text,
        via: address,
        ...(isTwin ? { dev: spec.links[link]!.name } : {}),
      };
    });
  });
}
