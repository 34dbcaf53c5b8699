// A vnode's own chains in the firewall, from its spec: rules of its own, and what a style drops and logs. Pure. Styles
// themselves are lib/resource/firewall_vnodes.ts'; who is judged by which chain is said by elements.ts.
import { createHash } from "node:crypto";
import type { FirewallRule, VnodeSpec } from "../config/types.ts";
import { styleChain, styleRules, VNODE_CHAIN } from "../resource/firewall_vnodes.ts";
import type { VnodeChain } from "../resource/vnode_chains.ts";

const WAYS = ["in", "out"] as const;

/** Name of a vnode's own chain for a way: names of vnodes may be words of nft's. */
export function ownChainName(vnode: string, way: "in" | "out"): string {
  return `${VNODE_CHAIN}${createHash("sha256").update(vnode).digest("hex").slice(0, 11)}_${way}`;
}

/** True where a style's chain does not do: it has rules of its own for that way, or wants to know what is dropped. */
export function hasOwnChain({ firewall }: VnodeSpec, way: "in" | "out"): boolean {
  if (firewall === undefined) return false;
  return firewall.rules.some((rule) => rule.way === way) ||
    (firewall.log === true && styleChain(firewall.style, way) !== null);
}

/** The vnode's own chains. */
export function ownChains(spec: VnodeSpec): readonly VnodeChain[] {
  return WAYS.filter((way) => hasOwnChain(spec, way)).map((way) => ({
    name: ownChainName(spec.name, way),
    rules: chainRules(spec, way),
  }));
}

/** As much as a kernel log bears: of each chain, whatever is sent. */
const RATE = "limit rate 10/minute";

function chainRules({ name, firewall, gateway }: VnodeSpec, way: "in" | "out"): readonly string[] {
  const { style, rules, log } = firewall!;
  const note = `${RATE} log prefix "berth ${way} ${name}: " level notice`;
  const own = rules.filter((rule) => rule.way === way);
  const closing = styleRules(style, way, gateway);
  return [
    // Rules are about what is begun: answers pass.
    ...(own.length === 0 ? [] : ["ct state established,related return"]),
    ...own.flatMap((rule) => ruleTexts(rule, note)),
    ...(closing === null ? [] : [...closing, ...(log ? [note] : []), "counter drop"]),
  ];
}

/** Accepting is "return": the other vnode is asked as well, and every other table. */
const VERDICTS = {
  accept: "counter return",
  drop: "counter drop",
  reject: "counter reject with icmpx admin-prohibited",
} as const;

function ruleTexts(
  { way, verdict, protocol, ports, peers, log }: FirewallRule,
  note: string,
): readonly string[] {
  const range = ([low, high]: readonly [number, number]) => low === high ? String(low) : `${low}-${high}`;
  const parts = [
    ...(protocol === undefined
      ? []
      : ports === undefined
      ? [`meta l4proto ${protocol}`]
      : [`${protocol} dport { ${ports.map(range).join(", ")} }`]),
    ...(peers === undefined ? [] : [`ip ${way === "in" ? "saddr" : "daddr"} { ${peers.join(", ")} }`]),
  ];
  const match = parts.map((part) => `${part} `).join("");
  return [...(log ? [`${match}${note}`] : []), `${match}${VERDICTS[verdict]}`];
}
