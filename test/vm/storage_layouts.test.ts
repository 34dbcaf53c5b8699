// deadline: 3600s
// The other layouts for real, on a whole machine, one after the other: xfs with quotas made by two berths at once, a thin
// pool that fills, the devicemapper driver; and each given back with what the engine has in it. For the long run.
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { build } from "../../tasks/dev/build.ts";
import { skip } from "../skip.ts";
import { boxImage, type Machine, openMachine, whyNoMachine } from "./harness.ts";

/** A berth run that restarts the engine in an emulated machine, on a busy machine. */
const LONG_MS = 1_200_000;

let machine: Machine;
const tell = (line: string) => void process.stdout.write(`\n  ${line}`);
const sh = (script: string) => machine.sh(script, { timeoutMs: LONG_MS });
const configure = (storage: string, consent = "") =>
  machine.write("/etc/berth/host.yaml", `storage: { ${storage} }\n${consent}\n`);

/** A berth command, which must succeed; answers with its stdout. */
async function berth(...args: string[]): Promise<string> {
  const began = Date.now();
  const said = await machine.run(["berth", ...args], { timeoutMs: LONG_MS });
  assert.is(said.exit, 0, `berth ${args.join(" ")}: ${said.stdout}\n${said.stderr}`);
  tell(`berth ${args.join(" ")}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
  return said.stdout;
}

/** The image, and the container with its file and its volume, wherever the engine's root is. */
async function isWhole(): Promise<void> {
  const found = await sh(`docker image inspect -f '{{.RepoTags}}' box:latest
    docker start old >/dev/null; docker exec old cat /in-layer /data/in-volume; docker stop -t 0 old >/dev/null`);
  assert.is(found, "[box:latest]\nlayer\nvolume\n");
}

/** What berth says it would need to be consented to: the lines of host.yaml. */
const wanted = (said: string, pattern: RegExp) => [...said.matchAll(pattern)].map(([, found]) => found!);

/**
 * `berth host storage` on a disk that held something before: refused, with the line that consents, then done. The disk
 * keeps the leavings of volumes that were given back.
 */
async function storageOver(storage: string): Promise<void> {
  await configure(storage);
  const refused = await machine.run(["berth", "host", "storage"], { timeoutMs: LONG_MS });
  assert.is(refused.exit, 5, refused.stdout);
  const [line] = wanted(refused.stderr, /add to host\.yaml: (consent: \{ wipe.*)$/gm);
  await configure(storage, line);
  await berth("host", "storage");
  await isWhole();
}

/** Gives storage back. Volumes go with consent only; the engine is back with what it had. */
async function giveBack(): Promise<void> {
  const kept = await machine.run(["berth", "host", "down", "--storage"], { timeoutMs: LONG_MS });
  assert.is(kept.exit, 12, kept.stdout);
  const objects = [...new Set(wanted(kept.stderr, /add "([^"]+)" to consent\.objects/g))];
  assert.ok(objects.includes("volume-group docker"), kept.stderr);
  assert.match(await sh("vgs --noheadings -o vg_name"), "docker", "volumes stay without consent");
  await machine.write("/etc/berth/host.yaml", `consent: { objects: ${JSON.stringify(objects)} }\n`);
  await berth("host", "down", "--storage");
  assert.is(await sh("docker info -f '{{.DockerRootDir}} {{.Driver}}'"), "/var/lib/docker overlay2\n");
  assert.is(await sh("vgs --noheadings; lvs --noheadings"), "");
  assert.not.match(await sh("cat /etc/fstab; findmnt -rn -o SOURCE"), "docker-");
  await isWhole();
}

const absent = process.env["BERTH_LONG"] === "1"
  ? await whyNoMachine("bookworm")
  : "half an hour of emulation: deno task long";
const story = (name: string, play: () => Promise<void>) =>
  absent === null ? test(name, play) : skip(test, name, absent);

story("two berths at once make one group, and the engine's content moves onto xfs once", async () => {
  machine = await openMachine({
    suite: "bookworm",
    files: {
      "/usr/local/bin/berth": { copy: await build(), mode: 0o755 },
      "/root/box.tar": { copy: await boxImage() },
    },
    disks: [8192],
    bootMs: LONG_MS,
  });
  await configure("layout: overlay, disks: [virtio-disk0], fileSystem: xfs");
  await sh(`docker import --change 'CMD ["/bin/sh"]' /root/box.tar box:latest
    docker run -d --name old --stop-timeout 0 -v data:/data --network none box:latest sleep 100000
    docker exec old sh -c 'echo layer >/in-layer; echo volume >/data/in-volume'; docker stop -t 0 old`);
  const both = await sh(`
    berth host storage >/tmp/one 2>&1 & one=$!
    berth host storage >/tmp/two 2>&1 & two=$!
    set +e; wait $one; echo "one $?"; wait $two; echo "two $?"`);
  assert.is(both, "one 0\ntwo 0\n", await sh("cat /tmp/one /tmp/two"));
  const made = await sh("grep -h '^+ create volume-group docker' /tmp/one /tmp/two");
  assert.is(made.trim().split("\n").length, 1, made);
  assert.is((await sh("vgs --noheadings -o vg_name,pv_count")).trim().replace(/\s+/, " "), "docker 1");
  assert.is(await sh("docker info -f '{{.DockerRootDir}}'"), "/vms/docker\n");
  await isWhole();
  assert.match(await berth("host", "storage"), /^0 changed, 0 restored/m);
});

story("xfs limits what a vnode may write, by project quotas", async () => {
  assert.match(await sh("findmnt -n -o FSTYPE,OPTIONS /vms"), /^xfs .*\bprjquota\b/);
  const said = await machine.run([
    ...["docker", "run", "--rm", "--network", "none", "--storage-opt", "size=32m", "box:latest"],
    ...["dd", "if=/dev/zero", "of=/file", "bs=1048576", "count=64"],
  ], { timeoutMs: LONG_MS });
  assert.is.not(said.exit, 0);
  assert.match(said.stderr, "No space left on device");
});

story("given back, the engine has its content on the system disk; volumes go with consent only", giveBack);

story("a thin volume takes the engine with its content; a pool that fills is told of", async () => {
  // Small, and no room left to extend it: what is told is to be seen.
  await storageOver(
    "layout: thin, disks: [virtio-disk0], sizes: { vms: 512MiB, pool: 1536MiB, metadata: 16MiB }",
  );
  assert.is(await sh("docker info -f '{{.DockerRootDir}}'"), "/vms/docker\n");
  assert.match(await sh("findmnt -n -o SOURCE /vms/docker"), "docker-engine");
  const warned = async () =>
    /thin pool docker\/pool: data \d+ % used/.test((await machine.run(["berth", "status"])).stdout);
  assert.not(await warned());
  await sh("lvcreate -q -l 100%FREE -n ballast docker; fallocate -l 10M /vms/docker/small");
  await sh(
    "dd if=/dev/urandom of=/vms/docker/ballast bs=1M count=1250 status=none; sync /vms/docker/ballast",
  );
  tell(await sh("lvs --noheadings -o lv_name,lv_size,data_percent docker/pool"));
  assert.ok(await warned(), (await machine.run(["berth", "status"])).stdout);
  // The file system frees what was removed with its next commit.
  await sh("rm /vms/docker/ballast; sync; fstrim /vms/docker; lvremove -q -y docker/ballast");
  assert.not(await warned(), "discards are passed on");
  await giveBack();
});

story("devicemapper: the engine takes the pool itself", async () => {
  await configure("layout: devicemapper, disks: [virtio-disk0]");
  const refused = await machine.run(["berth", "host", "storage"], { timeoutMs: LONG_MS });
  const [line] = wanted(refused.stderr, /add to host\.yaml: (consent: \{ wipe.*)$/gm);
  await configure("layout: devicemapper, disks: [virtio-disk0]", line);
  await berth("host", "storage");
  await berth("host", "daemon-json");
  assert.is(await sh("docker info -f '{{.Driver}} {{.DockerRootDir}}'"), "devicemapper /vms/docker\n");
  await sh(`docker import --change 'CMD ["/bin/sh"]' /root/box.tar box:latest`);
  assert.is(await sh("docker run --rm --network none box:latest echo inside"), "inside\n");
  assert.match(await berth("host", "storage"), /^0 changed, 0 restored/m);
});

test.after(async () => await machine?.close());
test.run();
