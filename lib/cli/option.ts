// What an option is on the command line, and the ones every command has.
// Owns the description only: parse.ts reads argv by it, help.ts and complete.ts show it.

/** One option. */
export interface Option {
  /** The key in a task's options: "graceSeconds". */
  readonly key: string;
  /** The flag without dashes: "grace-seconds". */
  readonly flag: string;
  /** One letter, without its dash. */
  readonly short?: string;
  readonly kind: "boolean" | "string" | "number" | "picklist";
  /** Given several times, it collects. */
  readonly many: boolean;
  readonly required: boolean;
  readonly choices: readonly string[];
  /** Shown in help; filled in by the schema, not by the parser. */
  readonly preset?: unknown;
  /** A word for the value in help: "SECONDS". */
  readonly value: string;
  readonly help: string;
}

function option(parts: Partial<Option> & { readonly key: string; readonly help: string }): Option {
  const flag = parts.flag ?? parts.key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return { kind: "boolean", many: false, required: false, choices: [], value: "", ...parts, flag };
}

/** What `--config` defaults to. */
export const CONFIG_DIRECTORY = "/etc/berth";

const DRY_RUN = option({ key: "dryRun", help: "Only show what would be changed" });

/** The options of every command. */
export const GLOBAL_OPTIONS: readonly Option[] = [
  option({ key: "json", help: "Print the result, or the error, as JSON" }),
  option({
    key: "config",
    kind: "string",
    value: "DIR",
    preset: CONFIG_DIRECTORY,
    help: "Directory of the configuration",
  }),
  option({ key: "noColor", help: "No colours (also: NO_COLOR in the environment)" }),
  option({ key: "verbose", short: "v", help: "Say more: commands, debug messages, stacks of faults" }),
  option({ key: "quiet", short: "q", help: "Say less: no progress, no messages below errors" }),
  option({ key: "help", short: "h", help: "Show this help" }),
];

/** The options of a command that every command has; --dry-run only where it changes something. */
export function globalOptions(changes: boolean): readonly Option[] {
  return changes ? [DRY_RUN, ...GLOBAL_OPTIONS] : GLOBAL_OPTIONS;
}

/** The parts of a valibot schema that are read here: plain data, so that help needs no valibot. */
interface SchemaNode {
  readonly type?: string;
  readonly entries?: Readonly<Record<string, SchemaNode>>;
  readonly wrapped?: SchemaNode;
  readonly item?: SchemaNode;
  readonly options?: readonly unknown[];
  readonly default?: unknown;
  readonly pipe?: readonly {
    readonly type?: string;
    readonly description?: string;
    readonly metadata?: Readonly<Record<string, unknown>>;
  }[];
}

/** The options a task's schema declares, in its order. A schema that is no object has none. */
export function schemaOptions(schema: unknown): readonly Option[] {
  const entries = (schema as SchemaNode | undefined)?.entries ?? {};
  return Object.entries(entries).map(([key, node]) => schemaOption(key, node));
}

function schemaOption(key: string, outer: SchemaNode): Option {
  let node = outer;
  let help = "";
  let value = "";
  let short: string | undefined;
  let preset: unknown;
  let many = false;
  let required = true;
  for (;;) {
    for (const action of node.pipe ?? []) {
      if (action.type === "description") help ||= action.description ?? "";
      if (action.type === "metadata") {
        value ||= String(action.metadata?.value ?? "");
        if (typeof action.metadata?.short === "string") short ??= action.metadata.short;
      }
    }
    if (node.wrapped !== undefined) {
      if (node.type !== "non_optional") required = false;
      if (typeof node.default !== "function") preset ??= node.default;
      node = node.wrapped;
    } else if (node.type === "array" && node.item !== undefined) {
      many = true;
      node = node.item;
    } else break;
  }
  const kind = node.type === "boolean" || node.type === "number" || node.type === "picklist"
    ? node.type
    : "string";
  const choices = kind === "picklist" ? (node.options ?? []).map(String) : [];
  value ||= choices.length > 0 ? choices.join("|") : kind === "number" ? "N" : "TEXT";
  if (kind === "boolean") {
    value = "";
    required = false;
    if (preset === true) return option({ key, flag: `no-${option({ key, help }).flag}`, help, preset });
  }
  return option({ key, short, kind, many, required, choices, preset, value, help });
}
