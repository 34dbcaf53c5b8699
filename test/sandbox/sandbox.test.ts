// The throw-away vhost itself: nothing of it is left, nothing of the machine changes, each engine runs containers.
// Owns its own view of the machine (mounts, links, packages, files, cgroups), taken without the code under test.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Engine, openSandbox, type Sandbox, until } from "./harness.ts";
import { CHECKOUT, collectLeftovers, isAbandoned, sandboxFolder } from "../../tasks/dev/sandbox/paths.ts";

const sh = (script: string) =>
  execFileSync("/bin/bash", ["-c", script], { encoding: "utf8", maxBuffer: 1 << 28 });

/** The machine as a sandbox could have changed it. Other sandboxes may come and go meanwhile: their names are left out. */
function machine(): string {
  return sh(`
    sed -E 's/^[0-9]+ [0-9]+ //' /proc/self/mountinfo | sort
    for what in link addr "route show table all" "-6 route show table all" rule; do ip -o $what; done | sed 's/valid_lft.*//'
    hostname; sha256sum /var/lib/dpkg/status
    find /etc /usr/bin /usr/sbin /usr/local /usr/lib/systemd /var/lib /opt /boot /dev -xdev ! -path '*/pts*' -printf '%p %y %m %s\\n' 2>/dev/null | sort
    find /proc/sys/kernel /proc/sys/vm -maxdepth 1 -type f ! -name '*random*' ! -name ns_last_pid ! -name pty \\
      ! -path '*/vm/*stat*' -perm -u+rw -exec grep -H '' {} + 2>/dev/null | grep -v 'drop_caches' | sort
  `);
}

/** Processes of the machine that live in the pid namespace a clone's pid 1 had. */
function processesIn(namespace: string): readonly string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/pid`) === namespace;
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

const cgroupsOf = (name: string) =>
  sh(`find /sys/fs/cgroup -type d -path '*/${name}' 2>/dev/null`).split("\n").filter(Boolean);

async function using(box: Promise<Sandbox>, use: (box: Sandbox) => Promise<void>): Promise<void> {
  const open = await box;
  try {
    await use(open);
  } finally {
    await open.close();
  }
}

for (
  const [engine, version] of [["20.10", /^20\.10\./], ["26.1", /^26\.1\./], ["28.5", /^\d+\./]] as [
    Engine,
    RegExp,
  ][]
) {
  test(`engine ${engine} starts and runs a container with memory limit and network`, () =>
    using(openSandbox({ engine, image: true }), async (box) => {
      assert.match(await box.sh("docker version --format '{{.Server.Version}}'"), version);
      const said = await box.sh(`docker run --rm --memory 64m --hostname inside box sh -c '
        hostname; ip -4 -o addr show eth0; ping -c 1 -W 2 198.51.100.2 >/dev/null && echo vhost reached'`);
      assert.match(said, /^inside$/m);
      assert.match(said, /172\.17\.0\.2\/16/);
      assert.match(said, /vhost reached/);
    }));
}

test("two vhosts at once run the same container with the same name, and the machine is as before", async () => {
  await using(openSandbox({ engine: "none" }), () => Promise.resolve()); // whatever is prepared once, is
  const before = machine();
  const boxes = await Promise.all([openSandbox({ image: true }), openSandbox({ image: true })]);
  try {
    for (const box of boxes) {
      await box.sh(
        "docker run -d --name same --ip-forward box sleep 1000 2>/dev/null || docker run -d --name same box sleep 1000",
      );
      await box.sh(
        `echo changed >/etc/motd; rm /etc/debian_version; touch /usr/bin/new /root/new /dev/new; hostname other
        ip link add br0 type bridge; sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=2; nft add table inet mine`,
      );
    }
    const ids = await Promise.all(
      boxes.map((box) => box.sh("docker inspect --format '{{.Id}} {{.State.Running}}' same")),
    );
    assert.is.not(ids[0], ids[1]);
    for (const id of ids) assert.match(id, / true/);
    assert.is(machine(), before, "while they run");
  } finally {
    await Promise.all(boxes.map((box) => box.close()));
  }
  assert.is(machine(), before, "after they have ended");
  for (const box of boxes) {
    assert.equal(cgroupsOf(box.clone.name), []);
    assert.not.ok(existsSync(box.clone.directory));
  }
});

test("what belongs to the machine as a whole cannot be written to", () =>
  using(openSandbox({ engine: "none" }), async (box) => {
    for (
      const path of [
        "/proc/sys/kernel/panic",
        "/proc/sys/vm/swappiness",
        "/sys/power/state",
        `${CHECKOUT}/deno.json`,
      ]
    ) {
      const said = await box.run(["/bin/bash", "-c", `echo 1 2>&1 >>${path}`]);
      assert.is.not(said.exit, 0, path);
    }
    await box.sh(
      "echo 1 >/proc/sys/net/ipv4/ip_forward; ip link add br0 type bridge; echo 1 >/sys/class/net/br0/bridge/multicast_querier",
    );
  }));

test("a machine without Docker installs it offline from apt's own cache", () =>
  using(openSandbox({ engine: "none" }), async (box) => {
    assert.is((await box.run(["which", "docker", "dockerd", "nft"])).stdout, "");
    await box.sh("DEBIAN_FRONTEND=noninteractive apt-get install -y -q nftables", { timeoutMs: 120_000 });
    assert.match(await box.sh("nft --version"), /^nftables v/);
    assert.match(await box.sh("apt-get install -y -s --no-download docker.io"), /^Inst docker\.io /m);
  }));

test("the outside world is behind the router", () =>
  using(openSandbox(), async (box) => {
    assert.is((await box.sh("hostname")).trim(), "vhost");
    assert.match(
      await box.sh("ip route get 203.0.113.1"),
      /via 198\.51\.100\.1 dev eth0 src 198\.51\.100\.2/,
    );
    await box.sh("ping -c 1 -W 2 203.0.113.1; ping -6 -c 1 -W 2 2001:db8:ffff::1");
    assert.match((await box.router(["ip", "-br", "addr"])).stdout, /vhost.*198\.51\.100\.1\/24/);
    assert.is((await box.router(["ping", "-c", "1", "-W", "2", "198.51.100.2"])).exit, 0);
  }));

test("commands get input, environment and directory, and give exit code and both outputs", () =>
  using(openSandbox({ engine: "none" }), async (box) => {
    const said = await box.run(["/bin/bash", "-c", 'cat; echo "$COLOUR $PWD $HOME" >&2; exit 7'], {
      input: "in\n",
      env: { COLOUR: "red" },
      cwd: "/etc",
    });
    assert.equal(said, { exit: 7, stdout: "in\n", stderr: "red /etc /root\n" });
    await box.write("/etc/deep/er/file", "a'b\n$(c)\n");
    assert.is(await box.read("/etc/deep/er/file"), "a'b\n$(c)\n");
    let message = "";
    await box.run(["/bin/bash", "-c", "echo said; sleep 1000"], { timeoutMs: 200 }).catch((error) =>
      message = error.message
    );
    assert.match(message, /did not end in the sandbox within 200 ms\nstdout: said/);
    await box.until("the overdue command to be gone", async (seen) => {
      const left = await box.run(["pgrep", "-f", "sleep 1000"]);
      seen(left.stdout);
      return left.exit === 1;
    });
  }));

test("a command in the background is told signals, and the clone's end ends it", () =>
  using(openSandbox({ engine: "none" }), async (box) => {
    const trap = box.spawn([
      "/bin/bash",
      "-c",
      "trap 'echo told; exit 5' TERM; echo up; while :; do sleep 0.1; done",
    ]);
    await box.until("the trap to be set", () => trap.stdout.includes("up"));
    assert.ok(trap.kill("SIGTERM"));
    assert.is(await trap.ended, 5);
    assert.match(trap.stdout, /told/);
    const killed = box.spawn(["sleep", "1000"]);
    await box.until("sleep to run", () => killed.pid());
    killed.kill("SIGKILL");
    assert.is(await killed.ended, 137);
    const last = box.spawn(["sleep", "1000"]);
    await box.until("sleep to run", () => last.pid());
    await box.close();
    assert.is.not(await last.ended, 0);
  }));

test("dockerd comes back after kill -9, and after a stop", () =>
  using(openSandbox({ image: true }), async (box) => {
    await box.sh("docker run -d --name stays box sleep 1000");
    await box.dockerdKill9();
    assert.not.ok(await box.dockerdAnswers());
    await box.dockerdStart(["--live-restore"]);
    assert.match(await box.sh("docker ps -a --format '{{.Names}}'"), /stays/);
    await box.dockerdStop();
    await box.dockerdStart();
    assert.ok(await box.dockerdAnswers());
  }));

test("the dump is the same for the same world, and tells what changed", () =>
  using(openSandbox({ image: true }), async (box) => {
    const before = await box.dump();
    assert.is(await box.dump(), before);
    await box.sh(
      "ip link add br9 type bridge; nft add table inet t9; echo 9 >/etc/f9; docker create --name c9 box",
    );
    const lines = before.split("\n");
    const added = (await box.dump()).split("\n").filter((line) => !lines.includes(line)).join("\n");
    for (
      const part of [
        /^link: br9/m,
        /^nft: table inet t9/m,
        /^file: \/etc\/f9 sha256/m,
        /^docker: c9 created/m,
      ]
    ) {
      assert.match(added, part);
    }
    await box.sh("ip link del br9; nft delete table inet t9; rm /etc/f9; docker rm c9");
    assert.is(await box.dump(), before);
  }));

test("SIGKILL of the owner leaves no process, mount, link, directory or cgroup", async () => {
  const links = sh("ip -o link | wc -l");
  const owner = await startOwner();
  owner.process.kill("SIGKILL");
  await until("the clone to be gone", (seen) => {
    const left = [
      ...processesIn(owner.namespace),
      ...cgroupsOf(owner.name),
      existsSync(owner.directory) ? owner.directory : "",
    ];
    seen(left);
    return left.join("") === "";
  });
  assert.not.match(readFileSync("/proc/self/mountinfo", "utf8"), /berth-sandbox/);
  assert.is(sh("ip -o link | wc -l"), links);
});

test("what SIGKILL of owner and keeper leaves, the next start collects", async () => {
  const owner = await startOwner();
  const keeper = Number(readFileSync(`${owner.directory}/keeper`, "utf8").split(" ")[0]);
  process.kill(keeper, "SIGKILL");
  owner.process.kill("SIGKILL");
  await until("the clone's processes to be gone", (seen) => {
    const left = processesIn(owner.namespace);
    seen(left);
    return left.length === 0;
  });
  assert.ok(existsSync(owner.directory), "nobody was left to remove it");
  assert.ok(cgroupsOf(owner.name).length > 0);
  await until("the owner to be reaped", () => isAbandoned(owner.name));
  collectLeftovers();
  assert.not.ok(existsSync(owner.directory));
  assert.equal(cgroupsOf(owner.name), []);
});

test("collecting spares living clones and foreign directories", () =>
  using(openSandbox({ engine: "none" }), async (box) => {
    const foreign = `${sandboxFolder()}/berth-sandbox-notes`;
    sh(`mkdir -p ${foreign}`);
    try {
      assert.equal(
        collectLeftovers().filter((name) => name === box.clone.name || name === "berth-sandbox-notes"),
        [],
      );
      assert.ok(existsSync(foreign));
      await box.sh("true");
    } finally {
      sh(`rmdir ${foreign}`);
    }
  }));

test("the command line passes input, output and the exit code", async () => {
  const argv = [
    "run",
    "-A",
    `${CHECKOUT}/tasks/dev/sandbox.ts`,
    "--engine",
    "none",
    "--",
    "/bin/bash",
    "-c",
    "cat; hostname; exit 9",
  ];
  const child = spawn("deno", argv, { stdio: ["pipe", "pipe", "inherit"], cwd: CHECKOUT });
  let out = "";
  child.stdout.on("data", (chunk) => out += chunk);
  child.stdin.end("typed\n");
  const exit = await new Promise((resolve) => child.once("close", resolve));
  assert.is(exit, 9);
  assert.is(out, "typed\nvhost\n");
});

interface Owner {
  readonly process: ChildProcess;
  readonly name: string;
  readonly directory: string;
  readonly namespace: string;
}

/** Another process that owns a clone with dockerd and a running container. */
async function startOwner(): Promise<Owner> {
  const child = spawn("deno", ["run", "-A", fileURLToPath(new URL("_owner.ts", import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: CHECKOUT,
  });
  let out = "";
  child.stdout.on("data", (chunk) => out += chunk);
  const line = await until("the owner's clone to run a container", (seen) => {
    seen(out);
    return /^owns (\S+) (\d+) (\S+)$/m.exec(out);
  }, { deadlineMs: 60_000 });
  return {
    process: child,
    name: line[1]!,
    directory: line[3]!,
    namespace: readlinkSync(`/proc/${line[2]}/ns/pid`),
  };
}

test.run();
