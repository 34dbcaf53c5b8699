import { test } from "uvu";
import * as assert from "uvu/assert";
import { createDocker } from "../../lib/docker/client.ts";
import { engineDoor } from "../../lib/docker/door.ts";
import { DockerError, isEngineGone } from "../../lib/docker/errors.ts";
import { splitReference } from "../../lib/docker/images.ts";
import type { Docker } from "../../lib/docker/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { FakeEngine } from "../fake/engine.ts";

/** Runs a story with an engine and a client of it, and ends both. */
async function story(
  tell: (engine: FakeEngine, docker: Docker, clock: FakeClock) => Promise<void>,
): Promise<void> {
  const engine = await new FakeEngine().start();
  const clock = new FakeClock();
  const docker = createDocker({ socket: engine.socket, clock });
  try {
    await tell(engine, docker, clock);
  } finally {
    await docker.close();
    await engine.die();
  }
}

/** The error of a call that must fail. */
async function failure(call: Promise<unknown>): Promise<BerthError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof BerthError) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

const CONTAINER = {
  Id: "c1",
  Name: "/left",
  Image: "sha256:1",
  HostsPath: "/h",
  ResolvConfPath: "/r",
  LogPath: "/l",
  State: {
    Status: "running",
    Running: true,
    Pid: 12,
    ExitCode: 0,
    StartedAt: "2026-01-01T00:00:00.1Z",
    FinishedAt: "0001-01-01T00:00:00Z",
  },
  Config: { Image: "busybox", Hostname: "left", Labels: null, Tty: false },
  HostConfig: { Runtime: "berth", RestartPolicy: { Name: "" } },
  NetworkSettings: {
    Networks: {
      _dockercnet: { NetworkID: "n1", IPAddress: "172.16.0.2", MacAddress: "02:00:ac:10:00:02", Gateway: "" },
    },
  },
};

test("createDocker() contacts nothing before the first call", async () => {
  await story(async (engine, docker) => {
    assert.equal(engine.seen, []);
    assert.equal(await docker.version(), { version: "20.10.24", api: "1.41", minApi: "1.12" });
    await docker.version();
    assert.equal(engine.seen, ["GET /version"]);
  });
});

test("version() speaks the engine's own API however new, and asks again when the engine was exchanged", async () => {
  await story(async (engine, docker) => {
    engine.api = "1.99";
    const used: string[] = [];
    engine.on("GET", /^\/networks$/, ({ version }, reply) => {
      used.push(version);
      if (version === engine.api) return reply.send(200, []);
      reply.send(400, {
        message: `client version ${version} is too new. Maximum supported API version is 1.44`,
      });
    });
    await docker.listNetworks();
    engine.api = "1.44";
    await docker.listNetworks();
    assert.equal(used, ["1.99", "1.99", "1.44"]);
  });
});

test("version() refuses an engine that is too old, naming both versions", async () => {
  await story(async (engine, docker) => {
    engine.api = "1.9";
    const error = await failure(docker.listNetworks());
    assert.is(error.message, "Cannot use engine 20.10.24: its API is 1.9, wanted 1.40 or newer");
  });
});

test("inspectContainer() answers in our words", async () => {
  await story(async (engine, docker) => {
    engine.on("GET", /^\/containers\/left\/json$/, [200, CONTAINER]);
    const found = (await docker.inspectContainer("left"))!;
    assert.is(found.name, "left");
    assert.is(found.restartPolicy, "no");
    assert.equal(found.labels, {});
    assert.is(found.state.finishedAt, "");
    assert.is(found.state.pid, 12);
    assert.is(found.networks["_dockercnet"]?.address, "172.16.0.2");
    assert.is(await docker.inspectContainer("right"), null);
  });
});

test("a missing field is an error that names endpoint and field", async () => {
  await story(async (engine, docker) => {
    const { Pid: _, ...State } = CONTAINER.State;
    engine.on("GET", /json$/, [200, { ...CONTAINER, State }]);
    const error = await failure(docker.inspectContainer("left"));
    assert.is(
      error.message,
      `Cannot understand the engine's answer to "GET /containers/{id}/json": "State.Pid" is missing`,
    );
  });
});

test("start, stop and remove tell whether there was anything to do", async () => {
  await story(async (engine, docker) => {
    engine.on("POST", /start$/, [304]);
    engine.on("POST", /stop$/, [204]);
    engine.on("DELETE", /gone$/, [404, { message: "No such container: gone" }]);
    assert.is(await docker.startContainer("left"), false);
    assert.is(await docker.stopContainer("left", { graceSeconds: 0 }), true);
    assert.is(await docker.removeContainer("gone"), false);
  });
});

test("errors carry object, Docker's own message and the next step", async () => {
  await story(async (engine, docker) => {
    engine.on("DELETE", /left$/, [409, { message: "You cannot remove a running container" }]);
    const error = await failure(docker.removeContainer("left"));
    assert.equal(error.toJSON(), {
      code: "docker",
      object: "container left",
      message: 'Cannot remove container "left": You cannot remove a running container',
      next: "Stop it first, or remove it by force",
    });
    assert.is((error as DockerError).status, 409);
    engine.on("POST", /start$/, [500]);
    assert.is(
      (await failure(docker.startContainer("left"))).message,
      'Cannot start container "left": the engine failed',
    );
  });
});

test("a garbled answer is quoted by its field, not by a stack trace", async () => {
  await story(async (engine, docker) => {
    engine.on("GET", /json$/, [200, '{"Id": "c1", ']);
    const error = await failure(docker.inspectContainer("left"));
    assert.match(error.message, /Cannot understand the engine's answer/);
  });
});

test("no socket, a dead socket and a closed client are told apart", async () => {
  const engine = await new FakeEngine().start();
  const docker = createDocker({ socket: engine.socket });
  await docker.ping();
  await engine.die();
  const error = await failure(docker.version({ fresh: true }));
  assert.match(error.message, `there is no socket "${engine.socket}"`);
  assert.match(error.next!, /Is the engine running\?/);
  assert.ok(isEngineGone(error));
  assert.is(await docker.ping(), false);
  await docker.close();
  assert.match((await failure(docker.info())).message, /this client was closed/);
});

test("an engine that dies in the middle of a call is told; a GET on a connection that died before is repeated", async () => {
  await story(async (engine, docker) => {
    engine.on("POST", /start$/, (_, reply) => void reply.socket.destroy());
    const error = await failure(docker.startContainer("left"));
    assert.match(error.message, /the engine closed the connection/);
    assert.ok(isEngineGone(error));
    let tries = 0;
    engine.on("GET", /^\/info$/, (_, reply) => {
      if (tries++ === 0) reply.socket.destroy();
      else reply.send(200, { ID: "x" });
    });
    assert.equal(await docker.info(), { ID: "x" });
  });
});

test("every call has a deadline, and ends at once by its signal", async () => {
  await story(async (engine, docker, clock) => {
    await docker.version();
    engine.on("GET", /^\/info$/, () => {});
    const late = failure(docker.info({ timeoutMs: 2000 }));
    await until("the call is under way", () => engine.seen.includes("GET /info"));
    clock.advance(2000);
    const error = await late;
    assert.is(error.message, "Cannot ask the engine about itself: no answer from the engine within 2 s");
    assert.is(clock.pending, 0);
    const abort = new AbortController();
    const aborted = failure(docker.info({ signal: abort.signal }));
    abort.abort();
    assert.is((await aborted).code, "interrupted");
  });
});

test("names that would walk through a path are refused before they are sent", async () => {
  await story(async (engine, docker) => {
    for (const name of ["", ".", "..", "../x", "a/../b", "a b", "a\nb", "/x", "x/"]) {
      assert.match(
        (await failure(docker.startContainer(name))).message,
        /is no name or id/,
        JSON.stringify(name),
      );
    }
    assert.equal(engine.seen.filter((each) => each.startsWith("POST")), []);
    engine.on("POST", /start$/, [204]);
    await docker.startContainer("$(reboot)?x=1#y");
    assert.ok(engine.seen.includes("POST /containers/$(reboot)?x=1#y/start"));
  });
});

test("waitContainer() waits as long as it takes and answers with the exit code", async () => {
  await story(async (engine, docker, clock) => {
    let release = () => {};
    engine.on("POST", /wait$/, async (_, reply) => {
      reply.open(200);
      await new Promise<void>((resolve) => release = resolve);
      reply.chunk('{"StatusCode":129}');
      reply.end();
    });
    const waited = docker.waitContainer("left", "next-exit");
    await until("the wait is under way", () => engine.seen.some((each) => each.endsWith("wait")));
    clock.advance(24 * 3600_000);
    release();
    assert.is(await waited, 129);
  });
});

test("pull, load and import read their progress, and errors that come with status 200", async () => {
  await story(async (engine, docker) => {
    let sent = 0;
    engine.on("POST", /^\/images\/create$/, ({ query, body }, reply) => {
      sent += body.length;
      reply.open(200);
      reply.chunk('{"status":"Pulling","id":"ab"}\r\n{"sta');
      reply.chunk(
        query.has("fromSrc") ? 'tus":"sha256:77"}' : 'tus":"x"}\n{"errorDetail":{"message":"no such tag"}}\n',
      );
      reply.end();
    });
    const lines: string[] = [];
    const error = await failure(docker.pullImage("reg:5000/a/b:c", (line) => lines.push(line)));
    assert.is(error.message, 'Cannot pull image "reg:5000/a/b:c": no such tag');
    assert.equal(lines.slice(0, 2), ["ab Pulling", "x"]);
    async function* tar() {
      for (let i = 0; i < 10; i++) yield await Promise.resolve(new Uint8Array(100_000));
    }
    assert.is(await docker.importImage(tar(), "x:1"), "sha256:77");
    assert.is(sent, 1_000_000);
    engine.on("POST", /^\/images\/load$/, [200, { stream: "Loaded image: busybox:latest\n" }]);
    assert.equal(await docker.loadImage(tar()), ["busybox:latest"]);
  });
});

test("splitReference() keeps a registry's port apart from a tag", () => {
  assert.equal(splitReference("busybox"), { name: "busybox", tag: "latest" });
  assert.equal(splitReference("r:5000/a"), { name: "r:5000/a", tag: "latest" });
  assert.equal(splitReference("r:5000/a:b"), { name: "r:5000/a", tag: "b" });
  assert.equal(splitReference("a:b@sha256:00"), { name: "a", tag: "sha256:00" });
});

test("engineDoor() answers with a 404 as it came, and throws on a call's status that is not wanted", async () => {
  await story(async (engine, docker) => {
    const door = engineDoor(docker);
    assert.equal(await door.get("/networks/x"), { status: 404, body: { message: "page not found" } });
    assert.equal(await door.get("/_ping"), { status: 200, body: "OK" });
    engine.on("POST", /^\/networks\/create$/, [409, { message: "network with name x already exists" }]);
    const request = { method: "POST", path: "/networks/create", body: { Name: "x" } } as const;
    assert.is(
      (await failure(door.call(request))).message,
      "Cannot POST /networks/create: network with name x already exists",
    );
    assert.is((await door.call({ ...request, okStatus: [409] })).status, 409);
  });
});

test.run();
