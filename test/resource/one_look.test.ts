// One look for many things: what is asked twice is answered once, but whoever waits for a change sees it come.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Look } from "../../lib/host/types.ts";
import { DAEMON_JSON, observeEngine } from "../../lib/resource/engine_look.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";
import { oneLook } from "../../lib/resource/one_look.ts";
import { dockerdCommands, dockerdDoor, startDockerd, stopDockerd } from "../fake/dockerd.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";

/** An engine that has a process and does not answer the first pings; `then` is called after them. */
function starting(then: (host: FakeHost) => void): Look {
  const host: FakeHost = createFakeHost({
    files: { "/usr/sbin/dockerd": "" },
    commands: [dockerdCommands],
    engine: dockerdDoor(() => host.machine),
  });
  for (const path of ["/etc/docker", "/sys/class/net", "/var/run"]) host.machine.directories.set(path, 0o755);
  startDockerd(host.machine);
  let pings = 0;
  return {
    ...host,
    engine(path) {
      if (path !== "/_ping" || pings === 3) return host.engine(path);
      if (++pings === 3) then(host);
      return Promise.resolve(null);
    },
  };
}

const instanceOf = async (look: Look) =>
  (await observeEngine(oneLook(look), jsonFile(DAEMON_JSON, {}), { waits: true })).instance;

test("oneLook() asks once what is asked twice", async () => {
  let asked = 0;
  const look = oneLook({ ...starting(() => {}), readText: () => Promise.resolve(String(++asked)) });
  assert.equal(await Promise.all([look.readText("/a"), look.readText("/a"), look.readText("/b")]), [
    "1",
    "1",
    "2",
  ]);
});

test("observeEngine() sees within one look that an engine has come up", async () => {
  assert.type(await instanceOf(starting(() => {})), "string");
});

test("observeEngine() sees within one look that an engine has ended instead", async () => {
  assert.is(await instanceOf(starting(({ machine }) => stopDockerd(machine))), null);
});

test.run();
