// deadline: 300s
// Frames to the addresses that a bridge keeps to itself (01:80:c2:00:00:0x): it takes them in by the port, past all that
// its forwarding is asked. A vnode that sends such speaks to nobody by them, and nothing of what they say is believed.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { hostEndName } from "../../lib/vnode/names.ts";
import {
  arp,
  BROADCAST,
  frame,
  icmp6,
  listen,
  ND,
  type Party,
  type Place,
  send,
  udp4,
  udp6,
} from "./_frames.ts";
import type { Sandbox } from "./harness.ts";
import { openVhost } from "./vhost.ts";

/** LACP's: no setting of a bridge's hands it on, or lets it be asked in forwarding. */
const RESERVED = "01:80:c2:00:00:02";
const SLEEP = ["sleep", "100000"];

/** Counts what the host's IP takes as coming from a port itself. */
const COUNTER = `
nft add table inet taken
nft add chain inet taken in '{ type filter hook prerouting priority -500; }'
nft add rule inet taken in iifname '{ "veth*", "bve-*" }' counter
for port in /proc/sys/net/ipv4/conf/veth*/rp_filter /proc/sys/net/ipv4/conf/bve-*/rp_filter; do echo 0 >$port; done`;

async function taken(box: Sandbox): Promise<number> {
  return Number(/counter packets (\d+)/.exec(await box.sh("nft list table inet taken"))![1]);
}

async function partyOf(box: Sandbox, vnode: string, device: string): Promise<Party & Place> {
  const pid = Number((await box.sh(`docker inspect -f '{{.State.Pid}}' ${vnode}`)).trim());
  const [link] = JSON.parse(await box.sh(`nsenter -t ${pid} -n ip -j addr show dev ${device}`)) as [
    { address: string; addr_info: { family: string; local: string }[] },
  ];
  return {
    pid,
    device,
    mac: link.address,
    ip: link.addr_info.find(({ family }) => family === "inet")!.local,
  };
}

/** What a vnode says to the bridge's own address, as itself and as its neighbour. */
function said(me: Party, peer: Party, host: string): readonly string[] {
  const [all, mine] = ["ff02::1", "fe80::ff:fe00:1"];
  const prefix = "030440c0" + "00000e10" + "00000e10" + "00000000" + "20010db80009" + "0".repeat(20);
  const packets: readonly (readonly [number, string])[] = [
    [0x0800, udp4(me.ip, host, 1)],
    [0x0800, udp4("198.51.100.77", host, 1)],
    [0x0800, udp4(peer.ip, host, 1)],
    [0x86dd, udp6(mine, all, 1)],
    [0x86dd, icmp6(mine, all, ND.router, "4000070800000000" + "00000000" + prefix, 1)],
  ];
  return [me.mac, peer.mac].flatMap((mac) =>
    packets.map(([type, packet]) => frame(RESERVED, mac, type, packet))
  );
}

test("what a vnode says to a bridge's own addresses is not heard, on the control network and on a lan of the host's", async () => {
  const vnode = (number: number) => ({
    image: "box",
    command: SLEEP,
    links: [{ lan: "seen", address: `10.6.0.${number}` }],
  });
  const box = await openVhost("20.10", {
    lans: { seen: { subnet: "10.6.0.0/24", host: ["10.6.0.254"], antiSpoof: true } },
    vnodes: { left: vnode(1), right: vnode(2) },
  });
  try {
    await box.sh(COUNTER);
    const routes = () =>
      box.sh("ip -6 route show default; ip -6 addr show scope global | grep inet6 || true");
    for (const [device, host] of [["eth0", "172.16.0.1"], ["eth1", "10.6.0.254"]] as const) {
      const [me, peer] = [await partyOf(box, "left", device), await partyOf(box, "right", device)];
      const where = async () => {
        // It is known where the neighbour is only after it has spoken.
        const entries = await box.sh(`bridge fdb show | grep -F "${peer.mac} " | grep master`);
        return entries.split("\n").filter(Boolean).map((line) => line.split(" ").slice(0, 3).join(" "));
      };
      await box.sh(`ping -c 1 -W 2 ${peer.ip}`);
      const before = [await routes(), await where()];
      const port = /dev (\S+)/.exec(before[1]![0]!)![1]!;
      if (device === "eth1") assert.is(port, hostEndName("right", "eth1"));
      const bridge = (await box.sh(`sed -n s/^INTERFACE=//p /sys/class/net/${port}/master/uevent`)).trim();
      const ear = await listen(box, { pid: 1, device: bridge });
      const nobody = { mac: "00:00:00:00:00:00", ip: host };
      await send(box, me, [
        ...said(me, peer, host),
        frame(BROADCAST, me.mac, 0x0806, arp(2, { sender: me, target: nobody })),
      ]);
      await box.until("the ARP request behind them", (seen) => {
        seen([...ear.heard()]);
        return ear.heard().has(2);
      });
      await ear.close();
      assert.equal(
        { taken: await taken(box), routes: await routes(), where: await where() },
        { taken: 0, routes: before[0], where: before[1] },
        device,
      );
    }
  } finally {
    await box.close();
  }
});

test.run();
