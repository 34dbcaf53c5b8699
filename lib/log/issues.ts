// How a list of issues looks to a person, and how found text is shown without harm to a terminal. Used by the
// command line for every error that carries issues; pure.
import type { Issue } from "./error.ts";

/** Longest found value shown in full. */
const SHOWN = 100;

const INVISIBLE =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Text with every character that could move a cursor or hide other text written as \uXXXX. */
export function plain(text: string): string {
  return text.replace(
    INVISIBLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Text in double quotes, with everything escaped that could move a cursor or hide other text, and cut at 100. */
export function quoted(text: string): string {
  const cut = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  const escaped = plain(JSON.stringify(cut));
  return text.length > SHOWN ? `${escaped} (${text.length} characters)` : escaped;
}

/** A word as it is where it is plain, else quoted: for file names and keys in places and paths. */
export function shown(text: string): string {
  return /^[A-Za-z0-9_./@:+-]{1,255}$/.test(text) ? text : quoted(text);
}

/** "vnodes.left.links[0].rate". */
export function pathText(path: readonly (string | number)[]): string {
  return path.map((step, at) => {
    if (typeof step === "number") return `[${step}]`;
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(step)) return `[${quoted(step)}]`;
    return at === 0 ? step : `.${step}`;
  }).join("");
}

/**
 * Issues for people, one block each, without a last line end:
 *
 * ```text
 * /etc/berth/vnodes.d/pair.yaml:12: vnodes.left.links[0].rate: A rate needs its unit
 *     found   10
 *     wanted  a number with bit, kbit, mbit or gbit, such as "10mbit"
 *     next    Write "10mbit"
 * ```
 */
export function renderIssues(issues: readonly Issue[]): string {
  return issues.map((issue) => {
    const head = [issue.place, issue.path, issue.message].filter((part) => part !== undefined && part !== "");
    const rows = (["found", "wanted", "next"] as const)
      .filter((key) => issue[key] !== undefined && issue[key] !== "")
      // The step that only repeats what is wanted is for programs.
      .filter((key) => key !== "next" || issue.next !== `Write ${issue.wanted}`)
      .map((key) => `    ${key.padEnd(8)}${issue[key]}`);
    return [head.join(": "), ...rows].join("\n");
  }).join("\n");
}
