// One nftables table of our own as a resource: its chains are ours rule by rule, its sets and maps exist but their
// elements are others' (the gate's and the watch's): replacing chains never touches an element.
// Does not know what the rules are for: firewall.ts says that.
import { createHash } from "node:crypto";
import type { Look } from "../host/types.ts";
import { listTable } from "./nft_listing.ts";
import type { Change, Resource } from "./types.ts";

/** A named set, or a map where it has data; elements come and go without this resource. */
export interface NftSet {
  readonly name: string;
  /** nft's own type words, one per part of the key: ["ifname", "ether_addr"]. */
  readonly type: readonly string[];
  /** The key as expressions, where a part has no type of its own: ["iifname", "@th,64,128"], typed "integer" above. */
  readonly typeof?: readonly string[];
  /** Type words of what a map says of its keys: ["verdict"]. Absent in a set. */
  readonly data?: readonly string[];
}

/** A chain; with `hook` a base chain (policy accept), else one that others jump to. */
export interface NftChain {
  readonly name: string;
  readonly hook?: { readonly type: "filter" | "nat"; readonly at: string; readonly priority: number };
  /** Statements in nft's language, without a comment: the resource adds its own, to know its rules by. */
  readonly rules: readonly string[];
}

export interface NftTable {
  readonly family: "ip" | "inet" | "bridge";
  readonly name: string;
  readonly sets: readonly NftSet[];
  readonly chains: readonly NftChain[];
  /** Chains whose names begin so are another resource's. Absent: all others have no place in the table. */
  readonly spare?: string;
}

/** What is compared: kinds of sets and chains, and of each rule only its mark. */
export interface NftState {
  readonly sets: Readonly<Record<string, string>>;
  readonly chains: Readonly<Record<string, { readonly hook: string; readonly rules: readonly string[] }>>;
}

/**
 * A table as the given text says. Extra chains or sets in it are left alone; within our chains any rule that is
 * not ours is removed.
 *
 * nft rewrites rules when it lists them, differently in each version, so rules are known by a comment that
 * carries a digest of their text: a rule that is missing, moved, foreign or of an older berth is found.
 */
export function nftTable(table: NftTable): Resource<NftState> {
  const where = `${table.family} ${table.name}`;
  const id = `nft table ${where}`;
  const desired = desiredState(table);
  const change = (verb: Change["verb"], why: string, input: string, undo: string): Change => ({
    resource: id,
    verb,
    why,
    risk: "safe",
    do: [nft(input)],
    undo: undo === "" ? [] : [nft(undo)],
  });
  return {
    id,
    desired,
    volatile: true,
    observe: (look) => observeTable(look, table),
    diff(found) {
      if (found === null) {
        return [change("create", "missing", tableText(table, null), `delete table ${where}\n`)];
      }
      const reasons = differences(desired, found);
      // nft applies the whole text or nothing, so there is never half a change to roll back.
      return reasons.length === 0 ? [] : [change("update", reasons.join("; "), tableText(table, found), "")];
    },
    prior: (found) => found,
    revert(_prior, found) {
      return found === null ? [] : [change("delete", "made by berth", `delete table ${where}\n`, "")];
    },
  };
}

function nft(input: string) {
  return { run: { argv: ["nft", "-f", "-"], input } };
}

/** The comment a rule is known by: 8 bytes of SHA-256 over its text. */
export function ruleMark(rule: string): string {
  return `berth ${createHash("sha256").update(rule).digest("hex").slice(0, 16)}`;
}

function hookText(hook: NftChain["hook"]): string {
  return hook === undefined ? "" : `${hook.type} ${hook.at} ${hook.priority} accept`;
}

/** A set's kind as it is compared: "ipv4_addr", of a map "ipv4_addr : verdict". */
function kindOf(type: readonly string[], data: readonly string[] | undefined): string {
  return data === undefined ? type.join(" . ") : `${type.join(" . ")} : ${data.join(" . ")}`;
}

const isMap = (kind: string) => kind.includes(" : ");

function desiredState(table: NftTable): NftState {
  return {
    sets: Object.fromEntries(table.sets.map((set) => [set.name, kindOf(set.type, set.data)])),
    chains: Object.fromEntries(
      table.chains.map((
        chain,
      ) => [chain.name, { hook: hookText(chain.hook), rules: chain.rules.map(ruleMark) }]),
    ),
  };
}

/** Why the found table is not the wanted one; [] when it is. Pure. */
export function differences(desired: NftState, found: NftState): readonly string[] {
  const reasons: string[] = [];
  for (const [name, type] of Object.entries(desired.sets)) {
    const there = found.sets[name];
    if (there === undefined) reasons.push(`set ${name} missing`);
    else if (there !== type) reasons.push(`set ${name} is of type "${there}", wanted "${type}"`);
  }
  for (const [name, chain] of Object.entries(desired.chains)) {
    const there = found.chains[name];
    if (there === undefined) reasons.push(`chain ${name} missing`);
    else if (there.hook !== chain.hook) {
      reasons.push(`chain ${name} is "${there.hook}", wanted "${chain.hook}"`);
    } else if (there.rules.join() !== chain.rules.join()) {
      reasons.push(ruleReason(name, chain.rules, there.rules));
    }
  }
  const others = Object.keys(found.chains).filter((name) => !Object.hasOwn(desired.chains, name));
  if (others.length > 0) reasons.push(`chains that are not berth's: ${others.join(", ")}`);
  return reasons;
}

function ruleReason(name: string, wanted: readonly string[], found: readonly string[]): string {
  const missing = wanted.filter((mark) => !found.includes(mark)).length;
  const foreign = found.filter((mark) => !wanted.includes(mark)).length;
  const parts = [
    ...(missing > 0 ? [`${missing} of ${wanted.length} rules missing`] : []),
    ...(foreign > 0 ? [`${foreign} other rules`] : []),
  ];
  return `chain ${name}: ${parts.length === 0 ? "rules in another order or doubled" : parts.join(", ")}`;
}

/** The text that turns what was found into the wanted table, in one transaction. Elements of sets stay. */
export function tableText(table: NftTable, found: NftState | null): string {
  const at = `${table.family} ${table.name}`;
  const lines = [`add table ${at}`];
  const wanted = desiredState(table);
  const oddSets = table.sets.filter((set) => {
    const there = found?.sets[set.name];
    return there !== undefined && there !== wanted.sets[set.name];
  });
  const oddChains = table.chains.filter((chain) => {
    const there = found?.chains[chain.name];
    return there !== undefined && there.hook !== hookText(chain.hook);
  });
  // In a table of ours nobody else has a chain: it might drop what ours accept.
  const others = Object.keys(found?.chains ?? {}).filter((name) => !Object.hasOwn(wanted.chains, name));
  for (const name of others) lines.push(`flush chain ${at} ${name}`);
  // Rules hold sets and chains in place: they go before what must be replaced.
  for (const chain of table.chains) {
    if (found?.chains[chain.name] !== undefined) lines.push(`flush chain ${at} ${chain.name}`);
  }
  for (const name of others) lines.push(`delete chain ${at} ${name}`);
  for (const { name } of oddSets) {
    lines.push(`delete ${isMap(found!.sets[name]!) ? "map" : "set"} ${at} ${name}`);
  }
  for (const chain of oddChains) lines.push(`delete chain ${at} ${chain.name}`);
  for (const set of table.sets) lines.push(setLine(at, set));
  for (const chain of table.chains) {
    const hook = chain.hook;
    const body = hook === undefined
      ? ""
      : ` { type ${hook.type} hook ${hook.at} priority ${hook.priority}; policy accept; }`;
    lines.push(`add chain ${at} ${chain.name}${body}`);
  }
  for (const chain of table.chains) {
    for (const rule of chain.rules) {
      lines.push(`add rule ${at} ${chain.name} ${rule} comment "${ruleMark(rule)}"`);
    }
  }
  return lines.join("\n") + "\n";
}

/** The key of a map that has a `typeof` needs one for its data, too: none of ours is both. */
function setLine(at: string, { name, type, typeof: expressions, data }: NftSet): string {
  const key = expressions === undefined ? `type ${type.join(" . ")}` : `typeof ${expressions.join(" . ")}`;
  return `add ${data === undefined ? "set" : "map"} ${at} ${name} { ${key}${
    data === undefined ? "" : ` : ${data.join(" . ")}`
  }; }`;
}

/** Type words as nft's versions print them: a word, words, since 1.1 the expressions of a `typeof`. */
type ListedType = string | readonly string[] | { readonly typeof: Expression };

interface Expression {
  readonly concat?: readonly Expression[];
  readonly meta?: { readonly key: string };
  readonly payload?: { readonly protocol?: string; readonly field?: string };
}

/** Types of the expressions that our sets are keyed by. What is not here has none of its own: "integer". */
const EXPRESSION_TYPES: Readonly<Record<string, string>> = {
  iifname: "ifname",
  oifname: "ifname",
  "ether saddr": "ether_addr",
  "ip saddr": "ipv4_addr",
  "ip6 saddr": "ipv6_addr",
};

function typeWords(type: ListedType): readonly string[] {
  if (typeof type === "string") return type.split(" . ");
  if (!("typeof" in type)) return type;
  return (type.typeof.concat ?? [type.typeof]).map(({ meta, payload }) =>
    EXPRESSION_TYPES[meta?.key ?? `${payload?.protocol} ${payload?.field}`] ?? "integer"
  );
}

interface Listed {
  readonly set?: { readonly name: string; readonly type: ListedType };
  readonly map?: { readonly name: string; readonly type: ListedType; readonly map: ListedType };
  readonly chain?: {
    readonly name: string;
    readonly type?: string;
    readonly hook?: string;
    readonly prio?: number;
    readonly policy?: string;
  };
  readonly rule?: { readonly chain: string; readonly comment?: string };
}

/** What `nft -j list table` says, as compared. Pure. */
export function parseTable(text: string): NftState {
  const { nftables } = JSON.parse(text) as { nftables: readonly Listed[] };
  const sets: Record<string, string> = {};
  const chains: Record<string, { hook: string; rules: string[] }> = {};
  for (const { set, map, chain, rule } of nftables) {
    if (set !== undefined) sets[set.name] = kindOf(typeWords(set.type), undefined);
    if (map !== undefined) sets[map.name] = kindOf(typeWords(map.type), typeWords(map.map));
    if (chain !== undefined) {
      const hook = chain.hook === undefined
        ? ""
        : `${chain.type} ${chain.hook} ${chain.prio} ${chain.policy ?? "accept"}`;
      chains[chain.name] = { hook, rules: [] };
    }
    if (rule !== undefined) chains[rule.chain]?.rules.push(rule.comment ?? "");
  }
  return { sets, chains };
}

function withoutSpare(found: NftState, spare: string | undefined): NftState {
  if (spare === undefined) return found;
  const ours = Object.entries(found.chains).filter(([name]) => !name.startsWith(spare));
  return { ...found, chains: Object.fromEntries(ours) };
}

async function observeTable(look: Look, { family, name, spare }: NftTable): Promise<NftState | null> {
  const listing = await listTable(look, `${family} ${name}`, { terse: true });
  return listing === null ? null : withoutSpare(parseTable(listing), spare);
}
