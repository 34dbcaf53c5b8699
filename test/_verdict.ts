// What one finished test file came to. Pure: output and exit in, counts and faults out. uvu exits 0 in cases
// that are failures (a `before` hook that throws, tests that never ran), so its exit code alone is not believed.
import { stripVTControlCharacters } from "node:util";

/** Counts of one file, and what is wrong with it; no faults means it passed. */
export interface Verdict {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly faults: readonly string[];
  /** The `SKIP name: reason` lines. */
  readonly skips: readonly string[];
}

export interface Ended {
  readonly exit: number | null;
  readonly signal: string | null;
  readonly late: boolean;
  readonly output: string;
}

/** Judges a file by how it ended, what uvu's summary says, and the skips that gave a reason. */
export function verdict(ended: Ended, forgotten: readonly string[], deadlineMs: number): Verdict {
  const text = stripVTControlCharacters(ended.output);
  const total = lastCount(text, "Total");
  const passed = lastCount(text, "Passed");
  const skipped = lastCount(text, "Skipped") ?? 0;
  const skips = [...text.matchAll(/^SKIP .+: .+$/gm)].map((found) => found[0]);
  const faults: string[] = [];
  if (ended.late) faults.push(`still running after ${deadlineMs / 1000} s`);
  else if (ended.exit !== 0) {
    faults.push(`ended with ${ended.exit === null ? ended.signal : `exit ${ended.exit}`}`);
  }
  if (total === undefined || passed === undefined) {
    if (!ended.late) faults.push("printed no summary: did the tests run to their end?");
  } else if (total + skipped === 0) faults.push("holds no test");
  else if (passed !== total) faults.push(`${total - passed} of ${total} tests did not pass`);
  if (skipped !== skips.length) {
    faults.push(
      `${skipped} skipped, ${skips.length} with a reason: use skip() of test/skip.ts, and no .only`,
    );
  }
  for (const name of forgotten) faults.push(`"${name}" is never run: "${name}.run()" is missing`);
  const notPassed = (total ?? 0) - (passed ?? 0);
  return {
    passed: passed ?? 0,
    failed: faults.length === 0 ? 0 : Math.max(1, notPassed),
    skipped,
    faults,
    skips,
  };
}

function lastCount(text: string, name: string): number | undefined {
  const all = [...text.matchAll(new RegExp(`^  ${name}: +(\\d+)$`, "gm"))];
  const last = all.at(-1);
  return last ? Number(last[1]) : undefined;
}
