// The build tasks themselves: nothing is made twice, and what cannot be made here is told in one line, at once.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT } from "../../tasks/dev/_bundle.ts";
import { type Ran, run } from "../../tasks/dev/_run.ts";
import { berth, inDirectory } from "./_berth.ts";

/** Runs a task's file as `deno task` would, free of what the test runner set. */
function dev(file: string, env: Record<string, string> = {}): Promise<Ran> {
  const { BERTH_BUILT: _, ...ours } = Deno.env.toObject();
  return run([Deno.execPath(), "run", "-A", `tasks/dev/${file}`], { cwd: ROOT, env: { ...ours, ...env } });
}

test("deno task build makes nothing when no input has changed", async () => {
  const first = await dev("build.ts");
  assert.is(first.exit, 0, first.output);
  const made = statSync(join(ROOT, "dist/berth")).mtimeMs;
  const second = await dev("build.ts");
  assert.match(second.stdout, /^dist\/berth is up to date \(\d\.\d s\)\n$/);
  assert.is(statSync(join(ROOT, "dist/berth")).mtimeMs, made);
  assert.ok(second.ms < 2000, `took ${second.ms.toFixed(0)} ms`);
});

test("dist/berth.schema.json is what berth schema prints", async () => {
  const printed = await berth(["schema"]);
  assert.is(readFileSync(join(ROOT, "dist/berth.schema.json"), "utf8"), printed.stdout);
});

test("deno task build:deno says in one line that its base is missing, with exit 4", async () => {
  const ran = await dev("build_deno.ts", { DENORT_BIN: "/nonexistent/denort" });
  assert.is(ran.exit, 4);
  assert.is(
    ran.output,
    'No base for deno compile: DENORT_BIN names "/nonexistent/denort", which does not exist\n',
  );
});

test("deno task npm says in one line that JSR is out of reach, with exit 4", async () => {
  await inDirectory(async (directory) => {
    // Port 9 of the loopback: nobody answers there.
    const ran = await dev("npm.ts", { JSR_URL: "http://127.0.0.1:9/", DENO_DIR: directory });
    assert.is(ran.exit, 4, ran.output);
    assert.match(
      ran.output,
      /^Cannot load "jsr:@deno\/dnt@[\d.]+" \(.+\): run .+ where JSR can be reached\n$/,
    );
  });
});

test.run();
