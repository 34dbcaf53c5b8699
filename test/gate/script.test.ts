// The gate's script: whatever is not a vnode's start passes through untouched; a start runs the batches; what
// fails leaves the reason where containerd reads it, and no created init behind.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { HOSTS_BEGIN } from "../../lib/vnode/wiring.ts";
import { ID, SHELLS, Surroundings } from "./_calls.ts";

const STRANGER = "f".repeat(64);

/** A test in surroundings of its own, once by each shell. */
function inEach(name: string, body: (around: Surroundings, shell: readonly string[]) => void): void {
  for (const shell of SHELLS) {
    test(`${name} (${shell.join(" ")})`, () => {
      const around = new Surroundings();
      try {
        body(around, shell);
      } finally {
        around.remove();
      }
    });
  }
}

/** The calls of dockerd and containerd, as seen; each with the global options in front. */
function calls(id: string): readonly (readonly string[])[] {
  const bundle = `/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/${id}`;
  return [
    ["create", "--bundle", bundle, "--pid-file", `${bundle}/init.pid`, id],
    [
      "create",
      "--bundle",
      bundle,
      "--pid-file",
      `${bundle}/init.pid`,
      "--console-socket",
      "/tmp/pty1/pty.sock",
      id,
    ],
    ["exec", "--process", "/tmp/runc-process1", "--detach", "--pid-file", `${bundle}/1.pid`, id],
    ["kill", id, "15"],
    ["kill", "--all", id, "9"],
    ["delete", id],
    ["delete", "--force", id],
    ["ps", "--format", "json", id],
    ["pause", id],
    ["resume", id],
    ["update", "--resources", "-", id],
    ["state", id],
    ["events", "--stats", id],
    ["features"],
    ["--version"],
    ["checkpoint", "--image-path", "/start", id],
    [],
  ];
}

/** Options before the subcommand, in both forms. */
const FORMS: readonly (readonly string[])[] = [
  [],
  ["--root", "/run/docker/runtime-runc/moby", "--log", "/run/x/log.json", "--log-format", "json"],
  ["--root=/run/docker/runtime-runc/moby", "--log=/run/x/log.json", "--log-format=json", "--systemd-cgroup"],
  ["--debug", "--criu", "start", "--rootless", "auto", "--root", "start"],
];

inEach("all but start passes through untouched: arguments, input, exit code", (around, shell) => {
  around.vnode();
  for (const form of FORMS) {
    for (const call of calls(ID)) {
      const stdin = '{"memory":{"limit":1}}\n$(reboot)\n';
      const said = around.call(shell, [...form, ...call], { stdin, exit: 42 });
      assert.equal(said.real, [{ argv: [...form, ...call], stdin }]);
      assert.is(said.exit, 42);
      assert.equal([said.tools, said.berth, said.log], [[], [], []]);
    }
  }
});

inEach("starts of others pass through untouched", (around, shell) => {
  around.vnode();
  around.write(`data/containers/${STRANGER}/config.v2.json`, '{"Config":{"Labels":{"other":"berth.vnode"}}}');
  for (const id of [STRANGER, "short", "odd$(touch x)", "../escape", "..", "a b", "*"]) {
    for (const form of FORMS) {
      const argv = [...form, "start", id];
      const said = around.call(shell, argv, { stdin: "in", exit: 3 });
      assert.equal(said.real, [{ argv, stdin: "in" }]);
      assert.is(said.exit, 3);
      assert.equal([said.tools, said.berth], [[], []]);
    }
  }
});

inEach("a vnode's start runs the batches with this life's places, then the real runtime", (around, shell) => {
  around.vnode();
  for (const form of FORMS.slice(1, 3)) {
    around.write("hosts", "127.0.0.1\tlocalhost\n");
    const options = form.map((word) =>
      word.replace("/run/docker/runtime-runc/moby", around.root).replace("/run/x/log.json", around.log)
    );
    const said = around.call(shell, [...options, "start", ID], { stdin: "kept", exit: 5 });
    assert.equal(said.berth, [], said.stderr);
    assert.equal(said.real, [{ argv: [...options, "start", ID], stdin: "kept" }]);
    assert.is(said.exit, 5);
    const text = said.tools.join("\n");
    assert.match(text, new RegExp(`ip -batch -\nlink add bve-1 netns ${process.pid}\n`));
    assert.match(
      text,
      new RegExp(`alias berth:v=left:l=eth1:g=${ID.slice(0, 12)}\\.${process.pid}\\.\\d+\\.[0-9a-f]{8} up`),
    );
    assert.match(
      text,
      /add element bridge berth control_ports \{ "veth7" \. 02:00:ac:10:00:02 \. 172\.16\.0\.2 \}/,
    );
    assert.match(text, /add element bridge berth control_names \{ "veth7" \}/);
    assert.match(text, /tc -batch \S+\/tc\nqdisc add dev bve-1 root/);
    assert.match(text, /ip -batch \S+\/inside\.ip\naddr add 10\.1\.0\.1\/24 dev eth1/);
    assert.match(around.read("hosts")!, `localhost\n${HOSTS_BEGIN}\n10.1.0.2\tright\n`);
    assert.match(
      around.read("run/life/left")!,
      new RegExp(`^${ID.slice(0, 12)}\\.${process.pid}\\.\\S+ veth7\n$`),
    );
  }
});

inEach("the pid is containerd's own note of it, where there is one", (around, shell) => {
  around.vnode();
  around.write(`bundle/${ID}/init.pid`, String(process.pid));
  around.write(`root/${ID}/state.json`, "{}");
  const said = around.call(shell, ["--root", around.root, "--log", around.log, "start", ID]);
  assert.equal([said.exit, said.berth], [0, []], said.stderr);
});

inEach("an earlier life's port gives way in the same transaction", (around, shell) => {
  around.vnode();
  around.write("run/life/left", "old.1.2.3 veth5\n");
  const said = around.call(shell, ["--root", around.root, "--log", around.log, "start", ID]);
  assert.equal(said.berth, []);
  const elements = said.tools.filter((line) => / element /.test(line)).map((line) =>
    `${line.split(" ")[0]} ${/"(\w+)"/.exec(line)![1]}`
  );
  assert.equal(elements, [
    "add veth5",
    "add veth5",
    "delete veth5",
    "delete veth5",
    "add veth7",
    "add veth7",
  ]);
});

inEach("any doubt hands over to berth, and its word counts", (around, shell) => {
  const argv = ["--root", around.root, "--log", around.log, "start", ID];
  const doubts: readonly (() => void)[] = [
    () => around.write(`gates/${ID}/control`, ""),
    () => around.write("hosts", `${HOSTS_BEGIN}\n`),
    () => around.write("eth0", "2: eth0@if7: <UP> \\    link/ether 02:00:00:00:00:99 brd ff\n"),
    () => around.write("eth0", "2: eth0@if8: <UP> \\    link/ether 02:00:ac:10:00:02 brd ff\n"),
    () => around.write("bin/ip.fails", ""),
    () => around.write("bin/tc.fails", ""),
    () => around.write("bin/nft.fails", ""),
    () => around.write("sys/bve-1/ifalias", "somebody else's\n"),
    () => around.write(`root/${ID}/state.json`, "{}"),
  ];
  const mended = around.read("eth0")!;
  for (const doubt of doubts) {
    around.vnode();
    around.write("eth0", mended);
    for (const tool of ["ip", "tc", "nft"]) {
      spawnSync("rm", ["-f", join(around.directory, `bin/${tool}.fails`)]);
    }
    spawnSync("rm", ["-rf", join(around.directory, "sys/bve-1")]);
    doubt();
    around.write("berth.exit", "0\n");
    const said = around.call(shell, argv, { stdin: "kept" });
    assert.is(said.berth.length, 1, doubt.toString());
    const [call] = said.berth;
    const pid = around.read(`root/${ID}/state.json`) === "{}" ? "0" : String(process.pid);
    assert.equal(call, [
      ...["gate", "--id", ID, "--root", around.root, "--log", around.log],
      ...["--real", `${around.directory}/real`, "--vnode", "left", "--pid", pid],
    ]);
    assert.equal([said.exit, said.real], [0, [{ argv, stdin: "kept" }]]);
    around.write("berth.exit", "3\n");
    const failed = around.call(shell, argv);
    assert.equal([failed.exit, failed.real, failed.log], [1, [], []]);
  }
});

/** The one call of the real runtime that a failed start makes. */
function kill(around: Surroundings): unknown {
  return [{ argv: ["--root", around.root, "kill", ID, "KILL"], stdin: "" }];
}

inEach("a crash of berth fails the start with the reason and kills the created init", (around, shell) => {
  around.vnode({ control: "" });
  around.write("berth.exit", "139\n");
  const said = around.call(shell, ["--root", around.root, "--log", around.log, "start", ID]);
  assert.is(said.exit, 1);
  assert.equal(said.real, kill(around));
  assert.is(said.log.length, 1);
  assert.is(said.log[0]!.level, "error");
  assert.match(
    said.log[0]!.msg,
    /^berth: vnode left could not be wired and the berth executable ended with 139: /,
  );
});

inEach("restore of a vnode is refused with the reason", (around, shell) => {
  around.vnode();
  const said = around.call(shell, [
    "--root",
    around.root,
    "--log",
    around.log,
    "restore",
    "--bundle",
    "/b",
    ID,
  ]);
  assert.is(said.exit, 1);
  assert.equal(said.real, kill(around));
  assert.match(said.log[0]!.msg, /vnode left cannot be restored from a checkpoint/);
});

inEach("a lost record is told where the container bears our label", (around, shell) => {
  around.write(`data/containers/${ID}/config.v2.json`, '{"Config":{"Labels":{"berth.vnode":"left"}}}');
  const said = around.call(shell, ["--root", around.root, "--log", around.log, "start", ID]);
  assert.is(said.exit, 1);
  assert.equal(said.real, kill(around));
  assert.match(said.log[0]!.msg, /the record of this vnode is lost: berth vnode up NAME/);
});

inEach(
  "sysctls and the firewall's lines go with the rest; a directory of an earlier berth is left to it",
  (around, shell) => {
    around.write("berth.exit", "0\n");
    const call = () => around.call(shell, ["--root", around.root, "--log", around.log, "start", ID]);
    around.vnode({ nft: "add element bridge berth lan_macs { x }\n" });
    assert.match(call().tools.join("\n"), new RegExp(`\\}\ninclude "${around.directory}/gates/${ID}/nft"`));
    for (const sysctls of ["net/../../etc/x 1\n", "kernel/panic 1\n", "net/ipv6/conf/none-such/x 0\n"]) {
      around.vnode({ sysctls });
      const said = call();
      assert.is(said.berth.length, 1, sysctls);
      assert.not.match(said.tools.join("\n"), "inside.ip");
    }
    around.vnode();
    assert.equal(call().berth, []);
    rmSync(join(around.directory, `gates/${ID}/sysctls`));
    const said = call();
    assert.equal([said.exit, said.berth.length, said.tools], [0, 1, []]);
  },
);

inEach("a lock that cannot be opened fails the start like everything else", (around, shell) => {
  around.vnode();
  around.write("run/lock/vnode-left/occupied", "");
  const said = around.call(shell, ["--root", around.root, "--log", around.log, "start", ID]);
  assert.equal([said.exit, said.real], [1, kill(around)]);
  assert.match(said.log[0]!.msg, /cannot open \S+\/lock\/vnode-left/);
});

inEach("nothing in a record's files is ever run", (around, shell) => {
  const trap = join(around.directory, "sprung");
  const hostile = [
    `$(touch ${trap})`,
    `\`touch ${trap}\``,
    `'; touch ${trap}; '`,
    `"; touch ${trap}; "`,
    `\n. /x\n`,
  ];
  const ofOneLine = ["vnode", "control", "hosts.path"];
  for (const name of [...ofOneLine, "ends", "host.ip", "inside.ip", "sysctls", "nft", "tc", "hosts"]) {
    for (const text of ofOneLine.includes(name) ? hostile : [hostile.join("\n")]) {
      around.vnode({ [name]: `${text}\n` });
      around.write("berth.exit", "0\n");
      const said = around.call(shell, ["--root", around.root, "--log", around.log, "start", ID]);
      assert.not(existsSync(trap), `${name} with ${text}`);
      // What stands in the log is JSON whatever the name.
      assert.ok(said.exit === 0 || said.log.length === 1, `${name} with ${text}: ${said.stderr}`);
    }
  }
  for (const vnode of ["../../../escape", "left/../../x", 'a","level":"info', "LEFT", " left"]) {
    around.vnode({ vnode: `${vnode}\n` });
    const said = around.call(shell, ["--root", around.root, "--log", around.log, "start", ID]);
    if (vnode.trim() === "left") continue;
    assert.equal([said.exit, said.tools, said.log[0]?.level], [1, [], "error"], vnode);
  }
});

inEach("every shell takes it as one of theirs", (around, shell) => {
  const checked = spawnSync(shell[0]!, [...shell.slice(1), "-n", around.script], { encoding: "utf8" });
  assert.equal([checked.status, checked.stderr], [0, ""]);
});

test.run();
