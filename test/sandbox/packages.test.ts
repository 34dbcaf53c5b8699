// deadline: 600s
// Packages on a machine where others use dpkg too: another apt at work, an operator's policy-rc.d, a power cut.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox, type Sandbox } from "./harness.ts";

const HERE = new URL(".", import.meta.url).pathname;
const POLICY = "/usr/sbin/policy-rc.d";
/** Locks as dpkg and apt do (fcntl), says so, and holds on until it is killed. */
const HOLD = `use Fcntl; open(my $f, ">", "/var/lib/dpkg/lock-frontend") or die;
my $lock = pack("ssx4qqi", F_WRLCK, 0, 0, 0, 0);
fcntl($f, F_SETLK, $lock) or die; $| = 1; print "holds it\\n"; sleep;`;

let box: Sandbox;

test("another apt at work is waited for, up to a deadline, and named then", async () => {
  box = await openSandbox({ engine: "none", berth: true });
  await box.write(POLICY, "#!/bin/sh\nexit 0\n");
  await box.sh(`chmod 755 ${POLICY}`);
  await box.write("/tmp/hold.pl", HOLD);
  box.spawn(["bash", "-c", "echo $$ >/tmp/holder; exec perl /tmp/hold.pl >/tmp/held 2>&1"]);
  await box.until("the lock to be held", async () => {
    const { stdout } = await box.run(["cat", "/tmp/held"]);
    return stdout.includes("holds it");
  });
  const holder = (await box.read("/tmp/holder")).trim();
  const said = await box.run([process.execPath, "run", "-A", `${HERE}_packages_held.ts`], {
    timeoutMs: 120_000,
  });
  assert.match(said.stdout, new RegExp(`held by process ${holder} \\(perl\\)`), said.stdout + said.stderr);
  assert.is(await box.read(POLICY), "#!/bin/sh\nexit 0\n");
});

test("once it is done berth goes on; nothing it installs starts, whatever the operator's policy allows", async () => {
  const going = box.run(["berth", "host", "packages"], { timeoutMs: 180_000 });
  await box.until("apt to wait", async (seen) => {
    const { stdout } = await box.run(["pgrep", "-a", "apt-get"]);
    seen(stdout);
    return stdout.includes("install");
  }, { deadlineMs: 60_000 });
  await box.sh("kill $(cat /tmp/holder)");
  const said = await going;
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.is((await box.run(["test", "-x", "/usr/sbin/dockerd"])).exit, 0, "installed");
  assert.is((await box.run(["pgrep", "-x", "dockerd"])).exit, 1, "not started");
  assert.is(await box.read(POLICY), "#!/bin/sh\nexit 0\n");
  assert.is(
    (await box.sh(`stat -c %a ${POLICY}; ls /usr/sbin | grep -c berth-aside || true`)).trim(),
    "755\n0",
  );
});

test("where all is there no apt and no dpkg is called, so that it works offline", async () => {
  await box.sh(`for one in apt-get apt-cache dpkg dpkg-query; do
    printf '#!/bin/sh\\necho "$0 $*" >>/tmp/called; exit 99\\n' >/usr/local/sbin/$one; chmod 755 /usr/local/sbin/$one; done`);
  const said = await box.run(["berth", "host", "packages"], { timeoutMs: 60_000 });
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.is(await box.sh("cat /tmp/called 2>/dev/null || true"), "");
  await box.sh(
    "rm /usr/local/sbin/apt-get /usr/local/sbin/apt-cache /usr/local/sbin/dpkg /usr/local/sbin/dpkg-query",
  );
});

test("a policy-rc.d that a crash has left gives way to the operator's", async () => {
  await box.sh(`mv ${POLICY} ${POLICY}.berth-aside
    printf '#!/bin/sh\\n# berth: packages are installed without starting their services\\nexit 101\\n' >${POLICY}`);
  const said = await box.run(["berth", "host", "packages"], { timeoutMs: 60_000 });
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.is(await box.read(POLICY), "#!/bin/sh\nexit 0\n");
  await box.close();
});

test.run();
