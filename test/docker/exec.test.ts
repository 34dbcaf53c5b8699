import { test } from "uvu";
import * as assert from "uvu/assert";
import { createHash } from "node:crypto";
import { createDocker } from "../../lib/docker/client.ts";
import type { Docker } from "../../lib/docker/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { until } from "../fake/clock.ts";
import { FakeEngine, type FakeProgram } from "../fake/engine.ts";

const MIB = 1024 * 1024;

const cat: FakeProgram = async ({ stdin, stdout, stderr }) => {
  let size = 0;
  for await (const chunk of stdin) {
    size += chunk.length;
    await stdout(chunk);
  }
  await stderr(`${size} bytes`);
  return 7;
};

async function story(tell: (engine: FakeEngine, docker: Docker) => Promise<void>): Promise<void> {
  const engine = await new FakeEngine().start();
  const docker = createDocker({ socket: engine.socket, kill: (pid) => engine.kill(pid) });
  try {
    await tell(engine, docker);
  } finally {
    await docker.close();
    await engine.die();
  }
}

/** Bytes that do not repeat, in pieces. */
async function* noise(size: number): AsyncIterable<Uint8Array> {
  let seed = 1;
  for (let left = size; left > 0; left -= 65_536) {
    const chunk = new Uint8Array(Math.min(left, 65_536));
    for (let i = 0; i < chunk.length; i++) chunk[i] = seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    yield await Promise.resolve(chunk);
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("exec() sends 5 MiB both ways unharmed, keeps the streams apart, and tells the exit code", async () => {
  await story(async (engine, docker) => {
    engine.programs["cat"] = cat;
    const [sent, got] = [createHash("sha256"), createHash("sha256")];
    async function* stdin() {
      for await (const chunk of noise(5 * MIB)) {
        sent.update(chunk);
        yield chunk;
      }
    }
    const errors: Uint8Array[] = [];
    const exit = await docker.execStream("left", ["cat"], {
      stdin: stdin(),
      stdout: (chunk) => void got.update(chunk),
      stderr: (chunk) => void errors.push(chunk.slice()),
    });
    assert.is(exit, 7);
    assert.is(got.digest("hex"), sent.digest("hex"));
    assert.is(errors.map(text).join(""), `${5 * MIB} bytes`);
  });
});

test("the end of input reaches a command that only then begins to speak", async () => {
  await story(async (engine, docker) => {
    engine.programs["wc"] = async ({ stdin, stdout }) => {
      let size = 0;
      for await (const chunk of stdin) size += chunk.length;
      for (let i = 0; i < 50; i++) await stdout(new Uint8Array(100_000));
      return size === 3 ? 0 : 1;
    };
    const { exit, stdout } = await docker.exec("left", ["wc"], { input: new Uint8Array(3) });
    assert.is(exit, 0);
    assert.is(stdout.length, 5_000_000);
  });
});

test("a command that does not read its input ends all the same", async () => {
  await story(async (engine, docker) => {
    engine.programs["false"] = () => Promise.resolve(1);
    async function* endless() {
      for (;;) yield await Promise.resolve(new Uint8Array(65_536));
    }
    const io = { stdin: endless(), stdout: () => {}, stderr: () => {} };
    assert.is(await docker.execStream("left", ["false"], io), 1);
    // What it said arrives, though writing to it fails (all of it in Node and Bun; Deno 2.9 loses what the kernel held).
    engine.programs["head"] = async ({ stdout }) => {
      for (let i = 0; i < 20; i++) await stdout(new Uint8Array(50_000));
      return 0;
    };
    let size = 0;
    const stdout = (chunk: Uint8Array) => void (size += chunk.length);
    assert.is(await docker.execStream("left", ["head"], { ...io, stdin: endless(), stdout }), 0);
    assert.ok(size >= 700_000 && size <= 1_000_000, String(size));
    // Nor does a source that never says anything hold it.
    const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
    assert.is(await docker.execStream("left", ["false"], { ...io, stdin: silent }), 1);
  });
});

test("a terminal's stream is passed on raw", async () => {
  await story(async (engine, docker) => {
    engine.programs["sh"] = async ({ stdout, body }) => {
      await stdout(`tty ${body["Tty"]} \x01\x00\x00\x00`);
      return 0;
    };
    const { stdout } = await docker.exec("left", ["sh"], { tty: true });
    assert.is(text(stdout), "tty true \x01\x00\x00\x00");
  });
});

test("an aborted command is killed by the pid that the engine tells", async () => {
  await story(async (engine, docker) => {
    engine.programs["sleep"] = ({ killed }) =>
      new Promise((resolve) => killed.addEventListener("abort", () => resolve(137)));
    const abort = new AbortController();
    const running = docker.exec("left", ["sleep"], { signal: abort.signal }).catch((error) => error);
    await until("the command runs", () => [...engine.execs.values()].some((each) => each.running));
    abort.abort();
    const error = await running as BerthError;
    assert.is(error.code, "interrupted");
    assert.is([...engine.execs.values()][0]!.exit, 137);
  });
});

test("a command that outlives its deadline is killed, and told by its container", async () => {
  await story(async (engine, docker) => {
    engine.programs["sleep"] = ({ killed }) =>
      new Promise((resolve) => killed.addEventListener("abort", () => resolve(137)));
    const running = docker.exec("left", ["sleep"], { timeoutMs: 2000 }).catch((error) => error);
    // The deadline must find the command running, however slow the machine.
    await until("the command runs", () => [...engine.execs.values()].some((each) => each.running));
    const error = await running as BerthError;
    assert.is(
      error.message,
      'Cannot run a command in container "left": no answer from the engine within 2 s',
    );
    assert.is([...engine.execs.values()][0]!.exit, 137);
  });
});

test("a refusal to run is told in Docker's own words", async () => {
  await story(async (engine, docker) => {
    const none = await docker.exec("left", ["nope"]).catch((error) => error) as BerthError;
    assert.match(
      none.message,
      'Cannot run a command in container "left": exec: "nope": executable file not found',
    );
    engine.on("POST", /exec$/, [409, { message: "Container left is paused" }]);
    const paused = await docker.exec("left", ["sh"]).catch((error) => error) as BerthError;
    assert.match(paused.message, /Container left is paused/);
  });
});

test("an engine that dies in the middle of the output is no success", async () => {
  await story(async (engine, docker) => {
    engine.programs["half"] = () => new Promise(() => {});
    let answered: () => void;
    const begun = new Promise<void>((resolve) => answered = resolve);
    const running = docker.execStream("left", ["half"], {
      stdout: () => {},
      stderr: () => {},
      onReady: () => answered(),
    }).catch((error) => error);
    await begun;
    await engine.die();
    const error = await running as BerthError;
    assert.instance(error, BerthError);
    assert.is(error.code, "docker");
  });
});

test("a failing source of input ends the command with its own error", async () => {
  await story(async (engine, docker) => {
    engine.programs["cat"] = cat;
    // deno-lint-ignore require-yield -- it fails first
    async function* broken(): AsyncIterable<Uint8Array> {
      await Promise.resolve();
      throw new Error("disk on fire");
    }
    const io = { stdin: broken(), stdout: () => {}, stderr: () => {} };
    const error = await docker.execStream("left", ["cat"], io).catch((error) => error) as BerthError;
    assert.match(error.message, /disk on fire/);
  });
});

test("containerLogs() takes the streams apart; attach() reads until the container ends", async () => {
  await story(async (engine, docker) => {
    const state = { Status: "running", Running: true, Pid: 1, ExitCode: 0, StartedAt: "x" };
    engine.on("GET", /^\/containers\/left\/json$/, [200, {
      Id: "c",
      Name: "/left",
      State: state,
      Config: {},
      HostConfig: {},
    }]);
    const bytes = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 1, 65, 2, 0, 0, 0, 0, 0, 0, 1, 66]);
    engine.on("GET", /logs$/, (_, reply) => {
      reply.open(200);
      for (const byte of bytes) reply.chunk(new Uint8Array([byte]));
      reply.end();
    });
    const logs = await docker.containerLogs("left", { tail: 5 });
    assert.equal([text(logs.stdout), text(logs.stderr)], ["A", "B"]);
    engine.on("POST", /attach$/, (_, reply) => {
      reply.upgrade();
      reply.socket.end(bytes);
    });
    let out = "";
    await docker.attach("left", {
      stdout: (chunk) => void (out += text(chunk)),
      stderr: (chunk) => void (out += text(chunk)),
    });
    assert.is(out, "AB");
  });
});

test.run();
