// `berth __complete -- WORD... CURRENT`: what the shells' completion scripts ask. Prints a candidate a line, with a
// tab and its description; ":files" or ":directories" as the last line where the shell should add its own.
// Never fails and says nothing of errors: a completion must not disturb a line that is being typed.
import { list } from "../host/files.ts";
import { CONFIG_DIRECTORY, GLOBAL_OPTIONS, globalOptions, type Option, schemaOptions } from "./option.ts";
import { childrenOf, findCommand, type Groups, splitWords, type Tree } from "./tree.ts";

/** What may stand at the end of a line. */
export interface Completion {
  readonly candidates: readonly (readonly [value: string, help: string])[];
  readonly also?: "files" | "directories";
}

/** Completes the last of these words. The command's own name is not among them. */
export async function complete(words: readonly string[], tree: Tree, groups: Groups): Promise<Completion> {
  const { before, current } = normalise(words);
  const { words: path, rest } = splitWords(before, tree);
  const found = findCommand(tree, path);
  if (found.kind === "unknown") return { candidates: [] };
  const declared = found.kind === "task" ? (await found.entry.load()).default : undefined;
  const options = declared === undefined
    ? GLOBAL_OPTIONS
    : [...schemaOptions(declared.options), ...globalOptions(declared.changes === true)];
  const args = declared === undefined ? [] : argumentsOf(rest, options);
  const ended = rest.includes("--") || (declared?.passThrough === true && args.length > 0);

  const valueOf = ended ? undefined : expectsValue(rest.at(-1), options);
  if (valueOf !== undefined) return keep(completeValue(valueOf), current, "");
  const equals = /^(--[^=]+)=(.*)$/.exec(current);
  const option = equals === null || ended ? undefined : options.find(({ flag }) => `--${flag}` === equals[1]);
  if (option !== undefined) return keep(completeValue(option), equals![2]!, `${equals![1]}=`);
  if (current.startsWith("-") && !ended) {
    return keep({ candidates: options.map(({ flag, help }) => [`--${flag}`, help]) }, current, "");
  }
  if (found.kind === "group") {
    const children = childrenOf(tree, found.path).map((name): readonly [string, string] => {
      const path = found.path === "" ? name : `${found.path} ${name}`;
      return [name, tree[path]?.summary ?? groups[path] ?? ""];
    });
    return keep({ candidates: children }, current, "");
  }
  const known = await argumentCandidates(declared?.completes, args.length, configOf(rest));
  return keep(known, current, "");
}

/** The lines that the shells read. */
export function completionLines({ candidates, also }: Completion): string {
  const lines = candidates.map(([value, help]) => help === "" ? value : `${value}\t${help}`);
  if (also !== undefined) lines.push(`:${also}`);
  return lines.map((line) => `${line}\n`).join("");
}

/** bash breaks words at "=": "--format=js" comes as three, and what is completed is the value alone. */
function normalise(words: readonly string[]): { before: readonly string[]; current: string } {
  const current = words.at(-1) ?? "";
  const before: string[] = [];
  for (const word of words.slice(0, -1)) {
    const last = before.at(-1);
    if (last?.startsWith("--") && (word === "=" || last.endsWith("="))) {
      before[before.length - 1] = last + word;
    } else before.push(word);
  }
  if (before.at(-1)?.endsWith("=")) before.push(before.pop()!.slice(0, -1));
  return { before, current: current === "=" ? "" : current };
}

function expectsValue(last: string | undefined, options: readonly Option[]): Option | undefined {
  if (last === undefined || !last.startsWith("-")) return undefined;
  return options.find(({ flag, short, kind }) =>
    kind !== "boolean" && (`--${flag}` === last || `-${short}` === last)
  );
}

function argumentsOf(rest: readonly string[], options: readonly Option[]): readonly string[] {
  return rest.filter((word, index) =>
    word !== "--" && !word.startsWith("-") && expectsValue(rest[index - 1], options) === undefined
  );
}

function configOf(rest: readonly string[]): string {
  const inline = rest.find((word) => word.startsWith("--config="));
  if (inline !== undefined) return inline.slice("--config=".length);
  const at = rest.indexOf("--config");
  return at < 0 ? CONFIG_DIRECTORY : rest[at + 1] ?? CONFIG_DIRECTORY;
}

function completeValue(option: Option): Completion {
  if (option.choices.length > 0) return { candidates: option.choices.map((choice) => [choice, ""]) };
  if (option.kind === "number") return { candidates: [] };
  return { candidates: [], also: option.value === "DIR" ? "directories" : "files" };
}

async function argumentCandidates(
  completes: "vnodes" | "tasks" | "files" | readonly string[] | undefined,
  at: number,
  directory: string,
): Promise<Completion> {
  if (completes === undefined) return { candidates: [] };
  if (completes === "files") return { candidates: [], also: "files" };
  if (completes === "tasks") {
    if (at > 0) return { candidates: [], also: "files" };
    const { scriptNames } = await import("./script/source.ts");
    return {
      candidates: (await scriptNames(`${directory}/tasks`)).map((name) => [name, "script"]),
      also: "files",
    };
  }
  if (completes !== "vnodes") return { candidates: at === 0 ? completes.map((word) => [word, ""]) : [] };
  return { candidates: (await vnodeNames(directory)).map((name) => [name, "vnode"]) };
}

/** Names that are declared and names that have a record: a vnode may be either alone. */
async function vnodeNames(directory: string): Promise<readonly string[]> {
  const names = new Set<string>();
  try {
    const { VNODES_DIRECTORY } = await import("../vnode/paths.ts");
    for (const name of await list(VNODES_DIRECTORY) ?? []) names.add(name);
    const { loadConfig } = await import("../config/load.ts");
    const { createLook } = await import("../host/look.ts");
    for (const { name } of (await loadConfig({ look: createLook(), directory })).vnodes) names.add(name);
  } catch {
    // A faulty configuration is told by the command itself, not while it is typed.
  }
  return [...names].sort();
}

function keep({ candidates, also }: Completion, current: string, prefix: string): Completion {
  const fitting = candidates.filter(([value]) => value.startsWith(current));
  const whole = fitting.map(([value, help]): readonly [string, string] => [prefix + value, help]);
  return { candidates: whole, ...(also === undefined ? {} : { also }) };
}
