// Faulty configurations and what an operator is told about each: golden files, UPDATE=1 writes them anew.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadConfig } from "../../lib/config/load.ts";
import { BerthError } from "../../lib/log/error.ts";
import { renderIssues } from "../../lib/log/issues.ts";
import { etcBerth, HERE, lookAt } from "./_files.ts";

const folder = join(HERE, "faulty");
const cases = readdirSync(folder).sort();

async function errorOf(name: string): Promise<BerthError> {
  try {
    await loadConfig({ look: lookAt(etcBerth(join(folder, name))) });
  } catch (error) {
    if (error instanceof BerthError) return error;
    throw error;
  }
  throw new Error(`${name} was accepted`);
}

for (const name of cases) {
  test(`${name} is told as expected`, async () => {
    const error = await errorOf(name);
    assert.is(error.code, "config");
    assert.is(error.exit, 3);
    const rendered = renderIssues(error.issues) + "\n";
    const golden = join(folder, name, "expected.txt");
    if (process.env.UPDATE === "1") writeFileSync(golden, rendered);
    assert.ok(existsSync(golden), `${golden} is missing: UPDATE=1 writes it`);
    assert.fixture(rendered, readFileSync(golden, "utf8"));
  });

  test(`${name} has a place and a way on in every issue`, async () => {
    for (const issue of (await errorOf(name)).issues) {
      const text = JSON.stringify(issue);
      assert.match(issue.place ?? "", /^\/etc\/berth\/[^:]+(:\d+)?$/, text);
      assert.ok(issue.next !== undefined && issue.next !== "", text);
      assert.match(issue.message, /^[A-Z"]/, text);
      assert.not.match(issue.message, /\.$/, text);
      // deno-lint-ignore no-control-regex
      assert.not.match(renderIssues([issue]).replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f]/, text);
    }
  });
}

test("there are at least thirty faulty configurations", () => {
  assert.ok(cases.length >= 30);
});

test.run();
