// The table that says what may come to a vnode and leave it by the control network: styles, who is kept apart from
// whom, what is forwarded to it. Pure. A vnode's coming and going changes elements of its sets and maps only
// (vnode/rules.ts says which); chains of vnodes with rules of their own are vnode_chains.ts'.
import type { NftChain, NftSet, NftTable } from "./nft_table.ts";

/** The table's family and name, as elements name it. */
export const VNODES_TABLE = "inet berth_vnodes";
/** The table that translates addresses. */
export const NAT_TABLE = "ip berth_nat";

/**
 * Its sets and maps, all keyed by control address. `known`: vnodes that speak at all. `out` and `in`: the chain that
 * judges what leaves it, and what comes. `experiments`: a number for its experiment; `members` says the reverse.
 */
export const VNODE_SETS = {
  known: "known",
  out: "style_out",
  in: "style_in",
  experiments: "experiment_of",
  members: "members",
} as const;

/** The map of forwarded ports in the NAT table: protocol and port to address and port. */
export const FORWARDS = "forwards";

/** Who is kept apart on the control network: experiments from each other, each vnode from all, or nobody. */
export type Isolation = "experiments" | "vnodes" | "none";

/** What names of chains of single vnodes begin with: others' chains have no place in the table. */
export const VNODE_CHAIN = "v_";

/** What the table is made from. */
export interface VnodesFacts {
  /** Subnet of the control network. */
  readonly controlSubnet: string;
  /** The host's own address on it. */
  readonly controlAddress: string;
  readonly isolation: Isolation;
  /** True with a device of the machine in the control bridge: then other hosts' vnodes speak there, too. */
  readonly hasUplink: boolean;
}

/**
 * What of a style's rules stands before its closing drop. An accept is "return": the other vnode is asked as well,
 * and so is every other table. `null` for a way that the style leaves open.
 *
 * @param gateway the host's address on the control network. Absent: any of its addresses.
 */
export function styleRules(
  style: "open" | "basic" | "closed",
  way: "in" | "out",
  gateway: string | undefined,
): readonly string[] | null {
  const established = "ct state established,related return";
  if (style === "open" || (style === "basic" && way === "out")) return null;
  if (style === "basic") {
    return [established, "tcp dport 22 return", "icmp type echo-request return"];
  }
  const host = (field: "saddr" | "daddr") =>
    gateway === undefined ? `fib ${field} type local return` : `ip ${field} ${gateway} return`;
  if (way === "in") return [host("saddr"), established, "tcp dport 22 ct status dnat return"];
  return [host("daddr"), "udp dport 53 return", "tcp dport 53 return", established];
}

/** The chain of a style that a way is judged by; null where it is open. */
export function styleChain(style: "open" | "basic" | "closed", way: "in" | "out"): string | null {
  return style === "open" || (style === "basic" && way === "out") ? null : `${style}_${way}`;
}

/** Both ways of all styles that have rules. */
function styleChains(facts: VnodesFacts): readonly NftChain[] {
  return (["basic", "closed"] as const).flatMap((style) =>
    (["in", "out"] as const).flatMap((way) => {
      const rules = styleRules(style, way, facts.controlAddress);
      return rules === null ? [] : [{ name: `${style}_${way}`, rules: [...rules, "counter drop"] }];
    })
  );
}

/**
 * Two vnodes of different experiments do not hear each other. Two maps' results cannot be compared, so the mark
 * carries the one to the other, and is cleared: nobody else's rules see it.
 */
function apartRules({ controlAddress: gateway, isolation, hasUplink }: VnodesFacts): readonly string[] {
  const pass = [`ip saddr ${gateway} return`, `ip daddr ${gateway} return`];
  // What another host's vnode may say is that host's to judge.
  const others = hasUplink ? ["ip saddr != @known return", "ip daddr != @known return"] : [];
  if (isolation === "vnodes") return [...pass, ...others, "counter drop"];
  return [
    ...pass,
    ...others,
    `meta mark set ip saddr map @${VNODE_SETS.experiments}`,
    `ip daddr . meta mark @${VNODE_SETS.members} meta mark set 0 return`,
    "meta mark set 0",
    "counter drop",
  ];
}

/**
 * The table. Bridged frames of the control network come by its forward chain because that bridge, and it alone,
 * hands them up (its option nf_call_iptables): the one way to a connection's state on every kernel.
 *
 * An address of the control network that no vnode has is nobody's: it is neither heard nor spoken to, so that a
 * vnode whose elements are lost is cut off and not let loose. Rules go by address, never by the interface: with a
 * device of the machine in the bridge, the machine's own traffic comes in by it.
 */
export function vnodesTable(facts: VnodesFacts): NftTable {
  const { controlSubnet: subnet, controlAddress: gateway } = facts;
  const { known, experiments, members } = VNODE_SETS;
  const sets: NftSet[] = [
    { name: known, type: ["ipv4_addr"] },
    { name: VNODE_SETS.out, type: ["ipv4_addr"], data: ["verdict"] },
    { name: VNODE_SETS.in, type: ["ipv4_addr"], data: ["verdict"] },
    { name: experiments, type: ["ipv4_addr"], data: ["mark"] },
    { name: members, type: ["ipv4_addr", "mark"] },
  ];
  const nobody = (field: "saddr" | "daddr") =>
    `ip ${field} ${subnet} ip ${field} != ${gateway} ip ${field} != @${known} counter drop`;
  const strangers = facts.hasUplink ? [] : [nobody("saddr"), nobody("daddr")];
  const apart: readonly NftChain[] = facts.isolation === "none"
    ? []
    : [{ name: "apart", rules: apartRules(facts) }];
  const base = (at: string, rules: readonly string[]): NftChain => ({
    name: at,
    hook: { type: "filter", at, priority: -4 },
    rules,
  });
  return {
    family: "inet",
    name: "berth_vnodes",
    spare: VNODE_CHAIN,
    sets,
    chains: [
      ...styleChains(facts),
      ...apart,
      base("forward", [
        ...strangers,
        ...(apart.length === 0 ? [] : [`ip saddr ${subnet} ip daddr ${subnet} jump apart`]),
        `ip saddr vmap @${VNODE_SETS.out}`,
        `ip daddr vmap @${VNODE_SETS.in}`,
      ]),
      base("input", [
        ...(facts.hasUplink ? [] : [nobody("saddr")]),
        `ip saddr vmap @${VNODE_SETS.out}`,
      ]),
      base("output", [`ip daddr vmap @${VNODE_SETS.in}`]),
    ],
  };
}

/** The NAT table's part for forwarded ports: its map, and the chains that ask it. */
export function forwardParts(): { readonly set: NftSet; readonly chains: readonly NftChain[] } {
  // 127.0.0.1 cannot be translated to an address of another interface.
  const rule =
    `fib daddr type local ip daddr != 127.0.0.0/8 dnat ip to meta l4proto . th dport map @${FORWARDS}`;
  return {
    set: {
      name: FORWARDS,
      type: ["inet_proto", "inet_service"],
      data: ["ipv4_addr", "inet_service"],
    },
    chains: [
      { name: "prerouting", hook: { type: "nat", at: "prerouting", priority: -100 }, rules: [rule] },
      { name: "output", hook: { type: "nat", at: "output", priority: -100 }, rules: [rule] },
    ],
  };
}
