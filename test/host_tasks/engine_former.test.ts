// What a start of the engine that fails goes back to, where an operator or berth itself has changed daemon.json since
// the daemon came up: on a fake machine whose dockerd is made to start and to fail.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { engine } from "../../lib/resource/engine.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import type { JsonObject } from "../../lib/resource/kinds/json.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";
import type { BerthError } from "../../lib/log/error.ts";
import { dockerdCommands, dockerdDoor, isRunning, startDockerd } from "../fake/dockerd.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";

/** A machine with an engine of old, which cannot validate, running with a text of the operator's. */
function oldEngine(): FakeHost {
  const host: FakeHost = createFakeHost({
    files: {
      "/usr/sbin/dockerd": "",
      "/fake/version": '"20.10.24"',
      "/etc/docker/daemon.json": '{"debug":true}',
    },
    commands: [dockerdCommands],
    engine: dockerdDoor(() => host.machine),
  });
  for (const path of ["/sys/class/net", "/var/run"]) host.machine.directories.set(path, 0o755);
  startDockerd(host.machine);
  return host;
}

/** What a run says that is to give docker0 an address; null where it has done so. */
function given(host: FakeHost, bip: string): Promise<BerthError | null> {
  const file = jsonFile("/etc/docker/daemon.json", { bip });
  return createEnsure({ host, mode: "apply", journal: null }).ensure(engine({ file, keys: ["bip"], bip }))
    .then(() => null, (error) => error);
}

/** The operator's edit, after the engine's start. */
function edit({ machine }: FakeHost, text: string): void {
  machine.files.set("/etc/docker/daemon.json", { text, mode: 0o644, changedMs: 2 });
}

test("engine() goes back to the last text a daemon came up with where the operator's own does not start", async () => {
  const host = oldEngine();
  assert.is(await given(host, "10.0.0.1/24"), null);
  const ran = await host.readText("/etc/docker/daemon.json");
  const bad = '{"debug":true,"bip":"10.0.0.1/24","log-level":"nonsense"}';
  for (const bip of ["10.0.1.1/24", "10.0.0.1/24"]) { // the second finds the file right, and docker0 moved
    edit(host, bad);
    const { links } = host.machine;
    links.set("docker0", { ...links.get("docker0")!, addresses: ["172.17.0.1/16"] });
    const error = await given(host, bip);
    assert.is(error?.code, "docker");
    assert.is(error?.object, "engine docker");
    assert.match(error?.message ?? "", /changed after its start/);
    assert.match(error?.next ?? "", /kept as "\/var\/lib\/berth\/backup\/daemon\.json\.1"/);
    assert.equal(error?.issues, []);
    assert.ok(isRunning(host.machine), "it runs again");
    assert.is(await host.readText("/etc/docker/daemon.json"), ran);
    assert.is(await host.readText("/var/lib/berth/backup/daemon.json.1"), bad);
    assert.is(await given(host, "10.0.0.1/24"), null);
  }
});

test("engine() does not stop an engine for an untried edit where no text is known to go back to", async () => {
  const host = oldEngine();
  const instance = await host.readText("/proc/4711/stat");
  edit(host, '{"log-level":"nonsense"}');
  const error = await given(host, "10.0.0.1/24");
  assert.is(error?.code, "refused");
  assert.match(error?.message ?? "", /no text is known to go back to/);
  assert.is(await host.readText("/proc/4711/stat"), instance);
  assert.is(await host.readText("/etc/docker/daemon.json"), '{"log-level":"nonsense"}');
});

test("engine() knows what a daemon came up with before berth's first change", async () => {
  const host = oldEngine();
  const file = jsonFile("/etc/docker/daemon.json", { labels: ["a=1"] }); // a reload
  await createEnsure({ host, mode: "apply", journal: null }).ensure(engine({ file, keys: ["labels"] }));
  assert.is(await host.readText("/var/lib/berth/backup/daemon.json.ran"), '{"debug":true}');
  edit(host, '{"data-root":"/elsewhere"}');
  assert.is((await given(host, "10.0.0.1/24"))?.code, "refused", "another root would be another engine");
});

test("engine() sees an edit of what daemon.json leads to, and of the link", async () => {
  const host = oldEngine();
  const { files, symlinks } = host.machine;
  files.delete("/etc/docker/daemon.json");
  symlinks.set("/etc/docker/daemon.json", "../own/link.json");
  symlinks.set("/etc/own/link.json", "/srv/daemon.json");
  const file = jsonFile("/etc/docker/daemon.json", {});
  const edited = async () => (await engine({ file, keys: [] }).observe(host))!.edited;
  for (const [changedMs, wanted] of [[0, false], [2, true]] as const) {
    files.set("/srv/daemon.json", { text: '{"debug":true}', mode: 0o644, changedMs });
    assert.is(await edited(), wanted, `changed at ${changedMs}`);
  }
  symlinks.set("/srv/daemon.json", "daemon.json");
  assert.is(await edited(), false, "a link to itself leads nowhere");
});

for (
  const [version, back] of [["28.5.2", "what it reloaded"], ["20.10.24", "what it started with"]] as const
) {
  test(`engine() ${version} goes back to ${back}, and takes its own reload for nobody's edit`, async () => {
    const host = oldEngine();
    host.machine.files.set("/fake/version", { text: JSON.stringify(version), mode: 0o600 });
    const run = (keys: JsonObject) => {
      const resource = engine({ file: jsonFile("/etc/docker/daemon.json", keys), keys: Object.keys(keys) });
      return createEnsure({ host, mode: "apply", journal: null }).ensure(resource)
        .then(() => null, (error: BerthError) => error);
    };
    const started = await host.readText("/etc/docker/daemon.json");
    assert.is(await run({ labels: ["a=1"] }), null);
    const reloaded = (await host.readText("/etc/docker/daemon.json"))!;
    assert.match(reloaded, "a=1");
    edit(host, reloaded); // as a real file has it: changed after the start
    const before = host.text();
    assert.is(await run({ labels: ["a=1"] }), null);
    assert.is(host.text(), before, "it is done");
    const error = await run({ labels: ["a=1"], "log-level": "nonsense" });
    assert.is(error?.code, "docker");
    assert.not.match(`${error?.message} ${error?.next}`, "changed after its start");
    assert.not.match(`${error?.next}`, "as it was found");
    assert.ok(isRunning(host.machine), "it runs again");
    assert.is(await host.readText("/etc/docker/daemon.json"), version === "28.5.2" ? reloaded : started);
  });
}

test.run();
