// Both runners of commands: exit codes, environment, deadlines, namespaces, missing programs.
import { mkdtempSync, rmSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { batchTool, failedBatchLine, ipBatch, nftBatch } from "../../lib/host/batch.ts";
import { createHost } from "../../lib/host/host.ts";
import { BerthError } from "../../lib/log/error.ts";

async function errorOf(running: Promise<unknown>): Promise<BerthError> {
  try {
    await running;
  } catch (error) {
    if (error instanceof BerthError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited 5 s for: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

for (const runner of ["zx", "lean"] as const) {
  const host = createHost({ runner });

  test(`${runner}: exec() keeps stdout and stderr apart and passes every byte of an argument`, async () => {
    const odd = `a b'c"d$(e)\`f\`\n*;\\ é`;
    const output = await host.exec({ argv: ["sh", "-c", 'printf %s "$1"; echo no >&2', "sh", odd] });
    assert.is(output.stdout, odd);
    assert.is(output.stderr, "no\n");
    assert.is(output.exit, 0);
  });

  test(`${runner}: exec() gives the fixed environment and nothing of ours`, async () => {
    process.env.ZX_PREFIX = "echo hostile;";
    process.env.ZX_SHELL = "/bin/false";
    const output = await host.exec({ argv: ["env"], env: { EXTRA: "1" } });
    delete process.env.ZX_PREFIX;
    delete process.env.ZX_SHELL;
    const names = output.stdout.trim().split("\n").filter((line) => !/^(_|SHLVL|PWD|OLDPWD)=/.test(line))
      .sort();
    assert.equal(names, [
      "EXTRA=1",
      "HOME=/root",
      "LC_ALL=C",
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]);
  });

  test(`${runner}: exec() gives input, or an empty standard input`, async () => {
    assert.is((await host.exec({ argv: ["cat"], input: "hello" })).stdout, "hello");
    assert.is((await host.exec({ argv: ["cat"] })).stdout, "");
    const big = "x".repeat(1 << 20);
    assert.is((await host.exec({ argv: ["true"], input: big })).exit, 0);
    assert.is((await host.exec({ argv: ["cat"], input: big })).stdout.length, big.length);
  });

  test(`${runner}: exec() throws command-failed with argv, exit and reason on an unwanted exit`, async () => {
    const error = await errorOf(host.exec({ argv: ["sh", "-c", "echo 'is full' >&2; exit 3"] }));
    assert.is(error.code, "command-failed");
    assert.match(
      error.message,
      /Command "sh -c 'echo '\\''is full'\\'' >&2; exit 3'" failed with exit 3: is full/,
    );
    assert.is((await host.exec({ argv: ["sh", "-c", "exit 3"], okExit: [0, 3] })).exit, 3);
    assert.is((await host.exec({ argv: ["sh", "-c", "kill -TERM $$"], okExit: [143] })).exit, 143);
  });

  test(`${runner}: exec() tells a script that failed by its title, or without its text, which stands in the detail`, async () => {
    const script = "set -e\necho 'is full' >&2\nexit 3";
    const argv = ["sh", "-c", script, "berth-copy", "/a", "/b"];
    const titled = await errorOf(host.exec({ argv, title: "copy /a to /b" }));
    assert.is(titled.message, 'Step "copy /a to /b" failed with exit 3: is full');
    const bare = await errorOf(host.exec({ argv }));
    assert.is(bare.message, "Command \"sh -c '…' berth-copy /a /b\" failed with exit 3: is full");
    for (const { detail } of [titled, bare]) assert.match(detail ?? "", script);
    const late = await errorOf(
      host.exec({ argv: ["sh", "-c", "sleep 60\n"], title: "wait", timeoutMs: 100 }),
    );
    assert.match(late.message, 'Step "wait" did not end within 100 ms and was killed');
  });

  test(`${runner}: exec() throws missing with the Debian package when the program is not there`, async () => {
    const error = await errorOf(host.exec({ argv: ["lvcreate-not-here"] }));
    assert.is(error.code, "missing");
    assert.match(error.message, 'Program "lvcreate-not-here" is not on this machine');
  });

  test(`${runner}: exec() kills the whole process group at the deadline`, async () => {
    const directory = mkdtempSync("/tmp/berth-run-");
    const script = `sleep 1000 & echo $! >${directory}/pid; wait`;
    const error = await errorOf(host.exec({ argv: ["sh", "-c", script], timeoutMs: 300 }));
    assert.is(error.code, "command-failed");
    assert.match(error.message, "did not end within 300 ms and was killed");
    const pid = Number(await host.readText(`${directory}/pid`));
    await until("the grandchild to be gone", () => !isAlive(pid));
    rmSync(directory, { recursive: true });
  });

  test(`${runner}: exec() ends although a daemon left behind holds the output open`, async () => {
    const started = performance.now();
    const output = await host.exec({ argv: ["sh", "-c", "setsid sleep 7 & echo $!"], timeoutMs: 6000 });
    const ms = performance.now() - started;
    const daemon = Number(output.stdout);
    const survived = isAlive(daemon);
    process.kill(daemon, "SIGKILL");
    assert.ok(ms < 4000, `took ${ms} ms`);
    assert.ok(survived, "the daemon lives on");
  });

  test(`${runner}: exec() ends at the deadline although a grandchild in its own session holds the output`, async () => {
    const directory = mkdtempSync("/tmp/berth-run-");
    const script = `setsid sh -c 'echo $$ >${directory}/pid; exec sleep 7' & sleep 1000`;
    const error = await errorOf(host.exec({ argv: ["sh", "-c", script], timeoutMs: 500 }));
    assert.match(error.message, "was killed");
    process.kill(Number(await host.readText(`${directory}/pid`)), "SIGKILL");
    rmSync(directory, { recursive: true });
  });

  test(`${runner}: exec() throws interrupted when its signal is aborted`, async () => {
    const stop = new AbortController();
    const running = host.exec({ argv: ["sleep", "1000"] }, { signal: stop.signal });
    stop.abort();
    assert.is((await errorOf(running)).code, "interrupted");
    assert.is((await errorOf(host.exec({ argv: ["true"] }, { signal: stop.signal }))).code, "interrupted");
  });

  test(`${runner}: exec() runs inside a network namespace`, async () => {
    const output = await host.exec({ argv: ["readlink", "/proc/self/ns/net"], netns: "/proc/self/ns/net" });
    assert.match(output.stdout, /^net:\[/);
  });

  test(`${runner}: a failed batch names its input line`, async () => {
    const lines = ["link show dev lo", "link set dev berth-none up", "link show dev lo"];
    const error = await errorOf(host.exec(ipBatch(lines)));
    assert.match(error.message, 'at line 2 "link set dev berth-none up"');
    assert.match(error.message, "Cannot find device");
  });
}

test("plan mode: hands tell and do nothing", async () => {
  const told: unknown[] = [];
  const log = {
    debug() {},
    info: (_: string, fields?: unknown) => told.push(fields),
    warn() {},
    error() {},
    with: () => log,
  };
  const host = createHost({ plan: true, log });
  const directory = mkdtempSync("/tmp/berth-run-");
  await host.writeText(`${directory}/a`, "x");
  await host.exec({ argv: ["touch", `${directory}/b`] });
  await host.makeDirectory(`${directory}/c`);
  await (await host.lock(`${directory}/lock`)).release();
  assert.equal(await host.list(directory), []);
  assert.is(told.length, 3);
  rmSync(directory, { recursive: true });
});

test("failedBatchLine() understands nft and leaves ordinary commands alone", () => {
  const command = nftBatch("table inet a {\n  chain b { broken }\n}");
  const output = { exit: 1, stdout: "", stderr: "/dev/stdin:2:13-18: Error: syntax error\n", ms: 1 };
  assert.equal(failedBatchLine(command, output), { number: 2, text: "chain b { broken }" });
  assert.is(failedBatchLine({ argv: ["ip", "a"] }, output), null);
  assert.is(batchTool(command), "nft");
  assert.throws(() => ipBatch(["a\nb"]), /newline/);
});

test.run();
