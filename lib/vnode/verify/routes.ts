// The way a packet should take from one vnode to another by the routes of their specs. Pure: the same longest-prefix
// choice that the kernel makes, hop by hop.
import { type Address, isWithin, parseSubnet, type Subnet } from "../../config/address.ts";
import { Problem } from "../../config/problem.ts";
import type { LinkSpec, VnodeSpec } from "../../config/types.ts";
import { endOf, isSteady, type Member, membersOf, readAddress, wayOf } from "./members.ts";
import type { Asked, Test } from "./types.ts";

/** A way through lans. */
export interface Way {
  /** The link that the first vnode sends by. */
  readonly out: LinkSpec;
  readonly asked: readonly Asked[];
  /** Vnodes that forward on it. */
  readonly hops: number;
}

/** The experiment, with what is looked up again and again. */
export interface Net {
  readonly specs: ReadonlyMap<string, VnodeSpec>;
  readonly members: ReadonlyMap<string, readonly Member[]>;
  /** "LAN ADDRESS" → who has it there. */
  readonly owners: ReadonlyMap<string, Member>;
  readonly routes: ReadonlyMap<
    string,
    readonly { readonly to: Subnet; readonly via: Address; readonly dev?: string }[]
  >;
}

/** No way is longer; routes that go in a circle end here. */
const MOST_HOPS = 64;

/** Prepares specs for looking up ways. */
export function netOf(specs: readonly VnodeSpec[]): Net {
  const members = new Map(specs.map((spec) => [spec.name, membersOf(spec)]));
  const routes = specs.map((spec) =>
    [
      spec.name,
      spec.routes.flatMap((route) => {
        const via = readAddress(route.via)?.address;
        if (via === undefined) return [];
        const to = parseSubnet(route.to === "default" ? via.family === 4 ? "0.0.0.0/0" : "::/0" : route.to);
        return to instanceof Problem ? [] : [{ to, via, ...(route.dev !== undefined && { dev: route.dev }) }];
      }),
    ] as const
  );
  return {
    specs: new Map(specs.map((spec) => [spec.name, spec])),
    members,
    owners: new Map([...members.values()].flat().map((one) => [`${one.link.lan} ${one.address.text}`, one])),
    routes: new Map(routes),
  };
}

/** The way from a vnode to an address, or null where its specs lead to none that is there all the time. */
export function wayTo(net: Net, from: string, to: Address): Way | null {
  const asked: Asked[] = [];
  let out: LinkSpec | null = null;
  let at = from;
  for (let hops = 0; hops <= MOST_HOPS; hops++) {
    const own = net.members.get(at) ?? [];
    if (own.some((one) => one.address.text === to.text)) {
      return out === null ? null : { out, asked, hops: hops - 1 };
    }
    if (hops > 0 && net.specs.get(at)?.forwarding !== true) return null;
    const next = nextOf(net, at, own, to);
    if (next === null || !isSteady(next.link) || !isSteady(next.owner.link)) return null;
    out ??= next.link;
    asked.push(...wayOf({ vnode: at, link: next.link }, next.owner));
    at = next.owner.vnode;
  }
  return null;
}

/** By which link a vnode sends to an address, and who takes it there. */
function nextOf(
  net: Net,
  at: string,
  own: readonly Member[],
  to: Address,
): { link: LinkSpec; owner: Member } | null {
  const near = own.filter((one) => isWithin(to, one.subnet));
  const connected = near.reduce<Member | null>(
    (best, one) => best === null || one.subnet.prefix > best.subnet.prefix ? one : best,
    null,
  );
  const route = (net.routes.get(at) ?? []).filter((one) => isWithin(to, one.to)).reduce<
    { to: Subnet; via: Address; dev?: string } | null
  >((best, one) => best === null || one.to.prefix > best.to.prefix ? one : best, null);
  const isDirect = connected !== null && (route === null || connected.subnet.prefix >= route.to.prefix);
  const link = isDirect
    ? connected.link
    : route === null
    ? undefined
    : own.find((one) =>
      route.dev === undefined ? isWithin(route.via, one.subnet) : one.link.name === route.dev
    )?.link;
  if (link === undefined) return null;
  const owner = net.owners.get(`${link.lan} ${isDirect ? to.text : route!.via.text}`);
  return owner === undefined || owner.vnode === at ? null : { link, owner };
}

/** How many vnodes are asked by how many others at once: each of them is a process. */
const BLOCK = 8;
const TARGETS = 16;

/**
 * Tests of routed ways: each vnode to others that are not its neighbours, at most 16 unless `all`. Vnodes are asked
 * in blocks with the same targets, so that few processes at a time are needed.
 */
export function routeTests(net: Net, members: readonly Member[], all: boolean): readonly Test[] {
  const names = [...net.specs.keys()].sort();
  const usable = new Map<string, Member[]>();
  for (const one of members) usable.set(one.vnode, [...usable.get(one.vnode) ?? [], one]);
  const tests: Test[] = [];
  for (let begin = 0; begin < names.length; begin += BLOCK) {
    const few = names.length > BLOCK + TARGETS && !all;
    const targets = few
      ? Array.from(
        { length: TARGETS },
        (_, at) => names[(begin + Math.floor(at * names.length / TARGETS)) % names.length]!,
      )
      : names;
    for (const from of names.slice(begin, begin + BLOCK)) {
      for (const to of targets) {
        const test = from === to ? null : routeTest(net, usable, from, to);
        if (test !== null) tests.push(test);
      }
    }
  }
  return tests;
}

/** The first address of a vnode that is further away than a neighbour, and answers by a way of its own. */
function routeTest(
  net: Net,
  usable: ReadonlyMap<string, readonly Member[]>,
  from: string,
  to: string,
): Test | null {
  for (const target of usable.get(to) ?? []) {
    const there = wayTo(net, from, target.address);
    if (there === null || there.hops === 0) continue;
    const source = (usable.get(from) ?? []).find((one) =>
      one.link.name === there.out.name && one.address.family === target.address.family
    );
    if (source === undefined) continue;
    const back = wayTo(net, to, source.address);
    if (back === null) continue;
    return {
      kind: "echo",
      level: 2,
      from: endOf(source),
      to: endOf(target),
      there: there.asked,
      back: back.asked,
      hops: there.hops + back.hops,
    };
  }
  return null;
}
