// What is wrong with one value, as data, and how it travels through valibot: its issues carry only text, so each
// message of our schemas is a list of problems as JSON. Owns the building blocks of the schemas; pure.
import { distance } from "fastest-levenshtein";
import * as v from "valibot";

/** What is wrong with a value, without saying where it stands. */
export class Problem {
  constructor(
    /** Sentence case, without a full stop: "A rate needs its unit". */
    readonly message: string,
    readonly wanted?: string,
    readonly next?: string,
    /** The key it is about, where that is a child of the place named by valibot's own path. */
    readonly key?: string,
    /** True when what was found says nothing (a missing key). */
    readonly mute?: boolean,
  ) {}
}

/** Problems as a valibot message. */
export function told(problems: readonly Problem[]): string {
  return JSON.stringify(problems);
}

/** Problems back from a valibot message; a message that is not ours is taken as it is. */
export function heard(message: string): readonly Problem[] {
  if (!message.startsWith("[")) return [new Problem(message)];
  return (JSON.parse(message) as Problem[]).map((p) =>
    new Problem(p.message, p.wanted, p.next, p.key, p.mute)
  );
}

/** The known word nearest to a mistyped one, or undefined when none is near. Case and separators count little. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > 64) return undefined;
  const plain = (text: string) => text.toLowerCase().replace(/[-_ ]/g, "");
  const ranked = known
    .map((candidate) => ({ candidate, far: distance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.far - b.far);
  const best = ranked[0];
  return best !== undefined && best.far <= Math.max(1, Math.floor(word.length / 2.5))
    ? best.candidate
    : undefined;
}

/** `"a", "b" or "c"`. */
export function oneOf(words: readonly string[]): string {
  const quoted = words.map((word) => JSON.stringify(word));
  return quoted.length < 2 ? quoted.join("") : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

/** "a list", "text": the kind of a value in words. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return "text";
  if (typeof value === "boolean") return "true or false";
  return "a number";
}

/** A message for a value of the wrong kind. */
export function wrongKind(wanted: string, next?: (input: unknown) => string | undefined) {
  return (issue: { readonly input: unknown }): string =>
    told([
      new Problem(
        issue.input === null ? "Has no value" : `Is ${kindOf(issue.input)}`,
        wanted,
        next?.(issue.input),
        undefined,
        issue.input === null || issue.input === undefined,
      ),
    ]);
}

/** Refuses lists where a map is wanted: valibot takes them for objects. */
function noList<Schema extends v.GenericSchema>(schema: Schema, wanted: string): Schema {
  const run = schema["~run"].bind(schema);
  const refusal = v.custom<never>(() => false, wrongKind(wanted));
  return Object.assign(schema, {
    "~run": (dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) =>
      Array.isArray(dataset.value) ? refusal["~run"](dataset, config) : run(dataset, config),
  });
}

/** A map with free keys. */
export function table<Key extends v.GenericSchema<string, string>, Value extends v.GenericSchema>(
  wanted: string,
  key: Key,
  value: Value,
) {
  return noList(v.record(key, value, wrongKind(wanted)), wanted);
}

/** Unknown keys told of one map. */
const UNKNOWN = 20;

/** A map with fixed keys; each unknown key is told with the nearest known one, each missing one by name. */
export function map<const Entries extends v.ObjectEntries>(what: string, entries: Entries) {
  const known = Object.keys(entries);
  const wanted = "a map of keys and values";
  return noList(
    v.strictObject(entries, (issue) => {
      const step = issue.path?.at(-1);
      if (step === undefined) return wrongKind(wanted)(issue);
      if (issue.expected !== "never") {
        const key = String(step.key);
        const about = v.getDescription(entries[key] as v.GenericSchema)?.replace(/\.$/, "");
        return told([
          new Problem(`${what} has no "${key}"`, `"${key}": ${about}`, `Add "${key}"`, undefined, true),
        ]);
      }
      const unknown = Object.keys(step.input as object).filter((key) => !Object.hasOwn(entries, key)).slice(
        0,
        UNKNOWN,
      );
      return told(unknown.map((key) => {
        const near = nearest(key, known);
        const next = near === undefined ? "Remove it" : `Write "${near}"`;
        const shown = key.length > 64 ? `${key.slice(0, 64)}…` : key;
        return new Problem(`${what} has no key ${JSON.stringify(shown)}`, oneOf(known), next, key, true);
      }));
    }),
    wanted,
  );
}

/** What is said about a text value, beside what is wrong with it. */
export interface About {
  readonly description: string;
  readonly wanted: string;
  readonly pattern?: string;
  readonly examples?: readonly string[];
  /** Most likely unit of a bare number, for the next step. */
  readonly unit?: string;
}

/** A text value that is parsed into something; bare numbers and the like are told what is wanted. */
export function field<Output>(about: About, parse: (text: string) => Output | Problem) {
  const quote = (input: unknown) => {
    if (typeof input !== "number" && typeof input !== "boolean") return undefined;
    if (about.unit !== undefined) return `Write it with its unit, such as "${input}${about.unit}"`;
    return `Write it in quotes: "${input}"`;
  };
  return v.pipe(
    v.string(wrongKind(about.wanted, quote)),
    v.description(about.description),
    v.metadata({
      ...(about.pattern === undefined ? {} : { pattern: about.pattern }),
      ...(about.examples === undefined ? {} : { examples: about.examples }),
    }),
    v.rawTransform<string, Output>(({ dataset, addIssue, NEVER }) => {
      const parsed = parse(dataset.value);
      if (!(parsed instanceof Problem)) return parsed;
      addIssue({
        message: told([parsed.wanted === undefined ? { ...parsed, wanted: about.wanted } : parsed]),
      });
      return NEVER;
    }),
  );
}

/** A whole number between two limits. */
export function whole(description: string, least: number, most: number) {
  const wanted = `a whole number from ${least} to ${most}`;
  const problem = (message: string) => () => told([new Problem(message, wanted)]);
  return v.pipe(
    v.number(
      wrongKind(
        wanted,
        (input) =>
          typeof input === "string" && /^[0-9]{1,6}$/.test(input)
            ? `Write ${input}, without quotes`
            : undefined,
      ),
    ),
    v.description(description),
    v.integer(problem("Is not a whole number")),
    v.minValue(least, problem(`Is less than ${least}`)),
    v.maxValue(most, problem(`Is more than ${most}`)),
  );
}

/** true or false. */
export function flag(description: string) {
  return v.pipe(v.boolean(wrongKind("true or false")), v.description(description));
}

/** A list of something. */
export function list<Item extends v.GenericSchema>(description: string, item: Item, least = 0) {
  const wanted = "a list";
  const next = (input: unknown) =>
    typeof input === "string" && /^[\w ./:=-]{1,60}$/.test(input)
      ? `Write ${JSON.stringify(input.trim().split(/ +/)).replaceAll(",", ", ")}`
      : typeof input === "object" && input !== null
      ? 'Put "- " before each item'
      : undefined;
  return v.pipe(
    v.array(item, wrongKind(wanted, next)),
    v.description(description),
    v.minLength(
      least,
      () => told([new Problem("Is empty", "at least one item", "Leave the key out, or fill it")]),
    ),
  );
}
