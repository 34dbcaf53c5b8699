// The runner must not believe a test file that only looks well: each way in which uvu exits 0 without having
// run everything is held here by a real file under test/fixtures/runner.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT } from "../tasks/dev/_bundle.ts";
import { run } from "../tasks/dev/_run.ts";
import { deadlineOf, forgottenSuites, levelOf } from "./_levels.ts";
import { failureLines } from "./_failures.ts";
import { type Verdict, verdict } from "./_verdict.ts";

async function judged(name: string, deadlineMs = 60_000): Promise<Verdict & { output: string }> {
  const path = join(ROOT, "test/fixtures/runner", `${name}.ts`);
  const ran = await run([Deno.execPath(), "run", "-A", path], { cwd: ROOT, deadlineMs });
  return { ...verdict(ran, forgottenSuites(readFileSync(path, "utf8")), deadlineMs), output: ran.output };
}

test("a good file passes, and its skip is counted with the reason", async () => {
  const found = await judged("good");
  assert.equal(found.faults, [], found.output);
  assert.equal([found.passed, found.failed, found.skipped], [1, 0, 1]);
  assert.equal(found.skips, ["SKIP needs a moon: no moon tonight"]);
});

test("a failing test is counted as one failure", async () => {
  const found = await judged("fails");
  assert.equal([found.passed, found.failed], [1, 1], found.output);
});

const WRONG: readonly [string, RegExp][] = [
  ["before_throws", /1 of 1 tests did not pass/],
  ["not_run", /"test" is never run/],
  ["suite_not_run", /"two" is never run/],
  ["empty", /holds no test/],
  ["silent_skip", /1 skipped, 0 with a reason/],
  ["only", /1 skipped, 0 with a reason/],
  ["exits", /printed no summary/],
];

for (const [name, fault] of WRONG) {
  test(`a file of the kind "${name}" fails`, async () => {
    const found = await judged(name);
    assert.match(found.faults.join("\n"), fault);
    assert.ok(found.failed >= 1);
  });
}

test("a file that hangs is killed with its children at the deadline", async () => {
  const found = await judged("hangs", 3000);
  assert.equal(found.faults[0], "still running after 3 s");
  assert.is(found.failed, 1);
  const child = Number(found.output.match(/child (\d+)/)![1]);
  assert.not.ok(isAlive(child), `process ${child} is still there`);
});

/** What the log of a run says of this one's failures at its end. */
async function said(name: string): Promise<string> {
  const { faults, output } = await judged(name);
  return failureLines([{ path: `test/${name}.test.ts`, faults, output }]).join("\n");
}

test("failureLines() names every failed story with the first line of its reason", async () => {
  assert.is(
    await said("reasons"),
    `FAIL test/reasons.test.ts: ended with exit 1; 4 of 5 tests did not pass
     "the "sum" is right": Expected values to be strictly equal:  (is) ++2    (Expected) --1    (Actual)
     "waits for it": Nothing came within 3 s;
     "the lists agree": after the second run  (equal)
     second  "throws": Expected value to be falsey  (not)`,
  );
});

test("failureLines() tells a file that says no story by what ended it, and cuts long lines", async () => {
  assert.match(
    await said("exits"),
    /^FAIL test\/exits.test.ts: .*printed no summary: did the tests run to their end\?$/,
  );
  const output = `\u001b[31merror: Uncaught Error: no ground\u001b[0m\n    at file:///x.ts\n`;
  assert.equal(failureLines([]), []);
  const [first, second, third] = failureLines([
    { path: "test/a.test.ts", faults: ["ended with exit 1", "holds no test"], output },
    { path: "test/b.test.ts", faults: ["x".repeat(1000)], output: "" },
  ]);
  assert.is(first, "FAIL test/a.test.ts: ended with exit 1; holds no test");
  assert.is(second, "     error: Uncaught Error: no ground");
  assert.is(third!.length, 300);
});

/** True when the process runs; a zombie whose parent died is gone. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("levelOf() is the folder's level, unit elsewhere", () => {
  assert.is(levelOf("test/laws/file.test.ts"), "laws");
  assert.is(levelOf("test/host/exec.test.ts"), "unit");
  assert.is(levelOf("test/architecture.test.ts"), "unit");
});

test("deadlineOf() reads the comment on top only", () => {
  assert.is(deadlineOf("// A story.\n// deadline: 600s\n"), 600_000);
  assert.is(deadlineOf("// A story.\n"), undefined);
});

test.run();
