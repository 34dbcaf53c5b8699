// Output through pipes: whole when it is large, and no crash when the reader goes away. Both go wrong by
// themselves: process.exit() cuts a pipe's output at 64 KiB, and EPIPE is thrown where nobody catches it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../tasks/dev/_run.ts";
import { berth, executable, inDirectory } from "./_berth.ts";

test.before(async () => {
  await executable();
});

test("berth schema | head -1 ends without a word on stderr", async () => {
  const ran = await run([
    "bash",
    "-c",
    '"$0" schema | head -1; echo "exits ${PIPESTATUS[*]}"',
    await executable(),
  ], {
    cwd: "/",
    deadlineMs: 20_000,
  });
  assert.is(ran.output, ran.stdout, `stderr says something:\n${ran.output}`);
  assert.match(ran.stdout, /^\{/);
  // 141: ended by SIGPIPE, as any program of a shell pipe.
  assert.match(ran.stdout, /^exits (0|141) 0$/m);
});

test("a full disk behind standard output is told in one line", async () => {
  const ran = await run(["bash", "-c", '"$0" version >/dev/full; echo "exit $?"', await executable()], {
    cwd: "/",
    deadlineMs: 20_000,
  });
  assert.match(ran.output, /error: standard output: Cannot be written: .*ENOSPC/);
  assert.match(ran.output, /^exit 4$/m);
  assert.is(ran.output.trim().split("\n").length, 2, ran.output);
});

test("a script's 5 MB arrive whole through a pipe", async () => {
  await inDirectory(async (directory) => {
    const script = join(directory, "large.ts");
    writeFileSync(script, `process.stdout.write("x".repeat(5_000_000) + "\\n");\n`);
    const ran = await run(
      ["bash", "-c", '"$0" run "$1" | { sleep 0.2; wc -c; }', await executable(), script],
      { cwd: "/", deadlineMs: 20_000 },
    );
    assert.is(ran.output.trim(), "5000001");
  });
});

test("a script on standard input runs, and its exit code is passed on", async () => {
  const ran = await run(
    [
      "bash",
      "-c",
      `echo 'process.stdout.write("hello\\n"); process.exitCode = 7' | "$0" run -`,
      await executable(),
    ],
    { cwd: "/", deadlineMs: 20_000 },
  );
  assert.is(ran.stdout, "hello\n", ran.output);
  assert.is(ran.exit, 7);
});

test("berth schema is whole and is JSON", async () => {
  const ran = await berth(["schema"]);
  assert.is(ran.exit, 0, ran.output);
  assert.type(JSON.parse(ran.stdout), "object");
});

test.run();
