// Puts the script's own names into what was thrown out of it: paths of copies become the paths people know.
// Pure but for changing the error's stack; decides which exit code a thrown thing ends in.
import { failedOutput } from "../../host/operator_shell.ts";
import { BerthError, type ErrorParts } from "../../log/error.ts";
import type { Prepared } from "./prepare.ts";

/** An error out of an operator's script, with an exit code of its own. */
export class ScriptError extends BerthError {
  readonly #exit: number;
  constructor(parts: ErrorParts, exit: number) {
    super(parts);
    this.name = "ScriptError";
    this.#exit = exit;
  }
  override get exit(): number {
    return this.#exit;
  }
}

/** Writes the script's own paths into a text. */
export function ownPaths(text: string, prepared: Prepared): string {
  let out = text;
  for (const [copy, shown] of prepared.shown) {
    out = out.replaceAll(`file://${encodeURI(copy)}`, shown).replaceAll(copy, shown);
  }
  return out;
}

/** The first place in the script that a stack names: "fix.ts:12". */
export function placeIn(stack: string, prepared: Prepared): string | undefined {
  const own = ownPaths(stack, prepared);
  for (const line of own.split("\n")) {
    for (const shown of prepared.shown.values()) {
      const at = line.indexOf(`${shown}:`);
      const number = at < 0 ? null : /^\d+/.exec(line.slice(at + shown.length + 1));
      if (number) return `${shown}:${number[0]}`;
    }
  }
  return undefined;
}

/**
 * What was thrown, as an error that names the script's own line.
 *
 * Exit codes: a failed command's own code, as a shell script under `set -e` would end; an error of berth (out of
 * `ensure`, `docker`) its usual code; anything else 1.
 */
export function scriptError(thrown: unknown, shown: string, prepared: Prepared): BerthError {
  const stack = traceOf(thrown);
  const place = placeIn(stack, prepared);
  const object = `script ${shown}`;
  const here = place === undefined ? [] : [{ place, message: "Thrown here" }];
  if (thrown instanceof BerthError) {
    const { code, message, next, issues, cause } = thrown;
    const error = new ScriptError(
      { code, object: thrown.object, message, next, issues: [...issues, ...here], cause },
      thrown.exit,
    );
    error.stack = ownPaths(thrown.stack ?? "", prepared);
    return error;
  }
  const failed = failedOutput(thrown);
  const first = failed === null ? messageOf(thrown) : `A command ended with exit ${failed.exit}`;
  const said = failed?.stderr.trim() ?? "";
  const error = new ScriptError({
    code: failed === null ? "fault" : "command-failed",
    object,
    message: ownPaths(first, prepared),
    issues: here,
    next: place === undefined ? `Look at "${shown}"` : `Look at ${place}`,
    ...(said === "" ? {} : { cause: new Error(said.split("\n").slice(-5).join("\n")) }),
  }, failed?.exit ?? 1);
  error.stack = ownPaths(stack, prepared);
  return error;
}

/** A stack, or what stands for one: bundlers' parsers throw objects with a position, or a list of them. */
function traceOf(thrown: unknown): string {
  const error = thrown as { stack?: unknown; errors?: unknown; position?: unknown; message?: unknown } | null;
  if (typeof error !== "object" || error === null) return "";
  const position = error.position as { file?: string; line?: number } | null | undefined;
  const own = position?.file === undefined ? "" : `${position.file}:${position.line}\n`;
  const inner = Array.isArray(error.errors) ? error.errors.map(traceOf).join("\n") : "";
  return `${own}${inner}${String(error.stack ?? "")}\n${String(error.message ?? "")}`;
}

function messageOf(thrown: unknown): string {
  const error = thrown as { name?: unknown; message?: unknown; errors?: unknown } | null;
  if (typeof error !== "object" || error === null) return `It threw ${String(thrown)}`;
  const inner = Array.isArray(error.errors) ? error.errors.map((each) => messageOf(each)).join("; ") : "";
  const name = error.name === undefined || error.name === "Error" ? "" : `${String(error.name)}: `;
  return (inner !== "" ? inner : `${name}${String(error.message ?? "unknown")}`).replace(/\.$/, "");
}
