// A JSON file that berth shares with others (daemon.json): we own some keys, everything else is kept as it is, with
// its order and indentation.
import type { Command, Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { Change, Op, Resource } from "../types.ts";
import { fileChange, type FileState, observeFile } from "./file.ts";
import {
  indentationOf,
  isObject,
  type Json,
  jsonErrorLine,
  type JsonObject,
  leafPaths,
  sameJson,
  valueAt,
  withValue,
} from "./json.ts";

/** The file as found: parsed, with its own text. */
export interface JsonFileState {
  readonly file: FileState | null;
  readonly value: JsonObject;
  /** A candidate left by a crash during validation. */
  readonly candidate: boolean;
}

/** What one owned key was before us, and what we made of it. */
interface PriorKey {
  readonly path: readonly string[];
  /** Absent where there was none. */
  readonly value?: Json;
  /** How many of the objects above it stood there before us. */
  readonly above: number;
  /** What our runs have set: anything else found there is others' edit. */
  readonly ours: readonly Json[];
}

/** What the journal keeps of a shared JSON file. */
export interface JsonFilePrior {
  readonly existed: boolean;
  /** The whole text before us: given back to the byte where its values come back. */
  readonly text?: string;
  readonly keys: readonly PriorKey[];
}

/** How a shared JSON file is written. */
export interface JsonFileOptions {
  /** Mode of a file that is not there yet. @default {0o644} */
  readonly mode?: number;
  /** Where its last good text is kept, if it is: told where the file cannot be read. */
  readonly good?: string;
  /** A command that judges a candidate by exit code before it takes the file's place; null: nobody can judge. */
  readonly accepts?: (candidate: string) => Command | null;
  /** @default {"safe"} */
  readonly risk?: Change["risk"];
}

/**
 * A JSON file in which these keys have these values. Objects are merged key by key; arrays and everything else are
 * set as a whole. Undo puts the owned keys back that nobody has edited since, and removes the file only if berth
 * made it and nothing foreign is in it.
 *
 * @throws {BerthError} code `refused`, with the line, when the file is no JSON object.
 */
export function jsonFile(
  path: string,
  owned: JsonObject,
  options: JsonFileOptions = {},
): Resource<JsonFileState, JsonFilePrior> {
  const id = `file ${path}`;
  const candidate = `${path}.berth-candidate`;
  const mode = options.mode ?? 0o644;
  const paths = leafPaths(owned);
  const desired: JsonFileState = {
    file: { text: written(owned, ""), mode },
    value: owned,
    candidate: false,
  };
  const change = (
    found: JsonFileState | null,
    value: JsonObject | null,
    why: string,
    text = value === null ? "" : written(value, found?.file?.text ?? ""),
  ): Change => {
    const before = found?.file ?? null;
    const wanted = value === null ? null : { text, mode: before?.mode ?? mode };
    const made = { ...fileChange(id, path, before, wanted, why), risk: options.risk ?? "safe" };
    const judge = wanted === null ? null : options.accepts?.(candidate) ?? null;
    const clean: readonly Op[] = found?.candidate || judge !== null ? [{ remove: candidate }] : [];
    if (judge === null || wanted === null) return { ...made, do: [...clean, ...made.do] };
    const first: readonly Op[] = [{ write: candidate, text: wanted.text, mode: 0o600 }, { run: judge }];
    return { ...made, do: [...first, ...clean, ...made.do], undo: [...clean, ...made.undo] };
  };

  return {
    id,
    desired,
    async observe(look) {
      const file = await observeFile(look, path);
      const left = await look.stat(candidate) !== null;
      if (file === null && !left) return null;
      const value = await parsedOrGood(look, path, file?.text ?? "{}", options.good);
      return { file, value, candidate: left };
    },
    diff(found) {
      const value = found?.value ?? {};
      const differing = paths.filter((at) => !sameJson(valueAt(value, at), valueAt(owned, at)));
      if (differing.length === 0 && found?.file) {
        return found.candidate ? [{ ...onlyClean(id, candidate) }] : [];
      }
      const merged = differing.reduce((tree, at) => withValue(tree, at, valueAt(owned, at)), value);
      const why = found?.file
        ? differing.map((at) => keyDifference(at, valueAt(value, at), valueAt(owned, at))).join("; ")
        : "missing";
      return [change(found, merged, why)];
    },
    prior(found) {
      return {
        existed: found?.file != null,
        ...(found?.file == null ? {} : { text: found.file.text }),
        keys: paths.map((at) => priorKey(at, found?.value ?? {}, valueAt(owned, at)!)),
      };
    },
    mergePriors(first, later) {
      const keys = [...first.keys];
      for (const key of later.keys) {
        const at = keys.findIndex((known) => sameJson(known.path, key.path));
        const known = keys[at];
        if (known === undefined) keys.push(key);
        else keys[at] = { ...known, ours: [...known.ours, ...key.ours] };
      }
      return { ...first, keys };
    },
    revert(prior, found) {
      if (found === null) return [];
      const value = prior.keys.reduce(backToPrior, found.value);
      if (found.file !== null && !prior.existed && Object.keys(value).length === 0) {
        return [change(found, null, "made by berth")];
      }
      if (!sameJson(value, found.value)) {
        const isFormer = prior.text !== undefined && sameJson(parsed(path, prior.text), value);
        return [change(found, value, "keys set by berth", isFormer ? prior.text : undefined)];
      }
      return found.candidate ? [onlyClean(id, candidate)] : [];
    },
  };
}

function onlyClean(resource: string, candidate: string): Change {
  const why = "a candidate was left by a crash";
  return { resource, verb: "update", why, risk: "safe", do: [{ remove: candidate }], undo: [] };
}

function priorKey(path: readonly string[], found: JsonObject, ours: Json): PriorKey {
  let above = 0;
  while (above < path.length - 1 && isObject(valueAt(found, path.slice(0, above + 1)))) above++;
  const value = valueAt(found, path);
  // What stood in the way of the path (say a number above it) comes back as a whole.
  const blocked = above < path.length - 1 ? valueAt(found, path.slice(0, above + 1)) : undefined;
  if (blocked !== undefined) return { path: path.slice(0, above + 1), value: blocked, above, ours: [] };
  return { path, above, ours: [ours], ...(value === undefined ? {} : { value }) };
}

function backToPrior(tree: JsonObject, key: PriorKey): JsonObject {
  const found = valueAt(tree, key.path);
  if (found === undefined || (key.ours.length > 0 && !key.ours.some((ours) => sameJson(ours, found)))) {
    return tree;
  }
  let next = withValue(tree, key.path, key.value);
  if (key.value !== undefined) return next;
  // Objects that were made only to hold our key go with it, once they are empty.
  for (let depth = key.path.length - 1; depth > key.above; depth--) {
    const above = key.path.slice(0, depth);
    const holder = valueAt(next, above);
    if (isObject(holder) && Object.keys(holder).length === 0) next = withValue(next, above, undefined);
  }
  return next;
}

function keyDifference(path: readonly string[], found: Json | undefined, wanted: Json | undefined): string {
  const shown = (value: Json | undefined) => value === undefined ? "missing" : JSON.stringify(value);
  return `"${path.join(".")}" ${shown(found)}, wanted ${shown(wanted)}`;
}

function written(value: JsonObject, like: string): string {
  const end = like === "" || like.endsWith("\n") ? "\n" : "";
  return JSON.stringify(value, null, indentationOf(like)) + end;
}

/** As parsed; where it fails, it tells of the last good text, if that is there. */
async function parsedOrGood(
  look: Look,
  path: string,
  text: string,
  good: string | undefined,
): Promise<JsonObject> {
  try {
    return parsed(path, text);
  } catch (error) {
    if (good === undefined || await look.stat(good) === null) throw error;
    return parsed(path, text, `; the last good text is "${good}"`);
  }
}

/** @throws {BerthError} code `refused` where it is no JSON object. */
function parsed(path: string, text: string, tail = ""): JsonObject {
  if (text.trim() === "") return {};
  // RFC 8259, 8.1: no writer may add one; an engine does not read on behind it either.
  const hasMark = text.startsWith("\uFEFF");
  let why = hasMark
    ? "it begins with a byte order mark, which JSON does not have"
    : `it is no JSON from line ${jsonErrorLine(text) ?? 1} on`;
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
    why = `it holds ${Array.isArray(value) ? "an array" : "a single value"}, wanted an object`;
  } catch {
    // The message of JSON.parse differs between runtimes: `why` has the line already.
  }
  throw new BerthError({
    code: "refused",
    object: `file ${path}`,
    message: `Cannot merge keys into "${path}": ${why}`,
    next: (hasMark
      ? `Take the mark away: sed -i '1s/^\\xEF\\xBB\\xBF//' ${path}`
      : `Correct "${path}" by hand; berth does not overwrite what it cannot read`) + tail,
  });
}
