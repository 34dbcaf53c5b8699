// Links that are macvlans: no end on the host, so whether they stand is seen inside alone. Pure. One that is missing
// is made; what else its user does to it is the user's, as with any link.
import type { Seen, Step } from "./step.ts";
import { hostLinkLines, insideLinkLines, type LinkWiring, type Wiring } from "./wiring.ts";

/** The steps that make such a link so; [] where inside was not looked at. */
export function macvlanSteps(wiring: Wiring, link: LinkWiring, seen: Seen): Step[] {
  if (seen.inside === null) return [];
  const found = seen.inside.get(link.name);
  const resource = `link ${wiring.vnode}/${link.name}`;
  const isNew = !seen.settled || seen.half?.has(link.name) === true;
  const isThere = found?.linkinfo?.info_kind === "macvlan" &&
    found.link_index === seen.view.links.get(link.parent!)?.ifindex;
  if (isThere && (!isNew || found.address === link.mac)) {
    const addresses = link.addresses.filter((address) => !found.addresses.includes(address));
    if (!isNew || (addresses.length === 0 && found.flags.includes("UP"))) return [];
    return [{
      resource,
      verb: "update",
      why: addresses.length === 0 ? "down inside" : `lacks ${addresses.join(", ")} inside`,
      sysctls: link.sysctls,
      inside: insideLinkLines({ ...link, addresses }),
    }];
  }
  return [{
    resource,
    verb: found === undefined ? "create" : "replace",
    why: found === undefined ? "missing inside" : `another interface "${link.name}" is inside`,
    makes: [link.name],
    ...(found?.linkinfo?.info_kind === "macvlan" && { leave: [`link del dev ${link.name}`] }),
    host: hostLinkLines(wiring, link, String(seen.life.pid), ""),
    sysctls: link.sysctls,
    inside: insideLinkLines(link),
  }];
}

/** Macvlans that an operator took from a vnode, or made into something else: steps for a running life. */
export function macvlanLeaves(before: Wiring, after: Wiring): Step[] {
  return before.links.filter((old) => old.kind === "macvlan").flatMap((old) => {
    const link = after.links.find((one) => one.name === old.name);
    if (link?.kind === "macvlan") return [];
    return [{
      resource: `link ${after.vnode}/${old.name}`,
      verb: "delete" as const,
      why: link === undefined ? "not in the spec" : "a macvlan, wanted another",
      leave: [`link del dev ${old.name}`],
    }];
  });
}
