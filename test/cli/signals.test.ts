// Signals: the first asks a task to end, the second ends it; a task that ends well decides its own exit code.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT, run } from "./_berth.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-signals-"));
test.after(() => rmSync(directory, { recursive: true, force: true }));

/** A command line of its own, with tasks that meet a signal differently. */
const MAIN = `
import { runCommandLine } from "${ROOT}/lib/cli/run.ts";
const say = (text) => process.stdout.write(text + "\\n");
const until = (signal) => new Promise((resolve) => {
  const timer = setInterval(() => {}, 1000);
  signal.addEventListener("abort", () => { clearInterval(timer); resolve(); });
  say("waiting");
});
const tasks = {
  graceful: async ({ signal, exit }) => { await until(signal); say("cleaned"); exit(0); },
  silent: async ({ signal }) => { await until(signal); say("cleaned"); },
  deaf: () => { say("waiting"); return new Promise(() => setInterval(() => {}, 1000)); },
  throwing: async ({ signal }) => { await until(signal); signal.throwIfAborted(); },
};
const tree = Object.fromEntries(Object.entries(tasks).map(([name, run]) =>
  [name, { summary: name, load: () => Promise.resolve({ default: { summary: name, run } }) }]));
runCommandLine(process.argv.slice(2), { tree, groups: {} });
`;

const start = (name: string, kills: number, json = false) => {
  const path = join(directory, "main.ts");
  writeFileSync(path, MAIN);
  return run([process.execPath, "run", "-A", "--no-check", path, name, ...(json ? ["--json"] : [])], {
    when: ["waiting", (kill) => {
      kill("SIGTERM");
      // A second signal that comes with the first may be merged with it: until one has ended the process, send more.
      if (kills > 1) setInterval(() => kill("SIGTERM"), 50).unref();
    }],
  });
};

test("a task that ends well after a signal and names a code has that code", async () => {
  const ran = await start("graceful", 1);
  assert.is(ran.exit, 0, ran.stderr);
  assert.match(ran.stdout, "cleaned");
});

test("a task that ends well after a signal and names none has the signal's", async () => {
  const ran = await start("silent", 1);
  assert.is(ran.exit, 143);
  assert.match(ran.stdout, "cleaned");
});

test("a task that is ended by the signal says so, as text and as JSON", async () => {
  const text = await start("throwing", 1);
  assert.is(text.exit, 143);
  assert.match(text.stderr, "Stopped by SIGTERM");
  const json = await start("throwing", 1, true);
  assert.is(JSON.parse(json.stdout.split("\n")[1]!).error.code, "interrupted");
});

test("a second signal ends a task that does not listen", async () => {
  assert.is((await start("deaf", 2)).exit, 143);
});

test.run();
