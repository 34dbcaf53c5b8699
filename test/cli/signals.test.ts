// Signals: the first asks a task to end, the second ends it; a task that ends well decides its own exit code.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT, run } from "./_berth.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-signals-"));
test.after(() => rmSync(directory, { recursive: true, force: true }));

/** A command line of its own, with tasks that meet a signal differently. */
const MAIN = `
import { writeFileSync } from "node:fs";
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
  // What a roll-back does: it goes on for a while, tells what it does, and leaves the world in order.
  rolling: async ({ signal, log }) => {
    await until(signal);
    for (let step = 1; step <= 20; step++) {
      log.info("Rolling back", { step });
      say("step " + step);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    writeFileSync(process.env.LEFT, "in order");
  },
  listening: async ({ exit }) => {
    await new Promise((resolve) => {
      const timer = setInterval(() => {}, 1000);
      process.on("SIGHUP", () => { clearInterval(timer); resolve(); });
      say("waiting");
    });
    say("heard");
  },
  throwing: async ({ signal }) => { await until(signal); signal.throwIfAborted(); },
};
const tree = Object.fromEntries(Object.entries(tasks).map(([name, run]) =>
  [name, { summary: name, load: () => Promise.resolve({ default: { summary: name, run } }) }]));
runCommandLine(process.argv.slice(2), { tree, groups: {} });
`;

/** What a file says so far. */
const told = (path: string) => existsSync(path) ? readFileSync(path, "utf8") : "";

async function until(isSo: () => boolean, seen: () => string): Promise<void> {
  for (const end = Date.now() + 30_000; !isSo();) {
    if (Date.now() > end) throw new Error(`Not so after 30 s; last seen: ${seen()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const start = (name: string, kills: number, json = false, signal: NodeJS.Signals = "SIGTERM") => {
  const path = join(directory, "main.ts");
  writeFileSync(path, MAIN);
  return run([process.execPath, "run", "-A", "--no-check", path, name, ...(json ? ["--json"] : [])], {
    when: ["waiting", (kill) => {
      kill(signal);
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

test("a lost terminal ends a task like SIGTERM does, and what it writes to nobody does not end its roll-back", async () => {
  writeFileSync(join(directory, "main.ts"), MAIN);
  const [left, exit, out] = ["left", "exit", "out"].map((name) => join(directory, name));
  // The kernel tells the terminal's leader, and a shell tells its jobs. This one stays to keep the exit code.
  const line = `trap 'kill -HUP $pid' HUP
    LEFT=${left} "${process.execPath}" run -A --no-check ${directory}/main.ts rolling & pid=$!
    while :; do wait $pid; code=$?; kill -0 $pid 2>/dev/null || break; done
    echo $code >${exit}`;
  writeFileSync(join(directory, "line.sh"), line);
  const terminal = spawn("script", ["-qefc", `sh ${directory}/line.sh`, out!], {
    cwd: ROOT,
    stdio: "ignore",
  });
  await until(() => told(out!).includes("waiting"), () => told(out!));
  process.kill(terminal.pid!, "SIGKILL"); // its end of the terminal is closed with it
  await until(() => told(exit!) !== "", () => `${told(exit!)} ${told(left!)}`);
  assert.is(told(left!), "in order");
  assert.is(told(exit!).trim(), "129");
});

test("SIGHUP ends a task in order; one that listens for it itself, and one that is told to ignore it, go on", async () => {
  const ran = await start("silent", 1, false, "SIGHUP");
  assert.is(ran.exit, 129);
  assert.match(ran.stdout, "cleaned");
  const heard = await start("listening", 1, false, "SIGHUP");
  assert.is(heard.exit, 0, heard.stderr);
  assert.match(heard.stdout, "heard");
  const path = join(directory, "main.ts");
  const main = `trap '' HUP; exec "${process.execPath}" run -A --no-check ${path} silent`;
  const kept = await run(["sh", "-c", main], {
    when: ["waiting", (kill) => {
      kill("SIGHUP");
      kill("SIGTERM");
    }],
  });
  assert.is(kept.exit, 143);
});

test("a second signal ends a task that does not listen", async () => {
  assert.is((await start("deaf", 2)).exit, 143);
});

test.run();
