// JSON values as trees of keys: what the kinds that share a JSON file with others need. Pure.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A plain object, not an array or null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Equal as JSON: the order of keys does not count. */
export function sameJson(one: unknown, other: unknown): boolean {
  if (Array.isArray(one)) {
    return Array.isArray(other) && one.length === other.length &&
      one.every((item, at) => sameJson(item, other[at]));
  }
  if (!isObject(one) || !isObject(other)) return one === other;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && sameJson(one[key], other[key]));
}

/** The paths of all leaves; arrays and empty objects are leaves. Keys that are undefined are left out. */
export function leafPaths(tree: JsonObject, above: readonly string[] = []): readonly (readonly string[])[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const path = [...above, key];
    return isObject(value) && Object.keys(value).length > 0 ? leafPaths(value, path) : [path];
  });
}

/** The value at a path, or undefined where there is none. */
export function valueAt(tree: Json | undefined, path: readonly string[]): Json | undefined {
  let at = tree;
  for (const key of path) {
    if (!isObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

/**
 * The tree with one value set (undefined removes it). Keys keep their place, new ones go to the end. What stands in
 * the way of a path (a number where an object is needed) is replaced.
 */
export function withValue(tree: JsonObject, path: readonly string[], value: Json | undefined): JsonObject {
  const [key, ...rest] = path;
  if (key === undefined) return tree;
  const below = Object.hasOwn(tree, key) ? tree[key] : undefined;
  if (rest.length > 0 && value === undefined && !isObject(below)) return tree; // nothing there to remove
  const next = rest.length === 0 ? value : withValue(isObject(below) ? below : {}, rest, value);
  // Entries, not assignment: a key "__proto__" is data here.
  const entries = Object.entries(tree).filter(([name]) => name !== key || next !== undefined)
    .map(([name, old]) => [name, name === key ? next! : old] as const);
  if (next !== undefined && !Object.hasOwn(tree, key)) entries.push([key, next]);
  return Object.fromEntries(entries);
}

/** The indentation a text uses: its first indented line's. @default {four spaces' place: two} */
export function indentationOf(text: string): string {
  if (!text.trim().includes("\n")) return text.trim() === "{}" || text.trim() === "" ? "  " : "";
  return /\n([ \t]+)\S/.exec(text)?.[1] ?? "  ";
}

/** The line (from 1) where a text stops being JSON, or null where it is JSON throughout. */
export function jsonErrorLine(text: string): number | null {
  const token =
    /[ \t\r\n]*("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:])/uy;
  const open: string[] = [];
  // What may come: a value, a value or "]", a key, a key or "}", ":", or what follows a value.
  let wanted: "value" | "item" | "key" | "member" | "colon" | "after" = "value";
  let at = 0;
  for (;;) {
    const rest = text.slice(at).trimStart();
    if (rest === "") break;
    token.lastIndex = at;
    const word = token.exec(text)?.[1];
    const start = text.length - rest.length;
    const bad = lineOf(text, start);
    if (word === undefined) return bad;
    const isString = word.startsWith('"');
    if (wanted === "colon") {
      if (word !== ":") return bad;
      wanted = "value";
    } else if (wanted === "key" || wanted === "member") {
      if (isString) wanted = "colon";
      else if (word === "}" && wanted === "member") open.pop(), wanted = "after";
      else return bad;
    } else if (wanted === "after") {
      const inside = open.at(-1);
      if (inside === undefined) return bad;
      if (word === ",") wanted = inside === "{" ? "key" : "value";
      else if (word === (inside === "{" ? "}" : "]")) open.pop();
      else return bad;
    } else if (word === "{") open.push("{"), wanted = "member";
    else if (word === "[") open.push("["), wanted = "item";
    else if (word === "]" && wanted === "item") open.pop(), wanted = "after";
    else if ("}],:".includes(word)) return bad;
    else wanted = "after";
    at = token.lastIndex;
  }
  return wanted === "after" && open.length === 0 ? null : lineOf(text, text.trimEnd().length);
}

function lineOf(text: string, position: number): number {
  return text.slice(0, position).split("\n").length;
}
