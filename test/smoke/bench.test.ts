// The bench's parts that need no sandbox, with few runs: every key is there and what was run has its numbers.
// No limits on times: they are the machine's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT } from "../../tasks/dev/_bundle.ts";
import { run } from "../../tasks/dev/_run.ts";
import { type Key, type Measured, measured, MEASURES, median, table } from "../../tasks/dev/bench/measure.ts";
import { executable, inDirectory } from "./_berth.ts";

test("deno task bench --quick --part start writes every run, and every key", async () => {
  await executable();
  await inDirectory(async (directory) => {
    const out = join(directory, "bench.json");
    const ran = await run([
      ...[Deno.execPath(), "run", "-A", "tasks/dev/bench.ts"],
      ...["--quick", "--part", "start", "--out", out],
    ], { cwd: ROOT });
    assert.is(ran.exit, 0, ran.output);
    const report = JSON.parse(readFileSync(out, "utf8"));
    assert.equal(Object.keys(report), [
      ...["machine", "commit", "date", "quick", "realtime", "load", "failed", "measures"],
    ]);
    assert.equal(Object.keys(report.machine), ["cpu", "cores", "memoryMiB", "kernel"]);
    assert.equal([report.quick, report.failed], [true, {}]);
    assert.equal(Object.keys(report.measures), Object.keys(MEASURES));
    for (const [key, one] of Object.entries(report.measures as Record<Key, Measured>)) {
      const wanted = /^(hello|version|perl)/.test(key) ? 3 : 0;
      assert.equal([one.n, one.runs.length], [wanted, wanted], key);
      assert.ok(one.runs.every((value) => value > 0), key);
      assert.is(one.median === null, wanted === 0, key);
    }
    assert.match(
      ran.stdout,
      /^berth version +\d+\.\d +\d+\.\d +\d+\.\d +3 {2}ms .*aim <= 40 ms: (met|missed)/m,
    );
    assert.match(ran.stdout, /aim <= 70 MiB: not measured$/m);
  });
});

test("median() takes the middle run, or the mean of the middle two", () => {
  assert.is(median([]), null);
  assert.is(median([9, 1, 5]), 5);
  assert.is(median([4, 1, 2, 9]), 3);
});

test("measured() and table() say plainly what misses its aim", () => {
  const all = measured({ version: [50, 30, 60], wire: [250], batch: [200] });
  assert.equal(all.version.aim, { most: 40, over: null, found: 50, ratio: 1.25, met: false });
  assert.equal(all.wire.aim, { most: 1.3, over: "batch", found: 1.25, ratio: 0.962, met: true });
  assert.is(all.hostUp.aim!.met, null);
  assert.match(table(all), /^berth version .* aim <= 40 ms: missed \(1\.25 of it\)$/m);
  assert.match(table(all), /aim <= 1\.3 x batch, found 1\.25 x: met \(0\.96 of it\)$/m);
});

test.run();
