// What a run's log says once more right before its closing line: every failed file, every failed story of it with the
// first line of its reason. Pure: whoever is shown only the end of a log sees all failures.
import { stripVTControlCharacters } from "node:util";

/** Characters a line may have; a compared value can be a whole file. */
const WIDTH = 300;

/** A failed file, as its verdict has it. */
export interface FailedFile {
  readonly path: string;
  readonly faults: readonly string[];
  readonly output: string;
}

/** A line for every failed file, and below it one for every failed story; empty where nothing failed. */
export function failureLines(files: readonly FailedFile[]): readonly string[] {
  return files.flatMap(({ path, faults, output }) => {
    const lines = stripVTControlCharacters(output).split("\n");
    const stories = storiesOf(lines);
    // What ends a file before its summary is said by the runtime, at the beginning of a line.
    const error = stories.length > 0 ? undefined : lines.find((line) => /^error: /.test(line));
    return [
      `FAIL ${path}: ${faults.join("; ")}`,
      ...(error === undefined ? stories : [error]).map((line) => `     ${line}`),
    ].map(cut);
  });
}

/** uvu's `FAIL "story"`, or `FAIL suite "story"`, each with what stands below it. */
function storiesOf(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line, at) => {
    const story = /^ {3}FAIL {2}(.*".*")$/.exec(line)?.[1];
    return story === undefined ? [] : [`${story}: ${reasonOf(lines.slice(at + 1))}`];
  });
}

/** The first line of a reason; where it is uvu's own, which is the same for all values, the values' first lines, too. */
function reasonOf(below: readonly string[]): string {
  const end = below.findIndex((line) => /^ {4}at /.test(line));
  const [first = "no reason", ...more] = below.slice(0, end < 0 ? undefined : end)
    .map((line) => line.trim()).filter((line) => line !== "");
  if (!/^Expected values? .+:? {2}\(\w+\)$/.test(first)) return first;
  const values = ["++", "--"].map((sign) => more.find((line) => line.startsWith(sign)))
    .filter((line) => line !== undefined);
  return [first, ...values].join(" ");
}

function cut(line: string): string {
  return line.length <= WIDTH ? line : `${line.slice(0, WIDTH - 1)}…`;
}
