// An engine that somebody else is just starting: it has a process already, but not yet the pid file that it writes
// itself. berth waits for it instead of starting a second one, which would make one of the two fail.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox } from "./harness.ts";

test("an engine that has not written its pid file yet is not started again", async () => {
  const box = await openSandbox({ engine: "20.10", dockerd: true, berth: true });
  try {
    const berth = (...argv: string[]) => box.run(["berth", ...argv], { timeoutMs: 180_000 });
    const up = await berth("host", "up");
    assert.is(up.exit, 0, `${up.stdout}${up.stderr}`);
    // As Debian's init script leaves it until dockerd has come so far.
    await box.sh("mv /run/docker.pid /run/away; cp /run/away /run/docker-ssd.pid");
    const plan = await berth("host", "plan");
    assert.is(plan.exit, 0, `${plan.stdout}${plan.stderr}`);
    assert.not.match(plan.stdout, "engine docker");
    // What stands there of an earlier life counts for nothing.
    await box.dockerdStop();
    await box.sh("echo 1 >/run/docker-ssd.pid");
    assert.match((await berth("host", "plan")).stdout, "+ create engine docker: not running");
  } finally {
    await box.close();
  }
});

test.run();
