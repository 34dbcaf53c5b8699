// Tables for people: columns as wide as they need, no lines. For programs there is --json.
import Table from "cli-table3";

const NO_LINES = Object.fromEntries(
  [
    "top",
    "top-mid",
    "top-left",
    "top-right",
    "bottom",
    "bottom-mid",
    "bottom-left",
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
  ].map((edge) => [edge, ""]),
);

/** A table as text, with a heading and two blanks between columns; lines end without blanks, the last one included. */
export function renderTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: [...heading],
    chars: { ...NO_LINES, middle: "  " },
    // Colours are decided where output is written, not here.
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString().split("\n").map((line) => line.trimEnd()).filter((line) => line !== "").join("\n");
}
