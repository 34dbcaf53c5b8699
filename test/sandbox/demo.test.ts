// deadline: 600s
// `npm start`, as it is promised: exit code 0, the link's rate within 3 %, the link back after a restart, the graph,
// and a machine that is as it was. Starts the demonstration as a user does and reads what it says.
import { execFileSync, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sandboxFolder } from "../../tasks/dev/sandbox/paths.ts";

const DEMO = fileURLToPath(new URL("../../tasks/dev/demo.ts", import.meta.url));

/** The machine as the demonstration could have changed it. */
function machine(): string {
  const look = `sha256sum /var/lib/dpkg/status; ip -o link | sed 's/^[0-9]*: //'
    cut -d' ' -f3- /proc/self/mountinfo | sort
    ls -d /etc/berth /etc/docker /var/lib/docker /run/berth /run/docker.sock /usr/lib/berth 2>/dev/null || true`;
  return execFileSync("/bin/bash", ["-c", look], { encoding: "utf8" });
}

/** Runs the demonstration; `when` is called with each chunk it says. */
function demo(when: (said: string, kill: (signal: NodeJS.Signals) => void) => void = () => {}) {
  return new Promise<{ exit: number | null; said: string; pid: number }>(
    (resolve, reject) => {
      const child = spawn(process.execPath, ["run", "-A", DEMO], { stdio: ["ignore", "pipe", "pipe"] });
      let said = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          said += text;
          // Not child.kill: Deno would tell the signal as the end, whatever exit code the program gave.
          when(said, (signal) => void process.kill(child.pid!, signal));
        });
      }
      child.on("error", reject);
      child.on("close", (exit) => resolve({ exit, said, pid: child.pid! }));
    },
  );
}

/** Directories of throw-away vhosts that a process has left. */
const leftBy = (pid: number) =>
  readdirSync(sandboxFolder()).filter((name) => name.startsWith(`berth-sandbox-${pid}-`));

test("the demonstration shows a wired pair on a machine without Docker, and leaves the machine as it was", async () => {
  const before = machine();
  const { exit, said, pid } = await demo();
  assert.is(exit, 0, said);
  const rates = [...said.matchAll(/^ {5}\w+ → \w+ +([\d.]+) Mbit\/s +10\.00 Mbit\/s/gm)].map((found) =>
    Number(found[1])
  );
  assert.is(rates.length, 3, said);
  for (const rate of rates) assert.ok(Math.abs(rate - 10) <= 0.3, `${rate} Mbit/s\n${said}`);
  assert.match(said, /docker: command not found/);
  assert.match(said, /Host ready, 2 of 2 vnodes as wanted/);
  const back = said.slice(said.indexOf("$ docker restart"));
  assert.match(back, /no answer for \d+\.\d s/);
  assert.match(back, /left +up +up +wired/);
  assert.match(back, /│ eth1 +10\.1\.0\.1\/24 +├── ↑↓ 10mbit ──╢/);
  assert.not.ok(said.includes("\x1b["), "colours on something that is no terminal");
  assert.is(machine(), before);
  assert.equal(leftBy(pid), []);
});

test("the demonstration stopped by Ctrl-C cleans up and ends with 130", async () => {
  const before = machine();
  let stopped = false;
  const { exit, said, pid } = await demo((said, kill) => {
    if (stopped || !said.includes("$ berth boot")) return;
    stopped = true;
    kill("SIGINT");
  });
  assert.is(exit, 130, said);
  assert.match(said, /Stopped: cleaning up/);
  assert.is(machine(), before);
  assert.equal(leftBy(pid), []);
});

test.run();
