// The fake machine's nft and iptables: as much of their languages as berth speaks. State stands in files below /fake.
import type { FakeCommand, FakeOutput, Machine } from "./host.ts";

interface NamedSet {
  readonly type: readonly string[];
  /** Type words of a map's data. */
  readonly data?: readonly string[];
  /** By key; the data is "" in a plain set. */
  readonly elements: Readonly<Record<string, string>>;
}

interface Table {
  readonly sets: Record<string, NamedSet>;
  readonly chains: Record<string, { readonly hook: string; readonly rules: readonly string[] }>;
}
type Tables = Record<string, Table>;

const NFT = "/fake/nft";

function read({ files }: Machine): Tables {
  return JSON.parse(files.get(NFT)?.text ?? "{}") as Tables;
}

/** nft -f -, list table with elements or without, list chains. One transaction: all lines or none. */
export const nftCommands: FakeCommand = ({ argv, input }, machine) => {
  const line = argv.join(" ");
  if (line === "nft -f -") {
    const tables = read(machine);
    for (const text of (input ?? "").trim().split("\n")) {
      const wrong = apply(tables, text);
      if (wrong !== null) return { exit: 1, stderr: `/dev/stdin:1:1-1: Error: ${wrong}: ${text}\n` };
    }
    if (Object.keys(tables).length === 0) machine.files.delete(NFT);
    else machine.files.set(NFT, { text: JSON.stringify(tables), mode: 0o600 });
    return {};
  }
  if (line === "nft -j -t list chains") return { stdout: JSON.stringify({ nftables: allChains(machine) }) };
  const [, terse, family, name] = /^nft -j (-t )?list table (\S+) (\S+)$/.exec(line) ?? [];
  if (family === undefined) return null;
  const table = read(machine)[`${family} ${name}`];
  if (table === undefined) return { exit: 1, stderr: "Error: No such file or directory\n" };
  const listed = [
    ...Object.entries(table.sets).map(([set, it]) => listedSet(set, it, terse !== undefined)),
    ...Object.entries(table.chains).map(([chain, { hook }]) => ({ chain: { name: chain, ...hookOf(hook) } })),
    ...Object.entries(table.chains).flatMap(([chain, { rules }]) =>
      rules.map((rule) => ({ rule: { chain, comment: /comment "([^"]*)"$/.exec(rule)?.[1] } }))
    ),
  ];
  return { stdout: JSON.stringify({ nftables: listed }) };
};

/** Keys and data that have parts are printed as such, numbers as numbers. */
function printed(text: string): unknown {
  const parts = text.split(" . ").map((part) => /^\d{1,15}$/.test(part) ? Number(part) : part);
  const [verdict, target] = text.split(" ");
  if (verdict === "jump" || verdict === "goto") return { [verdict]: { target } };
  if (["accept", "drop", "return"].includes(text)) return { [text]: null };
  return parts.length === 1 ? parts[0] : { concat: parts };
}

function listedSet(name: string, { type, data, elements }: NamedSet, terse: boolean): unknown {
  const pairs = Object.entries(elements);
  const elem = (all: unknown[]) => terse || all.length === 0 ? {} : { elem: all };
  if (data === undefined) return { set: { name, type, ...elem(pairs.map(([key]) => printed(key))) } };
  const map = data.length === 1 ? data[0] : data;
  return {
    map: { name, type, map, ...elem(pairs.map(([key, value]) => [printed(key), printed(value)])) },
  };
}

/** Adds or takes away one element; answers with what nft would complain about, or null. */
function applyElement(table: Table, verb: string, text: string): string | null {
  const [, name, inner] = /^\S+ element \S+ \S+ (\S+) \{ (.*) \}$/.exec(text) ?? [];
  const set = table.sets[name ?? ""];
  if (set === undefined) return "No such file or directory";
  const [key, data = ""] = inner!.replaceAll('"', "").split(" : ") as [string, string?];
  const { [key]: there, ...others } = set.elements;
  if (verb === "delete") {
    if (there === undefined) return "No such file or directory";
    table.sets[name!] = { ...set, elements: others };
    return null;
  }
  if (there !== undefined && there !== data) return "File exists";
  const chain = /^(jump|goto) (\S+)$/.exec(data)?.[2];
  if (chain !== undefined && table.chains[chain] === undefined) return "No such file or directory";
  table.sets[name!] = { ...set, elements: { ...set.elements, [key]: data } };
  return null;
}

/** Types of a `typeof`'s expressions. */
const TYPES: Readonly<Record<string, string>> = { iifname: "ifname", "ether saddr": "ether_addr" };

function hookOf(text: string): Record<string, unknown> {
  const [, type, hook, prio] = /type (\w+) hook (\w+) priority (-?\d+)/.exec(text) ?? [];
  return type === undefined ? {} : { type, hook, prio: Number(prio), policy: "accept" };
}

/** Runs one line; answers with what nft would complain about, or null. */
function apply(tables: Tables, text: string): string | null {
  const [verb, kind, family, name, object = "", ...rest] = text.split(" ");
  const at = `${family} ${name}`;
  if (kind === "table") {
    if (verb === "add") tables[at] ??= { sets: {}, chains: {} };
    else if (tables[at] === undefined) return "No such file or directory";
    else delete tables[at];
    return null;
  }
  const table = tables[at];
  if (table === undefined) return "No such file or directory";
  const chain = table.chains[object];
  switch (`${verb} ${kind}`) {
    case "add set":
    case "add map": {
      const [, word, kind] = /\{ (type|typeof) ([^;]*);/.exec(text)!;
      const [type, data] = kind!.split(" : ").map((one) => one.split(" . "));
      table.sets[object] ??= {
        type: word === "type" ? type! : type!.map((part) => TYPES[part] ?? "integer"),
        ...(data && { data }),
        elements: {},
      };
      return null;
    }
    case "delete set":
    case "delete map":
      return delete table.sets[object] ? null : "Busy";
    case "add element":
    case "delete element":
      return applyElement(table, verb!, text);
    case "add chain":
      table.chains[object] ??= { hook: rest.join(" "), rules: [] };
      return null;
    case "delete chain":
      if (isJumpedTo(table, object)) return "Device or resource busy";
      return delete table.chains[object] ? null : "Busy";
  }
  if (chain === undefined) return "No such chain";
  if (`${verb} ${kind}` === "flush chain") table.chains[object] = { ...chain, rules: [] };
  else if (`${verb} ${kind}` === "add rule") {
    table.chains[object] = { ...chain, rules: [...chain.rules, rest.join(" ")] };
  } else return "The fake nft does not know";
  return null;
}

function isJumpedTo(table: Table, chain: string): boolean {
  return Object.values(table.sets).some(({ elements }) =>
    Object.values(elements).some((data) => data === `jump ${chain}` || data === `goto ${chain}`)
  );
}

const saved = ({ files }: Machine, family: string) => files.get(`/fake/${family}tables`)?.text ?? "";

function allChains(machine: Machine): unknown[] {
  return (["ip", "ip6"] as const).flatMap((family) => {
    let table = "";
    return saved(machine, family).split("\n").flatMap((line) => {
      if (line.startsWith("*")) table = line.slice(1);
      const [, name, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
      if (name === undefined) return [];
      return [{
        chain: { family, table, name, ...(policy === "-" ? {} : { policy: policy!.toLowerCase() }) },
      }];
    });
  });
}

/** Puts what iptables-save shall say; "" for nothing. */
export function plantRules(machine: Machine, family: "ip" | "ip6", text: string): void {
  machine.files.set(`/fake/${family}tables`, { text, mode: 0o600 });
}

/** iptables-save, iptables-restore --noflush, and the same of ip6tables. */
export const iptablesCommands: FakeCommand = ({ argv, input }, machine) => {
  const [, family, verb] = /^(ip6?)tables(?:-nft)?-(save|restore)$/.exec(argv[0] ?? "") ?? [];
  if (family === undefined) return null;
  if (verb === "save") return { stdout: saved(machine, family) };
  return restore(machine, family as "ip" | "ip6", input ?? "");
};

function restore(machine: Machine, family: "ip" | "ip6", input: string): FakeOutput {
  let lines = saved(machine, family).split("\n").filter((line) => line !== "");
  const tableOf = (at: number) => lines.slice(0, at + 1).findLast((line) => line.startsWith("*"));
  let table = "";
  for (const line of input.split("\n").filter((text) => text !== "" && text !== "COMMIT")) {
    const drop = (isIt: (found: string) => boolean) => {
      const before = lines.length;
      lines = lines.filter((found, at) => tableOf(at) !== table || !isIt(found));
      return lines.length < before;
    };
    /** After the last line of the table that is so. */
    const insert = (what: string, isBefore: (found: string) => boolean) => {
      const at = lines.findLastIndex((found, index) => tableOf(index) === table && isBefore(found));
      lines = [...lines.slice(0, at + 1), what, ...lines.slice(at + 1)];
    };
    const [flag, chain] = line.split(" ");
    if (line.startsWith("*")) table = line;
    else if (line.startsWith(":")) {
      const name = line.split(" ")[0]!;
      const isThere = (found: string, at: number) => tableOf(at) === table && found.startsWith(`${name} `);
      // A user's chain that is there already is flushed, a new one made (iptables-restore(8)).
      if (line.includes(" - ")) drop((found) => found.startsWith(`-A ${name.slice(1)} `));
      if (!lines.some(isThere)) insert(line, (found) => found.startsWith(":") || found === table);
      else lines = lines.map((found, at) => isThere(found, at) ? line : found);
    } else if (flag === "-A") insert(line, (found) => found !== "COMMIT");
    else if (flag === "-I") {
      insert(`-A ${line.slice(3)}`, (found) => found.startsWith(":") || found === table);
    } else if (flag === "-D") {
      if (!drop((found) => found === `-A ${line.slice(3)}`)) return { exit: 2, stderr: "Bad rule\n" };
    } else if (flag === "-F") drop((found) => found.startsWith(`-A ${chain} `));
    else if (flag === "-X") drop((found) => found.startsWith(`:${chain} `));
    else return { exit: 2, stderr: `The fake iptables-restore does not know: ${line}\n` };
  }
  plantRules(machine, family, `${lines.join("\n")}\n`);
  return {};
}
