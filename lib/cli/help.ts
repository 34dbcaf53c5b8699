// Generated help: of the root, of a group, of a task. Pure text from the tree and the task's own declaration.
import type { Option } from "./option.ts";
import type { Task } from "./task.ts";
import type { Paint } from "./terminal.ts";
import { childrenOf, type Groups, type Tree } from "./tree.ts";

const WIDTH = 100;

/** Help of the root ("") or of a group. */
export function groupHelp(
  tree: Tree,
  groups: Groups,
  group: string,
  options: readonly Option[],
  paint: Paint,
): string {
  const command = group === "" ? "berth" : `berth ${group}`;
  const intro = group === ""
    ? "Prepares a machine to host Docker containers that behave like small machines, and keeps them wired"
    : groups[group] ?? "";
  const children = childrenOf(tree, group).map((name): readonly [string, string] => {
    const path = group === "" ? name : `${group} ${name}`;
    return [name, tree[path]?.summary ?? groups[path] ?? ""];
  });
  const optionRows = options.map((
    option,
  ): readonly [string, string] => [optionName(option), optionHelp(option)]);
  const parts = [
    intro,
    `${paint.bold("Usage:")} ${command} COMMAND [OPTIONS] [ARGUMENTS]`,
    `${paint.bold("Commands:")}\n${rows(children)}`,
    `${paint.bold("Options:")}\n${rows(optionRows)}`,
    `"${command} COMMAND --help" tells more about a command.`,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

/** Help of a task. */
export function taskHelp(
  path: string,
  declared: Task,
  own: readonly Option[],
  global: readonly Option[],
  paint: Paint,
): string {
  const required = own.filter(({ required }) => required).map((option) => ` ${optionName(option).trim()}`)
    .join("");
  const args = (declared.args ?? []).map((arg) => ` ${arg}`).join("");
  const list = (options: readonly Option[]) =>
    rows(options.map((option) => [optionName(option), optionHelp(option)]));
  const parts = [
    declared.summary,
    `${paint.bold("Usage:")} berth ${path} [OPTIONS]${required}${args}`,
    declared.description?.trim() ?? "",
    own.length === 0 ? "" : `${paint.bold("Options:")}\n${list(own)}`,
    `${paint.bold("Options of every command:")}\n${list(global)}`,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function optionName({ flag, short, value }: Option): string {
  return `${short === undefined ? "    " : `-${short}, `}--${flag}${value === "" ? "" : ` ${value}`}`;
}

function optionHelp({ help, preset, many, required, kind }: Option): string {
  const notes: string[] = [];
  if (required) notes.push("required");
  if (many) notes.push("may be given several times");
  if (kind !== "boolean" && preset !== undefined && String(preset) !== "") {
    notes.push(`default: ${String(preset)}`);
  }
  return notes.length === 0 ? help : `${help} (${notes.join("; ")})`.trim();
}

/** Two columns; the second is wrapped. A name too long for its column has its text on the next line. */
function rows(pairs: readonly (readonly [string, string])[]): string {
  const column = Math.min(30, Math.max(0, ...pairs.map(([name]) => name.length)));
  return pairs.map(([name, text]) => {
    const indent = " ".repeat(column + 4);
    const lines = wrap(text, WIDTH - column - 4);
    const head = `  ${name.padEnd(column)}`;
    if (name.length > column) return [head, ...lines.map((line) => indent + line)].join("\n").trimEnd();
    return [`${head}  ${lines[0] ?? ""}`, ...lines.slice(1).map((line) => indent + line)].join("\n")
      .trimEnd();
  }).join("\n");
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
