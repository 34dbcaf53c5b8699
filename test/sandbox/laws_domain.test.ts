// deadline: 900s
// The laws over the domain's things where a real engine is: a throw-away vhost. What they are: test/laws/domain.test.ts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox } from "./harness.ts";

const LAWS = new URL("../laws/domain.test.ts", import.meta.url).pathname;
const IS_LONG = process.env["BERTH_LONG"] === "1";
/** Which crash points are tried: others each day. */
const SEED = process.env["BERTH_TEST_SEED"] ?? String(Math.floor(Date.now() / 86_400_000));

test("the laws hold for engine, network, policies, firewall and leftovers", async () => {
  const box = await openSandbox();
  try {
    await box.write("/etc/docker/daemon.json", '{"iptables": false}');
    await box.dockerdStart();
    await box.loadImage();
    const said = await box.run([process.execPath, "run", "-A", LAWS], {
      env: { BERTH_TEST_DOMAIN: "1", BERTH_TEST_SEED: SEED, ...(IS_LONG ? { BERTH_LONG: "1" } : {}) },
      timeoutMs: IS_LONG ? 4_000_000 : 850_000,
    });
    assert.is(said.exit, 0, `BERTH_TEST_SEED=${SEED}\n${said.stdout}${said.stderr}`);
    assert.match(said.stdout, /Passed: +[1-9]/);
  } finally {
    await box.close();
  }
});

test.run();
