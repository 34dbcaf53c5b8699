// Chains of single vnodes in their table: those that have rules of their own. One resource for all of them, since
// the vnodes are known together. Who is judged by a chain is said by elements of the table's maps: a chain that
// one still leads to is kept until it does not.
import type { Look } from "../host/types.ts";
import { VNODE_CHAIN, VNODES_TABLE } from "./firewall_vnodes.ts";
import { listTable } from "./nft_listing.ts";
import { deleteElementLine, type Element, parseElements } from "./nft_elements.ts";
import { parseTable, ruleMark } from "./nft_table.ts";
import type { Change, Resource } from "./types.ts";

/** A vnode's chain; its name begins with VNODE_CHAIN. */
export interface VnodeChain {
  readonly name: string;
  readonly rules: readonly string[];
}

/** Rules by their marks, and the elements that lead to each chain. */
export interface VnodeChainsState {
  readonly chains: Readonly<Record<string, readonly string[]>>;
  readonly users: Readonly<Record<string, readonly Element[]>>;
}

/** All chains of single vnodes that there are to be. */
export function vnodeChains(chains: readonly VnodeChain[]): Resource<VnodeChainsState> {
  const id = "nft chains of vnodes";
  const change = (verb: Change["verb"], why: string, lines: readonly string[]): Change => ({
    resource: id,
    verb,
    why,
    risk: "safe",
    do: [{ run: { argv: ["nft", "-f", "-"], input: `${lines.join("\n")}\n` } }],
    undo: [], // one transaction: there is never half a change
  });
  const desired = Object.fromEntries(chains.map(({ name, rules }) => [name, rules.map(ruleMark)]));
  return {
    id,
    desired: { chains: desired, users: {} },
    volatile: true,
    observe: observeChains,
    diff(found) {
      const there = found?.chains ?? {};
      const odd = chains.filter(({ name }) => there[name]?.join() !== desired[name]!.join());
      const over = Object.keys(there).filter((name) =>
        !Object.hasOwn(desired, name) && found!.users[name] === undefined
      );
      if (odd.length + over.length === 0) return [];
      const why = [
        ...odd.map(({ name }) => there[name] === undefined ? `${name} missing` : `${name} has other rules`),
        ...over.map((name) => `${name} is of no vnode`),
      ];
      return [change(found === null ? "create" : "update", why.join("; "), [
        ...odd.flatMap(chainLines),
        ...over.flatMap(removalLines),
      ])];
    },
    prior: (found) => found,
    revert(_prior, found) {
      const names = Object.keys(found?.chains ?? {});
      if (names.length === 0) return [];
      const users = names.flatMap((name) => found!.users[name] ?? []);
      return [
        change("delete", "made by berth", [...users.map(deleteElementLine), ...names.flatMap(removalLines)]),
      ];
    },
  };
}

function chainLines({ name, rules }: VnodeChain): readonly string[] {
  return [
    `add chain ${VNODES_TABLE} ${name}`,
    `flush chain ${VNODES_TABLE} ${name}`,
    ...rules.map((rule) => `add rule ${VNODES_TABLE} ${name} ${rule} comment "${ruleMark(rule)}"`),
  ];
}

function removalLines(name: string): readonly string[] {
  return [`flush chain ${VNODES_TABLE} ${name}`, `delete chain ${VNODES_TABLE} ${name}`];
}

async function observeChains(look: Look): Promise<VnodeChainsState | null> {
  const listing = await listTable(look, VNODES_TABLE);
  if (listing === null) return null;
  const chains = Object.entries(parseTable(listing).chains).filter(([name]) => name.startsWith(VNODE_CHAIN));
  const users: Record<string, Element[]> = {};
  for (const [set, elements] of parseElements(listing)) {
    for (const [key, data] of elements) {
      const chain = /^(?:jump|goto) (.*)$/.exec(data)?.[1];
      if (chain?.startsWith(VNODE_CHAIN)) (users[chain] ??= []).push({ table: VNODES_TABLE, set, key, data });
    }
  }
  return { chains: Object.fromEntries(chains.map(([name, { rules }]) => [name, rules])), users };
}
