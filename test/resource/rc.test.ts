// Texts of units and init scripts: what a reader of either would insist on, that a shell can read the scripts, and
// whose files are left alone. Whether systemd likes the units, a machine tells (test/vm).
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BerthError } from "../../lib/log/error.ts";
import { MASKED, rc, type RcState } from "../../lib/resource/rc/rc.ts";
import { sysvScripts } from "../../lib/resource/rc/sysv_scripts.ts";
import { systemdUnits, unitWord } from "../../lib/resource/rc/systemd_units.ts";
import { until } from "../fake/clock.ts";
import { createFakeHost } from "../fake/host.ts";

const BERTH = ["/usr/local/bin/berth"];
const units = systemdUnits(BERTH);
const scripts = sysvScripts(BERTH);
const lineOf = (text: string, key: string) =>
  text.split("\n").filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1))
    .join(" ");
const header = (text: string, key: string) =>
  new RegExp(`^# ${key}:(.*)$`, "m").exec(text)?.[1]?.trim().split(/\s+/).filter((word) => word !== "") ??
    null;

test("units stand before and after the engine, and are stopped the other way round", () => {
  const [prepare, halt, boot, watch] = ["prepare", "halt", "boot", "watch"].map((n) =>
    units[`berth-${n}.service`]!
  );
  assert.equal(lineOf(prepare!, "Before").split(" "), ["containerd.service", "docker.service"]);
  for (const text of [halt!, boot!, watch!]) {
    assert.ok(lineOf(text, "After").split(" ").includes("docker.service"));
  }
  assert.ok(lineOf(boot!, "After").split(" ").includes("berth-halt.service"));
  // Both by name: a unit that failed orders nobody at shutdown, and the watch must have ended before the halt.
  for (const first of ["berth-boot.service", "berth-halt.service"]) {
    assert.ok(lineOf(watch!, "After").split(" ").includes(first));
  }
  // What it waits for must not wait for it: a socket of sockets.target comes before all that has a network.
  assert.not.match(prepare!, /docker\.socket/);
});

test("each unit runs from / with a clean environment, and ends nobody but itself", () => {
  for (const text of Object.values(units)) {
    assert.is(lineOf(text, "WorkingDirectory"), "/");
    assert.equal(lineOf(text, "UnsetEnvironment").split(" "), [
      "BUN_OPTIONS",
      "BUN_BE_BUN",
      "BUN_INSPECT",
      "NODE_OPTIONS",
    ]);
    assert.is(lineOf(text, "KillMode"), "process");
    assert.is(lineOf(text, "WantedBy"), "multi-user.target");
  }
});

test("the watch's unit has readiness, a watchdog, limits, and the machine's own mounts", () => {
  const text = units["berth-watch.service"]!;
  assert.is(lineOf(text, "Type"), "notify");
  assert.is(lineOf(text, "NotifyAccess"), "all");
  for (const key of ["WatchdogSec", "Restart", "StartLimitBurst", "CapabilityBoundingSet"]) {
    assert.is.not(lineOf(text, key), "", key);
  }
  // systemd.exec(5): each of these makes a mount namespace, in which an engine sees nothing of what is mounted.
  assert.not.match(
    text,
    /^(Protect(System|Home|Kernel\w+|ControlGroups|Proc|Hostname)|Private\w+|Read\w+Paths|InaccessiblePaths|Bind\w*Paths|MountFlags|TemporaryFileSystem|DynamicUser|RootDirectory|RestrictNamespaces|MemoryDenyWriteExecute)=/m,
  );
});

test("unitWord() quotes what systemd would expand or split", () => {
  assert.is(unitWord("/usr/local/bin/berth"), "/usr/local/bin/berth");
  assert.is(unitWord("50% of $HOME"), '"50%% of $$HOME"');
  assert.is(unitWord('a "b" \\c'), '"a \\"b\\" \\\\c"');
});

test("a shell can read the init scripts, also where berth is more than one word", () => {
  for (const berth of [BERTH, ["/usr/bin/deno", "run", "-A", "/srv/it's here/main.ts"]]) {
    for (const [name, text] of Object.entries(sysvScripts(berth))) {
      const said = spawnSync("sh", ["-n"], { input: text, encoding: "utf8" });
      assert.is(said.status, 0, `${name}: ${said.stderr}`);
      assert.match(text, /^#!\/bin\/sh\n### BEGIN INIT INFO\n(# .*\n)+### END INIT INFO\n/);
      assert.match(text, "unset BUN_OPTIONS BUN_BE_BUN BUN_INSPECT NODE_OPTIONS");
      assert.match(text, "\ncd / || exit 1\n");
    }
  }
});

test("init scripts stand before and after the engine's, and stop before it", () => {
  const [prepare, berth] = [scripts["berth-prepare"]!, scripts["berth"]!];
  assert.equal(header(prepare, "X-Start-Before"), ["containerd", "docker"]);
  assert.equal(header(prepare, "Default-Stop"), []);
  assert.ok(header(berth, "Should-Start")!.includes("docker"));
  assert.ok(header(berth, "Should-Start")!.includes("berth-prepare"));
  assert.ok(header(berth, "Should-Stop")!.includes("docker"));
  assert.equal(header(berth, "Default-Stop"), ["0", "1", "6"]);
  for (const action of ["start", "stop", "restart", "force-reload", "status"]) assert.match(berth, action);
});

test("the init script's guard starts a watch again that died, and none where one watches", async () => {
  const place = mkdtempSync("/tmp/berth-guard-");
  const lock = `${place}/lock`;
  const berth = `${place}/berth`;
  writeFileSync(
    berth,
    `#!/bin/sh\nexec 9>${lock}; flock -n 9 || exit 7\necho $$ >>${place}/pids; exec sleep 1000\n`,
  );
  chmodSync(berth, 0o755);
  const text = sysvScripts([berth])["berth"]!.replaceAll("/run/berth/lock/watch", lock)
    .replaceAll("/var/log/berth-watch.log", `${place}/log`).replaceAll(
      /sleep (10|30|\$pause)/g,
      "sleep 0.2",
    );
  const pids = () =>
    existsSync(`${place}/pids`) ? readFileSync(`${place}/pids`, "utf8").trim().split("\n") : [];
  const guard = spawn("sh", ["-c", text, "berth", "guard"], { detached: true, stdio: "ignore" });
  try {
    // None before the first; the second start is the guard's, and so is the third.
    const first = spawn(berth, [], { detached: true, stdio: "ignore" });
    await until("the first watch", () => pids().length === 1);
    process.kill(first.pid!, "SIGKILL");
    await until("the guard's own", () => pids().length === 2);
    process.kill(Number(pids()[1]), "SIGKILL");
    await until("another one", () => pids().length === 3);
    assert.is(existsSync(`${place}/log`) ? readFileSync(`${place}/log`, "utf8") : "", "");
  } finally {
    process.kill(-guard.pid!, "SIGKILL");
    const last = pids()[2];
    if (last !== undefined) process.kill(Number(last), "SIGKILL");
    rmSync(place, { recursive: true });
  }
});

test("the init script's guard starts no watch while a halt is told, also one that begins as it waits", async () => {
  const place = mkdtempSync("/tmp/berth-halted-");
  const [lock, berth, tick] = [`${place}/lock`, `${place}/berth`, `${place}/tick`];
  writeFileSync(lock, "");
  writeFileSync(
    berth,
    `#!/bin/sh\nexec 9>${lock}; flock -n 9 || exit 7\necho $$ >>${place}/pids; exec sleep 1000\n`,
  );
  // A pause in which the halt begins, where one is armed.
  writeFileSync(
    tick,
    `#!/bin/sh\necho "$1" >>${place}/ticks\n[ "$1" != pause ] || mv ${place}/arm ${place}/halted\nexec sleep 0.05\n`,
  );
  for (const program of [berth, tick]) chmodSync(program, 0o755);
  const text = sysvScripts([berth])["berth"]!.replaceAll("/run/berth/lock/watch", lock)
    .replaceAll("/run/berth/halted", `${place}/halted`).replaceAll("/var/log/berth-watch.log", `${place}/log`)
    .replaceAll("sleep $pause", `${tick} pause`).replaceAll(/sleep (10|30)/g, `${tick} long`);
  const lines = (name: string) =>
    existsSync(`${place}/${name}`) ? readFileSync(`${place}/${name}`, "utf8").trim().split("\n") : [];
  const ticksOn = async (what: string) => {
    const before = lines("ticks").length;
    await until(what, () => lines("ticks").length >= before + 8 || lines("pids").length > 0);
  };
  writeFileSync(`${place}/arm`, "");
  const guard = spawn("sh", ["-c", text, "berth", "guard"], { detached: true, stdio: "ignore" });
  try {
    await until("the halt to begin", () => existsSync(`${place}/halted`) || lines("pids").length > 0);
    await ticksOn("the guard to look again and again");
    assert.equal(lines("pids"), [], "a watch was started while the vnodes are halted");
    rmSync(`${place}/halted`);
    await until("the watch after the halt", () => lines("pids").length === 1);
  } finally {
    process.kill(-guard.pid!, "SIGKILL");
    for (const pid of lines("pids")) process.kill(Number(pid), "SIGKILL");
    rmSync(place, { recursive: true });
  }
});

test("a file that is not berth's is neither written over nor removed", async () => {
  const path = "/etc/systemd/system/berth-watch.service";
  const resource = rc({ init: "systemd", berth: BERTH, live: false });
  const host = createFakeHost({ files: { [path]: "[Service]\nExecStart=/opt/other\n" } });
  const found = await resource.observe(host);
  assert.throws(
    () => resource.diff(found),
    (error: BerthError) => error.exit === 5 && error.message.includes("not berth's"),
  );
  assert.equal(resource.revert(null, found), []);
});

test("a unit that somebody has masked is refused, and keeps none of the others from being removed", () => {
  const wanted = rc({ init: "systemd", berth: ["/usr/local/bin/berth"], live: false });
  const masked = "/etc/systemd/system/berth-boot.service";
  const found: RcState = {
    ...wanted.desired,
    files: { ...wanted.desired.files, [masked]: { text: MASKED, mode: 0o777 } },
  };
  assert.throws(() => wanted.diff(found), /berth-boot\.service is masked/);
  const removed = wanted.revert(null, found).flatMap((change) => change.do)
    .flatMap((op) => "remove" in op && !op.remove.includes(".wants/") ? [op.remove] : []);
  const others = Object.keys(wanted.desired.files).filter((path) => path !== masked);
  assert.equal(removed.sort(), others.sort());
});

test("rc().diff() writes a unit of an older berth anew, and has systemd read it", () => {
  const resource = rc({ init: "systemd", berth: BERTH, live: true });
  const files = { ...(resource.desired as RcState).files };
  const path = "/etc/systemd/system/berth-boot.service";
  files[path] = { ...files[path]!, text: files[path]!.text.replace("1h", "2h") };
  const active = ["berth-halt.service"];
  const changes = resource.diff({ ...(resource.desired as RcState), files, active });
  assert.equal(changes.map(({ resource }) => resource), [`file ${path}`, "rc systemd"]);
  assert.match(JSON.stringify(changes[1]!.do), "daemon-reload");
});

test("rc().diff() starts what halts the vnodes, so that the first shutdown is an orderly one", () => {
  const resource = rc({ init: "systemd", berth: BERTH, live: true });
  const [change] = resource.diff(resource.desired);
  assert.match(change!.why, "berth-halt.service is not active");
  assert.match(JSON.stringify(change!.do), '"start","berth-halt.service"');
});

test("rc().revert() tells systemd before it ends the units: gone, they halt no vnode", () => {
  const resource = rc({ init: "systemd", berth: BERTH, live: true });
  const [change] = resource.revert(null, {
    ...(resource.desired as RcState),
    active: ["berth-halt.service"],
  });
  const runs = change!.do.flatMap((op) => "run" in op ? [op.run.argv.join(" ")] : []);
  assert.equal(runs, ["systemctl daemon-reload", "systemctl stop berth-halt.service"]);
});

test.run();
