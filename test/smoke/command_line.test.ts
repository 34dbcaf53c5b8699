// The executable's first words: what an operator sees who types the shortest things.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT } from "../../tasks/dev/_bundle.ts";
import { berth, executable } from "./_berth.ts";

const packageVersion = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version;

test.before(async () => {
  await executable();
});

test("berth version prints the version of package.json", async () => {
  const ran = await berth(["version"]);
  assert.is(ran.exit, 0, ran.output);
  assert.match(ran.stdout, packageVersion);
});

test("berth --help lists the commands, and all of it at once", async () => {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const ran = await berth(["--help"]);
    assert.is(ran.exit, 0, ran.output);
    assert.match(ran.stdout, /^Usage: berth COMMAND/m);
    assert.match(ran.stdout, /^ +version +\S/m);
    times.push(ran.ms);
  }
  // Some 20 ms when nothing heavy is loaded; the best of five, for the machine may be busy.
  assert.ok(Math.min(...times) < 250, `took ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
});

test("an unknown command ends with exit 64 and names the nearest known one", async () => {
  const ran = await berth(["versoin"]);
  assert.is(ran.exit, 64, ran.output);
  assert.is(ran.stdout, "");
  assert.match(ran.output, /versoin/);
  assert.match(ran.output, /\bversion\b/);
});

test("an unknown option ends with exit 64", async () => {
  const ran = await berth(["version", "--frobnicate"]);
  assert.is(ran.exit, 64, ran.output);
  assert.match(ran.output, /--frobnicate/);
});

test("an unknown command is told in JSON when asked so", async () => {
  const ran = await berth(["versoin", "--json"]);
  assert.is(ran.exit, 64, ran.output);
  const told = JSON.parse(ran.stdout || ran.output);
  assert.match(JSON.stringify(told), /"code":"usage"/);
});

test.run();
