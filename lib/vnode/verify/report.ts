// What verify found, for people: a table of what is not right, or of everything where it is little, with a plot of
// what was asked for and what was measured; and what it came to. Pure; colours and the table's form are the caller's.
import { formatDelay, formatPercent } from "../../config/units.ts";
import type { Finding } from "./types.ts";
import type { Verdicts } from "./verify.ts";

/** How the caller paints and sets tables. */
export interface Style {
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  dim(text: string): string;
  table(heading: readonly string[], rows: readonly (readonly string[])[]): string;
}

/** More passes than this are told in one line for each check. */
const MANY = 40;
/** Columns of a plot. */
const PLOT = 24;
/** Where on the plot what was asked for stands, so that there is room for more. */
const ASKED_AT = 16;
/** Longest reason that is shown in the table. */
const WHY = 70;

/** A rate with three digits: "9.98 Mbit/s". Takes bit/s. */
function rateWords(bps: number): string {
  const [unit, factor] = bps >= 1e9 ? ["Gbit/s", 1e9] : bps >= 1e6 ? ["Mbit/s", 1e6] : ["kbit/s", 1e3];
  return `${(bps / factor).toFixed(2)} ${unit}`;
}

/** A value of a check with its unit. */
export function valueWords(check: Finding["check"], value: number | string | null): string {
  if (value === null || value === "") return "-";
  if (typeof value === "string") return value;
  if (check === "latency") {
    return Math.abs(value) < 1000 ? formatDelay(value) : `${(value / 1000).toFixed(2)}ms`;
  }
  if (check === "rate") return rateWords(value);
  if (["loss", "duplicate", "reorder"].includes(check)) {
    return formatPercent(Number(value.toPrecision(4)));
  }
  return "";
}

/** A line from 0 to half as much again as was asked for: ┃ what was asked for, ● what was measured. */
export function plot(finding: Finding): string {
  const { asked, measured } = finding;
  if (typeof asked !== "number" || asked <= 0 || measured === null) return "";
  const at = Math.max(0, Math.min(PLOT - 1, Math.round(measured / asked * ASKED_AT)));
  return Array.from({ length: PLOT }, (_, cell) => cell === at ? "●" : cell === ASKED_AT ? "┃" : "─").join(
    "",
  );
}

function row(finding: Finding, style: Style): string[] {
  const { check, from, to, verdict, why } = finding;
  const paint = { pass: style.green, fail: style.red, unknown: style.yellow }[verdict];
  const line = plot(finding);
  return [
    paint(verdict),
    check,
    to === "" ? from : `${from} → ${to}`,
    valueWords(check, finding.asked),
    valueWords(check, finding.measured),
    verdict === "pass" ? style.dim(line) : line,
    why.length > WHY ? `${why.slice(0, WHY - 1)}…` : why,
  ];
}

/** How far the passes of a check were from what was asked for, in words. */
function spread(findings: readonly Finding[]): string {
  const off = findings.flatMap(({ asked, measured }) =>
    typeof asked === "number" && measured !== null ? [{ asked, measured }] : []
  );
  if (off.length === 0) return "";
  const [check] = [findings[0]!.check];
  const range = (values: readonly number[], words: (value: number) => string) =>
    `${words(Math.min(...values))} to ${words(Math.max(...values))}`;
  const signed = (value: number, text: string) => (value < 0 ? "-" : "+") + text;
  if (check === "latency") {
    const excess = off.map(({ asked, measured }) => measured - asked);
    return `, ${range(excess, (us) => signed(us, `${Math.abs(us)} us`))} beside what was asked for`;
  }
  if (check !== "rate") return "";
  const shares = off.map(({ asked, measured }) => 100 * (measured / asked - 1));
  return `, ${range(shares, (share) => signed(share, `${Math.abs(share).toFixed(2)} %`))}`;
}

/**
 * The report as text.
 *
 * @param whole every finding, however many.
 */
export function reportText(verdicts: Verdicts, style: Style, whole: boolean): string {
  const { findings, passed, failed, unknown } = verdicts;
  if (findings.length === 0) return "No vnode runs that could be asked";
  const brief = !whole && passed > MANY;
  const shown = [
    ...findings.filter(({ verdict }) => verdict === "fail"),
    ...findings.filter(({ verdict }) => verdict === "unknown"),
    ...(brief ? [] : findings.filter(({ verdict }) => verdict === "pass")),
  ];
  const lines: string[] = [];
  if (shown.length > 0) {
    const heading = ["VERDICT", "CHECK", "FROM → TO", "ASKED", "MEASURED", "0 ─ ┃ ASKED ● MEASURED", "WHY"];
    lines.push(style.table(heading, shown.map((one) => row(one, style))));
  }
  if (brief) {
    const checks = [...new Set(findings.map(({ check }) => check))];
    for (const check of checks) {
      const passes = findings.filter((one) => one.check === check && one.verdict === "pass");
      if (passes.length > 0) {
        lines.push(`${style.green("pass")}  ${check}: ${passes.length}${spread(passes)}`);
      }
    }
  }
  const base = verdicts.referenceUs === null
    ? ""
    : `; latencies are beyond those of an unshaped link here, ${verdicts.referenceUs} us`;
  const counts = [`${passed} passed`, `${failed} failed`, `${unknown} unknown`];
  lines.push(`${counts.join(", ")} in ${verdicts.seconds.toFixed(1)} s${base}`);
  return lines.join("\n");
}
