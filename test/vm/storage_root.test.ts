// deadline: 3000s
// The engine and berth's records on volumes, on a whole machine: the root moved with what runs on it, no engine where
// its volume is missing, growth under it; a reboot, a power cut, a new system disk. LVM itself: storage.test.ts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { build } from "../../tasks/dev/build.ts";
import { skip } from "../skip.ts";
import { boxImage, type Machine, openMachine, until, whyNoMachine } from "./harness.ts";

/** A berth run that restarts the engine in an emulated machine, on a busy machine. */
const LONG_MS = 1_200_000;

let machine: Machine;
const tell = (line: string) => void process.stdout.write(`\n  ${line}`);
const sh = (script: string) => machine.sh(script, { timeoutMs: LONG_MS });
const lines = async (script: string) => (await sh(script)).trim().split("\n").map((line) => line.trim());

/** `berth host storage`, which must succeed; answers with its changes. */
async function storage(): Promise<readonly { readonly resource: string; readonly why: string }[]> {
  const began = Date.now();
  const said = await machine.run(["berth", "host", "storage", "--json"], { timeoutMs: LONG_MS });
  assert.is(said.exit, 0, `${said.stdout}\n${said.stderr}`);
  tell(`berth host storage: ${((Date.now() - began) / 1000).toFixed(1)} s`);
  return JSON.parse(said.stdout).changes;
}

const root = () => sh("docker info -f '{{.DockerRootDir}}'").then((text) => text.trim());

/** Container, image, volume and record, and what they stand on. */
async function isWhole(): Promise<void> {
  assert.is(await root(), "/vms/docker");
  const found = await lines(`docker image inspect -f '{{.RepoTags}}' box:latest
    docker start web >/dev/null; docker exec web cat /in-layer /data/in-volume
    cat /var/lib/berth/vnodes/left/note
    findmnt -n -o SOURCE /vms; findmnt -n -o SOURCE /vminfo
    stat -c %m /vms/docker /var/lib/berth/vnodes/`);
  assert.equal(found, [
    ...["[box:latest]", "layer", "volume", "note"],
    ...["/dev/mapper/docker-vms", "/dev/mapper/docker-vminfo", "/vms", "/vminfo"],
  ]);
}

const absent = await whyNoMachine("bookworm");
const story = (name: string, play: () => Promise<void>) =>
  absent === null ? test(name, play) : skip(test, name, absent);

/** Minutes of emulation: for the long run. */
const longStory: typeof story = (name, play) =>
  process.env["BERTH_LONG"] === "1" ? story(name, play) : skip(test, name, "minutes long: deno task long");

story("the engine's root moves with a container that runs, and records with it", async () => {
  machine = await openMachine({
    suite: "bookworm",
    files: {
      "/usr/local/bin/berth": { copy: await build(), mode: 0o755 },
      "/etc/berth/host.yaml": "storage: { layout: overlay, disks: [virtio-disk0] }\n",
      "/root/box.tar": { copy: await boxImage() },
    },
    disks: [8192, 8192],
    bootMs: LONG_MS,
  });
  tell(`booted: ${(machine.bootMs / 1000).toFixed(1)} s`);
  await sh(`docker import --change 'CMD ["/bin/sh"]' /root/box.tar box:latest
    docker run -d --name web --stop-timeout 0 -v data:/data --network none box:latest sleep 100000
    docker exec web sh -c 'echo layer >/in-layer; echo volume >/data/in-volume'
    mkdir -p -m 700 /var/lib/berth/vnodes/left; echo note >/var/lib/berth/vnodes/left/note`);
  const changes = await storage();
  const move = changes.find(({ resource }) => resource === "engine root /vms/docker");
  assert.match(move?.why ?? "nothing", /moves .* of content.*stops and starts again: web/);
  assert.is(await sh("docker inspect -f '{{.State.Running}}' web"), "true\n", "started again by berth");
  await isWhole();
  assert.match(await sh("ls /var/lib/docker.set-aside"), "containers");
  assert.is(await sh("readlink /var/lib/docker"), "/vms/docker\n");
  assert.equal(await storage(), []);
});

story("without its volume the engine does not start, and does as soon as the volume comes", async () => {
  await sh(`systemctl stop docker.socket docker.service containerd.service
    umount /vms; lvchange -an docker/vms
    systemctl start --no-block docker.service`);
  await until("the engine to wait for its volume's mount", async (seen) => {
    const jobs = await sh("systemctl list-jobs --no-legend --no-pager");
    seen(jobs);
    return /vms\.mount\s+start\s+waiting/.test(jobs) && /docker\.service\s+start\s+waiting/.test(jobs);
  }, { deadlineMs: LONG_MS });
  const byHand = await machine.run(["timeout", "300", "dockerd"], { timeoutMs: LONG_MS });
  assert.is.not(byHand.exit, 0);
  assert.match(byHand.stderr, "mkdir /vms/docker: operation not permitted");
  assert.is(await sh("ls -A /vms"), "", "nothing was begun on the empty directory");
  await sh("lvchange -ay docker/vms");
  await until("the engine", async (seen) => {
    const state = (await machine.run(["systemctl", "is-active", "docker.service"])).stdout;
    seen(state);
    return state === "active\n";
  }, { deadlineMs: LONG_MS });
  await isWhole();
});

longStory("a disk that is added makes the volume grow under a container that runs on it", async () => {
  const bytes = async () => Number((await lines("df -B1 --output=size /vms"))[1]);
  const started = () => sh("docker inspect -f '{{.State.StartedAt}} {{.State.Running}}' web");
  const [before, since] = [await bytes(), await started()];
  await machine.write(
    "/etc/berth/host.yaml",
    "storage: { layout: overlay, disks: [virtio-disk0, virtio-disk1] }\n",
  );
  await storage();
  const after = await bytes();
  tell(`file system of ${before} bytes grew to ${after}`);
  assert.ok(after > before * 1.8, `${before} → ${after}`);
  assert.is(await started(), since);
  await isWhole();
});

longStory(
  "a reboot and a power cut later the engine runs on its volume, and nothing is to be done",
  async () => {
    await machine.reboot();
    await isWhole();
    await machine.powerCut();
    await machine.start();
    await isWhole();
    assert.equal(await storage(), []);
  },
);

longStory("a new system disk finds containers, images and records again", async () => {
  await machine.powerCut();
  await machine.reimage();
  await machine.start();
  await until("the fresh engine", async () => await root() === "/var/lib/docker", { deadlineMs: LONG_MS });
  assert.is(await sh("docker ps -aq"), "");
  const changes = await storage();
  const adopted = changes.find(({ resource }) => resource === "engine root /vms/docker");
  assert.match(
    adopted?.why ?? "nothing",
    'a root with 1 container stands at "/vms/docker"; sets "/var/lib/docker" aside',
  );
  await isWhole();
  assert.equal(await storage(), []);
});

test.after(async () => await machine?.close());
test.run();
