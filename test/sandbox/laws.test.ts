// deadline: 600s
// The laws where nft, an engine and apt's packages are: a throw-away vhost. test/laws has the rest.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox } from "./harness.ts";

const HERE = new URL(".", import.meta.url).pathname;

test("the laws hold on a vhost with nft", async () => {
  const box = await openSandbox();
  try {
    for (const file of ["kernel", "look", "look_readonly"]) {
      const said = await box.run([process.execPath, "run", "-A", `${HERE}../laws/${file}.test.ts`], {
        timeoutMs: 120_000,
      });
      assert.is(said.exit, 0, `${file}:\n${said.stdout}${said.stderr}`);
      assert.not.match(said.stdout, /SKIP nftables/);
      assert.match(said.stdout, /Passed: +[1-9]/, file);
    }
  } finally {
    await box.close();
  }
});

test("packages are installed from apt's cache without starting their services, and only once", async () => {
  const box = await openSandbox({ engine: "none" });
  try {
    await box.sh("rm -f /usr/sbin/policy-rc.d"); // the machine's own would be respected
    const said = await box.run([process.execPath, "run", "-A", `${HERE}_packages.ts`], {
      timeoutMs: 120_000,
    });
    assert.is(said.exit, 0, said.stderr);
    assert.equal(JSON.parse(said.stdout), {
      planned: ["not installed: docker.io"],
      changed: true,
      again: false,
      policy: null,
      dockerd: true,
      socket: null,
    });
    assert.is((await box.run(["pgrep", "-x", "dockerd"])).exit, 1, "dockerd was not started");
  } finally {
    await box.close();
  }
});

test.run();
