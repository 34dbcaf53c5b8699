// deadline: 900s
// kill -9 of the watch, of the engine, of both, at random moments while vnodes are being restarted: afterwards
// everything is as wanted, and nothing that is not berth's was touched. Seeds are in the messages.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { changed, faultsOf, settled, startWatch, type WantedVnodes, watchLog, watchState } from "./_world.ts";
import type { Engine, Sandbox } from "./harness.ts";
import { openVhost } from "./vhost.ts";

const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];
const link = (address: string) => [{ lan: "wire", address, rate: "10mbit" }];
const EXPERIMENT = {
  lans: { wire: { subnets: ["10.1.0.0/24"] } },
  vnodes: {
    left: { image: "box", command: SLEEP, links: link("10.1.0.1") },
    right: { image: "box", command: SLEEP, links: link("10.1.0.2") },
    calm: { image: "box", command: SLEEP, links: link("10.1.0.3") },
    idle: { image: "box", command: SLEEP, links: link("10.1.0.4") },
  },
};
const links = (address: string) => [{ name: "eth1", lan: "wire", address, rate: 10_000_000 }];
const VNODES: WantedVnodes = {
  left: links("10.1.0.1"),
  right: links("10.1.0.2"),
  calm: links("10.1.0.3"),
  idle: links("10.1.0.4"),
};
const ROUNDS = process.env.BERTH_LONG ? 40 : 4;
/** Longer than the longest thing that may stand in the way: an inspect of a container that its start blocks (40 s). */
const SETTLED_MS = 90_000;

/** Things that look like berth's and are not, of every kind. */
const FOREIGN = `
  ip link add bve-0123456789a type bridge; ip link set bve-0123456789a up
  ip link add bbr-0123456789a type bridge; ip link set bbr-0123456789a alias "lan=wire"
  ip link add bif-0123456789a type ifb; ip link set bif-0123456789a alias "berth:v=left"
  ip link add frgbridge type bridge; ip link set frgbridge up; ip addr add 10.88.0.1/24 dev frgbridge
  ip link add frgveth0 type veth peer name frgveth1; ip link set frgveth1 master frgbridge
  ip link set frgveth0 up; ip link set frgveth1 up
  tc qdisc add dev frgveth0 root handle 1: tbf rate 5mbit burst 10k limit 100k
  tc qdisc add dev frgveth0 ingress
  ip route add 10.89.0.0/16 via 10.88.0.2 dev frgbridge; ip rule add from 10.88.0.0/24 lookup 88 pref 888
  nft add table inet foreign; nft add set inet foreign s '{ type ipv4_addr; }'
  nft add element inet foreign s '{ 10.88.0.7 }'; nft add chain inet foreign c '{ type filter hook input priority 10; }'
  nft add rule inet foreign c ip saddr @s counter accept
  nft add element bridge berth control_ports '{ "frgveth1" . 02:00:00:00:88:88 . 10.88.0.8 }'
  docker network create --subnet 10.90.0.0/24 foreign >/dev/null
  docker run -d --name stranger --network foreign box sleep 100000 >/dev/null
  mkdir -p /var/lib/foreign /var/lib/berth.foreign /etc/foreign; echo mine >/var/lib/foreign/file
  echo mine >/var/lib/berth.foreign/file; echo mine >/etc/foreign/file; echo mine >/run/foreign
`;

/** Everything foreign, as text. A stranger that the engine's own crash ended is the engine's business. */
async function foreign(box: Sandbox, alive: boolean): Promise<string> {
  const text = (await box.dump()).split("\n")
    .filter((line) => /0123456789a|frg|foreign|stranger|10\.8[89]\./.test(line))
    .map((line) => alive ? line : line.replace(/(docker: stranger) \w+/, "$1"))
    // The ruleset is in its own order, and our set's elements share lines: looked at apart.
    .filter((line) => !line.startsWith("nft: ") || !line.includes("elements"));
  const more = await box.sh(`
    nft -s list table inet foreign
    nft list set bridge berth control_ports | grep -oE '"frgveth1" [^,}]*'
    cat /var/lib/foreign/file /var/lib/berth.foreign/file /run/foreign
    docker inspect -f '{{.Id}} {{.HostConfig.Runtime}}' stranger
    ip -o link | grep -E 'frg|0123456789a' | cut -d: -f1,2
  `);
  return text.join("\n") + more;
}

/** Mulberry32: the same seed gives the same kills. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Interfaces, elements, locks and processes that belong to no life. */
async function leftovers(box: Sandbox): Promise<string> {
  return await box.sh(`
    for lock in /run/berth/lock/*; do
      [ "$lock" = /run/berth/lock/watch ] || flock -n "$lock" true || echo "lock $lock is held"
    done
    pgrep -af '[b]erth gate|/usr/lib/berth/[r]untime' || true
    for port in $(nft list set bridge berth control_names | grep -oE '"[^"]+"' | tr -d '"'); do
      [ -e "/sys/class/net/$port" ] || echo "element of port $port is left"
    done
    shims=$(pgrep -fc '^[^ ]*containerd-shim' || true); running=$(docker ps -q | wc -l)
    [ "$shims" = "$running" ] || echo "$shims shims for $running containers"
  `);
}

async function watchPid(box: Sandbox): Promise<number | null> {
  const pid = (await box.run(["bash", "-c", "pgrep -f '^(/usr/local/bin/)?berth watch'"])).stdout.trim();
  return pid === "" ? null : Number(pid.split("\n")[0]);
}

async function rescue(box: Sandbox, way: number): Promise<void> {
  const engineDied = !(await box.dockerdAnswers());
  if (engineDied && way % 2 === 0) {
    const up = await box.run(["berth", "host", "up"], { timeoutMs: 180_000 });
    assert.is(up.exit, 0, `host up after a kill: ${up.stdout}${up.stderr}`);
  }
  if (await watchPid(box) !== null && await box.dockerdAnswers()) return;
  const boot = await box.run(["berth", "boot"], { timeoutMs: 180_000 });
  assert.is(boot.exit, 0, `boot after a kill: ${boot.stdout}${boot.stderr}`);
}

async function chaos(engine: Engine, liveRestore: boolean, seed: number): Promise<void> {
  const box = await openVhost(engine, EXPERIMENT, { engine: { liveRestore }, watch: { resync: "1h" } });
  const next = random(seed);
  const told: string[] = [];
  try {
    await box.sh("berth vnode halt idle --grace 0");
    await box.sh(FOREIGN);
    const before = await foreign(box, liveRestore);
    await startWatch(box);
    for (let round = 0; round < ROUNDS; round++) {
      const victims = (["engine", "watch", "both"] as const)[round < 3 ? round : Math.floor(next() * 3)]!;
      const pauseMs = Math.floor(next() * 1200);
      told.push(`${victims} after ${pauseMs} ms`);
      const restarts = ["left", "right"].map((name) =>
        box.run(["docker", "restart", "-t", "0", name], { timeoutMs: 60_000 })
      );
      await new Promise((resolve) => setTimeout(resolve, pauseMs)); // the moment is what is tried
      const pid = await watchPid(box);
      const script = [
        ...(victims === "watch" || pid === null ? [] : []),
        ...(victims !== "engine" ? [`kill -9 ${pid}`] : []),
        ...(victims !== "watch" ? ["kill -9 $(pgrep -x dockerd)"] : []),
      ].join("; ");
      await box.sh(script);
      await Promise.all(restarts);
      await box.until(
        "the victims to be gone",
        async () =>
          (victims === "watch" || (await box.run(["pgrep", "-x", "dockerd"])).exit !== 0) &&
          (victims === "engine" || (await watchPid(box)) === null),
      );
      await rescue(box, round);
      // A restart that both deaths cut in two may have come to its first half only: recorded as Docker's stop.
      const any = victims === "both" ? "any" : "up";
      await settled(
        box,
        `everything as wanted on ${engine}, live-restore ${liveRestore}, seed ${seed}: ${told.join(", ")}`,
        VNODES,
        { left: any, right: any, calm: "up", idle: "halted" },
        SETTLED_MS,
      );
      await box.until("no leftovers", async (seen) => {
        const left = await leftovers(box);
        seen(left);
        return left === "";
      }, { deadlineMs: SETTLED_MS });
      assert.equal(changed(before, await foreign(box, liveRestore)), [], told.join(", "));
      if (!liveRestore) await box.sh("docker start stranger >/dev/null");
      await box.sh("berth vnode boot left right >/dev/null");
      await settled(
        box,
        "all up again",
        VNODES,
        { left: "up", right: "up", calm: "up", idle: "halted" },
        SETTLED_MS,
      );
    }
  } catch (error) {
    process.stdout.write(
      await watchLog(box, 40) + (await box.run(["tail", "-n", "40", "/var/log/berth-watch.log"])).stdout +
        (await box.run(["tail", "-n", "15", "/var/log/dockerd.log"])).stdout,
    );
    throw error;
  } finally {
    await box.close();
  }
}

const CASES: readonly (readonly [Engine, boolean])[] = [
  ["20.10", false],
  ["20.10", true],
  ["26.1", false],
  ["28.5", true],
];
for (const [engine, liveRestore] of CASES) {
  if (process.env.ENGINE && process.env.ENGINE !== `${engine}-${liveRestore}`) continue;
  const seed = Number(process.env.BERTH_SEED ?? 1);
  test(`engine ${engine}, live-restore ${liveRestore}: ${ROUNDS} kills, seed ${seed}`, () =>
    chaos(engine, liveRestore, seed));
}

test("an engine that is shut down keeps what is wanted, and tells what it can without an engine", async () => {
  const box = await openVhost("20.10", EXPERIMENT, {
    engine: { liveRestore: false },
    watch: { resync: "1h" },
  });
  try {
    await startWatch(box);
    await box.sh("docker stop -t 0 idle");
    await settled(box, "an operator's stop", VNODES, { idle: "halted" });
    await box.dockerdStop();
    await box.until("the watch to notice", async () => (await watchState(box))?.connected === false);
    const status = await box.run(["berth", "status"]);
    assert.is(status.exit, 2, status.stderr);
    assert.match(status.stdout, /! The engine does not answer: .*: berth host up/);
    assert.match(status.stdout, /! The watch has no connection to the engine/);
    assert.match(status.stdout, /engine: no answer/);
    assert.match(status.stdout, /watch: pid \d+/);
    assert.match(status.stdout, /left +│? *down +│? *up/);
    assert.match(status.stdout, /idle +│? *down +│? *halted/);
    await box.sh("berth host up");
    await settled(box, "all that was wanted up", VNODES, {
      left: "up",
      right: "up",
      calm: "up",
      idle: "halted",
    });
    // A slip in one vnode's file keeps nobody from what needs no file.
    await box.write("/etc/berth/vnodes.d/slip.yaml", "vnodes: {left: {imgae: box}}");
    assert.match(await box.sh("berth vnode list"), /left .*up/);
    assert.is(await box.sh("berth vnode exec left echo -n here"), "here");
    await box.sh("berth vnode halt left --grace 0 && berth vnode boot left");
    assert.is((await box.run(["berth", "vnode", "up"])).exit, 3);
    assert.equal(await faultsOf(box, "left", VNODES["left"]!, "up"), []);
  } finally {
    await box.close();
  }
});

test.run();
