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
      uniqueKeys: true,
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
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    const place = (where: Path): string => {
      const offset = offsetOf(
        document.contents,
        where,
        (alias) => isAlias(alias) ? alias.resolve(document) : alias,
      );
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
  if (error.code === "DUPLICATE_KEY") {
    return { message: "The same key stands twice in one map", next: "Remove one, or rename it" };
  }
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
  let node = resolve(root);
  let offset = isNode(root) ? root.range?.[0] : undefined;
  for (const step of path) {
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
    node = resolve(child);
  }
  return offset;
}
