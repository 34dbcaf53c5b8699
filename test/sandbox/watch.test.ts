// deadline: 900s
// The watch on real engines: whatever is done to a vnode, by whomever, its wiring is as promised afterwards, and what
// is wanted is recorded rightly.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { changed, faultsOf, fullLook, settled, startWatch, type WantedVnodes, watchLog } from "./_world.ts";
import type { Engine, Sandbox } from "./harness.ts";
import { ENGINES, openVhost } from "./vhost.ts";

const RATE = 10_000_000;
const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];
const EXPERIMENT = {
  lans: { wire: { subnets: ["10.1.0.0/24"] } },
  vnodes: {
    left: {
      image: "box",
      command: SLEEP,
      links: [{ lan: "wire", address: "10.1.0.1", rate: "10mbit" }, {
        lan: "wire",
        name: "data0",
        address: "10.1.0.11",
      }],
    },
    right: {
      image: "box",
      command: SLEEP,
      links: [{ lan: "wire", address: "10.1.0.2", rate: "10mbit" }],
    },
  },
};
const VNODES: WantedVnodes = {
  left: [
    { name: "eth1", lan: "wire", address: "10.1.0.1", rate: RATE },
    { name: "data0", lan: "wire", address: "10.1.0.11" },
  ],
  right: [{ name: "eth1", lan: "wire", address: "10.1.0.2", rate: RATE }],
};

/** The record's `wanted`. */
async function wantedOf(box: Sandbox, vnode: string): Promise<{ state: string; by: string }> {
  return JSON.parse(await box.read(`/var/lib/berth/vnodes/${vnode}/record.json`)).wanted;
}

/** What is done to `left`, and what must be so then. */
const LIVE: readonly { readonly does: string; readonly wanted: "up" | "halted"; readonly by?: RegExp }[] = [
  { does: "docker restart -t 0 left", wanted: "up" },
  { does: "docker stop -t 0 left", wanted: "halted", by: /^docker / },
  { does: "docker start left", wanted: "up", by: /^docker start/ },
  { does: "docker kill left", wanted: "halted", by: /^docker kill/ },
  { does: "docker start left", wanted: "up" },
  { does: "docker pause left", wanted: "up" },
  { does: "docker unpause left", wanted: "up" },
  { does: "docker kill -s HUP left", wanted: "up" },
  { does: "docker stop -t 5 left", wanted: "halted", by: /^docker / },
  { does: "berth vnode boot left", wanted: "up", by: /^berth vnode boot/ },
  { does: "docker exec left kill -TERM 1", wanted: "halted", by: /own end \(exit code 0\)/ },
  { does: "docker start left", wanted: "up" },
  // A machine that reboots itself is back without anyone's doing; one that powers off stays off.
  { does: "docker exec left reboot -f", wanted: "up" },
  { does: "docker exec left poweroff -f", wanted: "halted", by: /poweroff inside/ },
  { does: "docker start left", wanted: "up" },
  {
    does: "kill -9 $(docker inspect -f '{{.State.Pid}}' left)",
    wanted: "halted",
    by: /own end \(exit code 137\)/,
  },
  { does: "docker start left", wanted: "up" },
];

async function live(box: Sandbox): Promise<void> {
  const pidOf = async () => (await box.sh("docker inspect -f '{{.State.Pid}}' left")).trim();
  for (const { does, wanted, by } of LIVE) {
    const before = await pidOf();
    const said = await box.run(["bash", "-c", does], { timeoutMs: 60_000 });
    // The client of an exec may lose its connection with the machine it has rebooted.
    if (!does.includes("exec")) assert.is(said.exit, 0, `${does}: ${said.stderr}`);
    else if (does.includes("reboot")) {
      await box.until("another life", async () => !["0", before].includes(await pidOf()));
    }
    try {
      await settled(box, `the world after "${does}"`, VNODES, { left: wanted, right: "up" });
      if (by !== undefined) assert.match((await wantedOf(box, "left")).by, by, does);
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}\n${await watchLog(box)}`);
    }
  }
  await box.sh("docker rename left other");
  assert.equal(await faultsOf(box, "right", VNODES["right"]!), []);
  await box.sh("docker restart -t 0 other && docker rename other left");
  await settled(box, "a renamed vnode to be wired", VNODES, { left: "up" });
  await box.sh("docker rm -f left");
  await settled(box, "nothing of a removed container", VNODES, { left: "halted", right: "up" });
  await box.sh("berth vnode up left");
  await settled(box, "a vnode made anew", VNODES, { left: "up", right: "up" });
}

/** What is broken behind our back, and what else must not be touched by its repair. */
const DAMAGE = (end: string, ifb: string, bridge: string): Readonly<Record<string, string>> => ({
  "a deleted host end": `ip link del ${end}`,
  "a deleted qdisc": `tc qdisc del dev ${end} root`,
  "a changed qdisc": `tc qdisc change dev ${ifb} root handle 1: tbf rate 1mbit burst 3000 limit 100000`,
  "another qdisc": `tc qdisc del dev ${end} root; tc qdisc add dev ${end} root handle 1: pfifo limit 10`,
  "a host end off its bridge": `ip link set ${end} nomaster`,
  "a host end that is down": `ip link set ${end} down`,
  "a deleted redirect": `tc filter del dev ${end} parent ffff:`,
  "a deleted ingress qdisc": `tc qdisc del dev ${end} ingress`,
  "an ifb that is down": `ip link set ${ifb} down`,
  "a deleted ifb": `ip link del ${ifb}`,
  "flushed elements": `nft flush set bridge berth control_ports`,
  "a flushed table": `nft flush table bridge berth`,
  "a deleted table": `nft delete table bridge berth`,
  "the control network without its address": `ip addr flush dev _dockercnet`,
  "a deleted lan": `ip link del ${bridge}`,
  "a lan that is down": `ip link set ${bridge} down`,
  "an interface of a vnode nobody knows":
    `ip link add bve-00000000000 type bridge; ip link set bve-00000000000 alias berth:v=ghost:l=eth1:g=0123456789ab.1.1.00000000`,
});

async function damage(box: Sandbox, pid: number): Promise<void> {
  const { bridgeName, hostEndName, ifbName } = await import("../../lib/vnode/names.ts");
  const [end, ifb, bridge] = [hostEndName("left", "eth1"), ifbName("left", "eth1"), bridgeName("wire")];
  const indexes = () => box.sh("ip -o link | cut -d: -f1,2 | sort");
  const ruleset = () => box.sh("nft -s list table bridge berth; nft -s list table inet berth");
  const life = () => box.sh("docker inspect -f '{{.Id}} {{.State.Pid}} {{.State.StartedAt}}' left right");
  await fullLook(box, pid);
  for (const [what, script] of Object.entries(DAMAGE(end, ifb, bridge))) {
    const [links, rules, lives] = [await indexes(), await ruleset(), await life()];
    await box.sh(script);
    await fullLook(box, pid);
    const message = `after ${what}`;
    assert.equal(await faultsOf(box, "left", VNODES["left"]!, "up"), [], message);
    assert.equal(await faultsOf(box, "right", VNODES["right"]!, "up"), [], message);
    assert.is(await ruleset(), rules, message);
    assert.is(await life(), lives, message);
    const [before, after] = [links, await indexes()].map((text) => new Set(text.trim().split("\n")));
    const gone = [...before!].filter((one) => !after!.has(one)).map((one) =>
      one.split(": ")[1]!.split("@")[0]
    );
    const touched = script.startsWith("ip link del") ? [script.split(" ").at(-1)] : [];
    assert.equal(gone, touched, `other interfaces were made anew ${message}`);
    assert.is(after!.size, before!.size, message);
    await box.sh("ip -o -4 addr show dev _dockercnet | grep -q 172.16.0.1/12");
    await box.sh(
      "docker exec left ping -c 1 -W 2 10.1.0.2 >/dev/null && docker exec left ping -c 1 -W 2 172.16.0.1 >/dev/null",
    );
  }
}

async function watchEnds(box: Sandbox, watch: Awaited<ReturnType<typeof startWatch>>): Promise<void> {
  const second = await box.run(["berth", "watch"]);
  assert.is(second.exit, 7, second.stderr);
  assert.match(second.stderr, new RegExp(`process ${watch.pid} \\(`));
  const before = await box.dump();
  watch.process.kill("SIGTERM");
  assert.is(await watch.process.ended, 143);
  assert.equal(changed(before, await box.dump()), []);
  assert.is((await box.run(["cat", "/run/berth/watch.json"])).exit, 1);
  const boots = await Promise.all([1, 2].map(() => box.run(["berth", "boot"], { timeoutMs: 120_000 })));
  for (const boot of boots) assert.is(boot.exit, 0, boot.stdout + boot.stderr);
  const pids = await box.until("the second watch to give way to the first", async (seen) => {
    const pids = (await box.sh("pgrep -f '^/usr/local/bin/berth watch' || true")).trim().split("\n");
    seen(pids);
    return pids.length === 1 ? pids : null;
  });
  assert.match(
    await box.read("/var/log/berth-watch.log"),
    /^\d{4}-\d\d-\d\dT\S+Z info +Connected engine=/m,
  );
  await box.sh(`kill ${pids[0]}`);
}

async function story(engine: Engine): Promise<void> {
  const box = await openVhost(engine, EXPERIMENT, { watch: { resync: "1h" } });
  try {
    const watch = await startWatch(box);
    await live(box);
    if (engine !== "26.1") await damage(box, watch.pid);
    await watchEnds(box, watch);
  } catch (error) {
    process.stdout.write(await watchLog(box, 60));
    throw error;
  } finally {
    await box.close();
  }
}

for (const engine of (process.env.ENGINE ? [process.env.ENGINE as Engine] : ENGINES)) {
  test(`engine ${engine}: wiring and wishes follow whatever is done to a vnode`, () => story(engine));
}

test.run();
