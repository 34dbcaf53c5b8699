// deadline: 300s
// Vnodes on a control network with a device of the machine's: they reach the world by it and are reached, by which
// address, and what is not registered is mute.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { arp, BROADCAST, frame, listen, send, udp4 } from "./_frames.ts";
import { hostEnd } from "./_host.ts";
import { reaches } from "./_uplink.ts";
import { openSandbox, type Sandbox } from "./harness.ts";

const ISOLATED = JSON.stringify({});

/** A container that nobody has registered, with IPv6 and an address of its own beside Docker's; pings from it by name. */
async function stranger(box: Sandbox, name: string, network: string, addresses: readonly string[]) {
  const ip = network === "_dockercnet" ? `--ip 172.16.0.3${name.slice(-1)}` : "";
  await box.sh(`docker run -d --name ${name} --network ${network} ${ip} box:latest sleep 10000
    inside() { nsenter --net=/proc/$(docker inspect -f '{{.State.Pid}}' ${name})/ns/net "$@"; }
    inside sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0
    for address in ${addresses.join(" ")}; do inside ip addr add $address dev eth0 nodad; done`);
  await hostEnd(box, name);
}

async function pings(box: Sandbox, name: string, to: string): Promise<boolean> {
  const said = await box.run([
    "sh",
    "-c",
    `nsenter --net=/proc/$(docker inspect -f '{{.State.Pid}}' ${name})/ns/net ping -c 1 -W 1 ${to}`,
  ]);
  return said.exit === 0;
}

const VNODES = {
  vnodes: {
    one: { image: "box", command: ["sleep", "100000"], control: { address: "172.16.0.21" } },
    two: { image: "box", command: ["sleep", "100000"], control: { address: "172.16.0.22" } },
  },
};

/** "SOURCE . DESTINATION" of all echo requests that the router gets meanwhile, sorted. */
async function asSeen(box: Sandbox, meanwhile: () => Promise<void>): Promise<readonly string[]> {
  const router = async (script: string) => {
    const said = await box.router(["sh", "-c", script]);
    assert.is(said.exit, 0, said.stderr);
    return said.stdout;
  };
  await router(`nft -f - <<E
table ip seen {
  set pairs { type ipv4_addr . ipv4_addr; flags dynamic; }
  chain in { type filter hook prerouting priority -400; icmp type echo-request add @pairs { ip saddr . ip daddr }; }
}
E`);
  await meanwhile();
  const listed = await router("nft list set ip seen pairs; nft delete table ip seen");
  return (listed.match(/[\d.]+ \. [\d.]+/g) ?? []).sort();
}

/** Two that are not registered, on the control network: neither speaks to anybody, nor is spoken to. */
async function strangersAreMute(box: Sandbox, others: readonly string[]): Promise<void> {
  await stranger(box, "mute1", "_dockercnet", ["fd00:9::1/64", "198.51.100.66/24", "2001:db8::66/64"]);
  await stranger(box, "mute2", "_dockercnet", ["fd00:9::2/64", "198.51.100.67/24", "2001:db8::67/64"]);
  for (const to of ["172.16.0.32", "fd00:9::2", "172.16.0.1", "172.16.0.21", ...others]) {
    assert.not(await pings(box, "mute1", to), `one that is not registered reaches ${to}`);
  }
  for (const to of ["172.16.0.31", "172.16.0.32"]) {
    assert.not(await pings(box, "one", to), `${to}, not registered, is reached by a vnode`);
  }
  await box.sh("docker rm -f mute1 mute2");
}

/** What a physical network trusts whoever says it: neither the router nor the host hears it from a vnode. */
async function saysNothingToAll(box: Sandbox, name: string, ip: string): Promise<void> {
  const pid = Number((await box.sh(`docker inspect -f '{{.State.Pid}}' ${name}`)).trim());
  const macOf = async (argv: readonly string[], inRouter = false) => {
    const said = await (inRouter ? box.router(argv) : box.run(argv));
    return (JSON.parse(said.stdout) as [{ address: string }])[0].address;
  };
  const mac = await macOf(["nsenter", "-t", `${pid}`, "-n", "ip", "-j", "link", "show", "dev", "eth0"]);
  const router = await macOf(["ip", "-j", "link", "show", "dev", "vhost"], true);
  const host = await macOf(["ip", "-j", "link", "show", "dev", "_dockercnet"]);
  const ears = [
    await listen(box, { pid: "router", device: "vhost" }),
    await listen(box, { pid: 1, device: "_dockercnet" }),
  ];
  try {
    const cases = [
      ["an offer of DHCP to all", BROADCAST, "255.255.255.255", [67, 68]],
      ["an offer of DHCP to the router", router, "198.51.100.1", [67, 68]],
      ["an offer of DHCP to the host", host, "172.16.0.1", [67, 68]],
      ["a router's election", "01:00:5e:00:00:12", "224.0.0.18", [9, 9]],
      ["a multicast to the router's MAC", router, "224.0.0.5", [9, 9]],
      ["a broadcast", BROADCAST, "172.31.255.255", [9, 9]],
    ] as const;
    const end = cases.length + 1;
    const nobody = { mac: "00:00:00:00:00:00", ip: "198.51.100.1" };
    await send(box, { pid, device: "eth0" }, [
      ...cases.map(([, to, there, ports], at) => frame(to, mac, 0x0800, udp4(ip, there, at + 1, ports))),
      frame(BROADCAST, mac, 0x0806, arp(end, { sender: { mac, ip }, target: nobody })),
    ]);
    await box.until("the ARP request behind them", (seen) => {
      seen(ears.map((ear) => [...ear.heard()]));
      return ears.every((ear) => ear.heard().has(end));
    });
    const heard = cases.filter((_, at) => ears.some((ear) => ear.heard().has(at + 1))).map(([says]) => says);
    assert.equal(heard, []);
  } finally {
    for (const ear of ears) await ear.close();
  }
}

test("vnodes reach the world and are reached; what is not registered is mute, by IPv6 too", async () => {
  const box = await openSandbox({ engine: "20.10", berth: true });
  try {
    await box.write("/etc/berth/host.yaml", ISOLATED);
    await box.sh("berth host up", { timeoutMs: 120_000 });
    await box.loadImage();
    await box.write("/etc/berth/vnodes.d/two.yaml", JSON.stringify(VNODES));
    await box.sh("berth vnode up", { timeoutMs: 120_000 });
    await strangersAreMute(box, []);

    // The device comes under vnodes that run.
    const routable = { device: "auto", gatewayTimeout: "4s", routable: ["203.0.113.128/25"] };
    await box.write("/etc/berth/host.yaml", JSON.stringify({ controlNet: routable }));
    await box.sh("berth host up", { timeoutMs: 120_000 });
    await reaches(box);
    await box.until("a vnode to reach another", () => pings(box, "one", "172.16.0.22"));
    assert.ok(await pings(box, "one", "172.16.0.1"), "the host's own address");
    assert.ok(await pings(box, "one", "198.51.100.2"), "the host's address on the device");
    assert.ok(await pings(box, "one", "203.0.113.1"), "the world, masqueraded: the router knows no way back");
    await box.router(["ip", "route", "add", "172.16.0.0/12", "dev", "vhost"]);
    await box.router(["ip", "addr", "add", "203.0.113.129/32", "dev", "lo"]);
    const sources = await asSeen(box, async () => {
      assert.ok(await pings(box, "one", "198.51.100.1"), "the router");
      assert.ok(await pings(box, "one", "203.0.113.129"), "what is routable");
      assert.ok(await pings(box, "one", "203.0.113.1"), "the world");
    });
    assert.equal(sources, [
      "172.16.0.21 . 198.51.100.1",
      "172.16.0.21 . 203.0.113.129",
      "198.51.100.2 . 203.0.113.1",
    ], "masqueraded is what nobody would know the way back to, and nothing else");
    const reached = await box.router(["ping", "-c", "1", "-W", "3", "172.16.0.21"]);
    assert.is(reached.exit, 0, `a vnode is reached from beyond the device: ${reached.stdout}`);

    await saysNothingToAll(box, "one", "172.16.0.21");
    await strangersAreMute(box, [
      "198.51.100.1",
      "198.51.100.2",
      "2001:db8::1",
      "2001:db8::2",
      "203.0.113.1",
    ]);
    for (const to of ["172.16.0.31", "2001:db8::66"]) {
      assert.is.not(
        (await box.router(["ping", "-c", "1", "-W", "1", to])).exit,
        0,
        `${to} is heard beyond the device`,
      );
    }
    // Other networks of Docker's are not touched by that.
    await box.sh("docker network create plain");
    await stranger(box, "free1", "plain", ["fd00:9::1/64"]);
    await stranger(box, "free2", "plain", ["fd00:9::2/64"]);
    assert.ok(await pings(box, "free1", "fd00:9::2"));
    assert.ok(await pings(box, "free1", "203.0.113.1") === false, "Docker's own NAT is off");

    // Out of the configuration, out of the bridge.
    await box.sh("docker rm -f free1 free2 && docker network rm plain");
    await box.write("/etc/berth/host.yaml", ISOLATED);
    await box.sh("berth host up", { timeoutMs: 120_000 });
    await reaches(box);
    assert.is((await box.run(["sh", "-c", "readlink /sys/class/net/eth0/master"])).exit, 1);
    assert.match(await box.sh("berth host check", { timeoutMs: 120_000 }), /As prepared/);
    assert.ok(await pings(box, "one", "172.16.0.22"));
    assert.ok(await pings(box, "one", "203.0.113.1"));
  } finally {
    await box.close();
  }
});

test.run();
