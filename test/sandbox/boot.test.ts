// deadline: 600s
// `berth boot` and `berth halt` as an rc script calls them: in stages, twice at once, with a faulty file, with a step
// that fails, and what of that a halt leaves to the next boot. The order of things on whole machines: test/vm.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox } from "./harness.ts";

const NAMES = ["left", "right"] as const;
const LANS = { wire: { subnet: "10.1.0.0/24" } };
const vnode = (address: string, command: readonly string[]) => ({
  image: "box",
  command,
  links: [{ lan: "wire", address }],
});
const PAIR = {
  lans: LANS,
  vnodes: {
    left: vnode("10.1.0.1", ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]),
    // Its first process ignores what it has no handler for, as process 1 of a namespace does.
    right: vnode("10.1.0.2", ["sleep", "100000"]),
  },
};

const box = await openSandbox({ engine: "20.10", berth: true });
const berth = (...args: string[]) => box.run(["berth", ...args], { timeoutMs: 120_000 });
const states = async () =>
  (await box.sh(`docker ps -a --filter label=berth.vnode --format '{{.Names}} {{.State}}' | sort`)).trim();
const wanted = async (name: string) =>
  JSON.parse(await box.read(`/var/lib/berth/vnodes/${name}/record.json`)).wanted.state as string;
const startedAt = async () =>
  (await box.sh(`docker inspect -f '{{.State.StartedAt}}' ${NAMES.join(" ")}`)).trim();

test("the stage before the engine writes its configuration and starts nothing", async () => {
  const said = await berth("boot", "--stage", "prepare");
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.match(said.stdout, /Host ready before the engine's start/);
  assert.is((await box.run(["pgrep", "-x", "dockerd"])).exit, 1);
  assert.is(JSON.parse(await box.read("/etc/docker/daemon.json")).bip, "192.168.254.1/24");
  const again = JSON.parse((await berth("boot", "--stage", "prepare", "--json")).stdout);
  assert.equal(again.changes, []);
});

test("the stage after it starts the engine, and says that nothing starts berth where no init system runs", async () => {
  const said = await berth("boot", "--stage", "boot");
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.match(said.stdout, /Host ready, 0 of 0 vnodes as wanted, watch started/);
  const rc = await berth("host", "rc");
  assert.is(rc.exit, 4);
  assert.match(rc.stderr, /No init system runs here/);
  await box.loadImage();
  await box.write("/etc/berth/vnodes.d/pair.yaml", JSON.stringify(PAIR));
  const { exit, stdout } = await berth("status");
  assert.is(exit, 2);
  for (const name of NAMES) assert.match(stdout, `! vnode ${name} is declared and was never made`);
});

test("of two boots at once one does the work, and the other finds nothing to do", async () => {
  const both = await Promise.all([berth("boot", "--json"), berth("boot", "--json")]);
  for (const said of both) assert.is(said.exit, 0, said.stdout + said.stderr);
  const counts = both.map(({ stdout }) => JSON.parse(stdout).changes.length as number);
  assert.is(Math.min(...counts), 0, both.map(({ stdout }) => stdout).join("\n"));
  assert.ok(Math.max(...counts) > 0);
  assert.match(both.map(({ stderr }) => stderr).join(""), /Another berth boot is at work/);
  assert.is(await states(), "left running\nright running");
});

test("halt ends the watch and all vnodes, and wants them as before; boot restores them", async () => {
  await box.sh("docker pause left");
  const began = Date.now();
  const halting = berth("halt", "--grace", "5").then((said) => ({ said, ms: Date.now() - began }));
  await box.until("the first to be halted", async (seen) => {
    const state = await states();
    seen(state);
    return state === "left exited\nright running";
  });
  // A watch that starts now would take the other one's stop for an operator's.
  assert.is(
    await box.sh(
      "if flock -n /run/berth/lock/watch true; then echo free; fi; docker inspect -f '{{.State.Running}}' right",
    ),
    "true\n",
  );
  const { said, ms } = await halting;
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.match(said.stdout, /2 vnodes halted/);
  assert.is(await states(), "left exited\nright exited");
  for (const name of NAMES) assert.is(await wanted(name), "up");
  assert.match((await berth("status")).stdout, /No watch runs/);
  assert.is((await box.sh("ip -o link | grep -c bve- || true")).trim(), "0");
  assert.ok(ms >= 5000, "the one that does not heed SIGTERM had its grace");
  assert.match((await berth("halt")).stdout, /No vnode runs/);
  const noted = () => box.run(["test", "-e", "/run/berth/halted"]).then(({ exit }) => exit === 0);
  assert.ok(await noted(), "an init script's guard would start a watch, and that the vnodes");

  const back = await berth("boot", "--json");
  assert.is(back.exit, 0, back.stdout + back.stderr);
  const { changes } = JSON.parse(back.stdout) as { changes: { resource: string; verb: string }[] };
  assert.equal(changes.filter(({ resource }) => /^vnode /.test(resource)).map(({ verb }) => verb), [
    "restore",
    "restore",
  ]);
  assert.not.ok(await noted());
  assert.is(await states(), "left running\nright running");
});

test("a faulty file keeps neither the other files' vnodes down nor those that were made before", async () => {
  assert.is((await berth("halt", "--grace", "0")).exit, 0);
  await box.write("/etc/berth/vnodes.d/pair.yaml", "vnodes: {left: {image: 7}}\n");
  const good = {
    lans: { other: { subnet: "10.3.0.0/24" } },
    vnodes: { good: { ...PAIR.vnodes.left, links: [] } },
  };
  await box.write("/etc/berth/vnodes.d/zz-good.yaml", JSON.stringify(good));
  const said = await berth("boot");
  assert.is(said.exit, 3, said.stdout + said.stderr);
  assert.match(said.stderr, /3 of 3 vnodes as wanted, watch started/);
  assert.match(said.stderr, /pair\.yaml:1/);
  assert.is(await states(), "good running\nleft running\nright running");
  await box.write("/etc/berth/vnodes.d/pair.yaml", JSON.stringify(PAIR));
});

test("a faulty host.yaml keeps nobody from being halted, nor up: the last good one stands in for it", async () => {
  const faulty = "controlNet: {nat: true}\nbogus: 1\n";
  const good = "/var/lib/berth/host.yaml.last-good";
  assert.is((await box.sh(`stat -c %a ${good}`)).trim(), "600");
  const before = await states();
  await box.write("/etc/berth/host.yaml", faulty);
  const halted = await berth("halt", "--grace", "0");
  assert.is(halted.exit, 3, halted.stdout + halted.stderr);
  assert.match(halted.stderr, /3 vnodes halted all the same/);
  assert.match(halted.stderr, /host\.yaml:2/);
  assert.not.match(await states(), / running/);

  // What it made is put back by the last good configuration, not by defaults.
  await box.sh("nft delete table bridge berth");
  const said = await berth("boot");
  assert.is(said.exit, 3, said.stdout + said.stderr);
  assert.match(said.stderr, /goes on with the last good one/);
  assert.match(said.stderr, /Host ready, 3 of 3 vnodes as wanted, watch started/);
  assert.match(said.stderr, /host\.yaml:2/);
  assert.is(await states(), before);

  // None is kept: the host stays as it is, and vnodes come from their records.
  assert.is((await berth("halt", "--grace", "0")).exit, 3);
  await box.sh(`rm ${good}; sysctl -q -w net.ipv4.ip_forward=0`);
  const bare = await berth("boot");
  assert.is(bare.exit, 3, bare.stdout + bare.stderr);
  assert.match(bare.stderr, /Host left as it is .*, 3 of 3 vnodes as wanted, watch started/);
  assert.is((await box.sh("sysctl -n net.ipv4.ip_forward")).trim(), "0");
  assert.is(await states(), before);
  assert.is((await box.run(["test", "-e", good])).exit, 1, "what is faulty is not kept");
  await box.run(["rm", "/etc/berth/host.yaml"]);
  assert.is((await berth("boot")).exit, 0);
  assert.is(await box.read(good), "", "no file is a good one, too");
});

test("a step that fails stops neither the vnodes that do without it nor the watch", async () => {
  assert.is((await berth("halt", "--grace", "0")).exit, 0);
  await box.write("/etc/berth/host.yaml", "kernel: {sysctls: {net.ipv4.ip_forward: maybe}}\n");
  // What does not come about: a value that the kernel refuses.
  const said = await berth("boot");
  assert.is(said.exit, 10, said.stdout + said.stderr);
  assert.match(said.stderr, /Host not ready \(kernel failed, control-net skipped\), 0 of 3 vnodes/);
  assert.match(said.stderr, /Not brought up: host control-net did not succeed/);
  assert.not.match((await berth("status")).stdout, /No watch runs/);
  await box.run(["rm", "/etc/berth/host.yaml"]);
});

test("the init script of machines without systemd calls them, from / and with a clean environment", async () => {
  assert.is((await berth("halt", "--grace", "0")).exit, 0);
  const hostile = "/tmp/hostile";
  await box.write(`${hostile}/bunfig.toml`, 'preload = ["./evil.ts"]\n');
  await box.write(`${hostile}/evil.ts`, 'require("fs").writeFileSync("/tmp/evil", "ran");\n');
  // Only for the length of a listing: which init system lies there is read off its files.
  const inside = (command: string) =>
    box.run([
      "bash",
      "-c",
      `cd ${hostile}; export BUN_OPTIONS=--preload=${hostile}/evil.ts NODE_OPTIONS=x; ${command}`,
    ], {
      timeoutMs: 120_000,
    });
  await box.sh(`rm -f /sbin/init; mkdir -p /etc/init.d; touch /etc/inittab; [ -e /usr/sbin/update-rc.d ]`);
  const installed = await berth("host", "rc", "--image");
  assert.is(installed.exit, 0, installed.stdout + installed.stderr);
  assert.match(installed.stdout, /Installed for sysvinit/);
  for (const script of ["berth-prepare", "berth"]) {
    assert.is((await box.run(["sh", "-n", `/etc/init.d/${script}`])).exit, 0);
    assert.match(await box.sh(`ls /etc/rc2.d`), new RegExp(`^S\\d\\d${script}$`, "m"));
  }
  const status = () => inside("/etc/init.d/berth status");
  assert.is((await status()).exit, 3);
  const started = await inside("/etc/init.d/berth start");
  assert.is(started.exit, 0, started.stdout + started.stderr);
  assert.is((await status()).exit, 0);
  const lives = await startedAt();
  assert.is((await inside("/etc/init.d/berth start")).exit, 0);
  assert.is(await startedAt(), lives, "a second start starts nothing anew");
  assert.is((await inside("/etc/init.d/berth stop")).exit, 0);
  assert.is((await status()).exit, 3);
  assert.is((await inside("/etc/init.d/berth sing")).exit, 2);
  assert.is((await box.run(["test", "-e", "/tmp/evil"])).exit, 1);

  const removed = await berth("host", "rc", "--remove");
  assert.is(removed.exit, 0, removed.stdout + removed.stderr);
  assert.is((await box.sh("ls /etc/init.d /etc/rc?.d | grep berth || true")).trim(), "");
});

test("host down with a faulty host.yaml gives back what the journal tells, and says what is wrong", async () => {
  const booted = await berth("boot");
  assert.is(booted.exit, 0, booted.stdout + booted.stderr);
  assert.is((await berth("vnode", "down", "good", "left", "right")).exit, 0);
  await box.write("/etc/berth/host.yaml", "bogus: 1\n");
  const said = await berth("host", "down");
  assert.is(said.exit, 3, said.stdout + said.stderr);
  assert.match(said.stderr, /host\.yaml:1/);
  assert.is((await box.run(["nft", "list", "table", "bridge", "berth"])).exit, 1);
  assert.is((await box.run(["ip", "link", "show", "_dockercnet"])).exit, 1);
  // With it a boot would prepare again what was given back.
  assert.is((await box.run(["test", "-e", "/var/lib/berth/host.yaml.last-good"])).exit, 1);
});

test.after(() => box.close());
test.run();
