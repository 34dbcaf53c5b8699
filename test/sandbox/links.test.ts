// deadline: 900s
// Links of vnodes that run, changed live: each key, links that come and go, under traffic on another link; what did not
// change is the same to the byte; what users do inside stays until they are overruled; cut off anywhere and run again.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { hostEndName, ifbName } from "../../lib/vnode/names.ts";
import { changed, startWatch } from "./_world.ts";
import type { Engine, Sandbox } from "./harness.ts";
import { berth, openVhost } from "./vhost.ts";

const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];
const FILE = "/etc/berth/vnodes.d/experiment.yaml";

type Link = Record<string, unknown>;

/** Two vnodes with the same two lans; what is given goes over left's first link, and beside its links. */
const experiment = (link: Link = {}, more: Record<string, unknown> = {}, further: readonly Link[] = []) => ({
  lans: {
    wire: { subnets: ["10.1.0.0/24", "fd00:1::/64"] },
    other: { subnet: "10.2.0.0/24" },
    spare: { subnet: "10.3.0.0/24" },
  },
  vnodes: {
    left: {
      image: "box",
      command: SLEEP,
      links: [
        { lan: "wire", addresses: ["10.1.0.1", "fd00:1::1"], rate: "10mbit", ...link },
        { lan: "other", address: "10.2.0.1", rate: "20mbit" },
        ...further,
      ],
      ...more,
    },
    right: {
      image: "box",
      command: SLEEP,
      links: [
        { lan: "wire", addresses: ["10.1.0.2", "fd00:1::2"] },
        { lan: "other", address: "10.2.0.2", rate: "20mbit" },
      ],
    },
  },
});

const put = (box: Sandbox, spec: unknown) => box.write(FILE, JSON.stringify(spec));

async function changes(box: Sandbox, ...argv: string[]): Promise<string[]> {
  const told = JSON.parse(await berth(box, "vnode", ...argv, "--json")) as {
    vnodes: { vnode: string; changed: boolean }[];
  };
  return told.vnodes.filter((one) => one.changed).map((one) => one.vnode).sort();
}

const inspect = async (box: Sandbox, vnode: string, form: string) =>
  (await box.sh(`docker inspect -f '${form}' ${vnode}`)).trim();

/** Runs a script in a vnode's network namespace with the host's programs. */
async function inside(box: Sandbox, vnode: string, script: string): Promise<string> {
  const pid = await inspect(box, vnode, "{{.State.Pid}}");
  const said = await box.run(["nsenter", "-t", pid, "-n", "sh", "-c", script], { timeoutMs: 60_000 });
  assert.is(said.exit, 0, `${script}: ${said.stdout}${said.stderr}`);
  return said.stdout.trim();
}

/** A link as it is inside: MAC, MTU, carrier, addresses without the kernel's own. */
async function linkOf(box: Sandbox, vnode: string, name: string) {
  const [link] = JSON.parse(await inside(box, vnode, `ip -j -d addr show dev ${name}`)) as {
    address: string;
    mtu: number;
    flags: string[];
    addr_info: { local: string; prefixlen: number; scope: string }[];
  }[];
  return {
    mac: link!.address,
    mtu: link!.mtu,
    carrier: link!.flags.includes("LOWER_UP"),
    addresses: link!.addr_info.filter(({ scope }) => scope === "global")
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort(),
  };
}

/** All but one link of one vnode: interfaces with their indexes, qdiscs and filters, rules, and what right has inside. */
async function others(box: Sandbox, vnode: string, link: string): Promise<string> {
  const own = `${hostEndName(vnode, link)}|${ifbName(vnode, link)}`;
  return await box.sh(`
    ip -d -o link show | grep -vE '${own}|bbr-' ; tc qdisc show | grep -vE '${own}|bbr-'; nft list ruleset
    for one in left right; do
      docker inspect -f '{{.Id}} {{.State.Pid}} {{.State.StartedAt}}' $one
      pid=$(docker inspect -f '{{.State.Pid}}' $one)
      nsenter -t $pid -n ip -o link show | grep -v '[0-9]: ${link}@' || true
      [ $one = ${vnode} ] || nsenter -t $pid -n sh -c 'ip -o addr; ip route; ip -6 route'
    done
    docker exec right cat /etc/hosts | grep -v 'left'
  `).then((text) =>
    text.replaceAll(" tentative", "").replace(
      /counter packets \d+ bytes \d+|(_timer|fdb_n_learned) +[0-9.]+/g,
      "$1",
    )
  );
}

/** Gives left another spec, live, and holds all else against what it was; answers with what is told of the change. */
async function given(box: Sandbox, spec: unknown, link = "eth1"): Promise<void> {
  const before = await others(box, "left", link);
  await put(box, spec);
  assert.equal(await changes(box, "apply", "left"), ["left"]);
  assert.equal(changed(before, await others(box, "left", link)), [], JSON.stringify(spec));
  assert.equal(await changes(box, "apply"), []);
}

async function keys(box: Sandbox): Promise<void> {
  const mac = (await linkOf(box, "left", "eth1")).mac;
  // All of it while another link carries traffic, of which nothing is lost.
  const pid = await inspect(box, "left", "{{.State.Pid}}");
  const pinging = box.spawn(
    ["nsenter", "-t", pid, "-n", "sh", "-c", "exec ping -i 0.05 -W 5 10.2.0.2 >/run/sandbox/pings"],
  );
  await given(box, experiment({ addresses: ["10.1.0.5", "10.1.0.1", "fd00:1::1"] }));
  assert.equal(await linkOf(box, "left", "eth1"), {
    mac,
    mtu: 1500,
    carrier: true,
    addresses: ["10.1.0.1/24", "10.1.0.5/24", "fd00:1::1/64"],
  });
  // The kernel takes the second address with the first.
  await given(box, experiment({ addresses: ["10.1.0.5", "fd00:1::7"] }));
  assert.equal((await linkOf(box, "left", "eth1")).addresses, ["10.1.0.5/24", "fd00:1::7/64"]);
  await inside(box, "right", "ping -c 1 -W 5 10.1.0.5 && ping -6 -c 1 -W 5 fd00:1::7");
  const moved = { addresses: ["10.1.0.5", "fd00:1::7"], mac: "02:00:00:00:07:07", mtu: 1400 };
  await given(box, experiment(moved));
  const link = await linkOf(box, "left", "eth1");
  assert.equal([link.mac, link.mtu], ["02:00:00:00:07:07", 1400]);
  assert.match(await inside(box, "left", "ip -6 addr show dev eth1"), /fe80::ff:fe00:707\/64/);
  await inside(box, "left", "ping -c 1 -W 5 10.1.0.2 && ping -6 -c 1 -W 5 fd00:1::2");
  // An MTU without IPv6, and back.
  await given(box, experiment({ ...moved, addresses: ["10.1.0.5"], mtu: 1000 }));
  await given(box, experiment(moved));
  assert.equal((await linkOf(box, "left", "eth1")).addresses, ["10.1.0.5/24", "fd00:1::7/64"]);
  // A next hop that is nobody: one that is a vnode would hand on from then on.
  const routes = { routes: [{ to: "10.9.0.0/16", via: "10.1.0.9" }, { to: "fd09::/64", via: "fd00:1::9" }] };
  await given(box, experiment(moved, routes));
  const table = () => inside(box, "left", "ip route; ip -6 route");
  assert.match(await table(), /10\.9\.0\.0\/16 via 10\.1\.0\.9 dev eth1/);
  assert.match(await table(), /fd09::\/64 via fd00:1::9 dev eth1/);
  // Routes lean on addresses: the kernel took them along.
  await given(box, experiment({ ...moved, addresses: ["10.1.0.6", "fd00:1::7"] }, routes));
  assert.match(await table(), /10\.9\.0\.0\/16 via 10\.1\.0\.9 dev eth1/);
  await given(box, experiment({}, { hosts: { elsewhere: "10.9.0.1" } }));
  assert.not.match(await table(), /10\.9\.0\.0|fd09::/);
  assert.match(await box.sh("docker exec left cat /etc/hosts"), /^10\.9\.0\.1\s+elsewhere$/m);
  assert.is((await linkOf(box, "left", "eth1")).mac, mac);
  await box.sh(`kill -INT $(pgrep -f '^ping -i 0.05 -W 5 10.2.0.2')`);
  await pinging.ended.catch(() => {});
  assert.match(await box.sh("cat /run/sandbox/pings"), / 0% packet loss/);
}

/** A cable pulled out: by the spec, live and from a start on; and by the clock, whoever watches. */
async function linkState(box: Sandbox): Promise<void> {
  const carrier = async () => (await linkOf(box, "left", "eth1")).carrier;
  const routes = { routes: [{ to: "10.9.0.0/16", via: "10.1.0.9" }, { to: "fd09::/64", via: "fd00:1::9" }] };
  await given(box, experiment({ up: false }, routes));
  const down = await linkOf(box, "left", "eth1");
  assert.equal([down.carrier, down.addresses], [false, ["10.1.0.1/24", "fd00:1::1/64"]]);
  await inside(box, "left", "! ping -c 1 -W 1 10.1.0.2");
  await given(box, experiment({}, routes));
  await inside(box, "left", "ping -c 1 -W 5 10.1.0.2 && ping -6 -c 1 -W 5 fd00:1::2");
  await put(box, experiment({ flap: { up: "3s", down: "2s" } }, routes));
  await berth(box, "vnode", "apply");
  const seen = (wanted: boolean) =>
    box.until(`eth1 to be ${wanted ? "up" : "down"} by the clock`, async (told) => {
      const found = await carrier();
      told(found);
      return found === wanted;
    }, { deadlineMs: 30_000 });
  const watch = await startWatch(box);
  for (const wanted of [true, false, true, false]) await seen(wanted);
  await box.sh(`kill -9 ${watch.pid}`);
  await startWatch(box);
  for (const wanted of [true, false, true]) await seen(wanted);
  await put(box, experiment({}, routes));
  await berth(box, "vnode", "apply");
  await seen(true);
}

async function linkStateAtStart(box: Sandbox): Promise<void> {
  // Routes over a link without carrier must not fail the start.
  await put(box, experiment({ up: false }, { routes: [{ to: "10.9.0.0/16", via: "10.1.0.9" }] }));
  await berth(box, "vnode", "apply");
  await box.sh("docker restart -t 0 left >/dev/null");
  assert.is((await linkOf(box, "left", "eth1")).carrier, false);
  assert.match(await inside(box, "left", "ip route"), /10\.9\.0\.0\/16 via 10\.1\.0\.9 dev eth1/);
  await put(box, experiment());
  await berth(box, "vnode", "apply");
  await inside(box, "left", "ping -c 1 -W 5 10.1.0.2");
}

/** What the engine mounts read-only inside is written all the same: live, and before the first instruction. */
async function sysctls(box: Sandbox): Promise<void> {
  const read = async () =>
    (await box.sh(
      "docker exec left sh -c 'cd /proc/sys/net/ipv4; cat conf/eth1/rp_filter conf/eth1/arp_ignore tcp_ecn conf/eth2/rp_filter'",
    )).trim().split("\n").join(" ");
  const [filter, ignore, ecn, other] = (await read()).split(" ");
  const link = { sysctls: { "ipv4.rp_filter": 2, "ipv4.arp_ignore": "1" } };
  await given(box, experiment(link, { sysctls: { "net.ipv4.tcp_ecn": 0 } }));
  assert.is(await read(), `2 1 0 ${other}`);
  const written = await box.run(["docker", "exec", "left", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/tcp_ecn"]);
  assert.is.not(written.exit, 0, "read-only for its user");
  // Not asked for any more: as it is until the next start, which is told.
  await put(box, experiment());
  const said = await box.run(["berth", "vnode", "apply", "left"], { timeoutMs: 60_000 });
  assert.match(said.stderr, /Stays until the next start[\s\S]*net\.ipv4\.tcp_ecn, ipv4\.rp_filter of eth1/);
  assert.is(await read(), `2 1 0 ${other}`);
  assert.ok([filter, ignore, ecn].every((value) => value !== undefined));
}

async function sysctlsAtStart(box: Sandbox): Promise<void> {
  const spec = (sysctls: Record<string, unknown>) =>
    experiment({ sysctls }, { sysctls: { "net.ipv4.tcp_ecn": 0 } });
  await put(box, spec({ "ipv4.rp_filter": 2 }));
  await berth(box, "vnode", "apply");
  await box.sh("docker restart -t 0 left >/dev/null");
  const read = "cd /proc/sys/net/ipv4; echo $(cat conf/eth1/rp_filter tcp_ecn)";
  assert.is((await box.sh(`docker exec left sh -c '${read}'`)).trim(), "2 0");
  // One that the kernel does not have fails what asks for it, by name.
  await put(box, spec({ "ipv4.no_such_key": 1 }));
  const live = await box.run(["berth", "vnode", "apply", "left"], { timeoutMs: 60_000 });
  assert.match(live.stderr, /\/proc\/sys\/net\/ipv4\/conf\/eth1\/no_such_key/);
  const start = await box.run(["docker", "restart", "-t", "0", "left"], { timeoutMs: 60_000 });
  assert.is.not(start.exit, 0);
  assert.match(start.stderr, /no_such_key/);
  await put(box, experiment());
  await berth(box, "vnode", "up");
  assert.equal((await linkOf(box, "left", "eth1")).addresses, ["10.1.0.1/24", "fd00:1::1/64"]);
}

async function comeAndGo(box: Sandbox): Promise<void> {
  await put(box, experiment());
  await berth(box, "vnode", "apply");
  await given(
    box,
    experiment({}, {}, [{ lan: "spare", address: "10.3.0.1", name: "extra", rate: "5mbit" }]),
    "extra",
  );
  assert.equal((await linkOf(box, "left", "extra")).addresses, ["10.3.0.1/24"]);
  assert.match(await box.sh(`tc qdisc show dev ${hostEndName("left", "extra")}`), /tbf .*rate 5Mbit/);
  await given(box, experiment(), "extra");
  assert.is((await box.sh(`ip -o link | grep -c ${hostEndName("left", "extra")} || true`)).trim(), "0");
  assert.is(
    (await box.sh("ip -o link | grep -c ': bbr-' || true")).trim(),
    "2",
    "the lan went with its last link",
  );
}

async function users(box: Sandbox): Promise<void> {
  const routes = { routes: [{ to: "10.9.0.0/16", via: "10.1.0.9" }] };
  await put(box, experiment({}, routes));
  await berth(box, "vnode", "apply");
  const spoil =
    "ip addr flush dev eth1; ip addr add 10.1.0.99/24 dev eth1; ip link set eth1 mtu 1300; ip link set eth2 down; " +
    "ip route add 10.8.0.0/16 dev eth1";
  await inside(box, "left", spoil);
  const spoilt = await inside(box, "left", "ip -o addr; ip route");
  assert.equal(await changes(box, "apply"), []);
  assert.equal(await changes(box, "apply", "left", "--inside", "--dry-run"), ["left"]);
  assert.is(await inside(box, "left", "ip -o addr; ip route"), spoilt);
  // One thing changed: the rest is left as its user has it.
  await put(box, experiment({ mtu: 1400 }, routes));
  assert.equal(await changes(box, "apply"), ["left"]);
  const { mtu, addresses } = await linkOf(box, "left", "eth1");
  assert.equal([mtu, addresses], [1400, ["10.1.0.99/24"]]);
  assert.equal(await changes(box, "apply", "--inside"), ["left"]);
  assert.equal((await linkOf(box, "left", "eth1")).addresses, ["10.1.0.1/24", "fd00:1::1/64"]);
  const table = await inside(box, "left", "ip route");
  assert.match(table, /10\.9\.0\.0\/16 via 10\.1\.0\.9 dev eth1/);
  await inside(box, "left", "ping -c 1 -W 5 10.2.0.2 && ping -6 -c 1 -W 5 fd00:1::2");
  assert.equal(await changes(box, "apply", "--inside"), []);
}

async function refusals(box: Sandbox): Promise<void> {
  const before = await box.sh("docker ps -a --format '{{.ID}} {{.Names}} {{.CreatedAt}}'; ip -o link");
  const refuse = async (spec: unknown, reason: RegExp) => {
    await put(box, spec);
    const said = await box.run(["berth", "vnode", "apply", "left"], { timeoutMs: 60_000 });
    assert.is(said.exit, 5, said.stdout + said.stderr);
    assert.match(said.stderr, reason);
  };
  await refuse(experiment({}, { command: ["sleep", "5"] }), /needs a new one[\s\S]*berth vnode up left/);
  assert.is(await box.sh("docker ps -a --format '{{.ID}} {{.Names}} {{.CreatedAt}}'; ip -o link"), before);
  await put(box, experiment());
  await berth(box, "vnode", "halt", "left", "--grace", "0");
  await refuse(experiment({ mtu: 1400 }), /does not run/);
  assert.equal(await changes(box, "apply"), []);
  await berth(box, "vnode", "up", "left");
  assert.is((await linkOf(box, "left", "eth1")).mtu, 1400);
}

/** Killed at one moment after the other, then run to its end: as asked for, each time. */
async function cutOff(box: Sandbox): Promise<void> {
  const specs = [
    experiment({ addresses: ["10.1.0.8", "fd00:1::8"], mtu: 1400 }, {}, [{
      lan: "spare",
      address: "10.3.0.1",
    }]),
    experiment({ mac: "02:00:00:00:08:08", rate: "3mbit" }),
  ];
  for (const [index, tenth] of [2, 3, 5, 6, 8, 11].entries()) {
    const at = index % 2;
    await put(box, specs[at]);
    await box.run(["timeout", "-s", "KILL", `${tenth / 10}`, "berth", "vnode", "apply"], {
      timeoutMs: 30_000,
    });
    await berth(box, "vnode", "apply");
    const link = await linkOf(box, "left", "eth1");
    const wanted = at === 0 ? ["10.1.0.8/24", "fd00:1::8/64"] : ["10.1.0.1/24", "fd00:1::1/64"];
    assert.equal(
      [link.addresses, link.mtu],
      [wanted, at === 0 ? 1400 : 1500],
      `killed after ${tenth / 10} s`,
    );
    assert.is(link.mac === "02:00:00:00:08:08", at === 1);
    const extra = await inside(box, "left", "ip -o -4 addr show dev eth3 2>/dev/null || true");
    assert.is(/10\.3\.0\.1\/24/.test(extra), at === 0, `killed after ${tenth / 10} s: ${extra}`);
    assert.equal(await changes(box, "apply"), []);
    assert.equal(await changes(box, "apply", "--inside"), []);
  }
}

async function story(engine: Engine): Promise<void> {
  const box = await openVhost(engine, experiment());
  try {
    const lives = () => box.sh("docker inspect -f '{{.Id}} {{.State.Pid}} {{.State.StartedAt}}' left right");
    const before = await lives();
    await comeAndGo(box);
    await sysctls(box);
    await users(box);
    await keys(box);
    await linkState(box);
    assert.is(await lives(), before, "the same processes all along");
    await sysctlsAtStart(box);
    await linkStateAtStart(box);
    await refusals(box);
    await cutOff(box);
  } finally {
    await box.close();
  }
}

for (const engine of (process.env.ENGINE ? [process.env.ENGINE as Engine] : ["20.10", "28.5"] as const)) {
  test(`engine ${engine}: links are changed, come and go while their vnodes run`, () => story(engine));
}

test.run();
