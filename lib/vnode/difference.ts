// What stands between what is and what a vnode's wiring should be: steps as data, each with its reason. Pure.
// Owned always: host ends, ifbs, bridge membership, qdiscs, control elements. Inside: only what a new life
// has not been given yet.
import { CONTROL_SETS, CONTROL_TABLE } from "../resource/firewall.ts";
import type { Life } from "./life.ts";
import { generationOf } from "./life.ts";
import { linkAlias, parseLinkAlias } from "./names.ts";
import { qdiscLines, type Qdiscs, shapeDiffers } from "./shape.ts";
import type { FoundLink, HostView, InsideLink } from "./view.ts";
import {
  hostLinkLines,
  ifbLines,
  insideLinkLines,
  ipv6Names,
  type LinkWiring,
  redirectLines,
  routeLines,
  segmentsOf,
  speaksIpv6,
} from "./wiring.ts";
import type { Wiring } from "./wiring.ts";

/** One thing to do, with the lines it puts into each tool's batch. Phases run in this order, all steps at once. */
export interface Step {
  /** "link left/eth1". */
  readonly resource: string;
  readonly verb: "create" | "update" | "replace" | "delete" | "restore";
  readonly why: string;
  /** Interfaces on the host to delete; what is gone already is fine. */
  readonly clear?: readonly string[];
  /** `ip -batch` on the host. */
  readonly host?: readonly string[];
  /** Interfaces inside that get IPv6 back. */
  readonly ipv6?: readonly string[];
  /** `ip -batch` inside. */
  readonly inside?: readonly string[];
  /** `tc -batch`. */
  readonly tc?: readonly string[];
  /** `nft -f`. */
  readonly nft?: readonly string[];
}

/** What was seen, for one vnode. */
export interface Seen {
  readonly view: HostView;
  readonly life: Life;
  /** True when this life was wired to the end before: what is inside is its user's by now. */
  readonly settled: boolean;
  /** Interfaces inside; null when settled (not looked at). */
  readonly inside: ReadonlyMap<string, InsideLink> | null;
  /** Host-side name of the control interface; null when there is none. */
  readonly port: string | null;
  /** Devices whose redirect to the ifb is in place. */
  readonly redirected: ReadonlySet<string>;
}

/** The steps that make the wiring so; [] means converged. */
export function stepsOf(wiring: Wiring, seen: Seen): Step[] {
  const links = wiring.links.map((link) => linkSteps(wiring, link, seen));
  const made = wiring.links.filter((_, index) =>
    links[index]!.some((step) => step.resource.startsWith("link") && step.verb !== "update")
  );
  const steps = links.flat();
  steps.push(...strayLinkSteps(wiring, seen.view));
  // Routes lean on links: set once a generation, and again with a link that had to be made anew.
  const routes = routeLines(wiring);
  if (routes.length > 0 && (!seen.settled || made.length > 0)) {
    steps.push({
      resource: `routes ${wiring.vnode}`,
      verb: "create",
      why: seen.settled ? "a link was made anew" : "new life",
      inside: routes,
    });
  }
  steps.push(...controlSteps(wiring, seen));
  return steps;
}

function linkSteps(wiring: Wiring, link: LinkWiring, seen: Seen): Step[] {
  const { view, life } = seen;
  const generation = generationOf(life);
  const resource = `link ${wiring.vnode}/${link.name}`;
  const end = view.links.get(link.end);
  const alias = linkAlias(wiring.vnode, link.name, generation);
  const why = endDiffers(link, end, alias, seen);
  const steps: Step[] = [];
  const fresh = why !== null;
  if (fresh) {
    steps.push({
      resource,
      verb: end === undefined ? "create" : "replace",
      why,
      // Deleting either end of a veth pair deletes both; an inside end without its host end cannot be.
      clear: end === undefined ? [] : [link.end],
      host: hostLinkLines(wiring, link, String(life.pid), generation),
      ipv6: ipv6Names({ ...wiring, links: [link] }),
      inside: insideLinkLines(link),
    });
  } else if (end!.master !== link.bridge) {
    steps.push({
      resource,
      verb: "update",
      why: `on ${end!.master === undefined ? "no bridge" : `"${end!.master}"`}, wanted "${link.bridge}"`,
      host: [`link set ${link.end} master ${link.bridge}`],
    });
  }
  if (!fresh) {
    const host = [
      ...(end!.mtu === link.mtu ? [] : mtuLines(link, end!)),
      ...(end!.flags.includes("UP") ? [] : [`link set ${link.end} up`]),
    ];
    if (host.length > 0) {
      steps.push({ resource, verb: "update", why: `mtu ${end!.mtu}, ${end!.flags.join(",")}`, host });
    }
    steps.push(...segmentSteps(resource, link, end!));
    if (!seen.settled) steps.push(...insideSteps(wiring, link, seen));
  }
  return [...steps, ...shapeSteps(wiring, link, seen, fresh, alias)];
}

/** IPv6 that comes back with the MTU on an interface that is up would bring fe80:: along. */
function mtuLines(link: LinkWiring, end: FoundLink): string[] {
  const set = `link set ${link.end} mtu ${link.mtu}`;
  if (speaksIpv6(end.mtu) || !speaksIpv6(link.mtu)) return [set];
  return [
    `link set ${link.end} down`,
    set,
    `link set ${link.end} addrgenmode none`,
    `link set ${link.end} up`,
  ];
}

/** The host's end stands for both: what a vnode's user does to the end inside is the user's. */
function segmentSteps(resource: string, link: LinkWiring, end: FoundLink): Step[] {
  const wanted = segmentsOf(link);
  if (end.gso_max_segs === undefined || end.gso_max_segs === wanted) return [];
  const set = (dev: string) => [`link set ${dev} gso_max_segs ${wanted}`];
  const why = `gso_max_segs ${end.gso_max_segs}, wanted ${wanted}`;
  return [{ resource, verb: "update", why, host: set(link.end), inside: set(link.name) }];
}

/** What a life that was not set up to its end still lacks inside. */
function insideSteps(wiring: Wiring, link: LinkWiring, seen: Seen): Step[] {
  const inside = seen.inside?.get(link.name);
  const addresses = link.addresses.filter((address) => !inside?.addresses.includes(address));
  if (addresses.length === 0 && inside?.flags.includes("UP") === true) return [];
  return [{
    resource: `link ${wiring.vnode}/${link.name}`,
    verb: "update",
    why: addresses.length === 0 ? "down inside" : `lacks ${addresses.join(", ")} inside`,
    ipv6: ipv6Names({ ...wiring, links: [link] }),
    inside: insideLinkLines({ ...link, addresses }),
  }];
}

/** Why a host end must be made anew, or null when it is the right one. */
function endDiffers(link: LinkWiring, end: FoundLink | undefined, alias: string, seen: Seen): string | null {
  if (end === undefined) return "missing";
  if (end.ifalias !== alias) return `of another life ("${end.ifalias ?? ""}")`;
  if (end.linkinfo?.info_kind !== "veth") return `a ${end.linkinfo?.info_kind ?? "device"}, wanted a veth`;
  if (seen.settled) return null;
  const inside = seen.inside?.get(link.name);
  if (inside === undefined) return "its end inside is missing";
  const joined = end.link_index === inside.ifindex && inside.link_index === end.ifindex;
  if (!joined) return "its end inside is another interface";
  return inside.address === link.mac ? null : `MAC inside ${inside.address}, wanted ${link.mac}`;
}

function shapeSteps(wiring: Wiring, link: LinkWiring, seen: Seen, fresh: boolean, alias: string): Step[] {
  const { view } = seen;
  const resource = `shaping ${wiring.vnode}/${link.name}`;
  const steps = qdiscSteps(
    `${resource} ingress`,
    link.end,
    fresh ? [] : view.qdiscs.get(link.end) ?? [],
    link.ingress,
  );
  const hasIngress = !fresh && (view.qdiscs.get(link.end) ?? []).some((qdisc) => qdisc.kind === "ingress");
  if (link.ifb === null) {
    if (!hasIngress) return steps;
    // A redirect whose ifb is gone drops all that the vnode says.
    const why = "what it says is not shaped any more";
    return [...steps, {
      resource: `${resource} redirect`,
      verb: "delete",
      why,
      tc: [`qdisc del dev ${link.end} ingress`],
    }];
  }
  const ifb = view.links.get(link.ifb);
  const stale = ifb !== undefined && ifb.ifalias !== alias;
  const lacking = ifb === undefined || stale;
  if (lacking) {
    steps.push({
      resource: `${resource} ifb`,
      verb: stale ? "replace" : "create",
      why: stale ? `of another life ("${ifb.ifalias ?? ""}")` : "missing",
      clear: stale ? [link.ifb] : [],
      host: ifbLines(wiring, link, generationOf(seen.life)),
    });
  } else if (!ifb.flags.includes("UP")) {
    steps.push({
      resource: `${resource} ifb`,
      verb: "update",
      why: "down",
      host: [`link set ${link.ifb} up`],
    });
  }
  steps.push(
    ...qdiscSteps(
      `${resource} egress`,
      link.ifb,
      lacking ? [] : view.qdiscs.get(link.ifb) ?? [],
      link.egress,
    ),
  );
  if (lacking || !hasIngress || !seen.redirected.has(link.end)) {
    steps.push({
      resource: `${resource} redirect`,
      verb: hasIngress ? "replace" : "create",
      why: hasIngress ? "leads elsewhere" : "missing",
      tc: [...(hasIngress ? [`qdisc del dev ${link.end} ingress`] : []), ...redirectLines(link)],
    });
  }
  return steps;
}

function qdiscSteps(
  resource: string,
  dev: string,
  found: Parameters<typeof shapeDiffers>[0],
  wanted: Qdiscs,
): Step[] {
  const differs = shapeDiffers(found, wanted);
  if (differs === null) return [];
  const root = found.find((one) => one.root === true && one.handle === "1:");
  const outer = wanted.netem !== undefined ? "netem" : wanted.tbf !== undefined ? "tbf" : null;
  // The same kind under the same handle is changed in place: nothing in flight is lost, the backlog is kept.
  const innerToGo = wanted.netem !== undefined && wanted.tbf === undefined &&
    found.some((one) => one.parent === "1:1");
  const inPlace = root?.kind === outer && !innerToGo;
  const lines = inPlace
    ? qdiscLines(dev, wanted, "replace")
    : [...(differs.missing ? [] : [`qdisc del dev ${dev} root`]), ...qdiscLines(dev, wanted)];
  return [{ resource, verb: differs.missing ? "create" : "update", why: differs.why, tc: lines }];
}

/** Interfaces that carry this vnode's mark and are none of its links (any more). */
function strayLinkSteps(wiring: Wiring, view: HostView): Step[] {
  const wanted = new Set(wiring.links.flatMap((link) => [link.end, link.ifb]));
  return [...view.links.values()]
    .filter((link) => parseLinkAlias(link.ifalias)?.vnode === wiring.vnode && !wanted.has(link.ifname))
    .map((link) => ({
      resource: `link ${wiring.vnode}/${parseLinkAlias(link.ifalias)!.link}`,
      verb: "delete" as const,
      why: `"${link.ifname}" is not in the spec`,
      clear: [link.ifname],
    }));
}

/** The element of the allow-list, as nft reads and as the view prints it. */
export function controlElement(port: string, mac: string, address: string): { nft: string; seen: string } {
  return { nft: `{ "${port}" . ${mac} . ${address} }`, seen: `${port} ${mac} ${address}` };
}

function controlSteps(wiring: Wiring, seen: Seen): Step[] {
  const { control } = seen.view;
  if (control === null) return [];
  const { mac, address } = wiring.control;
  const table = `${CONTROL_TABLE.family} ${CONTROL_TABLE.name}`;
  const wanted = seen.port === null ? null : controlElement(seen.port, mac, address);
  const add: string[] = [];
  if (wanted !== null && !control.allow.has(wanted.seen)) {
    add.push(`add element ${table} ${CONTROL_SETS.ports} ${wanted.nft}`);
  }
  if (seen.port !== null && !control.names.has(seen.port)) {
    add.push(`add element ${table} ${CONTROL_SETS.names} { "${seen.port}" }`);
  }
  const remove = staleControlLines(
    seen.view,
    (port, itsMac, itsAddress) => port !== seen.port && (itsMac === mac || itsAddress === address),
  );
  const resource = `control ${wiring.vnode}`;
  return [
    ...(add.length === 0 ? [] : [{ resource, verb: "create" as const, why: "not registered", nft: add }]),
    ...(remove.length === 0
      ? []
      : [{ resource, verb: "delete" as const, why: "of an earlier life", nft: remove }]),
  ];
}

/** nft lines that take away the elements a predicate picks, and the port names that go with them. */
export function staleControlLines(
  view: HostView,
  picks: (port: string, mac: string, address: string) => boolean,
): string[] {
  if (view.control === null) return [];
  const table = `${CONTROL_TABLE.family} ${CONTROL_TABLE.name}`;
  const lines: string[] = [];
  for (const element of view.control.allow) {
    const [port = "", mac = "", address = ""] = element.split(" ");
    if (!picks(port, mac, address)) continue;
    // Added first: somebody else may have taken it away since the look, and deleting what is not there fails.
    for (const verb of ["add", "delete"]) {
      lines.push(`${verb} element ${table} ${CONTROL_SETS.ports} ${controlElement(port, mac, address).nft}`);
      lines.push(`${verb} element ${table} ${CONTROL_SETS.names} { "${port}" }`);
    }
  }
  return lines;
}
