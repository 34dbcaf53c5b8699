// Elements of nftables' sets and maps: how nft's JSON prints them, one way of writing each so that they can be
// compared, and the lines that add and take them away. Pure. Which sets there are is said elsewhere (firewall.ts).
import { BerthError } from "../log/error.ts";

/** One element of a set, or of a map when it has data. */
export interface Element {
  /** Family and name: "bridge berth". */
  readonly table: string;
  readonly set: string;
  /** Its parts joined by " . ", in canonical form: `eth0 . 02:00:00:00:00:01 . 10.0.0.1`, numbers see canonicalNumber. */
  readonly key: string;
  /** What a map says of it: "jump CHAIN", "drop", "7", "172.16.0.9 . 22". */
  readonly data?: string;
}

/** Elements of one table: by set, by key; the data is "" in a plain set. */
export type TableElements = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** A number as nft prints it in different versions and sizes, written in one way. */
export function canonicalNumber(text: string): string {
  // Eight bytes are printed as a signed number, sixteen as a hexadecimal text (measured, nft 1.0.6 to 1.1.7).
  const value = text.startsWith("-") ? BigInt.asUintN(64, BigInt(text)) : BigInt(text);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? String(value) : `0x${value.toString(16)}`;
}

const LONG_NUMBER = /^(-?\d{16,}|0x[0-9a-f]{16,})$/;

/** A part of a key or of data as nft's JSON has it, as text. */
function textOf(value: unknown): string {
  if (typeof value === "number") return canonicalNumber(String(value));
  // Longer than any interface's name, which may consist of digits alone.
  if (typeof value === "string") return LONG_NUMBER.test(value) ? canonicalNumber(value) : value;
  if (typeof value !== "object" || value === null) return String(value);
  const object = value as Readonly<Record<string, unknown>>;
  if (Array.isArray(object["concat"])) return object["concat"].map(textOf).join(" . ");
  if (Array.isArray(object["range"])) return object["range"].map(textOf).join("-");
  const elem = object["elem"] as { readonly val: unknown } | undefined; // with a counter or a timeout
  if (elem !== undefined) return textOf(elem.val);
  const prefix = object["prefix"] as { readonly addr: unknown; readonly len: number } | undefined;
  if (prefix !== undefined) return `${textOf(prefix.addr)}/${prefix.len}`;
  const [word, target] = Object.entries(object)[0] ?? ["", null];
  const chain = (target as { readonly target?: string } | null)?.target;
  return chain === undefined ? word : `${word} ${chain}`; // a verdict
}

interface ListedSet {
  readonly name: string;
  readonly elem?: readonly unknown[];
}

/** What `nft -j list table` (or `list set`) says of elements. @throws {BerthError} code "fault" where it is not JSON. */
export function parseElements(text: string): TableElements {
  const found = new Map<string, Map<string, string>>();
  let listing;
  try {
    // Numbers beyond what a double holds would come out as others.
    listing = JSON.parse(text.replace(/([[,:] ?)(-?\d{16,})(?=[,\]}])/g, '$1"$2"')) as {
      readonly nftables: readonly { readonly set?: ListedSet; readonly map?: ListedSet }[];
    };
  } catch (error) {
    throw new BerthError({
      code: "fault",
      object: "nft list",
      message: `Cannot read what "nft" printed: "${text.slice(0, 80)}"`,
      cause: error,
    });
  }
  for (const { set, map } of listing.nftables) {
    if (set !== undefined) {
      found.set(set.name, new Map((set.elem ?? []).map((one) => [textOf(one), ""])));
    } else if (map !== undefined) {
      const pairs = (map.elem ?? []) as readonly (readonly [unknown, unknown])[];
      found.set(map.name, new Map(pairs.map(([key, data]) => [textOf(key), textOf(data)])));
    }
  }
  return found;
}

/** The key as nft reads it: in the bridge family it begins with an interface's name, which may be a word of nft's. */
function keyText({ table, key }: Element): string {
  if (!table.startsWith("bridge ")) return key;
  const [name, ...rest] = key.split(" . ");
  return [`"${name}"`, ...rest].join(" . ");
}

/**
 * A line for `nft -f` that adds an element. One that is there already is fine where its data is the same; with other
 * data the whole batch fails.
 */
export function addElementLine(element: Element): string {
  const data = element.data === undefined ? "" : ` : ${element.data}`;
  return `add element ${element.table} ${element.set} { ${keyText(element)}${data} }`;
}

/** A line for `nft -f` that takes an element away by its key. The whole batch fails where it is not there. */
export function deleteElementLine(element: Element): string {
  return `delete element ${element.table} ${element.set} { ${keyText(element)} }`;
}

/**
 * Lines that take an element away whether it is there or not: it is added before. In a map only where it can have
 * no other data than this.
 */
export function dropElementLines(element: Element): readonly string[] {
  return [addElementLine(element), deleteElementLine(element)];
}

/** The first line of what nft says against something. */
export function nftSaid(stderr: string): string {
  const [line = ""] = stderr.trim().split("\n");
  return line === "" ? "nft ended with an error and said nothing" : `nft said ${JSON.stringify(line)}`;
}
