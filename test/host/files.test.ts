// Files, locks and facts on the real machine, in a temporary directory.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bootId, hasInit, processStart, startField } from "../../lib/host/facts.ts";
import { createHost } from "../../lib/host/host.ts";
import { BerthError } from "../../lib/log/error.ts";

const host = createHost({ runner: "lean" });
let base = "";
test.before.each(() => {
  base = mkdtempSync("/tmp/berth-files-");
});
test.after.each(() => rmSync(base, { recursive: true, force: true }));

test("writeText() makes parents, sets the mode whatever the umask, and leaves no temporary file", async () => {
  const umask = process.umask(0o077);
  await host.writeText(`${base}/a/b/c`, "x", { mode: 0o666 });
  process.umask(umask);
  assert.is(await host.readText(`${base}/a/b/c`), "x");
  assert.is((await host.stat(`${base}/a/b/c`))!.mode, 0o666);
  assert.equal(readdirSync(`${base}/a/b`), ["c"]);
});

test("writeText() does nothing if bytes and mode are equal, and keeps the mode unless told", async () => {
  await host.writeText(`${base}/f`, "x");
  chmodSync(`${base}/f`, 0o600);
  const { ino } = statSync(`${base}/f`);
  await host.writeText(`${base}/f`, "x");
  assert.is(statSync(`${base}/f`).ino, ino);
  await host.writeText(`${base}/f`, "y");
  assert.is((await host.stat(`${base}/f`))!.mode, 0o600);
  await host.writeText(`${base}/f`, "y", { mode: 0o644 });
  assert.is((await host.stat(`${base}/f`))!.mode, 0o644);
});

test("readText() refuses a pipe and a device behind a link, which would hold it for ever", async () => {
  execFileSync("mkfifo", [`${base}/pipe`]);
  symlinkSync("/dev/zero", `${base}/zero`);
  for (const [name, found] of [["pipe", "pipe"], ["zero", "device"]]) {
    // Nobody writes: without the refusal the test would wait here for ever.
    const refused = await host.readText(`${base}/${name}`).catch((error: unknown) => error);
    assert.instance(refused, BerthError);
    assert.match((refused as BerthError).message, `found a ${found}, wanted a file`);
  }
});

test("writeText() writes through a symbolic link", async () => {
  writeFileSync(`${base}/target`, "old");
  symlinkSync(`${base}/target`, `${base}/link`);
  await host.writeText(`${base}/link`, "new");
  assert.is(await host.readText(`${base}/target`), "new");
  assert.is((await host.stat(`${base}/link`))!.kind, "link");
  assert.is(await host.readLink(`${base}/link`), `${base}/target`);
  assert.is(await host.readLink(`${base}/target`), null);
});

test("writeInPlace() leaves the file where it is, through links, shorter or longer, and makes none", async () => {
  const [target, link] = [`${base}/target`, `${base}/link`];
  writeFileSync(target, "old text", { mode: 0o640 });
  symlinkSync(target, link);
  const before = statSync(target);
  for (const text of ["n\u00e4w", "a text that is longer than before", ""]) {
    await host.writeInPlace(link, text);
    assert.is(readFileSync(target, "utf8"), text);
  }
  const after = statSync(target);
  assert.equal([after.ino, after.mode, after.uid], [before.ino, before.mode, before.uid]);
  assert.match(String(await host.writeInPlace(`${base}/none`, "x").catch((error) => error)), "ENOENT");
  assert.is(await host.readText(`${base}/none`), null);
});

test("writeText() refuses a path where a directory stands", async () => {
  const error = await host.writeText(base, "x").catch((error) => error);
  assert.is(error.code, "refused");
  assert.match(error.message, "found a directory, wanted a file");
});

test("what is not there is null, and removing it does nothing", async () => {
  assert.is(await host.readText(`${base}/none/deeper`), null);
  assert.is(await host.list(`${base}/none`), null);
  assert.is(await host.stat(`${base}/none`), null);
  await host.remove(`${base}/none`);
  await host.makeDirectory(`${base}/d`, { mode: 0o700 });
  assert.equal(await host.list(base), ["d"]);
  await host.remove(`${base}/d`);
  assert.equal(await host.list(base), []);
});

test("appendText() appends and makes the file 0600", async () => {
  await host.appendText(`${base}/j`, "a\n");
  await host.appendText(`${base}/j`, "b\n");
  assert.is(await host.readText(`${base}/j`), "a\nb\n");
  assert.is((await host.stat(`${base}/j`))!.mode, 0o600);
});

test("lock() excludes, names its holder, and is free after release", async () => {
  const lock = await host.lock(`${base}/run/lock`);
  const error: BerthError = await host.lock(`${base}/run/lock`, { waitMs: 50 }).then(() => null, (e) => e);
  assert.is(error.code, "locked");
  assert.match(error.message, `is held by process ${process.pid} (`);
  assert.match(error.message, "waited 50 ms");
  const waiting = host.lock(`${base}/run/lock`, { waitMs: 10_000 });
  await lock.release();
  await (await waiting).release();
});

test("lock() makes the directories on its way for root alone", async () => {
  const lock = await host.lock(`${base}/run/berth/lock/first`);
  await lock.release();
  for (const path of ["run/berth", "run/berth/lock"]) {
    assert.is((await host.stat(`${base}/${path}`))!.mode, 0o700);
  }
});

test("a full file system is told with the file that was written", async () => {
  const said = await host.appendText("/dev/full", "x\n").then(() => "written", String);
  assert.match(said, /ENOSPC: .* '\/dev\/full'/);
});

test("lock() is released by the kernel when its holder is killed", async () => {
  const script = `${base}/holder.ts`;
  const from = JSON.stringify(new URL("../../lib/host/lock.ts", import.meta.url).pathname);
  writeFileSync(
    script,
    `import { takeLock } from ${from};
await takeLock("${base}/lock");
process.stdout.write("held\\n");
setInterval(() => {}, 1000);`,
  );
  const holder: ChildProcess = spawn(process.execPath, ["run", "-A", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => holder.stdout!.once("data", resolve));
  const error = await host.lock(`${base}/lock`).then(() => null, (e) => e);
  assert.match(error.message, `process ${holder.pid}`);
  holder.kill("SIGKILL");
  await (await host.lock(`${base}/lock`, { waitMs: 5000 })).release();
});

test("facts: boot id, start time of a process, init system", async () => {
  assert.match(await bootId(host), /^[0-9a-f-]{36}$/);
  assert.match((await processStart(host, process.pid))!, /^\d+$/);
  assert.is(await processStart(host, 2 ** 30), null);
  const fields = Array.from({ length: 19 }, (_, at) => at + 4);
  assert.is(startField(`7 (a) b ((c) S ${fields.join(" ")}`), "22");
  assert.ok(["systemd", "sysvinit", null].includes(await hasInit(host)));
});

test("engine() is null without a door and where nobody listens", async () => {
  assert.is(await host.engine("/info"), null);
  const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  const door = {
    get: () => Promise.reject(new Error("cannot reach", { cause: refused })),
    call: () => Promise.resolve({ status: 409, body: { message: "name in use" } }),
  };
  const other = createHost({ engine: door });
  assert.is(await other.engine("/info"), null);
  const error = await other.engineCall({ method: "POST", path: "/networks/create" }).catch((e) => e);
  assert.is(error.code, "docker");
  assert.match(error.message, 'refused POST "/networks/create" with status 409: name in use');
});

test.run();
