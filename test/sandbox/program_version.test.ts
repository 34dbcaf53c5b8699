// What a program says of its version holds as long as its file: dockerd takes a tenth of a second to say it, and a run
// looks more than once.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox } from "./harness.ts";

test("dockerd is asked for its version once a run", async () => {
  const box = await openSandbox({ engine: "20.10", berth: true });
  try {
    await box.sh(`mkdir /opt/real; mv /usr/sbin/dockerd /opt/real/dockerd
      printf '#!/bin/sh\\n[ "$1" != --version ] || echo asked >>/run/asked\\nexec /opt/real/dockerd "$@"\\n' >/usr/sbin/dockerd
      chmod 755 /usr/sbin/dockerd`);
    const up = await box.run(["berth", "host", "up"], { timeoutMs: 180_000 });
    assert.is(up.exit, 0, `${up.stdout}${up.stderr}`);
    assert.is(await box.read("/run/asked"), "asked\n");
    await box.sh("echo '{}' >/etc/docker/daemon.json");
    assert.is((await box.run(["berth", "host", "check"])).exit, 2);
    assert.is(await box.read("/run/asked"), "asked\nasked\n");
  } finally {
    await box.close();
  }
});

test.run();
