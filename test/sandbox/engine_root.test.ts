// deadline: 600s
// The engine's root moves with its content on a real engine: what runs is stopped and started again, what was there
// is there, the former directory is kept; and berth may be killed at any moment of it. Directories play the mounts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Engine, openSandbox, type Sandbox } from "./harness.ts";

const ROOT = "/vms/docker";
const OLD = "/vms/old";
/** 28.5 with its images in containerd, as from 29 on by itself. */
const daemonJson = (engine: Engine) =>
  `${
    JSON.stringify({
      ...{ "iptables": false, "ip6tables": false, "bridge": "none", "data-root": OLD },
      ...(engine === "28.5" ? { features: { "containerd-snapshotter": true } } : {}),
    })
  }\n`;
const IS_LONG = process.env["BERTH_LONG"] === "1";
/** After how many commands of a move berth is killed; a move has some twenty. */
const KILLS = IS_LONG ? Array.from({ length: 24 }, (_, at) => at + 1) : [4, 9, 12, 16];

const berth = async (box: Sandbox, exit: number, ...args: string[]) => {
  const said = await box.run(["berth", ...args], { timeoutMs: 120_000 });
  const there = said.exit === exit
    ? ""
    : (await box.run(["find", "/vms", "-maxdepth", "3", "-printf", "%T+ %p\\n"])).stdout;
  assert.is(said.exit, exit, `berth ${args.join(" ")}: ${said.stdout}${said.stderr}${there}`);
  return said;
};

/** Where daemon.json has the root: what any start of the engine takes. */
const named = (box: Sandbox) =>
  box.sh(`sed -nE 's/.*"data-root": *"([^"]*)".*/\\1/p' /etc/docker/daemon.json 2>/dev/null || true`)
    .then((text) => text.trim() || OLD);

/** All that the story put into the engine; fails where any of it is missing. */
async function isWhole(box: Sandbox, text: string): Promise<void> {
  await box.until("the engine's content", async (seen) => {
    const found = await box.sh(`
      docker image inspect -f '{{.RepoTags}}' box:latest
      docker start web >/dev/null; docker exec web sh -c 'echo $(cat /in-layer /data/in-volume)'; docker exec web sh -c 'ls /linked | wc -l'
      docker start -a done 2>&1 | head -n 1`);
    seen(found);
    return found === `[box:latest]\nlayer${text} volume\n2\nran\n`;
  }, { deadlineMs: 20_000 });
}

function story(engine: Engine): void {
  let box: Sandbox;
  const liveRoot = () => box.sh("docker info -f '{{.DockerRootDir}}'").then((text) => text.trim());

  test(`${engine}: a plan tells what would move, and whom it stops`, async () => {
    box = await openSandbox({ engine, berth: true });
    // A plain directory, for no engine works on a clone's own overlay.
    await box.sh(`mkdir -p /var/lib/docker/disk /vms; mount --bind /var/lib/docker/disk /vms`);
    await box.write("/etc/docker/daemon.json", daemonJson(engine));
    await box.dockerdStart();
    await box.loadImage();
    await box.sh(
      `docker run -d --name web --stop-timeout 0 -v data:/data --network none box:latest sleep 100000
      docker exec web sh -c 'echo layer >/in-layer; echo volume >/data/in-volume; mkdir /linked; echo x >/linked/a
        ln /linked/a /linked/b; mkfifo /pipe; dd if=/dev/zero of=/sparse bs=1M seek=200 count=0 2>/dev/null; rm -rf /bin/vi'
      docker run --name done --network none box:latest echo ran`,
    );
    await box.write("/etc/berth/host.yaml", `engine: { root: ${ROOT} }\n`);
    const { changes } = JSON.parse((await berth(box, 0, "host", "storage", "--dry-run", "--json")).stdout);
    const [{ why, risk }] = changes.filter(({ resource }: { resource: string }) =>
      resource.startsWith("engine")
    );
    assert.match(why, /at "\/vms\/old", wanted "\/vms\/docker": moves [\d.]+ MB of content/);
    assert.match(why, /stops and starts again: web$/);
    assert.is(risk, "disruptive");
    assert.is(await liveRoot(), OLD);
  });

  test(`${engine}: it moves with containers, images and volumes, and the former directory stays`, async () => {
    await berth(box, 0, "host", "storage");
    assert.is(await liveRoot(), ROOT);
    assert.is((await box.sh("docker inspect -f '{{.State.Running}}' web")).trim(), "true");
    await isWhole(box, "");
    assert.match(await box.sh(`ls ${OLD}.set-aside`), /containers/);
    assert.is((await box.sh(`readlink ${OLD}`)).trim(), ROOT);
    assert.is((await box.sh(`ls -A ${ROOT} | grep berth || true`)).trim(), "");
    const again = await berth(box, 0, "host", "storage", "--json");
    assert.equal(JSON.parse(again.stdout).changes, []);
  });

  test(`${engine}: host down leaves it, and with --storage moves it back with what came since`, async () => {
    await box.sh("docker exec web sh -c 'echo layer since >/in-layer'");
    await berth(box, 0, "host", "down");
    assert.is(await named(box), ROOT);
    await berth(box, 0, "host", "down", "--storage");
    assert.is(await named(box), OLD);
    assert.is(await liveRoot(), OLD);
    await isWhole(box, " since");
    assert.match(await box.sh(`ls ${ROOT}.set-aside`), /containers/);
    await box.sh(`rm -rf ${ROOT}.set-aside ${OLD}.set-aside*`);
  });

  for (const calls of KILLS) {
    test(`${engine}: killed after ${calls} commands it leaves a whole root, and the next run ends it`, async () => {
      const run = box.spawn(["berth", "host", "storage", "--verbose"]);
      await box.until("enough commands of the move, or its end", (seen) => {
        const ran = run.stderr.split("\n").filter((line) => /\b(Ran|Called engine)\b/.test(line)).length;
        seen(`${ran} commands`);
        return ran >= calls || run.exit !== null;
      }, { deadlineMs: 60_000, everyMs: 2 });
      run.kill("SIGKILL");
      await run.ended;
      const root = await named(box);
      await box.dockerdStart();
      assert.is(await liveRoot(), root);
      await isWhole(box, " since");
      await berth(box, 0, "host", "storage");
      assert.is(await liveRoot(), ROOT);
      await isWhole(box, " since");
      await berth(box, 0, "host", "down", "--storage");
      assert.is(await liveRoot(), OLD);
      await isWhole(box, " since");
      await box.sh(`rm -rf ${ROOT}.set-aside* ${OLD}.set-aside*`);
    });
  }

  test(`${engine}: a root that stands there is adopted, and the fresh one set aside`, async () => {
    await berth(box, 0, "host", "storage");
    // The system disk is made anew: nothing of berth's is on it, nor daemon.json, and a fresh engine has run.
    await box.dockerdStop();
    // The engine may have left a mount of its own.
    await box.sh(
      `umount ${OLD} ${ROOT} 2>/dev/null || true; rm -rf /var/lib/berth /run/berth ${OLD} ${OLD}.set-aside*`,
    );
    await box.write("/etc/docker/daemon.json", daemonJson(engine));
    await box.dockerdStart();
    assert.is((await box.sh("docker ps -aq")).trim(), "");
    await berth(box, 0, "host", "storage");
    assert.is(await liveRoot(), ROOT);
    await isWhole(box, " since");
    assert.match(await box.sh(`ls ${OLD}.set-aside`), /image|engine-id/);
  });

  test(`${engine}: end of its story`, () => box.close());
}

const only = process.env["BERTH_TEST_ENGINE"];
for (const engine of ["20.10", "28.5"] as const) if (only === undefined || only === engine) story(engine);

test.run();
