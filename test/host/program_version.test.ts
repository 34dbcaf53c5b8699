// What is remembered of programs' versions. That a whole run asks dockerd once: test/sandbox/program_version.test.ts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { rememberVersions } from "../../lib/host/program_version.ts";

const ASK = { argv: ["dockerd", "--version"] };

/** A runner whose answers come one after another; the last for ever. `file` is the program's. */
function asked(answers: readonly (number | Error)[]) {
  let asks = 0;
  const at = { file: "one" as string | null };
  const run = rememberVersions(
    () => {
      const answer = answers[Math.min(asks++, answers.length - 1)]!;
      if (answer instanceof Error) return Promise.reject(answer);
      return Promise.resolve({ exit: answer, stdout: `${asks}`, stderr: "", ms: 0 });
    },
    () => Promise.resolve(at.file),
  );
  return { run, at, asks: () => asks };
}

test("rememberVersions() asks once while the program's file is the same", async () => {
  const { run, at } = asked([0]);
  assert.equal([(await run(ASK)).stdout, (await run(ASK)).stdout], ["1", "1"]);
  at.file = "another";
  assert.equal([(await run(ASK)).stdout, (await run(ASK)).stdout], ["2", "2"]);
  assert.is((await run({ argv: ["dockerd", "--validate"] })).stdout, "3");
  at.file = null;
  assert.equal([(await run(ASK)).stdout, (await run(ASK)).stdout], ["4", "5"]);
});

test("rememberVersions() remembers no failure, neither an exit code nor a fault", async () => {
  const { run, asks } = asked([1, new Error("late"), 0]);
  assert.is((await run(ASK)).exit, 1);
  assert.is(await run(ASK).catch((error) => error.message), "late");
  assert.is((await run(ASK)).exit, 0);
  await run(ASK);
  assert.is(asks(), 3);
});

test.run();
