// deadline: 3000s
// A network card of the machine's in a vnode, which only a machine with one can show: handed in, and given back as it
// was when the vnode is killed, halted, restarted and destroyed. Another card on the same hub is its neighbour.
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { build } from "../../tasks/dev/build.ts";
import { skip } from "../skip.ts";
import { boxImage, openMachine, until, whyNoMachine } from "./harness.ts";

const EXPERIMENT = `vnodes:
  left:
    image: box
    command: [sleep, "100000"]
    links: [{ device: eth1, name: lan0, address: 10.7.0.1/24, mac: "02:00:00:00:07:01", mtu: 1300 }]
`;

const absent = process.env["BERTH_LONG"] === "1"
  ? await whyNoMachine("bookworm")
  : "minutes of emulation: deno task long";

if (absent !== null) skip(test, "a network card goes into a vnode, and comes back", absent);
else {
  test("a network card goes into a vnode, and comes back as it was however the vnode ends", async () => {
    const machine = await openMachine({
      suite: "bookworm",
      bootMs: 1_500_000,
      cards: 2,
      files: {
        "/usr/local/bin/berth": { copy: await build(), mode: 0o755 },
        "/etc/berth/vnodes.d/left.yaml": EXPERIMENT,
        "/root/box.tar": { copy: await boxImage() },
      },
    });
    const run = async (...argv: string[]) => {
      const said = await machine.run(argv, { timeoutMs: 500_000 });
      assert.is(said.exit, 0, `${argv.join(" ")}\n${said.stdout}${said.stderr}`);
    };
    const berth = (...args: string[]) => run("berth", ...args);
    const card = () =>
      machine.sh("ip -o link show eth1 | sed -E 's/^[0-9]+: //; s/(qdisc|state|group|qlen) [^ ]+ ?//g'");
    const inside = async (what: string) => {
      assert.is.not((await machine.run(["ip", "link", "show", "eth1"])).exit, 0, "it has left the host");
      const said = await machine.sh("docker exec left ip -o link show lan0");
      assert.match(said, /mtu 1300 .*link\/ether 02:00:00:00:07:01/s);
      await until(what, async (seen) => {
        const pinged = await machine.run([
          "docker",
          "exec",
          "left",
          "ping",
          "-c",
          "1",
          "-W",
          "2",
          "10.7.0.9",
        ]);
        seen(pinged.stdout + pinged.stderr);
        return pinged.exit === 0;
      }, { deadlineMs: 60_000, everyMs: 500 });
    };
    try {
      await berth("host", "up");
      await machine.sh("docker import /root/box.tar box:latest", { timeoutMs: 300_000 });
      await machine.sh("ip addr add 10.7.0.9/24 dev eth0; ip link set eth0 up; ip link set eth1 mtu 1400 up");
      const before = await card();
      assert.match(before, /^eth1: <[^>]*\bUP\b[^>]*> mtu 1400 .*link\/ether 52:54:00:00:00:01/s);
      await berth("vnode", "up");
      await inside("the neighbour");
      // The kernel gives it back, by whatever name; who looks next makes it what it was.
      await run("docker", "kill", "left");
      await berth("vnode", "halt", "left");
      assert.is(await card(), before, "killed");
      await berth("vnode", "boot", "left");
      await inside("the neighbour after a boot");
      await run("docker", "restart", "-t", "0", "left");
      await inside("the neighbour after Docker's own restart");
      await berth("vnode", "halt", "left");
      assert.is(await card(), before, "halted");
      await run("docker", "start", "left");
      await inside("the neighbour after Docker's own start");
      await machine.write("/etc/berth/vnodes.d/left.yaml", EXPERIMENT.replace(/links:.*/, "links: []"));
      await berth("vnode", "apply");
      assert.is(await card(), before, "taken from a life that goes on");
      await machine.write("/etc/berth/vnodes.d/left.yaml", EXPERIMENT);
      await berth("vnode", "apply");
      await inside("the neighbour after it was handed in live");
      await berth("vnode", "down", "left");
      assert.is(await card(), before, "destroyed");
      assert.is((await machine.sh("ip -o link show eth1 | grep -c 'alias berth' || true")).trim(), "0");
    } finally {
      await machine.close();
    }
  });
}

test.run();
