// Which changes of daemon.json need a restart, which a reload; which flags clash; how the daemon is started.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { BerthError } from "../../lib/log/error.ts";
import { engine, type EngineState } from "../../lib/resource/engine.ts";
import { clashingFlags, startOfUnit } from "../../lib/resource/engine_flags.ts";
import { engineNeed } from "../../lib/resource/engine_need.ts";
import { serviceOps } from "../../lib/resource/engine_service.ts";
import type { Look } from "../../lib/host/types.ts";
import { createFakeHost } from "../fake/host.ts";
import type { JsonObject } from "../../lib/resource/kinds/json.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";

const RUNS: EngineState = {
  file: null,
  text: null,
  edited: false,
  instance: "12.3456",
  loaded: {},
  program: "/usr/sbin/dockerd",
  validates: false,
  init: null,
  stale: [],
  flags: "",
  lines: [],
  kept: { backups: [], trial: null, ran: null },
  running: [],
  stopped: [],
  docker0: ["10.0.0.1/24"],
};

test("engineNeed() is none when only the order of keys differs", () => {
  assert.is(engineNeed({ a: { b: 1, c: 2 } }, { a: { c: 2, b: 1 } }).how, "none");
});

test("engineNeed() is a reload for live-restore, labels and an added runtime", () => {
  const wanted = { "live-restore": true, labels: ["x"], runtimes: { berth: { path: "/x" } } };
  assert.is(engineNeed({}, wanted).how, "reload");
});

test("engineNeed() is a restart for bip, and for a runtime that goes", () => {
  assert.equal(engineNeed({}, { bip: "10.0.0.1/24", debug: true }), { how: "restart", keys: ["bip"] });
  assert.is(engineNeed({ runtimes: { berth: {} } }, {}).how, "restart");
});

test("engine().diff() writes down what is loaded before it writes the file, then tells the daemon", () => {
  const made = engine({
    file: jsonFile("/etc/docker/daemon.json", { "live-restore": true }),
    keys: ["live-restore"],
  });
  const [file, service] = made.diff(RUNS);
  const writes = file!.do.flatMap((op) => "write" in op ? [op.write] : []);
  const trial = "/var/lib/berth/backup/daemon.json.trial";
  assert.equal(writes, ["/run/berth/engine.json", trial, "/etc/docker/daemon.json"]);
  assert.match(service!.why, /has not loaded "live-restore"/);
  assert.is(service!.risk, "safe");
});

test("engine().diff() restarts for what was written before a crash and never loaded", () => {
  const file = jsonFile("/etc/docker/daemon.json", { bip: "10.0.0.1/24" });
  const text = '{"bip":"10.0.0.1/24"}';
  const seen = { file: { text, mode: 0o644 }, value: { bip: "10.0.0.1/24" }, candidate: false };
  const found = { ...RUNS, file: seen, text, loaded: {}, running: ["web"] };
  const [service, ...rest] = engine({ file, keys: ["bip"] }).diff(found);
  assert.is(rest.length, 0);
  assert.is(service!.risk, "disruptive");
  assert.match(service!.why, /starts again: web/);
  assert.equal(engine({ file, keys: ["bip"] }).diff({ ...found, loaded: { bip: "10.0.0.1/24" } }), []);
});

test("engine().diff() stops containers itself where live-restore would keep the old docker0", () => {
  const made = engine({ file: jsonFile("/etc/docker/daemon.json", { bip: "10.0.0.1/24" }), keys: ["bip"] });
  const [, service] = made.diff({ ...RUNS, loaded: { "live-restore": true }, text: "{}", running: ["web"] });
  const calls = service!.do.flatMap((op) => "engine" in op ? [op.engine.path] : []);
  assert.equal(calls, ["/containers/web/stop", "/containers/web/start"]);
});

test("engine().revert() stops an engine that did not run before, and takes its bridge away", () => {
  const made = engine({ file: jsonFile("/etc/docker/daemon.json", {}), keys: [] });
  const prior = {
    file: { existed: false, keys: [] },
    running: false,
    docker0: { addresses: null, ours: [] },
  };
  const [stop] = made.revert(prior, RUNS);
  assert.is(stop!.verb, "delete");
  const argvs = stop!.do.flatMap((op) => "run" in op ? [op.run.argv.join(" ")] : []);
  assert.ok(argvs.some((argv) => argv.includes("--stop")));
  assert.ok(argvs.includes("ip link delete docker0"));
  assert.equal(made.revert(prior, { ...RUNS, instance: null, docker0: null }), []);
});

test("engine().diff() restarts an engine whose docker0 is not where its file says", () => {
  const file = jsonFile("/etc/docker/daemon.json", { bip: "10.0.0.1/24" });
  const text = '{"bip":"10.0.0.1/24"}';
  const seen = { file: { text, mode: 0o644 }, value: { bip: "10.0.0.1/24" }, candidate: false };
  const found = { ...RUNS, file: seen, text, loaded: { bip: "10.0.0.1/24" }, docker0: ["172.17.0.1/16"] };
  const [service] = engine({ file, keys: ["bip"] }).diff(found);
  assert.is(service!.why, 'docker0 is at "172.17.0.1/16", wanted at "10.0.0.1/24"');
  assert.is(service!.risk, "disruptive");
});

test("engine().revert() restarts once with docker0's former address, unless others moved it", () => {
  const file = jsonFile("/etc/docker/daemon.json", { bip: "10.0.0.1/24" });
  const text = '{"bip":"10.0.0.1/24"}';
  const seen = { file: { text, mode: 0o644 }, value: { bip: "10.0.0.1/24" }, candidate: false };
  const made = engine({ file, keys: ["bip"], bip: "10.0.0.1/24" });
  const prior = made.prior({ ...RUNS, docker0: ["172.17.0.1/16"] });
  const ops = made.revert(prior, { ...RUNS, file: seen, text, loaded: { bip: "10.0.0.1/24" } })
    .flatMap((change) => change.do.map((op) => JSON.stringify(op)));
  const passing = ops.findIndex((op) => op.includes('bip\\": \\"172.17.0.1/16'));
  const start = ops.findIndex((op) => op.includes('"--start"'));
  const last = ops.lastIndexOf('{"remove":"/etc/docker/daemon.json"}');
  assert.ok(passing >= 0 && passing < start && start < last, ops.join("\n"));
  assert.not.match(JSON.stringify(made.revert(prior, { ...RUNS, docker0: ["10.7.0.1/24"] })), /172\.17/);
  // A crash left the passing file: it is ours, and the daemon that runs with it need not be restarted for it.
  const bip = { bip: "172.17.0.1/16" };
  const left = { ...seen, file: { text: JSON.stringify(bip), mode: 0o644 }, value: bip };
  const after = { ...RUNS, file: left, text: JSON.stringify(bip), loaded: bip, docker0: ["172.17.0.1/16"] };
  assert.equal(made.revert(prior, after).map(({ resource }) => resource), ["file /etc/docker/daemon.json"]);
  // It needs not be told of the file it is left with, which is newer than it from now on: noted as nobody's edit.
  const others = { ...bip, debug: true };
  const its = { ...left, file: { text: JSON.stringify(others), mode: 0o644 }, value: others };
  const [alone] = made.revert(prior, { ...after, file: its, text: JSON.stringify(others), loaded: others });
  assert.match(JSON.stringify(alone!.do.at(-1)), '\\"reloaded\\":true');
});

test("engine().diff() refuses hosts without the socket at which berth asks", () => {
  const made = (hosts: readonly string[], socket?: string) =>
    engine({
      file: jsonFile("/etc/docker/daemon.json", { hosts }),
      keys: ["hosts"],
      ...(socket === undefined ? {} : { socket }),
    });
  const tcp = "tcp://127.0.0.1:2375";
  assert.throws(() => made([tcp]).diff(RUNS), (error: Error) => {
    assert.match(
      error.message,
      'Key "hosts" (["tcp://127.0.0.1:2375"]) leaves out the socket that berth asks at',
    );
    return true;
  });
  assert.throws(() => made(["unix:///run/docker.sock"], "/run/other.sock").diff(RUNS));
  made([tcp, "unix:///run/docker.sock"]).diff(RUNS);
  made([tcp, "fd://"]).diff(RUNS);
  made(["unix:///run/other.sock"], "/run/other.sock").diff(RUNS);
});

test("engine().diff() puts the former file back and starts the engine again where it does not start", () => {
  const seen = { file: { text: '{"debug":true}', mode: 0o644 }, value: { debug: true }, candidate: false };
  const found = { ...RUNS, file: seen, text: '{"debug":true}', loaded: { debug: true }, running: ["web"] };
  const file = jsonFile("/etc/docker/daemon.json", { "storage-driver": "none" });
  const service = engine({ file, keys: ["storage-driver"] }).diff(found).at(-1);
  const undo = service!.undo.map((op) => JSON.stringify(op));
  const at = (word: string) => undo.findIndex((op) => op.includes(word));
  assert.ok(at('"--stop"') < at('{\\"debug\\":true}'), undo.join("\n"));
  assert.ok(at('{\\"debug\\":true}') < at('"--start"'));
  assert.ok(at('"--start"') < at("/containers/web/start"));
});

test("engine().diff() with start later writes the file, leaves the daemon alone, and the next run tells it", () => {
  const file = jsonFile("/etc/docker/daemon.json", { bip: "10.0.0.1/24" });
  const wish = { file, keys: ["bip"], start: "later" } as const;
  const changes = engine(wish).diff({ ...RUNS, instance: null });
  assert.equal(changes.map(({ resource }) => resource), ["file /etc/docker/daemon.json"]);
  assert.equal(engine(wish).diff(RUNS).map(({ resource }) => resource), ["file /etc/docker/daemon.json"]);
  const text = '{"bip":"10.0.0.1/24"}';
  const seen = { file: { text, mode: 0o644 }, value: { bip: "10.0.0.1/24" }, candidate: false };
  assert.equal(engine(wish).diff({ ...RUNS, file: seen, text, instance: null }), []);
  assert.match(engine({ file, keys: ["bip"] }).diff({ ...RUNS, file: seen, text })[0]!.why, /"bip"/);
});

test("engine().prior() with start later takes an installed engine for one that runs", () => {
  const file = jsonFile("/etc/docker/daemon.json", {});
  const stopped = { ...RUNS, instance: null };
  assert.is(engine({ file, keys: [], start: "later" }).prior(stopped).running, true);
  assert.is(engine({ file, keys: [], start: "later" }).prior({ ...stopped, program: null }).running, false);
  assert.is(engine({ file, keys: [] }).prior(stopped).running, false);
});

const clash = (line: string, keys: readonly string[]) =>
  clashingFlags([{ where: "/u", line }], keys).map(({ flag, key }) => `${flag} ${key}`);

test("clashingFlags() finds a key that the command line sets too, or excludes", () => {
  assert.equal(clash("-H fd:// --containerd=/x", ["hosts", "bip"]), ["-H hosts"]);
  assert.equal(clash("-Hfd://", ["hosts"]), ["-H hosts"]);
  assert.equal(clash('"--bip=10.0.0.1/24"', ["bip"]), ["--bip bip"]);
  assert.equal(clash("-b br0 -D", ["bip", "debug"]), ["-b bip", "-D debug"]);
  assert.equal(clash("-H fd://", ["bip", "runtimes"]), []);
});

test("startOfUnit() takes the last ExecStart, and tells the variables and files it may use", () => {
  const unit = `[Unit]\nExecStart=none\n[Service]\nEnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// \\\n  $DOCKER_OPTS\nEnvironment="A=1 2" B=3\n`;
  const first = startOfUnit([{ path: "/u", text: unit }])!;
  assert.match(first.line, /^\/usr\/sbin\/dockerd -H fd:\/\/ +\$DOCKER_OPTS$/);
  assert.equal(first.files, ["/etc/default/docker"]);
  assert.is(first.environment.get("A")!.line, "1 2");
  const dropIn = { path: "/d/x.conf", text: "[Service]\nExecStart=\nExecStart=dockerd --bip 1.2.3.4/8\n" };
  assert.is(startOfUnit([{ path: "/u", text: unit }, dropIn])!.where, "/d/x.conf");
  assert.is(startOfUnit([{ path: "/u", text: "[Service]\nExecStart=a\nExecStart=\n" }]), null);
});

test("engine().diff() refuses keys of the file that exclude each other, all at once", () => {
  const value = { bridge: "br0", icc: false };
  const text = JSON.stringify(value);
  const found = { ...RUNS, text, file: { file: { text, mode: 0o644 }, value, candidate: false } };
  const file = jsonFile("/etc/docker/daemon.json", { bip: "10.0.0.1/24", iptables: false });
  let error: BerthError | undefined;
  try {
    engine({ file, keys: ["bip", "iptables"] }).diff(found);
  } catch (thrown) {
    error = thrown as BerthError;
  }
  assert.is(error?.code, "config");
  assert.equal(error?.issues.map(({ message }) => /Key "(\w+)"/.exec(message)?.[1]), ["bridge", "icc"]);
});

test("engine().diff() keeps the last three texts, newest first, and the oldest is moved first", () => {
  const file = jsonFile("/etc/docker/daemon.json", { debug: true });
  const text = "{}";
  const seen = { file: { text, mode: 0o644 }, value: {}, candidate: false };
  const kept = { backups: ["a", "b", "c"], trial: null, ran: "{}" };
  const [change] = engine({ file, keys: [] }).diff({ ...RUNS, file: seen, text, kept });
  const writes = change!.do.flatMap((op) => "write" in op ? [[op.write.split("/").at(-1), op.text]] : []);
  assert.equal(writes.slice(1, 4), [["daemon.json.3", "b"], ["daemon.json.2", "a"], ["daemon.json.1", "{}"]]);
});

test("engine().diff() goes back to the file that last ran where an earlier run wrote one it does not start with", () => {
  const text = '{"storage-driver":"none"}';
  const seen = { file: { text, mode: 0o600 }, value: { "storage-driver": "none" }, candidate: false };
  const trial = { text, former: '{"debug":true}' };
  const found = { ...RUNS, instance: null, file: seen, text, kept: { backups: [], trial, ran: null } };
  const file = jsonFile("/etc/docker/daemon.json", { "storage-driver": "none" });
  const made = engine({ file, keys: ["storage-driver"] });
  const [service, ...rest] = made.diff(found);
  assert.is(rest.length, 0);
  const undo = service!.undo.map((op) => JSON.stringify(op));
  const at = (word: string) => undo.findLastIndex((op) => op.includes(word));
  assert.ok(at('{\\"debug\\":true}","mode":384') >= 0, undo.join("\n"));
  assert.ok(at('"failed') < at('"--start"') || at('failed\\":true') < at('"--start"'));
  assert.ok(at('"write":"/etc/docker/daemon.json"') < at('"--start"'));
  // Up with it after all: forgotten, and nothing else.
  const [up] = made.diff({ ...found, instance: "1.2", loaded: { "storage-driver": "none" } });
  assert.is(up!.risk, "safe");
  assert.ok(up!.do.every((op) => "remove" in op), JSON.stringify(up));
});

test("engine().diff() with start later does not write again what no daemon came up with", () => {
  const file = jsonFile("/etc/docker/daemon.json", { a: 1 });
  const later = engine({ file, keys: ["a"], start: "later" });
  const [change] = later.diff({ ...RUNS, instance: null });
  const write = change!.do.find((op) => "write" in op && op.write === "/etc/docker/daemon.json");
  const text = write !== undefined && "text" in write ? write.text : "";
  const kept = { backups: [], trial: { text, former: null, failed: true }, ran: null };
  assert.throws(
    () => later.diff({ ...RUNS, instance: null, kept }),
    /did not come up with this configuration/,
  );
  assert.is(engine({ file, keys: ["a"] }).diff({ ...RUNS, instance: null, kept }).length, 2);
});

test("engine().diff() refuses to write a key that a flag sets too", () => {
  const made = engine({ file: jsonFile("/etc/docker/daemon.json", { bip: "10.0.0.1/24" }), keys: ["bip"] });
  assert.throws(
    () => made.diff({ ...RUNS, lines: [{ where: "/u", line: "--bip 10.1.1.1/24" }] }),
    /clashes with key "bip"/,
  );
});

test("engine().diff() refuses to start an engine with a key of others that a flag sets too, and leaves one that runs", () => {
  const file = jsonFile("/etc/docker/daemon.json", { debug: true });
  const seen = (value: Record<string, unknown>) => {
    const text = JSON.stringify(value);
    return { text, file: { file: { text, mode: 0o644 }, value: value as JsonObject, candidate: false } };
  };
  const lines = [{ where: "/u", line: "dockerd -H fd:// --log-opt=a=b" }];
  const clashing = { hosts: ["fd://"], "log-opts": { a: "c" } };
  const run = (found: Partial<EngineState>, start: "now" | "later" = "now") => {
    try {
      return engine({ file, keys: ["debug"], start }).diff({ ...RUNS, lines, ...found }).length;
    } catch (error) {
      return (error as BerthError).issues.map(({ message }) => message.split(" of ")[0]);
    }
  };
  const both = ['Flag "-H" clashes with key "hosts"', 'Flag "--log-opt" clashes with key "log-opts"'];
  assert.equal(run(seen(clashing)), both);
  assert.equal(run(seen(clashing), "later"), both);
  assert.equal(run({ ...seen({ debug: true, ...clashing }), instance: null }), both);
  // It runs, and nothing is to be done: what a later start dies of is not this run's business.
  assert.equal(run({ ...seen({ debug: true, ...clashing }), loaded: { debug: true, ...clashing } }), 0);
});

test("engine().diff() refuses a part of docker0's subnet that is outside the one berth gives it", () => {
  const value = { "fixed-cidr": "172.17.0.0/24", "default-gateway": "172.17.0.9" };
  const text = JSON.stringify(value);
  const found = { ...RUNS, text, file: { file: { text, mode: 0o644 }, value, candidate: false } };
  const made = (bip: string) => engine({ file: jsonFile("/etc/docker/daemon.json", { bip }), keys: ["bip"] });
  assert.throws(() => made("10.0.0.1/24").diff(found), (error: BerthError) => {
    assert.equal(error.issues.map(({ message }) => /Key "([a-z-]+)"/.exec(message)?.[1]), Object.keys(value));
    return error.code === "config";
  });
  made("172.17.0.1/16").diff(found);
});

/** A machine whose dockerd is on its way out: nothing answers, and its process is gone at the third look. */
function leaving(): Look {
  const host = createFakeHost({
    files: { "/var/run/docker.pid": "77\n", "/proc/77/comm": "dockerd\n" },
  });
  let looks = 0;
  return {
    ...host,
    engine: () => Promise.resolve(null),
    readText(path) {
      if (path !== "/proc/77/stat") return host.readText(path);
      return Promise.resolve(++looks < 3 ? "77 (dockerd) S 1 1" : looks < 4 ? "77 (dockerd) Z 1 1" : null);
    },
  };
}

test("engine().observe() waits for a daemon on its way out, and then finds none", async () => {
  const made = engine({ file: jsonFile("/etc/docker/daemon.json", { a: 1 }), keys: ["a"] });
  const found = await made.observe(leaving());
  assert.is(found?.instance, null);
  assert.match(made.diff(found).at(-1)!.why, /not running/);
});

test("engine().observe() goes on waiting when the machine's clock is set meanwhile", async () => {
  const { now } = Date;
  const steps = leaving();
  const look: Look = {
    ...steps,
    engine(path) {
      Date.now = () => now() + 3_600_000;
      return steps.engine(path);
    },
  };
  try {
    const made = engine({ file: jsonFile("/etc/docker/daemon.json", { a: 1 }), keys: ["a"] });
    assert.is((await made.observe(look))?.instance, null);
  } finally {
    Date.now = now;
  }
});

test("engine().observe() stops waiting when berth is asked to stop, and does not wait with start later", async () => {
  const file = jsonFile("/etc/docker/daemon.json", { a: 1 });
  const stays: Look = {
    ...leaving(),
    readText: (path) =>
      path === "/proc/77/stat" ? Promise.resolve("77 (dockerd) S") : leaving().readText(path),
  };
  const stopped = { ...stays, signal: AbortSignal.abort() };
  const error = await engine({ file, keys: ["a"] }).observe(stopped).then(() => null, (thrown) => thrown);
  assert.is(error?.code, "interrupted");
  assert.ok((await engine({ file, keys: ["a"], start: "later" }).observe(stays))?.instance);
});

test("serviceOps() repeats a running daemon's flags once, and uses systemctl under systemd", () => {
  const start = serviceOps(null, "/usr/sbin/dockerd", "-p /var/run/docker.pid --debug").start.at(-1);
  const argv = start !== undefined && "daemon" in start ? start.daemon.start.argv : [];
  assert.equal(argv.slice(argv.indexOf("--")), ["--", "-p", "/var/run/docker.pid", "--debug"]);
  const ops = serviceOps("systemd", "/usr/bin/dockerd", "").reload;
  assert.equal(ops.map((op) => "run" in op ? op.run.argv : []), [["systemctl", "reload", "docker.service"]]);
});

test.run();
