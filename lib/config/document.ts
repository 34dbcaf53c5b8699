// One configuration file: its text read as YAML (or JSON, which is YAML), with the line of every value at hand.
// Owns syntax, duplicate keys, alias bombs, depth and size; knows no keys.
import type { Issue } from "../log/error.ts";
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  visit,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import { plain, shown } from "../log/issues.ts";

/** Where in a file: keys and indexes from the top. */
export type Path = readonly (string | number)[];

/** A file that was read. `value` is plain data, undefined where it could not be had. */
export interface ConfigFile {
  readonly path: string;
  readonly value: unknown;
  readonly issues: readonly Issue[];
  /** "FILE:LINE" of what stands at a path, or of the nearest thing around it. */
  place(path: Path): string;
}

/** Sizes beyond which a file is surely not meant: a thousand vnodes with ten links take some 1 MiB. */
const MAX_TEXT = 8 * 2 ** 20;
const MAX_DEPTH = 32;
const MAX_VALUES = 1_000_000;
/** Uses of anchors times what they hold; a bomb of nine levels would be 10^9. */
const MAX_ALIASES = 10_000;

/** Uses of anchors in all: the parser's work for them grows with the square. */
const MAX_USES = 2000;

/** Keys every JavaScript object seems to have: a schema could take them for known ones. */
function isTreacherous(key: string): boolean {
  return key in Object.prototype || key === "prototype";
}

/** Reads one file. Never throws: what is wrong is in `issues`. */
export function readDocument(path: string, text: string): ConfigFile {
  const name = shown(path);
  const failed = (place: string, message: string, next: string, wanted?: string): ConfigFile => ({
    path,
    value: undefined,
    issues: [{ place, message, next, ...(wanted === undefined ? {} : { wanted }) }],
    place: () => name,
  });
  if (text.length > MAX_TEXT) {
    return failed(name, "Is too large", "Split it into several files", "at most 8 MiB");
  }
  // Before the parser sees it: deep nesting would exhaust its stack.
  if (/(?:[[{]\s*){64}/.test(text)) {
    return failed(name, `Is nested too deeply`, "Flatten it", `at most ${MAX_DEPTH} levels`);
  }
  const lines = new LineCounter();
  const at = (offset: number) => `${name}:${Math.max(1, lines.linePos(offset).line)}`;
  try {
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      merge: true,
      prettyErrors: false,
      // Looked for below: the parser compares each key with each other one.
      uniqueKeys: false,
      stringKeys: true,
      version: "1.2",
    });
    if (!Array.isArray(documents) || documents.length === 0) {
      return {
        path,
        value: null,
        issues: [],
        place: () => name,
      };
    }
    if (documents.length > 1) {
      const place = at(documents[1]!.range[0]);
      return failed(
        place,
        "Holds more than one document",
        "Put what follows --- into a file of its own",
        "one document",
      );
    }
    const document = documents[0]!;
    const wrong = [...document.errors, ...document.warnings];
    if (wrong.length > 0) {
      const issues = wrong.slice(0, 20).map((error) => ({ place: at(error.pos[0]), ...syntax(error) }));
      return { path, value: undefined, issues, place: () => name };
    }
    const { twice, aliases } = survey(document.contents);
    if (aliases > MAX_USES) {
      const next = "Write the repeated parts out, or split the file";
      return failed(name, `Uses its anchors ${aliases} times`, next, `at most ${MAX_USES} uses`);
    }
    if (twice.length > 0) {
      const message = "The same key stands twice in one map";
      const issues = twice.map((offset) => ({
        place: at(offset),
        message,
        next: "Remove one, or rename it",
      }));
      return { path, value: undefined, issues, place: () => name };
    }
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    // Finding an alias's anchor walks the whole document: done once for each alias.
    const resolved = new Map<unknown, unknown>();
    const resolve = (node: unknown): unknown => {
      if (!isAlias(node)) return node;
      if (!resolved.has(node)) resolved.set(node, node.resolve(document));
      return resolved.get(node);
    };
    const place = (where: Path): string => {
      const offset = offsetOf(document.contents, where, resolve);
      return offset === undefined ? `${name}:1` : at(offset);
    };
    return { path, value, issues: unfit(value, place), place };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const bomb = /alias/i.test(reason);
    return failed(
      name,
      bomb ? "Uses its anchors too often, or within themselves" : "Cannot be read as YAML",
      bomb ? "Write the repeated parts out" : "Check that it is YAML or JSON, and not nested too deeply",
    );
  }
}

function syntax(error: YAMLError): { message: string; next: string } {
  if (error.message.includes("call stack")) return { message: "Is nested too deeply", next: "Flatten it" };
  if (error.code === "TAB_AS_INDENT") {
    return { message: "A tab indents this line, YAML wants spaces", next: "Replace the tab by spaces" };
  }
  const text = error.message.split("\n")[0]!.replace(/[.:]$/, "").replace(/ at line \d+, column \d+/, "");
  return {
    message: `Not valid YAML: ${plain(text)}`,
    next: "Correct the syntax on this line",
  };
}

/** Depth, size and treacherous keys, on the plain value: also what aliases expand to is counted. */
function unfit(root: unknown, place: (path: Path) => string): Issue[] {
  const issues: Issue[] = [];
  let count = 0;
  const walk = (value: unknown, path: (string | number)[]): void => {
    if (value === null || typeof value !== "object" || issues.length > 20) return;
    if (path.length > MAX_DEPTH || ++count > MAX_VALUES) {
      issues.push({
        place: place(path),
        message: "Is nested too deeply",
        wanted: `at most ${MAX_DEPTH} levels`,
        next: "Flatten it",
      });
      return;
    }
    for (const [key, child] of Object.entries(value)) {
      if (!Array.isArray(value) && isTreacherous(key)) {
        issues.push({
          place: place([...path, key]),
          message: `The key ${shown(key)} has a meaning of its own in JavaScript`,
          wanted: "another key",
          next: "Rename it",
        });
      }
      walk(child, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  };
  walk(root, []);
  return issues;
}

/** Keys that stand twice in one map (where the second stands), and how often anchors are used. */
function survey(root: unknown): { twice: number[]; aliases: number } {
  const twice: number[] = [];
  let aliases = 0;
  visit(root as Node | null, {
    Alias() {
      aliases++;
    },
    Map(_, map) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        // A merge key may stand more than once.
        if (seen.has(String(key.value)) && key.value !== "<<") twice.push(key.range?.[0] ?? 0);
        seen.add(String(key.value));
      }
    },
  });
  return { twice: twice.slice(0, 20), aliases };
}

const pairs = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

/** The pairs of a map by key; made once, for files with thousands of vnodes. */
function pairsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
  let known = pairs.get(map);
  if (known === undefined) {
    known = new Map(map.items.map((pair) => [isScalar(pair.key) ? String(pair.key.value) : "", pair]));
    pairs.set(map, known);
  }
  return known;
}

function offsetOf(root: unknown, path: Path, resolve: (node: unknown) => unknown): number | undefined {
  let node = root;
  let offset = isNode(root) ? root.range?.[0] : undefined;
  for (const step of path) {
    // Only what is gone through is resolved: an alias at the end has a place of its own.
    node = resolve(node);
    let child: unknown;
    if (isMap(node)) {
      const pair = pairsOf(node).get(String(step));
      if (pair === undefined) return offset;
      if (isNode(pair.key)) offset = (pair.key as Node).range?.[0] ?? offset;
      child = pair.value;
    } else if (isSeq(node)) {
      child = node.items[Number(step)];
      if (child === undefined) return offset;
      if (isNode(child)) offset = child.range?.[0] ?? offset;
    } else return offset;
    node = child;
  }
  return offset;
}
