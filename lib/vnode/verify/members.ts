// The experiment as verify sees it: which link of which vnode has which address on which lan. Pure; made from the
// records, so it is what the vnodes were set up with, not what the files say now.
import {
  type Address,
  isOverlapping,
  isWithin,
  parseInterfaceAddress,
  type Subnet,
  subnetAround,
} from "../../config/address.ts";
import { Problem } from "../../config/problem.ts";
import type { LinkSpec, VnodeSpec } from "../../config/types.ts";
import { hostEndName, ifbName } from "../names.ts";
import type { Asked, End, Left } from "./types.ts";

/** One address of one link. */
export interface Member {
  readonly vnode: string;
  readonly link: LinkSpec;
  readonly address: Address;
  readonly subnet: Subnet;
}

/** An address with its subnet; null where the text is none (a record by hand). */
export function readAddress(text: string): { address: Address; subnet: Subnet } | null {
  const parsed = parseInterfaceAddress(text);
  if (parsed instanceof Problem) return null;
  const { address, prefix } = parsed;
  return { address, subnet: subnetAround(address, prefix ?? (address.family === 4 ? 32 : 128)) };
}

/** All addresses of a vnode's links, in their order. */
export function membersOf(spec: VnodeSpec): readonly Member[] {
  return spec.links.filter((link) => link.lan !== "").flatMap((link) =>
    link.addresses.flatMap((text) => {
      const read = readAddress(text);
      return read === null ? [] : [{ vnode: spec.name, link, ...read }];
    })
  );
}

/** True for a link that is meant to be up all the time. */
export function isSteady(link: Pick<LinkSpec, "up" | "flap">): boolean {
  return link.up !== false && link.flap === undefined;
}

/**
 * Those that can be measured: the link is meant to be up all the time, and what is sent to its subnet leaves by it
 * (the kernel sends by the first of several links of one subnet, and answers on any). The others with the reason.
 */
export function measurable(
  specs: readonly VnodeSpec[],
): { members: readonly Member[]; left: readonly Left[] } {
  const members: Member[] = [];
  const left: Left[] = [];
  for (const spec of specs) {
    const all = membersOf(spec);
    const why = (link: LinkSpec): string | null => {
      const own = all.filter((one) => one.link === link);
      if (link.up === false) return "it is meant to be down";
      if (link.flap !== undefined) return "it goes up and down by the clock";
      if (own.length === 0) return "it has no address";
      const earlier = all.slice(0, all.indexOf(own[0]!));
      const shared = earlier.find((one) => own.every((mine) => isOverlapping(one.subnet, mine.subnet)));
      return shared === undefined
        ? null
        : `it shares its subnet with ${shared.link.name}, which is used instead`;
    };
    for (const link of spec.links.filter((one) => one.lan !== "")) {
      const reason = why(link);
      if (reason !== null) {
        left.push({ check: "reach", from: `${spec.name}/${link.name}`, why: reason });
        continue;
      }
      for (const [at, one] of all.entries()) {
        const isClear = all.slice(0, at).every((earlier) =>
          earlier.link === link || !isOverlapping(earlier.subnet, one.subnet)
        );
        if (one.link === link && isClear) members.push(one);
      }
    }
  }
  return { members, left };
}

/** True when both are on one lan and each takes the other for a neighbour. */
export function areNeighbours(a: Member, b: Member): boolean {
  return a.link.lan === b.link.lan && a.vnode !== b.vnode && isWithin(a.address, b.subnet) &&
    isWithin(b.address, a.subnet);
}

/** A member as an end of a test. */
export function endOf({ vnode, link, address }: Member): End {
  return { vnode, link: link.name, lan: link.lan, address: address.text, mtu: link.mtu };
}

/** What a frame meets from one link to another of the same lan. */
export function wayOf(
  from: Pick<Member, "vnode" | "link">,
  to: Pick<Member, "vnode" | "link">,
): readonly Asked[] {
  const one = ({ vnode, link }: Pick<Member, "vnode" | "link">, way: Asked["way"]): Asked => ({
    link: `${vnode}/${link.name}`,
    way,
    shape: link[way],
    device: link.driver === "macvlan"
      ? null
      : way === "egress"
      ? ifbName(vnode, link.name)
      : hostEndName(vnode, link.name),
  });
  return [one(from, "egress"), one(to, "ingress")];
}
