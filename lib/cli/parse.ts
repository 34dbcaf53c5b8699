// argv → values, by a list of options. Node's own parseArgs does the splitting; the judging is ours, so that
// each message names the option, what was found, what was wanted, and the nearest known one.
import { parseArgs } from "node:util";
import { BerthError, type Issue } from "../log/error.ts";
import { nearest } from "./nearest.ts";
import type { Option } from "./option.ts";

/** What argv said. */
export interface Parsed {
  /** By key; what was not given is absent. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly args: readonly string[];
}

/**
 * Reads argv (without the command's own words).
 *
 * @throws {BerthError} code `usage`, with all issues at once.
 */
export async function parseOptions(
  argv: readonly string[],
  options: readonly Option[],
  command: string,
  passThrough = false,
): Promise<Parsed> {
  const config: Record<string, { type: "boolean" | "string"; multiple: true; short?: string }> = {};
  for (const { flag, kind, short } of options) {
    const type = kind === "boolean" ? "boolean" : "string";
    config[flag] = { type, multiple: true, ...(short === undefined ? {} : { short }) };
  }
  const read = (args: readonly string[]) =>
    parseArgs({ args: [...args], options: config, strict: false, allowPositionals: true, tokens: true })
      .tokens;
  let tokens = read(argv);
  let rest: readonly string[] = [];
  const first = passThrough ? tokens.find(({ kind }) => kind === "positional") : undefined;
  if (first !== undefined) {
    rest = argv.slice(first.index);
    tokens = read(argv.slice(0, first.index));
  }
  const values: Record<string, unknown> = {};
  const args: string[] = [];
  const issues: Issue[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") args.push(token.value);
    if (token.kind !== "option") continue;
    const option = options.find(({ flag }) => flag === token.name);
    if (option === undefined) issues.push(await unknownOption(token.rawName, options));
    else {
      // "--config --json": a value that looks like an option was forgotten, unless "=" says that it is meant.
      const isForgotten = token.inlineValue === false && /^-./.test(token.value ?? "") &&
        !Number.isFinite(Number(token.value));
      take(option, token.rawName, isForgotten ? undefined : token.value, values, issues);
    }
  }
  if (issues.length > 0) throw usageError(command, issues);
  // "--" belongs to berth, not to what follows it.
  return { values, args: [...args, ...rest] };
}

/** An error about how a command was called. One issue speaks for itself; several are listed. */
export function usageError(command: string, issues: readonly Issue[]): BerthError {
  const only = issues.length === 1 ? issues[0] : undefined;
  const help = `Run "${command} --help"`;
  return new BerthError({
    code: "usage",
    object: command,
    message: only?.message ?? `${issues.length} things are wrong with the command line`,
    next: only?.next ?? help,
    issues: only === undefined || only.found !== undefined || only.wanted !== undefined
      ? issues.map(({ next: _, ...issue }, index) => only === undefined ? issues[index]! : issue)
      : [],
  });
}

async function unknownOption(raw: string, options: readonly Option[]): Promise<Issue> {
  const near = await nearest(raw.replace(/^-+/, ""), options.map(({ flag }) => flag));
  return {
    message: `There is no option "${raw}"`,
    ...(near === undefined ? {} : { next: `Did you mean "--${near}"?` }),
  };
}

function take(
  option: Option,
  raw: string,
  text: string | undefined,
  values: Record<string, unknown>,
  issues: Issue[],
): void {
  if (option.kind === "boolean") {
    if (text !== undefined) {
      issues.push({
        path: raw,
        message: `Option "${raw}" takes no value`,
        found: JSON.stringify(text),
        wanted: "nothing",
      });
    }
    values[option.key] = option.flag !== `no-${kebab(option.key)}`;
    return;
  }
  if (text === undefined) {
    issues.push({
      path: raw,
      message: `Option "${raw}" wants a value`,
      found: "nothing",
      wanted: wanted(option),
    });
    return;
  }
  const number = text.trim() === "" ? NaN : Number(text);
  if (option.kind === "number" && !Number.isFinite(number)) {
    issues.push({
      path: raw,
      message: `Option "${raw}" wants a number`,
      found: JSON.stringify(text),
      wanted: wanted(option),
    });
    return;
  }
  if (option.kind === "picklist" && !option.choices.includes(text)) {
    issues.push({
      path: raw,
      message: `Option "${raw}" does not know "${text}"`,
      found: JSON.stringify(text),
      wanted: wanted(option),
    });
    return;
  }
  const value = option.kind === "number" ? number : text;
  if (!option.many && option.key in values) {
    issues.push({
      path: raw,
      message: `Option "${raw}" is given twice`,
      found: JSON.stringify(text),
      wanted: "one value",
    });
  }
  values[option.key] = option.many ? [...(values[option.key] as unknown[] ?? []), value] : value;
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function wanted(option: Option): string {
  if (option.kind === "picklist") return option.choices.map((choice) => `"${choice}"`).join(" or ");
  return option.kind === "number" ? "a number" : option.value;
}
