// The test runner: one process a file, a deadline each, totals compared, what failed once more at the end, closing
// line `N passed, N failed, N skipped`. Owns the running and the counting; what a file came to is _verdict.ts's,
// which files there are is _levels.ts's. In the long run there is a seed to choose by, and docs/results is written.
//
//   deno run -A test/run.ts [--level unit,laws] [--only PATTERN] [--deadline SECONDS] [--long]
import { parseArgs } from "node:util";
import { ROOT } from "../tasks/dev/_bundle.ts";
import { build } from "../tasks/dev/build.ts";
import { killAll, run, say, seconds } from "../tasks/dev/_run.ts";
import { AT_ONCE, DEADLINE_MS, type Level, LEVELS, type TestFile, testFiles } from "./_levels.ts";
import { type FailedFile, failureLines } from "./_failures.ts";
import { type Verdict, verdict } from "./_verdict.ts";
import { circumstances, recorded, writeResult } from "./results.ts";

/** Levels that start dist/berth. */
const NEED_EXECUTABLE: readonly Level[] = ["smoke", "sandbox", "vm"];

const { values } = parseArgs({
  options: {
    level: { type: "string" },
    only: { type: "string" },
    deadline: { type: "string" },
    long: { type: "boolean", default: false },
  },
});

/** For files that name no deadline of their own. */
const DEFAULT_DEADLINE_MS = values.deadline === undefined ? DEADLINE_MS : Number(values.deadline) * 1000;

const totals = { passed: 0, failed: 0, skipped: 0 };

/** What is said once more at the end. */
const failures: FailedFile[] = [];

/** The levels asked for, in the order they run. */
function wantedLevels(): readonly Level[] {
  if (values.level === undefined) return LEVELS;
  const named = values.level.split(",");
  const unknown = named.filter((name) => !LEVELS.some((level) => level === name));
  if (unknown.length > 0) {
    throw new Error(`Unknown level "${unknown.join('", "')}"; there are: ${LEVELS.join(", ")}`);
  }
  return LEVELS.filter((level) => named.includes(level));
}

/** What the files of a long run choose their cases by; given again, they choose the same. */
const SEED = process.env["BERTH_TEST_SEED"] ?? String(Math.floor(Math.random() * 2 ** 31));

/** What the files of a long run came to. */
const done: unknown[] = [];

/** The executable of this run, once it is built: a source saved meanwhile must not make the files differ. */
let executable: string | undefined;

async function runFile(file: TestFile): Promise<void> {
  const deadlineMs = (file.deadlineMs ?? DEFAULT_DEADLINE_MS) * (values.long ? 10 : 1);
  const ran = await run([Deno.execPath(), "run", "-A", file.path], {
    cwd: ROOT,
    env: {
      ...Deno.env.toObject(),
      NO_COLOR: "1",
      ...(values.long ? { BERTH_LONG: "1", BERTH_TEST_SEED: SEED } : {}),
      ...(executable === undefined ? {} : { BERTH_BUILT: executable }),
    },
    deadlineMs,
  });
  const found = verdict(ran, file.forgotten, deadlineMs);
  report(file, found, ran.output, ran.ms);
  if (!values.long) return;
  const { passed, failed, skipped } = found;
  done.push({ file: file.path, passed, failed, skipped, seconds: Math.round(ran.ms / 1000) });
  for (const [kind, runs] of recorded(ran.output)) {
    writeResult(
      ROOT,
      kind,
      { ...circumstances(), seed: SEED, file: file.path, passed, failed, skipped },
      runs,
    );
  }
}

function report(file: TestFile, found: Verdict, output: string, ms: number): void {
  totals.passed += found.passed;
  totals.failed += found.failed;
  totals.skipped += found.skipped;
  const counts = `${found.passed} passed` + (found.failed ? `, ${found.failed} failed` : "") +
    (found.skipped ? `, ${found.skipped} skipped` : "");
  say(`${found.faults.length === 0 ? "ok  " : "FAIL"} ${file.path} (${counts}, ${seconds(ms)})`);
  if (found.faults.length === 0) {
    for (const line of found.skips) say(`     ${line}`);
    return;
  }
  failures.push({ path: file.path, faults: found.faults, output });
  for (const fault of found.faults) say(`     ${fault}`);
  say(failureFirst(output.trimEnd().split("\n")).map((line) => `     | ${line}`).join("\n"));
}

/** What failed, then all that was said before it: whoever shows only the beginning shows the reason. */
function failureFirst(lines: readonly string[]): readonly string[] {
  const at = lines.findIndex((line) => /^ +FAIL +"/.test(line));
  return at < 0 ? lines : [...lines.slice(at), "", ...lines.slice(0, at)];
}

/** Runs a level's files, as many at a time as the level allows. */
async function runLevel(level: Level, files: readonly TestFile[]): Promise<void> {
  const waiting = [...files];
  const worker = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) await runFile(file);
  };
  await Promise.all(Array.from({ length: AT_ONCE[level] }, worker));
}

/** Builds dist/berth; what fails here is counted, and everything that needs it is left out. */
async function buildFirst(): Promise<boolean> {
  try {
    executable = await build();
    return true;
  } catch (error) {
    totals.failed += 1;
    const output = (error as Error).message;
    failures.push({ path: "build of dist/berth", faults: ["what needs it was left out"], output });
    say(`FAIL build of dist/berth, which the levels ${NEED_EXECUTABLE.join(", ")} need`);
    say(output.trimEnd().split("\n").map((line) => `     | ${line}`).join("\n"));
    return false;
  }
}

async function main(): Promise<void> {
  const begun = performance.now();
  const files = testFiles(ROOT).filter((file) =>
    values.only === undefined || file.path.includes(values.only)
  );
  let built: boolean | undefined;
  let ran = 0;
  for (const level of wantedLevels()) {
    const chosen = files.filter((file) => file.level === level);
    if (chosen.length === 0) continue;
    if (NEED_EXECUTABLE.includes(level)) {
      built ??= await buildFirst();
      if (!built) continue;
    }
    const levelBegun = performance.now();
    await runLevel(level, chosen);
    ran += chosen.length;
    say(`-- ${level}: ${chosen.length} files, ${seconds(performance.now() - levelBegun)}`);
  }
  const isAll = values.only === undefined && values.level === undefined;
  if (values.long && isAll) writeResult(ROOT, "long", { ...circumstances(), seed: SEED, ...totals }, done);
  if (ran === 0 && totals.failed === 0) {
    totals.failed = 1;
    say("FAIL no test file matches");
  }
  say(`-- all: ${ran} files, ${seconds(performance.now() - begun)}`);
  for (const line of failureLines(failures)) say(line);
  say(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  process.exitCode = totals.failed === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    killAll();
    process.exit(signal === "SIGINT" ? 130 : 143);
  });
}

await main();
