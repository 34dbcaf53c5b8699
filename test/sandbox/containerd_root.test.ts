// deadline: 600s
// An engine whose images live in a containerd of its own: they move with it, by a bind mount; berth may be killed at
// any moment of it. Directories play the volumes, for no overlay lies on a clone's own.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox, type Sandbox } from "./harness.ts";

const HOME = "/var/lib/containerd";
const PLACE = "/vms/containerd";
const IS_LONG = process.env["BERTH_LONG"] === "1";
/** After how many commands of a move berth is killed; a move has some twenty, the copy is the sixth or so. */
const KILLS = IS_LONG ? Array.from({ length: 24 }, (_, at) => at + 1) : [5, 12, 15];

let box: Sandbox;

async function berth(exit: number, ...args: string[]) {
  const said = await box.run(["berth", ...args], { timeoutMs: 120_000 });
  assert.is(said.exit, exit, `berth ${args.join(" ")}: ${said.stdout}${said.stderr}`);
  return said;
}

/** As an operator would, by hand. Does nothing where it answers. */
async function containerdStart(): Promise<void> {
  await box.sh(`pgrep -x containerd >/dev/null ||
    setsid containerd --log-level warn >>/run/sandbox/containerd.log 2>&1 </dev/null &`);
  await box.until("containerd to answer", async (seen) => {
    const said = await box.run(["ctr", "version"]);
    seen(said.stderr);
    return said.exit === 0;
  }, { deadlineMs: 30_000 });
}

async function daemonsStop(): Promise<void> {
  await box.dockerdStop();
  await box.sh("pkill -x containerd || true");
  await box.until("containerd to end", async () => (await box.run(["pgrep", "-x", "containerd"])).exit !== 0);
}

const isBound = async () => (await box.run(["mountpoint", "-q", HOME])).exit === 0;
const hasLine = async () => (await box.run(["grep", "-q", ` ${HOME} none bind,`, "/etc/fstab"])).exit === 0;

/** All that the story put into the engine; fails where any of it is missing. */
async function isWhole(text: string): Promise<void> {
  await box.until("the engine's content", async (seen) => {
    const found = await box.sh(`
      docker info -f '{{.DriverStatus}}' | grep -o io.containerd.snapshotter.v1
      docker image inspect -f '{{.RepoTags}}' box:latest
      docker start web >/dev/null; docker exec web sh -c 'cat /in-layer; ls /linked | wc -l; ls /bin/vi 2>&1 || true'
      docker start -a done 2>&1 | head -n 1
      ctr -n moby images ls -q`);
    seen(found);
    return found ===
      `io.containerd.snapshotter.v1\n[box:latest]\nlayer${text}\n2\nls: /bin/vi: No such file or directory\nran\ndocker.io/library/box:latest\n`;
  }, { deadlineMs: 30_000 });
}

const asides = () => box.sh(`ls -d ${HOME}.set-aside* ${PLACE}.set-aside* 2>/dev/null || true`);

test("a plan tells what would move, and whom it stops", async () => {
  box = await openSandbox({ engine: "28.5", berth: true });
  // A /var/lib on a plain directory, with what else is there.
  await box.sh(`mkdir -p /var/lib/docker/lib/docker /var/lib/docker/lib/containerd /var/lib/docker/vms /vms
    umount /var/lib/containerd
    mount --bind /var/lib/docker/vms /vms
    for path in /var/lib/*; do
      case $path in */docker | */containerd) continue ;; esac
      [ -d "$path" ] || continue
      mkdir -p "/var/lib/docker/lib/\${path##*/}"
      mount --bind "$path" "/var/lib/docker/lib/\${path##*/}"
    done
    mount --rbind /var/lib/docker/lib /var/lib`);
  const config = {
    ...{ "iptables": false, "ip6tables": false, "data-root": "/vms/docker" },
    features: { "containerd-snapshotter": true },
  };
  await box.write("/etc/docker/daemon.json", `${JSON.stringify(config)}\n`);
  await containerdStart();
  await box.dockerdStart();
  await box.loadImage();
  await box.sh(`docker run -d --name web --stop-timeout 0 --network none box:latest sleep 100000
    docker exec web sh -c 'echo layer >/in-layer; mkdir /linked; echo x >/linked/a; ln /linked/a /linked/b
      mkfifo /pipe; rm -rf /bin/vi'
    docker run --name done --network none box:latest echo ran`);
  await isWhole("");
  await box.write("/etc/berth/host.yaml", "engine: { root: /vms/docker }\n");
  const { changes } = JSON.parse((await berth(0, "host", "storage", "--dry-run", "--json")).stdout);
  const [{ why, risk }] = changes.filter(({ resource }: { resource: string }) =>
    resource.startsWith("containerd")
  );
  assert.match(why, /at "\/var\/lib\/containerd", wanted "\/vms\/containerd": moves [\d.]+ MB of images/);
  assert.match(why, /stops and starts again: web$/);
  assert.is(risk, "disruptive");
  assert.not(await isBound());
});

test("images and containers move, and the former content stays", async () => {
  await berth(0, "host", "storage");
  assert.ok(await isBound() && await hasLine());
  assert.is((await box.sh("docker inspect -f '{{.State.Running}}' web")).trim(), "true");
  await isWhole("");
  assert.match(await box.sh(`ls ${HOME}.set-aside`), /io.containerd.snapshotter.v1.overlayfs/);
  assert.is(
    (await box.sh(`ls -A ${PLACE} /run/berth | grep -E 'berth-copy|under|containerd-root' || true`)).trim(),
    "",
  );
  assert.equal(JSON.parse((await berth(0, "host", "storage", "--json")).stdout).changes, []);
});

test("a missing mount is found, and mended", async () => {
  await daemonsStop();
  await box.sh(`umount ${HOME}`);
  const { stdout, stderr } = await berth(2, "host", "check");
  assert.match(
    stdout + stderr,
    /containerd root \/vms\/containerd.*"\/vms\/containerd" is not mounted at "\/var/,
  );
  await berth(0, "host", "storage");
  assert.ok(await isBound());
  await containerdStart();
  await box.dockerdStart();
  await isWhole("");
});

test("drift: a mount, gone while all runs, is found alone, and mended", async () => {
  const told = async (exit: number, command: string) => {
    const { differences, changes } = JSON.parse((await berth(exit, "host", command, "--json")).stdout) as {
      readonly differences?: readonly { readonly resource: string }[];
      readonly changes?: readonly { readonly resource: string }[];
    };
    return (differences ?? changes ?? []).map(({ resource }) => resource);
  };
  await berth(0, "host", "up");
  await box.sh(`umount -l ${HOME}`);
  assert.equal(await told(2, "check"), ["containerd root /vms/containerd"]);
  assert.equal(await told(0, "up"), ["containerd root /vms/containerd"]);
  assert.ok(await isBound());
  assert.equal(await told(0, "check"), []);
  await isWhole("");
});

test("host down leaves them, and with --storage moves them back with what came since", async () => {
  await box.sh("docker exec web sh -c 'echo layer since >/in-layer'");
  await berth(0, "host", "down");
  assert.ok(await isBound());
  await berth(0, "host", "down", "--storage");
  assert.not(await isBound());
  assert.not(await hasLine());
  await isWhole(" since");
  assert.match(await asides(), /\/vms\/containerd.set-aside/);
});

// Killed there, a run was followed by "No such image": the next took the draft for a root in use.
test("a mark that was never finished is no content", async () => {
  await box.sh(`rm -rf ${HOME}.set-aside* ${PLACE}.set-aside*
    mkdir -p ${PLACE}; echo half >${PLACE}/..berth-copy.berth-1-1`);
  await berth(0, "host", "storage");
  assert.ok(await isBound());
  await isWhole(" since");
  assert.is((await box.sh(`ls -A ${PLACE} ${HOME}.set-aside | grep berth || true`)).trim(), "");
  await berth(0, "host", "down", "--storage");
  assert.not(await isBound());
  await isWhole(" since");
});

for (const calls of KILLS) {
  test(`killed after ${calls} commands it leaves whole content in use, and the next run ends it`, async () => {
    await box.sh(`rm -rf ${HOME}.set-aside* ${PLACE}.set-aside*`);
    const run = box.spawn(["berth", "host", "storage", "--verbose"]);
    await box.until("enough commands of the move, or its end", (seen) => {
      const ran = run.stderr.split("\n").filter((line) => /\b(Ran|Called engine)\b/.test(line)).length;
      seen(`${ran} commands`);
      return ran >= calls || run.exit !== null;
    }, { deadlineMs: 60_000, everyMs: 2 });
    run.kill("SIGKILL");
    await run.ended;
    // What it has begun ends by itself; a script may not have come to its lock yet.
    const ops = `start-stop-daemon|mkdir -p /run/berth/lock|mount ${HOME}`;
    await box.until("no command of its under way", async (seen) => {
      const left = await box.run(["pgrep", "-af", ops]);
      seen(left.stdout);
      return left.exit !== 0;
    }, { deadlineMs: 60_000 });
    // A daemon that is on its way out must not be taken for one that runs: dockerd would start a containerd of its own.
    await daemonsStop();
    await containerdStart();
    await box.dockerdStart();
    await isWhole(" since");
    await berth(0, "host", "storage");
    assert.ok(await isBound());
    await isWhole(" since");
    await berth(0, "host", "down", "--storage");
    assert.not(await isBound());
    await isWhole(" since");
  });
}

test("content that stands there is adopted, and the fresh one set aside", async () => {
  await box.sh(`rm -rf ${HOME}.set-aside* ${PLACE}.set-aside*`);
  await berth(0, "host", "storage");
  await daemonsStop();
  // The system disk is made anew: nothing of berth's is on it, and a fresh containerd has run.
  await box.sh(`umount ${HOME}; chattr -i ${HOME} || true
    rm -rf /var/lib/berth/* /run/berth ${HOME}/* ${HOME}.set-aside*; sed -i '/x-berth/d' /etc/fstab`);
  await containerdStart();
  await berth(0, "host", "storage");
  assert.ok(await isBound() && await hasLine());
  await containerdStart();
  await box.dockerdStart();
  await isWhole(" since");
  assert.match(await box.sh(`ls ${HOME}.set-aside`), /io.containerd.metadata.v1.bolt/);
});

test("the end of its story", () => box.close());

test.run();
