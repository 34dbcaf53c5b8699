// Figures of the long run: what a file tells arrives, by kind and in order, and stands in one file per kind.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { circumstances, record, recorded, writeResult } from "./results.ts";

test("figures are found among whatever else a file prints", () => {
  const output =
    'x\nRESULT {"kind":"cuts","figures":{"at":1}}\n  RESULT no\nRESULT {"kind":"cuts","figures":{"at":2}}\n';
  assert.equal([...recorded(output)], [["cuts", [{ at: 1 }, { at: 2 }]]]);
  assert.is(recorded("").size, 0);
});

test("a kind that is no file's name is refused", () => {
  assert.throws(() => record("../x", {}), /Not a file's name: "..\/x"/);
});

test("one file per kind holds commit, seed and every run", () => {
  const root = mkdtempSync(join(tmpdir(), "berth-results-"));
  try {
    writeResult(root, "cuts", { ...circumstances(), seed: "7" }, [{ at: 1 }]);
    const written = JSON.parse(readFileSync(join(root, "docs/results/cuts.json"), "utf8"));
    assert.is(written.seed, "7");
    assert.equal(written.runs, [{ at: 1 }]);
    assert.ok(written.commit === null || /^[0-9a-f]{40}$/.test(written.commit));
  } finally {
    rmSync(root, { recursive: true });
  }
});

test.run();
