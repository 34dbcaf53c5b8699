// What people and programs read: errors and changes, as text or JSON. Pure: streams belong to the caller.
import { BerthError } from "../log/error.ts";
import type { Change } from "../resource/types.ts";
import { harmless, type Paint } from "./terminal.ts";

/** What the system refuses for reasons of the machine, not of berth's, and what the operator can do. */
const SYSTEM: Readonly<Record<string, string>> = {
  EACCES: "Run it as root",
  EPERM: "Run it as root",
  EROFS: "Mount the file system writable, then run it again",
  ENOSPC: "Make room on the file system, then run it again",
  EDQUOT: "Make room on the file system, then run it again",
  ELOOP: "Remove the link that leads to itself",
  EIO: "Look at the disk: the kernel's log tells more",
};

/** Anything thrown, as an error with a code: what is neither a BerthError nor the machine's refusal is a fault of berth's own. */
export function asBerthError(thrown: unknown): BerthError {
  if (thrown instanceof BerthError) return thrown;
  const { code, syscall } = (thrown ?? {}) as { code?: unknown; syscall?: unknown };
  if (thrown instanceof Error && typeof syscall === "string" && Object.hasOwn(SYSTEM, String(code))) {
    const next = SYSTEM[String(code)];
    return new BerthError({
      code: "missing",
      object: "machine",
      message: thrown.message,
      next,
      cause: thrown,
    });
  }
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  return new BerthError({
    code: "fault",
    object: "berth",
    message: message.replace(/\.$/, ""),
    next:
      "This is a fault of berth's own: please report it, with the output of the same command and --verbose",
    cause: thrown,
  });
}

/** An error for people: object and message, cause, issues, next step. Ends in a newline. */
export function errorText(error: BerthError, paint: Paint, verbose: boolean): string {
  const safe = (text: string) => harmless(text).replaceAll("\n", "\n    ");
  const lines = [`${paint.red("error")}: ${paint.bold(safe(error.object))}: ${safe(error.message)}`];
  const isOnly = error.issues.length === 1;
  for (const issue of error.issues) {
    const where = safe([issue.place, issue.path].filter((part) => part !== undefined).join(" "));
    // A single issue whose message is told already adds only what was found and wanted.
    if (issue.message !== error.message && !(isOnly && error.message.includes(issue.message))) {
      lines.push(`  ${where === "" ? "" : `${paint.cyan(where)}: `}${safe(issue.message)}`);
    }
    if (issue.found !== undefined) lines.push(`     found: ${safe(issue.found)}`);
    if (issue.wanted !== undefined) lines.push(`    wanted: ${safe(issue.wanted)}`);
    if (issue.next !== undefined && !(isOnly && issue.next === error.next)) {
      lines.push(`      next: ${safe(issue.next)}`);
    }
  }
  // Whoever wraps an error repeats its message, as its own or as an issue: once is enough.
  const told = [error.message, ...error.issues.map(({ message }) => message)];
  for (let cause = error.cause; cause !== undefined && cause !== null;) {
    const message = (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, "");
    if (!told.some((one) => one.includes(message))) lines.push(`  cause: ${safe(message)}`);
    told.push(message);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  if (error.next !== undefined) lines.push(`  ${paint.green("next")}: ${safe(error.next)}`);
  if (verbose) {
    const stack = error.code === "fault" && error.cause instanceof Error ? error.cause.stack : error.stack;
    lines.push(
      ...details(error).map((text) => paint.dim(`   ran: ${safe(text)}`)),
      paint.dim(safe(stack ?? "")),
    );
  }
  return `${lines.join("\n")}\n`;
}

/** What an error and its causes keep for --verbose. */
function details(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const own = error instanceof BerthError && error.detail !== undefined ? [error.detail] : [];
  return [...new Set([...own, ...details(error.cause)])];
}

/** An error for programs: one object, one line. */
export function errorJson(error: BerthError): string {
  const { code, object, message, next, issues } = error;
  const why = error.cause instanceof Error ? error.cause.message : "";
  const isTold = [message, ...issues.map((issue) => issue.message)].some((one) => one.includes(why));
  const cause = isTold ? {} : { cause: why };
  return `${
    JSON.stringify({ ok: false, error: { code, object, message, next: next ?? null, issues, ...cause } })
  }\n`;
}

const SYMBOLS: Readonly<Record<Change["verb"], string>> = {
  create: "+",
  adopt: "+",
  update: "~",
  replace: "~",
  restore: "~",
  delete: "-",
};

/** One change as a line: "+ create sysctl net.ipv4.ip_forward: 0, wanted 1". The risk is marked unless safe. */
export function changeText(change: Change, paint: Paint): string {
  const symbol = SYMBOLS[change.verb];
  const colour = symbol === "+" ? paint.green : symbol === "-" ? paint.red : paint.yellow;
  const risk = change.risk === "safe" ? "" : ` ${paint.red(`[${change.risk}]`)}`;
  return `${colour(symbol)} ${change.verb} ${paint.bold(harmless(change.resource))}: ${
    harmless(change.why)
  }${risk}`;
}

/** How many resources were changed, put back after a reboot, or found as wanted. */
export interface Tally {
  readonly changed: number;
  readonly restored: number;
  readonly unchanged: number;
}

/** Counts changes; `restore` is what a reboot forgot, and apart from the rest. */
export function tally(changes: readonly Change[], unchanged: number): Tally {
  const restored = changes.filter(({ verb }) => verb === "restore").length;
  return { changed: changes.length - restored, restored, unchanged };
}

/** The closing line: "2 changed, 1 restored, 14 unchanged". */
export function tallyText({ changed, restored, unchanged }: Tally, planned: boolean): string {
  return planned
    ? `${changed} to change, ${restored} to restore, ${unchanged} unchanged`
    : `${changed} changed, ${restored} restored, ${unchanged} unchanged`;
}
