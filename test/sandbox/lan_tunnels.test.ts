// deadline: 600s
// Lans that reach other hosts by a tunnel, with real packets: whose frames it takes, the host on such a lan, and what is
// refused, among it what this kernel cannot make. lans.test.ts has the other kinds.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { lanTableName, tunnelName } from "../../lib/vnode/names.ts";
import { datagram, far, farPings, listen, pings, put, standing, vnodeOn } from "./_lans.ts";
import type { Sandbox } from "./harness.ts";
import { fullLook, startWatch } from "./_world.ts";
import { berth, openVhost } from "./vhost.ts";

const VXLAN_PORT = 4789;
const VXLAN = { id: 4242, peers: ["198.51.100.1"], local: "198.51.100.2" };
const tunnelled = (more: object = {}) => ({
  lans: { wide: { subnet: "10.1.0.0/24", mtu: 1450, vxlan: { ...VXLAN, ...more } } },
  vnodes: { near: vnodeOn("wide", "10.1.0.1"), evil: { image: "box", command: ["sleep", "100000"] } },
});

/** The far end: an interface on the same network, which speaks to us from an address. */
const farTunnel = (local: string) => `
  ip link del vx0 2>/dev/null || true
  ip addr replace ${local}/32 dev lo
  ip link add vx0 mtu 1450 address 02:00:00:00:99:09 type vxlan id 4242 dstport 4789 local ${local}
  bridge fdb append 00:00:00:00:00:00 dev vx0 dst 198.51.100.2
  ip addr add 10.1.0.9/24 dev vx0
  ip link set vx0 up`;

const tunnelTable = (box: Sandbox) => box.sh(`nft list table inet ${lanTableName("wide")}`);

/** A frame to all on the lan, of a kind that nobody else sends, and the tunnel's header before it. */
const FORGED = "ffffffffffff02000000990a88b5" + "6576696c".repeat(12);
const HEADER = "0800000000109200";

/** A datagram of a vnode to the tunnel is dropped and counted; from a peer the same one comes through. */
async function forged(box: Sandbox, dropped: () => Promise<number>): Promise<void> {
  // Its own chatter would be counted, too.
  await far(box, "ip link del vx0");
  const evil = (await box.sh("docker inspect -f '{{.State.Pid}}' evil")).trim();
  const heard = await listen(box, "near");
  try {
    const before = await dropped();
    await box.until("a vnode's datagram to the tunnel to be dropped", async (seen) => {
      const sent = datagram(HEADER + FORGED, "172.16.0.1", VXLAN_PORT);
      const said = await box.run(["nsenter", "-t", evil, "-n", ...sent]);
      seen(`${said.stderr}\n${await tunnelTable(box)}\n${await box.sh("nft list ruleset | grep counter")}`);
      return await dropped() > before;
    }, { everyMs: 500 });
    assert.not.match(heard.stdout, FORGED);
    await box.until("a peer's datagram to come through", async (seen) => {
      await box.router(datagram(HEADER + FORGED, "198.51.100.2", VXLAN_PORT));
      seen(`${heard.stdout}\n${await tunnelTable(box)}`);
      return heard.stdout.includes(FORGED);
    }, { everyMs: 500 });
  } finally {
    heard.kill("SIGKILL");
  }
  await far(box, farTunnel("198.51.100.7"));
}

async function tunnels(box: Sandbox): Promise<void> {
  await put(box, tunnelled());
  await far(box, farTunnel("198.51.100.1"));
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "near", "10.1.0.9"), "out");
  assert.ok(await farPings(box, "10.1.0.1", "-M", "do", "-s", "1422"), "in, with packets of 1450 bytes");
  // Neither the far host nor a vnode gets in by another address: only peers are heard.
  const dropped = async () =>
    Number(/@th,96,24 .*packets (\d+) bytes \d+ drop/.exec(await tunnelTable(box))?.[1]);
  const before = await dropped();
  await far(box, farTunnel("198.51.100.7"));
  await box.sh("ip route replace 198.51.100.7 via 198.51.100.1");
  assert.not(await farPings(box, "10.1.0.1"), "a host that is no peer");
  const strange = await dropped();
  assert.ok(strange > before, `${strange} dropped, before ${before}`);
  await forged(box, dropped);
  // Another peer, live; then the watch's view of it: a list that somebody has changed is put right.
  await put(box, tunnelled({ peers: ["198.51.100.7"] }));
  await berth(box, "vnode", "up");
  assert.ok(await pings(box, "near", "10.1.0.9"), "the other peer");
  const learned = await box.sh(`bridge fdb show dev ${tunnelName("wide")}`);
  assert.not.match(learned, "dst 198.51.100.1 ");
  await box.sh(`bridge fdb del 00:00:00:00:00:00 dev ${tunnelName("wide")} dst 198.51.100.7`);
  await berth(box, "vnode", "up");
  assert.match(await box.sh(`bridge fdb show dev ${tunnelName("wide")}`), "dst 198.51.100.7");
  // The host itself has no part in it.
  assert.is((await box.sh(`ip -o addr show dev ${tunnelName("wide")}`)).trim(), "");
  assert.not(await farPings(box, "198.51.100.2", "-I", "vx0"), "the host by the tunnel");
  await berth(box, "vnode", "down", "near", "evil");
  assert.is(await standing(box, "wide"), "");
}

/** The host is on a lan by its tunnel, too, and stays so when the watch has looked at everything. */
async function hostedTunnel(box: Sandbox): Promise<void> {
  const { lans, vnodes } = tunnelled();
  await put(box, { lans: { wide: { ...lans.wide, host: ["10.1.0.254"] } }, vnodes: { near: vnodes.near } });
  await far(box, farTunnel("198.51.100.1"));
  await berth(box, "vnode", "up");
  assert.ok(await farPings(box, "10.1.0.254"), "the host by the tunnel");
  const { pid, process } = await startWatch(box);
  try {
    await fullLook(box, pid);
    await fullLook(box, pid);
    assert.match(await box.sh("nft list set bridge berth lan_host_ports"), tunnelName("wide"));
    assert.ok(await farPings(box, "10.1.0.254"), "after full looks");
  } finally {
    process.kill("SIGTERM");
  }
  await berth(box, "vnode", "down", "near");
  assert.is(await standing(box, "wide"), "");
  assert.not.match(await box.sh("nft list set bridge berth lan_host_ports"), tunnelName("wide"));
}

async function refusals(box: Sandbox): Promise<void> {
  const lan = (vxlan: object, mtu: number) => ({
    lans: { wide: { subnet: "10.1.0.0/24", mtu, vxlan: { ...VXLAN, ...vxlan } } },
    vnodes: { near: vnodeOn("wide", "10.1.0.1") },
  });
  await put(box, lan({ peers: ["198.51.100.1", "198.51.100.2"], local: undefined }, 1500));
  const said = await box.run(["berth", "vnode", "up"]);
  assert.is(said.exit, 5, said.stderr);
  assert.match(said.stderr, "Set mtu: 1450");
  assert.match(said.stderr, 'Peer 198.51.100.2 of lan "wide" is this host itself');
  assert.is(await standing(box, "wide"), "");
  // The one kind of lan that this kernel may not have.
  const has = await box.run([
    "unshare",
    "-n",
    "sh",
    "-c",
    "ip link add a0 type veth peer name a1 &&\n" +
    "ip link add link a0 name a2 type vlan id 2",
  ]);
  if (has.exit === 0) return;
  const { vnodes } = lan({}, 1450);
  await put(box, { lans: { wide: { subnet: "10.1.0.0/24", device: "vhost", vlan: 7 } }, vnodes });
  const lacking = await box.run(["berth", "vnode", "up"]);
  assert.is(lacking.exit, 4, lacking.stderr);
  assert.match(lacking.stderr, "Its VLAN needs the kernel's 8021q, which it does not have");
  assert.match(lacking.stderr, "modprobe 8021q");
  assert.is(await standing(box, "wide"), "");
}

test("a tunnel carries a lan to its peers and nobody else, and goes with its last vnode", async () => {
  const box = await openVhost("20.10", null);
  try {
    await tunnels(box);
    await hostedTunnel(box);
    await refusals(box);
  } finally {
    await box.close();
  }
});

test.run();
