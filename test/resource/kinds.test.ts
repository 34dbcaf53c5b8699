// What the generic kinds refuse or spare, beyond the laws.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ipBatch } from "../../lib/host/batch.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import { directory, textFile } from "../../lib/resource/kinds/file.ts";
import {
  indentationOf,
  jsonErrorLine,
  leafPaths,
  sameJson,
  valueAt,
  withValue,
} from "../../lib/resource/kinds/json.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";
import { kernelModule } from "../../lib/resource/kinds/kernel_module.ts";
import { addressOn, bridge } from "../../lib/resource/kinds/link.ts";
import { packages } from "../../lib/resource/kinds/package.ts";
import { distributionOf, installCommand } from "../../lib/resource/kinds/package_names.ts";
import { sysctl } from "../../lib/resource/kinds/sysctl.ts";
import { BerthError } from "../../lib/log/error.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";

const engine = (host: FakeHost) => createEnsure({ host, mode: "apply", journal: createJournal(host) });
const failure = (running: Promise<unknown>) =>
  running.then(() => ({ code: "none", message: "" }), (error) => error);

test("jsonFile() refuses a file that is no JSON and names the line", async () => {
  const host = createFakeHost({ files: { "/etc/d.json": '{\n  "a": 1,\n  "b": oops\n}\n' } });
  const error = await failure(engine(host).ensure(jsonFile("/etc/d.json", { c: 1 })));
  assert.is(error.code, "refused");
  assert.match(error.message, 'Cannot merge keys into "/etc/d.json": it is no JSON from line 3 on');
  host.machine.files.set("/etc/d.json", { text: "[1]", mode: 0o644 });
  assert.match(
    (await failure(engine(host).ensure(jsonFile("/etc/d.json", { c: 1 })))).message,
    "it holds an array",
  );
});

test("jsonFile() tells of a byte order mark, and where the last good text lies, if it does", async () => {
  const host = createFakeHost({ files: { "/etc/d.json": '\uFEFF{ "a": 1 }' } });
  const file = jsonFile("/etc/d.json", { c: 1 }, { good: "/var/lib/d.ran" });
  const before = await failure(engine(host).ensure(file));
  assert.match(before.message, 'Cannot merge keys into "/etc/d.json": it begins with a byte order mark');
  assert.match(before.next, "sed -i '1s/^\\xEF\\xBB\\xBF//' /etc/d.json");
  assert.not.match(before.next, "/var/lib/d.ran");
  host.machine.files.set("/etc/d.json", { text: "{torn", mode: 0o644 });
  host.machine.files.set("/var/lib/d.ran", { text: "{}", mode: 0o600 });
  const after = await failure(engine(host).ensure(file));
  assert.match(after.message, "it is no JSON from line 1 on");
  assert.match(after.next, 'the last good text is "/var/lib/d.ran"');
});

test("jsonFile() tells a link that leads nowhere before anything is written", async () => {
  const host = createFakeHost({ files: {} });
  host.machine.symlinks.set("/etc/d.json", "/nowhere/d.json");
  const plan = createEnsure({ host, mode: "plan", journal: createJournal(host) });
  const error = await failure(plan.ensure(jsonFile("/etc/d.json", { c: 1 })));
  assert.is(error.code, "refused");
  assert.match(error.message, '"/etc/d.json" is a symbolic link to "/nowhere/d.json", where nothing is');
});

test("jsonFile() keeps order, indentation and mode, and writes nothing that its judge refuses", async () => {
  const text = '{\n\t"z": 1,\n\t"a": {\n\t\t"deep": [1]\n\t}\n}';
  const judge = { verdict: 0 };
  const host = createFakeHost({
    files: { "/etc/d.json": text },
    commands: [({ argv }) => argv[0] === "judge" ? { exit: judge.verdict, stderr: "unknown key" } : null],
  });
  const options = { accepts: (candidate: string) => ({ argv: ["judge", candidate] }) };
  await engine(host).ensure(jsonFile("/etc/d.json", { a: { deep: [2] }, n: null }, options));
  assert.is(
    await host.readText("/etc/d.json"),
    '{\n\t"z": 1,\n\t"a": {\n\t\t"deep": [\n\t\t\t2\n\t\t]\n\t},\n\t"n": null\n}',
  );
  judge.verdict = 1;
  const error = await failure(engine(host).ensure(jsonFile("/etc/d.json", { z: 9 }, options)));
  assert.match(error.message, "unknown key");
  assert.equal(await host.list("/etc"), ["d.json"]);
  assert.match((await host.readText("/etc/d.json"))!, '"z": 1');
});

test("jsonFile() gives back keys that a later configuration came to own", async () => {
  const host = createFakeHost({ files: { "/etc/d.json": '{"a":1,"b":2}' } });
  await engine(host).ensure(jsonFile("/etc/d.json", { a: 10 }));
  await engine(host).ensure(jsonFile("/etc/d.json", { a: 11, b: 20 }));
  assert.is(await host.readText("/etc/d.json"), '{"a":11,"b":20}');
  await engine(host).undo([jsonFile("/etc/d.json", { b: 20 })]);
  assert.is(await host.readText("/etc/d.json"), '{"a":1,"b":2}');
});

test("an ip that prints no JSON is named, with what it printed and where to look", async () => {
  const host = createFakeHost({
    commands: [({ argv }) => argv[0] === "ip" ? { stdout: "garbage\n" } : null],
  });
  const error = await failure(engine(host).ensure(bridge("br0", { alias: "berth x" })));
  assert.is(error.code, "command-failed");
  assert.match(error.message, '"ip -j" printed no JSON list, but "garbage"');
  assert.match(error.next, "type -a ip");
  assert.equal(host.done.filter((line) => !/journal|lock|berth$/.test(line)), []);
});

test("jsonErrorLine() finds the line, and none in JSON", () => {
  for (const good of ['{"a":[1,-2.5e3,{"b":null}],"c":"\\u00e9\\n"}', " [ ] ", '"x"', "{}", '{"a":{}}']) {
    assert.is(jsonErrorLine(good), null, good);
    JSON.parse(good);
  }
  const bad: [string, number][] = [
    ["", 1],
    ['{"a":1,}', 1],
    ["{\n1}", 2],
    ['{"a"\n:1\n"b"}', 3],
    ["[1,\n2", 2],
    ["{}\n{}", 2],
    ["{'a':1}", 1],
    ["[1,]", 1],
    ["[}", 1],
    ['"a', 1],
    ["01", 1],
  ];
  for (const [text, line] of bad) {
    assert.is(jsonErrorLine(text), line, text);
    assert.throws(() => JSON.parse(text));
  }
});

test("JSON trees: paths, values, keys that are only data", () => {
  assert.equal(leafPaths({ a: { b: [1], c: {} }, d: 1 }), [["a", "b"], ["a", "c"], ["d"]]);
  assert.is(valueAt({ a: 1 }, ["toString"]), undefined);
  const odd = JSON.parse('{"__proto__":{"x":1},"k":1}');
  assert.is(JSON.stringify(withValue(odd, ["k"], 2)), '{"__proto__":{"x":1},"k":2}');
  assert.is(JSON.stringify(withValue(odd, ["__proto__", "x"], 2)), '{"__proto__":{"x":2},"k":1}');
  assert.equal(withValue({ a: 1 }, ["b", "c"], undefined), { a: 1 });
  assert.ok(sameJson({ a: [1, { b: 2 }], c: 3 }, { c: 3, a: [1, { b: 2 }] }));
  assert.not(sameJson([1], { 0: 1 }));
  assert.is(indentationOf('{\n\t"a": 1}'), "\t");
});

test("textFile() and directory() refuse what is of another kind", async () => {
  const host = createFakeHost({ files: { "/etc/f": "" } });
  assert.match(
    (await failure(engine(host).ensure(directory("/etc/f")))).message,
    'Found a file at "/etc/f", wanted a directory',
  );
  assert.match((await failure(engine(host).ensure(textFile("/etc", "")))).message, "wanted a file");
});

test("bridge() refuses a link of that name that is not ours, in plan too, and undo leaves it", async () => {
  const host = createFakeHost();
  await host.exec(ipBatch(["link add name br0 type bridge", 'link set dev br0 alias "theirs"']));
  const planning = createEnsure({ host, mode: "plan", journal: null });
  const error = await failure(planning.ensure(bridge("br0", { alias: "berth lan x" })));
  assert.is(error.code, "refused");
  assert.match(error.message, 'Link "br0" is not berth\'s');
  assert.equal(
    bridge("br0", { alias: "berth lan x" }).revert(null, {
      kind: "bridge",
      alias: "theirs",
      mtu: 1500,
      up: true,
    }),
    [],
  );
  assert.throws(() => bridge("a b", { alias: "berth" }), /Not a name and mark/);
  assert.throws(() => bridge("a", { alias: 'berth" up' }), /Not a name and mark/);
});

test("bridge() with a name of our own takes over what a crash left without alias", async () => {
  const host = createFakeHost();
  await host.exec(ipBatch(["link add name bb-1 type bridge"]));
  await engine(host).ensure(bridge("bb-1", { alias: "berth lan x", named: true }));
  assert.is(host.machine.links.get("bb-1")!.alias, "berth lan x");
});

test("addressOn() says that its device is missing", () => {
  const [change] = addressOn("none0", "10.0.0.1/8").diff({ device: false, present: false });
  assert.is(change!.why, 'missing, as is "none0"');
});

test("packages() installs without starting services, and respects another's policy-rc.d", async () => {
  const host = createFakeHost({ available: ["docker.io"], installed: ["bash"] });
  await engine(host).ensure(packages(["docker.io", "bash"]));
  assert.equal(host.machine.packages.started, []);
  assert.is(await host.stat("/usr/sbin/policy-rc.d"), null);
  assert.not(host.done.some((line) => line.includes(" update")));
  const other = createFakeHost({
    available: ["docker.io"],
    files: { "/usr/sbin/policy-rc.d": "#!/bin/sh\nexit 0\n" },
  });
  await engine(other).ensure(packages(["docker.io"]));
  assert.is(await other.readText("/usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 0\n");
  assert.equal(other.machine.packages.started, [], "theirs would have let it start");
  assert.is(await other.stat("/usr/sbin/policy-rc.d.berth-aside"), null);
  assert.throws(() => packages(["-o"]), /not the name of a Debian package/);
});

test("packages() puts the operator's policy-rc.d back where a crash had left ours in its place", async () => {
  const host = createFakeHost({ available: ["docker.io"], files: { "/usr/sbin/policy-rc.d": "theirs\n" } });
  const [change] = packages(["docker.io"]).diff(await packages(["docker.io"]).observe(host));
  const at = change!.do.findIndex((op) => "run" in op);
  for (const op of change!.do.slice(0, at)) {
    if ("write" in op) await host.writeText(op.write, op.text, { mode: op.mode! });
  }
  host.machine.packages.installed.add("docker.io");
  assert.is.not(await host.readText("/usr/sbin/policy-rc.d"), "theirs\n");
  await engine(host).ensure(packages([]));
  assert.is(await host.readText("/usr/sbin/policy-rc.d"), "theirs\n");
  assert.is(await host.stat("/usr/sbin/policy-rc.d.berth-aside"), null);
});

test("packages() finishes what a power cut interrupted, after waiting for whoever has the lock", async () => {
  const host = createFakeHost({ available: ["docker.io"], files: { "/var/lib/dpkg/updates/0001": "x" } });
  await engine(host).ensure(packages(["docker.io"]));
  const ran = host.done.filter((line) => /apt-get|dpkg/.test(line));
  assert.match(ran[0]!, /Lock::Timeout=300 .*check$/);
  assert.match(ran[1]!, /dpkg --configure -a$/);
  assert.match(ran[2]!, /install -- docker\.io$/);
});

test("packages() tells what to install by hand where there is no apt", async () => {
  const release = 'ID=fedora\nPRETTY_NAME="Fedora Linux 41"\n';
  const host = createFakeHost({
    files: { "/etc/os-release": release },
    commands: [({ argv }) => {
      if (argv[0] !== "dpkg-query") return null;
      throw new BerthError({ code: "missing", object: "dpkg-query", message: "not there" });
    }],
  });
  const error = await failure(engine(host).ensure(packages(["docker.io", "iproute2", "lvm2", "nftables"])));
  assert.is(error.code, "missing");
  assert.match(error.message, /Fedora Linux 41/);
  assert.is(error.next, "Install them: dnf install moby-engine iproute iproute-tc lvm2 nftables");
  const command = (text: string) => installCommand(distributionOf(text), ["docker.io", "procps"]);
  assert.is(command("ID=alpine\n"), "apk add docker procps-ng");
  assert.is(command('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n'), "zypper install docker procps");
  assert.is(command("ID=endeavouros\nID_LIKE=arch\n"), "pacman -S docker procps-ng");
  assert.is(command("ID=gentoo\n"), null);
});

test("packages() reads the lists again only where apt knows no candidate, and tells what apt said", async () => {
  const host = createFakeHost();
  const error = await failure(engine(host).ensure(packages(["nonesuch"])));
  assert.is(error.code, "command-failed");
  assert.match(error.message, "Unable to locate package nonesuch");
  assert.ok(host.done.some((line) => line.endsWith(" update")));
  assert.is(await host.stat("/usr/sbin/policy-rc.d"), null);
});

test("kernelModule() is content with what is built in", async () => {
  const listed = createFakeHost({
    files: { "/lib/modules/6.1.0-fake/modules.builtin": "kernel/net/bridge/br-netfilter.ko\n" },
  });
  assert.not((await engine(listed).ensure(kernelModule("br_netfilter"))).changed);
  const signed = createFakeHost({ files: { "/proc/sys/net/bridge/bridge-nf-call-iptables": "1" } });
  assert.not(
    (await engine(signed).ensure(kernelModule("br_netfilter", { sign: "/proc/sys/net/bridge" }))).changed,
  );
  const uninstalled = await engine(createFakeHost()).ensure(kernelModule("br_none", { optional: true }));
  assert.is(uninstalled.state.how, "unavailable");
  const bare = createFakeHost();
  bare.machine.files.delete("/proc/modules");
  const optional = await engine(bare).ensure(kernelModule("ifb", { optional: true }));
  assert.not(optional.changed);
  assert.is(optional.state.how, "unavailable");
  assert.is(kernelModule("ifb").diff(optional.state)[0]!.why, "not to be had for this kernel");
});

test("sysctl() tells found and wanted, and that a parameter is missing", () => {
  assert.is(sysctl("a.b", "1").diff({ value: "0" })[0]!.why, '"0", wanted "1"');
  assert.is(sysctl("a.b", "1").diff(null)[0]!.why, "missing: this kernel has no such parameter");
});

test.run();
