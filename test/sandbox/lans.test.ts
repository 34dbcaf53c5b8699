// deadline: 600s
// Lans with real packets: a device lent and given back, the host's own addresses, hubs, macvlans; and what a command left
// that was ended in the middle. lan_tunnels.test.ts has those that reach other hosts.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bridgeName, hostEndName } from "../../lib/vnode/names.ts";
import { far, farPings, listen, pings, put, standing, vnodeOn } from "./_lans.ts";
import type { Sandbox } from "./harness.ts";
import { fullLook, startWatch } from "./_world.ts";
import { berth, openVhost } from "./vhost.ts";

/** What a command that is ended leaves of a tunnel. */
const VXLAN = { id: 4242, peers: ["198.51.100.1"], local: "198.51.100.2" };

const onDevice = (more: object = {}) => ({
  lans: { world: { subnet: "10.5.0.0/24", device: "ens9", ...more } },
  vnodes: { inner: vnodeOn("world", "10.5.0.1") },
});

/** A second device of the machine, whose other end is in the router's network. */
const DEVICE = `
  ip link add ens9 type veth peer name far9 netns "$(cat /run/sandbox/router.pid)"
  ip link set ens9 up`;
const deviceIs = (box: Sandbox) =>
  box.sh(
    "ip -d -o link show ens9 | tr -s ' ' | grep -oE '<[A-Z,_-]+>|addrgenmode [a-z0-9]+|alias .*|master [^ ]+'",
  );

async function device(box: Sandbox): Promise<void> {
  await box.sh(DEVICE);
  await far(box, "ip addr add 10.5.0.9/24 dev far9; ip link set far9 up");
  await box.until(
    "the device's own address",
    () => box.sh("ip -6 -o addr show dev ens9 -tentative | grep fe80").catch(() => null),
  );
  const before = await deviceIs(box);
  // In use, it is refused, whatever uses it; and nothing is touched.
  const uses = {
    "ip addr add 192.0.2.5/24 dev ens9": "ip addr del 192.0.2.5/24 dev ens9",
    "ip route add 192.0.2.0/24 dev ens9": "ip route del 192.0.2.0/24 dev ens9",
    "ip link set ens9 alias mine": "ip link set ens9 alias ''",
    "ip link add foreign type bridge; ip link set ens9 master foreign": "ip link del foreign",
    "ip link set ens9 mtu 1400": "ip link set ens9 mtu 1500",
  };
  await put(box, onDevice());
  for (const [use, end] of Object.entries(uses)) {
    await box.sh(use);
    const said = await box.run(["berth", "vnode", "up"]);
    assert.is(said.exit, 5, `${use}: ${said.stdout}${said.stderr}`);
    assert.match(said.stderr, 'evice "ens9"', use);
    await box.sh(end);
    assert.is(await deviceIs(box), before, use);
  }
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "inner", "10.5.0.9"), "out");
  assert.ok(await farPings(box, "10.5.0.1"), "in");
  // The host is silent on it, by IPv6 too: its own frames, and answers to what is asked of it.
  assert.is((await box.sh("ip -o addr show dev ens9")).trim(), "");
  await box.sh("ip addr add 10.5.0.77/32 dev lo");
  assert.not(await farPings(box, "10.5.0.77"), "the host's address");
  await box.sh("ip addr del 10.5.0.77/32 dev lo");
  await box.sh("ip link set ens9 nomaster");
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "inner", "10.5.0.9"), "taken out by hand, put back");
  await berth(box, "vnode", "down", "inner");
  assert.is(await deviceIs(box), before);
  assert.not.match(await box.sh("nft list set bridge berth lan_uplinks"), "ens9");
  // Down before, down again; and a lan that is no longer on it gives it back, too.
  await box.sh("ip link set ens9 down");
  const down = await deviceIs(box);
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "inner", "10.5.0.9"), "again");
  await put(box, onDevice({ device: undefined }));
  await berth(box, "vnode", "up");
  assert.is(await deviceIs(box), down);
  await berth(box, "vnode", "down", "inner");
}

const hosted = (more: object = {}) => ({
  lans: {
    seen: { subnets: ["10.6.0.0/24", "fd00:6::/64"], host: ["10.6.0.254", "fd00:6::fe"], ...more },
    other: { subnet: "10.7.0.0/24", host: ["10.7.0.254"] },
    unseen: { subnet: "10.6.0.0/24" },
  },
  vnodes: {
    guest: {
      ...vnodeOn("seen", ["10.6.0.1", "fd00:6::1"]),
      routes: [{ to: "10.7.0.0/24", via: "10.6.0.254" }],
    },
    next: { ...vnodeOn("other", "10.7.0.1"), routes: [{ to: "10.6.0.0/24", via: "10.7.0.254" }] },
    apart: vnodeOn("unseen", "10.6.0.1"),
  },
});

async function host(box: Sandbox): Promise<void> {
  await put(box, hosted());
  await berth(box, "vnode", "up");
  const from = (to: string) =>
    box.run(["ping", "-c", "2", "-i", "0.2", "-W", "1", to]).then(({ exit }) => exit === 0);
  assert.ok(await pings(box, "guest", "10.6.0.254"), "IPv4");
  assert.ok(await pings(box, "guest", "fd00:6::fe", "-6"), "IPv6");
  assert.ok(await from("10.6.0.1") && await from("fd00:6::1") && await from("10.7.0.1"), "from the host");
  assert.not(await pings(box, "apart", "10.6.0.254"), "the lan of the same subnet that the host is not on");
  // By no other address of its own, and no further: neither to another lan nor out into the world.
  await box.sh("docker exec guest ip route add 198.51.100.0/24 via 10.6.0.254");
  for (const to of ["10.7.0.254", "10.7.0.1", "198.51.100.2", "198.51.100.1"]) {
    assert.not(await pings(box, "guest", to), `${to} by the host`);
  }
  await far(box, "ip route replace 10.6.0.0/24 via 198.51.100.2");
  assert.not(await farPings(box, "10.6.0.1"), "from the world by the host");
  const mac = () => box.sh(`cat /sys/class/net/${bridgeName("seen")}/address`);
  const before = await mac();
  // No longer on it: addresses, rules and the wall's holes go, of running lives, too.
  await put(box, hosted({ host: undefined }));
  await berth(box, "vnode", "up");
  assert.not(await pings(box, "guest", "10.6.0.254"), "no longer");
  assert.is((await box.sh(`ip -o addr show dev ${bridgeName("seen")}`)).trim(), "");
  assert.is(await standing(box, "seen"), bridgeName("seen"));
  assert.not.match(await box.sh("nft list set bridge berth lan_host_ports"), hostEndName("guest", "eth1"));
  await put(box, hosted());
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "guest", "fd00:6::fe", "-6"), "on it again");
  assert.is(await mac(), before);
  await berth(box, "vnode", "down", "guest", "next", "apart");
}

const shared = (more: object) => ({
  lans: { both: { subnet: "10.8.0.0/24", ...more } },
  vnodes: {
    one: vnodeOn("both", "10.8.0.1"),
    two: vnodeOn("both", "10.8.0.2"),
    three: vnodeOn("both", "10.8.0.3"),
  },
});

/** How many echo requests from one to two the third one hears. */
async function overheard(box: Sandbox): Promise<number> {
  const heard = await listen(box, "three");
  try {
    // Each knows the other by now: what is sent to all alike is over.
    assert.ok(await pings(box, "one", "10.8.0.2"));
    const from = heard.stdout.length;
    assert.ok(await pings(box, "one", "10.8.0.2", "-s", "200"));
    return heard.stdout.slice(from).split("\n").filter((frame) => /0a0800010a0800020800/.test(frame)).length;
  } finally {
    heard.kill("SIGKILL");
  }
}

/** Again and again: what was heard may come late on a busy machine. */
const hears = (box: Sandbox, what: string) =>
  box.until(what, async (seen) => {
    const count = await overheard(box);
    seen(count);
    return count >= 3;
  }, { deadlineMs: 30_000 });

async function hub(box: Sandbox): Promise<void> {
  await put(box, shared({}));
  await berth(box, "vnode", "up");
  assert.is(await overheard(box), 0, "a switch");
  await put(box, shared({ learning: false }));
  await berth(box, "vnode", "up");
  await hears(box, "three, what is not for it");
  await box.sh(`ip link set ${hostEndName("two", "eth1")} type bridge_slave learning on`);
  await berth(box, "vnode", "up");
  await hears(box, "three, after somebody had made a switch of it");
  await put(box, shared({}));
  await berth(box, "vnode", "up");
  assert.is(await overheard(box), 0, "a switch again");
}

async function macvlan(box: Sandbox): Promise<void> {
  // Live, from ends on the host to none; then from a bridge of its own to a device of the machine.
  await put(box, shared({ driver: "macvlan" }));
  const pids = () => box.sh("docker inspect -f '{{.State.Pid}}' one two three");
  const before = await pids();
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "one", "10.8.0.2") && await pings(box, "two", "10.8.0.3"), "local");
  assert.is((await box.sh("ip -o link show | grep -c bve- || true")).trim(), "0");
  await box.sh("ip addr add 10.8.0.250/32 dev lo");
  assert.not(await pings(box, "one", "10.8.0.250"), "the host");
  await box.sh(DEVICE);
  await far(box, "ip addr add 10.8.0.9/24 dev far9; ip link set far9 up");
  await put(box, shared({ driver: "macvlan", device: "ens9" }));
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "one", "10.8.0.9"), "the device's network");
  assert.ok(await pings(box, "one", "10.8.0.2"), "one another");
  assert.not(await pings(box, "one", "10.8.0.250"), "the host");
  assert.is(await pids(), before);
  // A new life has it before its first instruction, by the gate.
  await box.sh("docker restart -t 0 one");
  assert.ok(await pings(box, "one", "10.8.0.9"), "after a restart");
  await put(box, shared({}));
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "one", "10.8.0.2"), "ends on the host again");
  assert.is(await standing(box, "both"), bridgeName("both"));
  assert.is((await box.sh("ip -o link show | grep -c ': bbr-'")).trim(), "1");
  await berth(box, "vnode", "down", "one", "two", "three");
}

test("a lan is a switch or a hub, and of ends on the host or of macvlans, changed live", async () => {
  const box = await openVhost("20.10", null);
  try {
    await hub(box);
    await macvlan(box);
  } finally {
    await box.close();
  }
});

test("a device of the machine is lent to a lan: refused where it is in use, given back as it was", async () => {
  const box = await openVhost("20.10", null);
  try {
    await device(box);
  } finally {
    await box.close();
  }
});

test("the host is reached on the lans that it is asked onto, there alone, and hands nothing on", async () => {
  const box = await openVhost("20.10", null);
  try {
    await host(box);
  } finally {
    await box.close();
  }
});

/** What a command leaves that is ended after it has made its lans and before any record says so. */
async function leftovers(box: Sandbox): Promise<void> {
  await box.sh(DEVICE);
  const before = await deviceIs(box);
  const one = { lans: { kept: { subnet: "10.9.0.0/24" } }, vnodes: { stays: vnodeOn("kept", "10.9.0.1") } };
  await put(box, one);
  await berth(box, "vnode", "up");
  const lost = {
    gone: { subnet: "10.1.0.0/24", mtu: 1400, vxlan: VXLAN },
    world: { subnet: "10.5.0.0/24", device: "ens9" },
  };
  // A vnode that comes to nothing: its record is taken away as a crash before it would leave it.
  await put(box, {
    lans: { ...one.lans, ...lost },
    vnodes: {
      ...one.vnodes,
      never: { ...vnodeOn("gone", "10.1.0.1"), links: [{ lan: "gone" }, { lan: "world" }] },
    },
  });
  await berth(box, "vnode", "up", "--create-only");
  await box.sh("rm -r /var/lib/berth/vnodes/never; docker rm never");
  assert.is.not(await standing(box, "gone"), "");
  assert.match(await deviceIs(box), bridgeName("world"));
  const { pid, process } = await startWatch(box);
  try {
    await fullLook(box, pid);
    assert.is(await standing(box, "gone"), "");
    assert.is(await standing(box, "world"), "");
    assert.is(await deviceIs(box), before);
    assert.not.match(await box.sh("nft list set bridge berth lan_uplinks"), "ens9");
    assert.is(await standing(box, "kept"), bridgeName("kept"));
  } finally {
    process.kill("SIGTERM");
  }
}

test("lans that a command left behind are collected by the watch, a lent device goes home", async () => {
  const box = await openVhost("20.10", null);
  try {
    await leftovers(box);
  } finally {
    await box.close();
  }
});

test.run();
