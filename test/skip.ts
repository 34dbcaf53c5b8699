// A skipped test that says why. uvu's own `test.skip` carries no reason; test/run.ts counts a skip without one
// as a failure.

/** The part of uvu's `test` that skipping needs. */
interface Suite {
  skip(name?: string): void;
}

/** Skips a test: prints `SKIP name: reason`, and is counted. */
export function skip(test: Suite, name: string, reason: string): void {
  test.skip(name);
  process.stdout.write(`\nSKIP ${name}: ${reason}\n`);
}
