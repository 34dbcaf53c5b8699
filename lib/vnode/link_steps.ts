// What stands between a link that is and the link that should be: its host end, its bridge, what a new life has not
// been given inside yet, and interfaces of the vnode that are none of its links. Pure. Shaping is shape_steps.ts's.
import { deviceSteps } from "./devices.ts";
import { generationOf } from "./life.ts";
import { linkAlias, parseLinkAlias } from "./names.ts";
import { macvlanSteps } from "./macvlan_steps.ts";
import { shapeSteps } from "./shape_steps.ts";
import type { Seen, Step } from "./step.ts";
import type { FoundLink, HostView } from "./view.ts";
import {
  hostLinkLines,
  hostNames,
  insideLinkLines,
  learningLine,
  type LinkWiring,
  segmentsOf,
  speaksIpv6,
  type Wiring,
} from "./wiring.ts";

/** The steps that make one link so, its shaping included. */
export function linkSteps(wiring: Wiring, link: LinkWiring, seen: Seen): Step[] {
  if (link.kind === "macvlan") return macvlanSteps(wiring, link, seen);
  if (link.kind === "device") return deviceSteps(wiring, link, seen);
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
      makes: [link.name],
      // Deleting either end of a veth pair deletes both; an inside end without its host end cannot be.
      clear: end === undefined ? [] : [link.end],
      host: hostLinkLines(wiring, link, String(life.pid), generation),
      sysctls: link.sysctls,
      inside: insideLinkLines(link),
    });
  } else if (end!.master !== link.bridge) {
    steps.push({
      resource,
      verb: "update",
      why: `on ${end!.master === undefined ? "no bridge" : `"${end!.master}"`}, wanted "${link.bridge}"`,
      host: [`link set ${link.end} master ${link.bridge}`, ...(link.learning ? [] : [learningLine(link)])],
    });
  }
  if (!fresh) {
    const host = [
      ...(end!.mtu === link.mtu ? [] : mtuLines(link, end!)),
      ...(end!.flags.includes("UP") === link.up ? [] : [`link set ${link.end} ${link.up ? "up" : "down"}`]),
    ];
    const learns = end!.linkinfo?.info_slave_data?.learning;
    if (learns !== undefined && learns !== link.learning && end!.master === link.bridge) {
      steps.push({
        resource,
        verb: "update",
        why: link.learning ? "on a hub, wanted a switch" : "on a switch, wanted a hub",
        host: [learningLine(link)],
      });
    }
    if (host.length > 0) {
      steps.push({ resource, verb: "update", why: whyOf(link, end!), host });
    }
    steps.push(...segmentSteps(resource, link, end!));
    if (isNew(link, seen)) steps.push(...insideSteps(wiring, link, seen));
  }
  return [...steps, ...shapeSteps(wiring, link, seen, fresh, alias)];
}

function whyOf(link: LinkWiring, end: FoundLink): string {
  const isUp = end.flags.includes("UP");
  const state = (up: boolean) => up ? "up" : "down";
  return [
    ...(end.mtu === link.mtu ? [] : [`mtu ${end.mtu}, wanted ${link.mtu}`]),
    ...(isUp === link.up ? [] : [`${state(isUp)}, wanted ${state(link.up)}`]),
  ].join("; ");
}

/** Whether what a link has inside is not its user's yet. */
function isNew(link: LinkWiring, seen: Seen): boolean {
  return !seen.settled || seen.half?.has(link.name) === true;
}

/** IPv6 that comes back with the MTU on an interface that is up would bring fe80:: along. */
function mtuLines(link: LinkWiring, end: FoundLink): string[] {
  const set = `link set ${link.end} mtu ${link.mtu}`;
  if (speaksIpv6(end.mtu) || !speaksIpv6(link.mtu)) return [set];
  return [
    `link set ${link.end} down`,
    set,
    `link set ${link.end} addrgenmode none`,
    ...(link.up ? [`link set ${link.end} up`] : []),
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
    sysctls: link.sysctls,
    inside: insideLinkLines({ ...link, addresses }),
  }];
}

/** Why a host end must be made anew, or null when it is the right one. */
function endDiffers(link: LinkWiring, end: FoundLink | undefined, alias: string, seen: Seen): string | null {
  if (end === undefined) return "missing";
  if (end.ifalias !== alias) return `of another life ("${end.ifalias ?? ""}")`;
  if (end.linkinfo?.info_kind !== "veth") return `a ${end.linkinfo?.info_kind ?? "device"}, wanted a veth`;
  if (!isNew(link, seen)) return null;
  const inside = seen.inside?.get(link.name);
  if (inside === undefined) return "its end inside is missing";
  const joined = end.link_index === inside.ifindex && inside.link_index === end.ifindex;
  if (!joined) return "its end inside is another interface";
  return inside.address === link.mac ? null : `MAC inside ${inside.address}, wanted ${link.mac}`;
}

/** Interfaces that carry this vnode's mark and are none of its links (any more). */
export function strayLinkSteps(wiring: Wiring, view: HostView): Step[] {
  const wanted = new Set(hostNames(wiring));
  return [...view.links.values()].flatMap((link) => {
    const mark = parseLinkAlias(link.ifalias);
    // A device of the machine's own is given back, never deleted.
    if (mark?.vnode !== wiring.vnode || mark.device !== undefined || wanted.has(link.ifname)) return [];
    return [{
      resource: `link ${wiring.vnode}/${mark.link}`,
      verb: "delete" as const,
      why: `"${link.ifname}" is not in the spec`,
      clear: [link.ifname],
    }];
  });
}
