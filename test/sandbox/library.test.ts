// deadline: 300s
// mod.ts on a real vhost: five lines follow the engine's events and wire a vnode that nobody wired.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CHECKOUT } from "../../tasks/dev/sandbox/paths.ts";
import { hostEndName } from "../../lib/vnode/names.ts";
import { openVhost, wiringDump } from "./vhost.ts";

const PROGRAM = `import { createDocker, createHost, createLog, reconcile } from "${CHECKOUT}/mod.ts";
const docker = createDocker({ socket: "/var/run/docker.sock" }), host = createHost(), log = createLog({ level: "info" });
for await (const told of docker.follow({ signal: AbortSignal.timeout(200_000) })) {
  if (told.kind === "event" && told.event.action === "start") console.log(await reconcile({ host, docker, log }, told.event.name));
}`;

test("a program of five lines follows events and wires a vnode", async () => {
  const box = await openVhost("20.10");
  try {
    const wired = await wiringDump(box);
    // Without its gate a start is not wired: as if somebody had started the vnode with another runtime.
    await box.sh("printf '#!/bin/sh\\nexec runc \"$@\"\\n' >/usr/lib/berth/runtime");
    await box.write("/root/program.ts", PROGRAM);
    const program = box.spawn([
      `${CHECKOUT}/node_modules/.bin/deno`,
      "run",
      "-A",
      `--config=${CHECKOUT}/deno.json`,
      "--no-check",
      "/root/program.ts",
    ]);
    // A start before the program has subscribed would be missed: restart until one is seen. Not too soon again: a life
    // that ends while it is wired ends a program of five lines.
    let restarted = 0;
    await box.until("the program to tell of a wired vnode", async (seen) => {
      if (Date.now() - restarted > 20_000) {
        await box.sh("docker restart -t 0 left >/dev/null");
        restarted = Date.now();
      }
      seen(program.stdout + program.stderr);
      return /state: "wired", changed: true/.test(program.stdout);
    }, { deadlineMs: 180_000 });
    const strip = (dump: string) => dump.replace(/"veth\w+"/g, "PORT").split("\n").sort().join("\n");
    await box.until("the same wiring as the gate's", async (seen) => {
      const now = strip(await wiringDump(box));
      seen(now);
      return now === strip(wired);
    });
    assert.match(await box.sh("ip link"), new RegExp(hostEndName("left", "eth1")));
    await box.sh("docker exec left ping -c 1 -W 2 10.1.0.2");
    program.kill("SIGTERM");
  } finally {
    await box.close();
  }
});

test.run();
