// What an operator changed of links that a vnode had before and has still: addresses, MAC, MTU, sysctls, as steps for
// a life that runs already. Pure. Routes are network_steps.ts's; links that come and go are link_steps.ts's.
import { linkLocal } from "./ipv6.ts";
import type { Step } from "./step.ts";
import { addressLine, type LinkWiring, speaksIpv6, type Sysctl, type Wiring } from "./wiring.ts";

/** A link before and after. */
type Pair = readonly [before: LinkWiring, after: LinkWiring];

/** Steps for the links of both wirings. */
export interface LinkChanges {
  /** What goes, of all links: an address may go from one to another. Before `given`. */
  readonly gone: readonly Step[];
  readonly given: readonly Step[];
}

/**
 * The steps inside from one wiring to another, for links that both have; none where nothing changed.
 *
 * @param isReset whether the vnode's own sysctls are written, with which the kernel changes those of links.
 */
export function linkChanges(before: Wiring, after: Wiring, isReset = false): LinkChanges {
  const pairs = after.links.flatMap((link): Pair[] => {
    const old = before.links.find((one) => one.name === link.name && one.kind === link.kind);
    return old === undefined || old.device !== link.device ? [] : [ownPair([old, link])];
  });
  return {
    gone: pairs.flatMap((pair) => goneSteps(after.vnode, pair)),
    given: pairs.flatMap((pair) => givenSteps(after.vnode, pair, isReset)),
  };
}

/** A device that is to keep its own MAC or MTU by now keeps what it has, until its next start. */
function ownPair([before, after]: Pair): Pair {
  return [before, { ...after, mac: after.mac || before.mac, mtu: after.mtu || before.mtu }];
}

const bare = (address: string) => address.slice(0, address.indexOf("/"));

/** "flush" passes over what its user has taken away already; whole addresses, whatever their prefix length. */
function flushLine(link: LinkWiring, address: string): string {
  return `addr flush dev ${link.name} to ${address}/${address.includes(":") ? 128 : 32}`;
}

/** Addresses that a link has no more, those that have another prefix length among them. */
function removed([before, after]: Pair): string[] {
  return before.addresses.filter((address) => !after.addresses.includes(address)).map(bare);
}

/** The address that the kernel made of the MAC (EUI-64), where it has one: it stays as it was when that changes. */
function linkLocals([before, after]: Pair): readonly [old: string, now: string] | null {
  const isKept = [before, after].every((link) => link.addresses.some((address) => address.includes(":")));
  return before.mac === after.mac || before.mac === "" || !isKept
    ? null
    : [linkLocal(before.mac), linkLocal(after.mac)];
}

function goneSteps(vnode: string, pair: Pair): Step[] {
  const [, after] = pair;
  const gone = removed(pair);
  const local = linkLocals(pair);
  const inside = [...gone, ...(local === null ? [] : [local[0]])].map((address) => flushLine(after, address));
  if (inside.length === 0) return [];
  const why = gone.length === 0 ? "its MAC changes" : `no longer ${gone.join(", ")}`;
  return [{ resource: `link ${vnode}/${after.name}`, verb: "update", why, inside }];
}

function givenSteps(vnode: string, pair: Pair, isReset: boolean): Step[] {
  const [before, after] = pair;
  const dev = after.name;
  const why: string[] = [];
  const inside: string[] = [];
  const first: string[] = [];
  // A device's own MTU is not known here, and seldom that small.
  const grows = before.mtu !== 0 && !speaksIpv6(before.mtu) && speaksIpv6(after.mtu);
  if (before.mtu !== after.mtu) {
    why.push(`mtu ${after.mtu}`);
    // Its sysctls of IPv6 are there from then on, and are written before `inside`.
    (grows ? first : inside).push(`link set dev ${dev} mtu ${after.mtu}`);
  }
  if (before.mac !== after.mac) {
    why.push(`MAC ${after.mac}`);
    inside.push(`link set dev ${dev} address ${after.mac}`);
    const local = linkLocals(pair);
    if (local !== null) inside.push(addressLine(dev, `${local[1]}/64`, "replace"));
  }
  const added = after.addresses.filter((address) => !before.addresses.includes(address));
  if (added.length > 0) why.push(added.join(", "));
  // With the first address of a subnet the kernel takes the others: all are made sure of.
  const sure = grows || removed(pair).length > 0 ? after.addresses : added;
  inside.push(...sure.map((address) => addressLine(dev, address, "replace")));
  const sysctls = sysctlChanges(pair, isReset || grows);
  if (sysctls.length > 0) why.push(...sysctls.map(([path, value]) => `${path} ${value}`));
  if (inside.length + first.length + sysctls.length === 0) return [];
  return [{
    resource: `link ${vnode}/${dev}`,
    verb: "update",
    why: why.length === 0 ? "what goes takes others along" : why.join(", "),
    ...(first.length > 0 && { before: first }),
    ...(sysctls.length > 0 && { sysctls }),
    ...(inside.length > 0 && { inside }),
  }];
}

/** What is to be written; a sysctl that the spec does not name any more keeps its value until the next start. */
function sysctlChanges([before, after]: Pair, isReset: boolean): Sysctl[] {
  const was = new Map(before.sysctls);
  const written = new Map(after.sysctls);
  const off = `net/ipv6/conf/${after.name}/disable_ipv6`;
  // As a link begins that has no address of IPv6.
  const isOff = was.get(off) === "0" && !written.has(off) && speaksIpv6(after.mtu);
  return [
    ...(isOff ? [[off, "1"] as const] : []),
    ...after.sysctls.filter(([path, value]) => isReset || was.get(path) !== value),
  ];
}
