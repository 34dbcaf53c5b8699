// The Engine client against real engines in throw-away vhosts: what the fake engine claims of them is held here.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createDocker } from "../../lib/docker/client.ts";
import type { Docker, Followed } from "../../lib/docker/types.ts";
import { imageTar } from "../../tasks/dev/sandbox/layers.ts";
import { openSandbox, type Sandbox, until } from "./harness.ts";

const MIB = 1024 * 1024;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const quiet = { stdout: () => {}, stderr: () => {} };

async function story(
  engine: "20.10" | "26.1" | "28.5",
  tell: (box: Sandbox, docker: Docker) => Promise<void>,
): Promise<void> {
  const box = await openSandbox({ engine, dockerd: true });
  const docker = createDocker({
    socket: box.clone.outside("/run/docker.sock"),
    kill: async (pid) => void await box.run(["kill", "-9", String(pid)]),
  });
  try {
    await docker.importImage(createReadStream(await imageTar(() => {})), "box:latest", {
      changes: ['CMD ["/bin/sh"]'],
    });
    await tell(box, docker);
  } finally {
    await docker.close();
    await box.close();
  }
}

async function up(
  docker: Docker,
  name: string,
  argv: readonly string[] = ["sleep", "100000"],
): Promise<string> {
  const { id } = await docker.createContainer(name, {
    Image: "box:latest",
    Cmd: argv,
    Labels: { berth: "yes" },
    HostConfig: { Init: false, NetworkMode: "none" },
  });
  await docker.startContainer(name);
  return id;
}

async function* noise(size: number): AsyncIterable<Uint8Array> {
  let seed = 7;
  const chunk = new Uint8Array(65_536);
  for (let left = size; left > 0; left -= chunk.length) {
    for (let i = 0; i < chunk.length; i += 4) {
      seed = Math.imul(seed, 1_664_525) + 1_013_904_223 | 0;
      chunk[i] = seed;
      chunk[i + 1] = seed >> 8;
      chunk[i + 2] = seed >> 16;
      chunk[i + 3] = seed >> 24;
    }
    yield await Promise.resolve(chunk.slice(0, Math.min(left, chunk.length)));
  }
}

/** Follows, and keeps all it hears. */
function listen(docker: Docker) {
  const abort = new AbortController();
  const told: Followed[] = [];
  const done = (async () => {
    for await (const item of docker.follow({ signal: abort.signal })) told.push(item);
  })();
  return {
    told,
    words: () => told.map((each) => each.kind === "event" ? each.event.action : each.kind),
    async end() {
      abort.abort();
      await done;
    },
  };
}

for (
  const [engine, api] of [["20.10", "1.41"], ["26.1", "1.45"], ["28.5", "1.51"]] as [
    "20.10" | "26.1" | "28.5",
    string,
  ][]
) {
  test(`engine ${engine}: containers, images, networks, logs`, () =>
    story(engine, async (_box, docker) => {
      assert.is((await docker.version()).api, api);
      assert.ok((await docker.listImages()).some((each) => each.tags.includes("box:latest")));
      assert.equal((await docker.inspectImage("box:latest"))?.config["Cmd"], ["/bin/sh"]);
      assert.is(await docker.inspectImage("nope:1"), null);
      await up(docker, "left");
      assert.is(await docker.startContainer("left"), false);
      const found = (await docker.inspectContainer("left"))!;
      assert.is(found.name, "left");
      assert.ok(found.state.running && found.state.pid > 0 && found.state.startedAt !== "");
      assert.is(found.restartPolicy, "no");
      assert.is(found.labels["berth"], "yes");
      await docker.updateRestartPolicy("left", "unless-stopped");
      assert.is((await docker.inspectContainer("left"))!.restartPolicy, "unless-stopped");
      assert.equal((await docker.listContainers({ label: "berth=yes" })).map((each) => each.names), [[
        "left",
      ]]);
      const taken = await docker.createContainer("left", { Image: "box:latest" }).catch((error) => error);
      assert.match(taken.message, /Cannot create container "left": Conflict/);
      await docker.renameContainer("left", "port");
      assert.is(await docker.inspectContainer("left"), null);
      const { id } = await docker.createNetwork({
        Name: "n1",
        Driver: "bridge",
        IPAM: { Config: [{ Subnet: "10.9.0.0/24" }] },
      });
      await docker.disconnectNetwork("none", "port", { force: true });
      await docker.connectNetwork("n1", "port", { IPAMConfig: { IPv4Address: "10.9.0.7" } });
      const network = (await docker.inspectNetwork("n1"))!;
      assert.is(network.id, id);
      assert.is(network.subnets[0]?.subnet, "10.9.0.0/24");
      assert.equal(Object.values(network.containers).map((each) => each.address), ["10.9.0.7"]);
      assert.is((await docker.inspectContainer("port"))!.networks["n1"]?.address, "10.9.0.7");
      assert.match(
        (await docker.removeNetwork("n1").catch((error) => error)).message,
        /has active endpoints|in use/,
      );
      assert.is(await docker.disconnectNetwork("n1", "port"), true);
      assert.is(await docker.disconnectNetwork("n1", "port"), false);
      assert.is(await docker.disconnectNetwork("n1", "nobody"), false);
      assert.is(await docker.removeNetwork("n1"), true);
      assert.is(await docker.removeNetwork("n1"), false);
      assert.is(await docker.stopContainer("port", { graceSeconds: 0 }), true);
      assert.is(await docker.stopContainer("port"), false);
      assert.is(await docker.removeContainer("port"), true);
      assert.is(await docker.removeContainer("port"), false);
      await up(docker, "talk", ["sh", "-c", "echo out; echo err >&2; exit 3"]);
      assert.is(await docker.waitContainer("talk"), 3);
      const logs = await docker.containerLogs("talk");
      assert.equal([text(logs.stdout), text(logs.stderr)], ["out\n", "err\n"]);
    }));

  test(`engine ${engine}: exec both ways with 20 MiB, ends of input, exit codes and kill`, () =>
    story(engine, async (box, docker) => {
      await up(docker, "left");
      const [sent, got] = [createHash("sha256"), createHash("sha256")];
      async function* stdin() {
        for await (const chunk of noise(20 * MIB)) {
          sent.update(chunk);
          yield chunk;
        }
      }
      let size = 0;
      const io = {
        ...quiet,
        stdin: stdin(),
        stdout: (chunk: Uint8Array) => void (got.update(chunk), size += chunk.length),
      };
      assert.is(await docker.execStream("left", ["cat"], io), 0);
      assert.is(size, 20 * MIB);
      assert.is(got.digest("hex"), sent.digest("hex"));
      const said = await docker.exec("left", ["sh", "-c", "cat >/dev/null; echo out; echo err >&2; exit 5"], {
        input: new Uint8Array(1000),
      });
      assert.equal([said.exit, text(said.stdout), text(said.stderr)], [5, "out\n", "err\n"]);
      // A command that ends without reading all of its input.
      const head = await docker.exec("left", ["sh", "-c", "head -c 3; echo; exit 4"], {
        input: new TextEncoder().encode("abc".repeat(2_000_000)),
        timeoutMs: 20_000,
      });
      assert.equal([head.exit, text(head.stdout)], [4, "abc\n"]);
      assert.is(text((await docker.exec("left", ["tty"], { tty: true })).stdout).trim().slice(0, 5), "/dev/");
      const missing = await docker.exec("left", ["/no/such"]).catch((error) => error);
      assert.ok(
        missing.exit === 126 || missing.exit === 127 || /no such file/.test(missing.message),
        JSON.stringify(missing),
      );
      const abort = new AbortController();
      const running = docker.exec("left", ["sleep", "31415"], { signal: abort.signal }).catch((error) =>
        error
      );
      const sleeps = async () => (await box.run(["pgrep", "-f", "sleep 31415"])).stdout.trim();
      await until("the command to run", sleeps);
      abort.abort();
      assert.is((await running).code, "interrupted");
      assert.is(await sleeps(), "");
    }));

  test(`engine ${engine}: a restart's events in order, and a dockerd that is killed and comes back`, () =>
    story(engine, async (box, docker) => {
      const listener = listen(docker);
      try {
        await until("connected", () => listener.words().includes("resync"));
        await up(docker, "left", ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]);
        await until("start", () => listener.words().includes("start"));
        listener.told.length = 0;
        await docker.restartContainer("left");
        const words = await until("restart", (seen) => {
          seen(listener.words());
          return listener.words().includes("restart") ? listener.words() : null;
        });
        const life = words.filter((each) => ["kill", "die", "stop", "start", "restart"].includes(each));
        assert.is(life[0], "kill");
        assert.equal([...life.slice(1, 3)].sort(), ["die", "stop"]);
        assert.equal(life.slice(3), ["start", "restart"]);
        const nanos = listener.told.flatMap((each) => each.kind === "event" ? [each.event.timeNano] : []);
        assert.ok(nanos.every((each) => /^\d{19}$/.test(each)));
        listener.told.length = 0;
        await box.dockerdKill9();
        await until("disconnected", () => listener.words().includes("disconnected"));
        await box.dockerdStart();
        await until("connected again", (seen) => {
          seen(listener.words());
          return listener.words().join(" ").includes("connected resync");
        }, { deadlineMs: 20_000 });
        listener.told.length = 0;
        // The engine that came back tells what happens.
        await docker.removeContainer("left", { force: true });
        await until("destroy", () => listener.words().includes("destroy"));
      } finally {
        await listener.end();
      }
    }));
}

test.run();
