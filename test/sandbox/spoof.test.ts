// deadline: 600s
// What a vnode may claim to be: raw frames from inside its network namespace, honest and forged, and whether a
// neighbour or the host hears them. Each forged one is dropped and counted, each honest one passes.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  arp,
  bare,
  BROADCAST,
  drops,
  frame,
  icmp6,
  icmp6Bare,
  icmp6Fragments,
  ip6Hex,
  linkLocal,
  listen,
  multicastMac,
  ND,
  neighbour,
  NOBODY,
  type Party,
  type Place,
  send,
  solicitedNode,
  tagged,
  token,
  udp4,
  udp6,
} from "./_frames.ts";
import type { Sandbox } from "./harness.ts";
import { openVhost } from "./vhost.ts";

const SLEEP = ["sleep", "100000"];
const CONTROL: Party = { mac: "02:00:00:00:00:00", ip: "172.16.0.1" };

/** A frame and what becomes of it. */
interface Case {
  readonly says: string;
  readonly frames: (id: number) => readonly string[];
  /** True where it arrives. @default {false} */
  readonly passes?: boolean;
  /** False where it never comes to a rule: the bridge itself takes it for its own. @default {true} */
  readonly counted?: boolean;
}

/** On the control network: `me` speaks to `peer` and to the host. */
function controlCases(me: Party, peer: Party, host: Party): readonly Case[] {
  const others = [peer, host];
  /** To the neighbour and to the host. */
  const both = (type: number, payload: (to: Party) => string, from = me.mac) =>
    others.map((to) => frame(to.mac, from, type, payload(to)));
  const ip = (from: string, mac = me.mac) => (id: number) => both(0x0800, (to) => udp4(from, to.ip, id), mac);
  const ask = (sender: { mac: string; ip: string }, from = me.mac, more = {}) => (id: number) => [
    frame(
      BROADCAST,
      from,
      0x0806,
      arp(id, { sender, target: { mac: "00:00:00:00:00:00", ip: peer.ip }, ...more }),
    ),
  ];
  const answer = (sender: { mac: string; ip: string }) => (id: number) =>
    both(0x0806, (to) => arp(id, { operation: 2, sender, target: to }));
  const honest4 = (id: number) => both(0x0800, (to) => udp4(me.ip, to.ip, id));
  const own6 = "fe80::ff:fe00:1";
  const all = "ff02::1";
  return [
    { says: "IPv4 of its own", frames: ip(me.ip), passes: true },
    { says: "an ARP request of its own", frames: ask(me), passes: true },
    { says: "an ARP answer of its own", frames: answer(me), passes: true },
    { says: "IPv4 with nobody's MAC", frames: ip(me.ip, NOBODY.mac) },
    { says: "IPv4 with the neighbour's MAC", frames: ip(me.ip, peer.mac) },
    { says: "IPv4 with the host's MAC", frames: ip(me.ip, host.mac) },
    { says: "IPv4 from the neighbour's address", frames: ip(peer.ip) },
    { says: "IPv4 from the host's address", frames: ip(host.ip) },
    { says: "IPv4 from an address outside", frames: ip("198.51.100.7") },
    { says: "IPv4 from 0.0.0.0", frames: ip("0.0.0.0") },
    { says: "IPv4 from MAC and address of the neighbour", frames: ip(peer.ip, peer.mac) },
    { says: "ARP from nobody's MAC", frames: ask(me, NOBODY.mac) },
    { says: "ARP that names nobody's MAC", frames: ask({ ...me, mac: NOBODY.mac }) },
    { says: "ARP that names the neighbour's address", frames: ask({ ...me, ip: peer.ip }) },
    { says: "ARP that names the host's address", frames: ask({ ...me, ip: host.ip }) },
    { says: "an ARP probe, from 0.0.0.0", frames: ask({ ...me, ip: "0.0.0.0" }) },
    { says: "an ARP answer that it is the host", frames: answer({ mac: me.mac, ip: host.ip }) },
    {
      says: "an ARP answer that gives away the neighbour's MAC",
      frames: answer({ mac: peer.mac, ip: me.ip }),
    },
    { says: "ARP of other hardware", frames: ask(me, me.mac, { htype: 6 }) },
    { says: "ARP of another protocol", frames: ask(me, me.mac, { ptype: 0x86dd }) },
    { says: "a VLAN tag", frames: (id) => honest4(id).map((one) => tagged([[0x8100, 5]], one)) },
    { says: "a priority tag", frames: (id) => ask(me)(id).map((one) => tagged([[0x8100, 0]], one)) },
    { says: "a provider's tag", frames: (id) => honest4(id).map((one) => tagged([[0x88a8, 5]], one)) },
    { says: "two tags", frames: (id) => honest4(id).map((one) => tagged([[0x88a8, 5], [0x8100, 6]], one)) },
    { says: "IPv6 of its own link", frames: (id) => both(0x86dd, () => udp6(own6, all, id)) },
    { says: "IPv6 from an address outside", frames: (id) => both(0x86dd, () => udp6("fd00::1", all, id)) },
    {
      says: "a neighbour solicitation",
      frames: (id) => [
        frame(
          multicastMac(all),
          me.mac,
          0x86dd,
          icmp6(own6, all, ND.solicit, neighbour("fe80::1", { type: 1, mac: me.mac }), id),
        ),
      ],
    },
    {
      says: "a router advertisement",
      frames: (id) => [
        frame(
          multicastMac(all),
          me.mac,
          0x86dd,
          icmp6(own6, all, ND.router, "4000070800000000" + "00000000", id),
        ),
      ],
    },
    { says: "an unknown type", frames: (id) => both(0x88b5, () => udp4(me.ip, peer.ip, id)) },
    { says: "IPv4 that is called IPv6", frames: (id) => both(0x86dd, (to) => udp4(me.ip, to.ip, id)) },
    {
      says: "reverse ARP",
      frames: (id) => [frame(BROADCAST, me.mac, 0x8035, arp(id, { sender: me, target: me }))],
    },
    {
      says: "a frame of the spanning tree",
      frames: (
        id,
      ) => [frame("01:80:c2:00:00:00", me.mac, 0x0026, "424203" + arp(id, { sender: me, target: me }))],
    },
    {
      says: "LLDP, which the bridge keeps to itself",
      frames: (id) => [frame("01:80:c2:00:00:0e", me.mac, 0x88cc, arp(id, { sender: me, target: me }))],
      counted: false,
    },
  ];
}

/** On a guarded lan: `me` speaks to `peer`; there is no host. */
function lanCases(me: Party, peer: Party): readonly Case[] {
  const own = linkLocal(me.mac);
  const [mine, theirs] = [me.ip6!, peer.ip6!];
  const nobody = { mac: "00:00:00:00:00:00", ip: peer.ip };
  const four =
    (from: string, mac = me.mac) => (id: number) => [frame(peer.mac, mac, 0x0800, udp4(from, peer.ip, id))];
  const six =
    (from: string, mac = me.mac) => (id: number) => [frame(peer.mac, mac, 0x86dd, udp6(from, theirs, id))];
  const ask = (sender: { mac: string; ip: string }, from = me.mac, target = nobody) => (id: number) => [
    frame(BROADCAST, from, 0x0806, arp(id, { sender, target })),
  ];
  const answer = (sender: { mac: string; ip: string }) => (id: number) => [
    frame(peer.mac, me.mac, 0x0806, arp(id, { operation: 2, sender, target: peer })),
  ];
  /** The token stands in a nonce where there is room for one, else behind the packet. */
  const nd =
    (type: number, from: string, to: string, body: string, more: { nonce?: boolean; mac?: string } = {}) =>
    (id: number) => {
      const mac = to.startsWith("ff") ? multicastMac(to) : peer.mac;
      const packet = more.nonce ? icmp6(from, to, type, body, id) : icmp6Bare(from, to, type, body, id);
      return [frame(mac, more.mac ?? me.mac, 0x86dd, packet)];
    };
  const about = solicitedNode(theirs);
  const source = (mac: string) => ({ type: 1, mac }) as const;
  const target = (mac: string) => ({ type: 2, mac }) as const;
  const honest = four(me.ip);
  const all = "ff02::1";
  /** To all, in two fragments. */
  const torn = (first: number, from: string, type: number, message: string) => (id: number) =>
    icmp6Fragments(id, [from, all], [type, message], first, `0201${bare(me.mac)}`)
      .map((one) => frame(multicastMac(all), me.mac, 0x86dd, one));
  return [
    { says: "IPv4 of its own", frames: honest, passes: true },
    { says: "an ARP request of its own", frames: ask(me), passes: true },
    { says: "an ARP answer of its own", frames: answer(me), passes: true },
    {
      says: "an ARP probe for its own address",
      frames: ask({ ...me, ip: "0.0.0.0" }, me.mac, { ...nobody, ip: me.ip }),
      passes: true,
    },
    { says: "IPv6 of its own", frames: six(mine), passes: true },
    { says: "IPv6 of its own link-local address", frames: six(own), passes: true },
    {
      says: "a solicitation",
      frames: nd(ND.solicit, mine, about, neighbour(theirs, source(me.mac))),
      passes: true,
    },
    {
      says: "a solicitation without an option",
      frames: nd(ND.solicit, own, theirs, neighbour(theirs, null)),
      passes: true,
    },
    {
      says: "an advertisement",
      frames: nd(ND.advertise, mine, theirs, neighbour(mine, target(me.mac), 0x60000000)),
      passes: true,
    },
    {
      says: "a question whether its address is free",
      frames: nd(ND.solicit, "::", solicitedNode(mine), neighbour(mine, null)),
      passes: true,
    },
    {
      says: "the same with a nonce",
      frames: nd(ND.solicit, "::", solicitedNode(own), neighbour(own, null), { nonce: true }),
      passes: true,
    },
    {
      says: "a solicitation of routers",
      frames: nd(133, own, "ff02::2", `000000000101${bare(me.mac)}`),
      passes: true,
    },
    { says: "a listener's report", frames: nd(ND.listener, own, "ff02::16", "00000000"), passes: true },
    { says: "IPv4 with nobody's MAC", frames: four(me.ip, NOBODY.mac) },
    { says: "IPv4 with the neighbour's MAC", frames: four(me.ip, peer.mac) },
    { says: "IPv4 from the neighbour's address", frames: four(peer.ip) },
    { says: "IPv4 from an address outside", frames: four("198.51.100.7") },
    { says: "IPv4 from 0.0.0.0", frames: four("0.0.0.0") },
    { says: "ARP from nobody's MAC", frames: ask(me, NOBODY.mac) },
    { says: "ARP that names nobody's MAC", frames: ask({ ...me, mac: NOBODY.mac }) },
    { says: "ARP that names the neighbour's address", frames: ask({ ...me, ip: peer.ip }) },
    { says: "an ARP answer with the neighbour's MAC", frames: answer({ mac: peer.mac, ip: me.ip }) },
    { says: "an ARP probe for the neighbour's address", frames: ask({ ...me, ip: "0.0.0.0" }) },
    { says: "IPv6 with nobody's MAC", frames: six(mine, NOBODY.mac) },
    { says: "IPv6 from the neighbour's address", frames: six(theirs) },
    { says: "IPv6 from the neighbour's link-local address", frames: six(linkLocal(peer.mac)) },
    { says: "IPv6 from an address outside", frames: six("2001:db8::1") },
    { says: "IPv6 from ::", frames: six("::") },
    {
      says: "a solicitation from the neighbour",
      frames: nd(ND.solicit, theirs, about, neighbour(theirs, source(me.mac))),
    },
    {
      says: "a solicitation whose option names nobody's MAC",
      frames: nd(ND.solicit, mine, about, neighbour(theirs, source(NOBODY.mac))),
    },
    {
      says: "a solicitation with a nonce before its option",
      frames: (id) =>
        nd(ND.solicit, mine, about, `${neighbour(theirs, null)}0e01${token(id)}0101${bare(NOBODY.mac)}`)(id),
    },
    {
      says: "a question whether the neighbour's address is free",
      frames: nd(ND.solicit, "::", about, neighbour(theirs, null)),
    },
    {
      says: "an advertisement of the neighbour's address",
      frames: nd(ND.advertise, mine, theirs, neighbour(theirs, target(me.mac), 0x60000000)),
    },
    {
      says: "an advertisement whose option names the neighbour's MAC",
      frames: nd(ND.advertise, mine, all, neighbour(mine, target(peer.mac), 0x20000000)),
    },
    {
      says: "an advertisement with the other kind's option",
      frames: nd(ND.advertise, mine, theirs, neighbour(mine, source(me.mac), 0x60000000)),
    },
    { says: "a router advertisement", frames: nd(ND.router, own, all, "4000070800000000" + "00000000") },
    {
      says: "an advertisement of the neighbour's address behind a fragment of options",
      frames: torn(0, mine, ND.advertise, ip6Hex(theirs) + "0201" + bare(me.mac)),
    },
    {
      says: "a router advertisement behind a fragment of options",
      frames: torn(0, own, ND.router, "0".repeat(16)),
    },
    {
      // Its first fragment ends like a whole one, in what is no part of the packet.
      says: "an advertisement whose option, the neighbour's MAC, lies in another fragment",
      frames: torn(24, mine, ND.advertise, ip6Hex(mine) + "0201" + bare(peer.mac)),
    },
    { says: "a redirect", frames: nd(137, own, theirs, `00000000${"0".repeat(64)}`) },
    { says: "a VLAN tag", frames: (id) => honest(id).map((one) => tagged([[0x8100, 5]], one)) },
    {
      says: "a priority tag on IPv6",
      frames: (id) => six(mine)(id).map((one) => tagged([[0x8100, 0]], one)),
    },
    { says: "a provider's tag", frames: (id) => honest(id).map((one) => tagged([[0x88a8, 5]], one)) },
    { says: "an unknown type", frames: (id) => [frame(peer.mac, me.mac, 0x88b5, udp4(me.ip, peer.ip, id))] },
    {
      says: "IPv4 that is called IPv6",
      frames: (id) => [frame(peer.mac, me.mac, 0x86dd, udp4(me.ip, peer.ip, id))],
    },
    {
      says: "LLDP, which a lan hands on",
      frames: (id) => [frame("01:80:c2:00:00:0e", me.mac, 0x88cc, arp(id, { sender: me, target: me }))],
    },
  ];
}

/**
 * Says all of it, one after the other; each is followed by an honest frame that tells when it must have arrived.
 *
 * @returns what came out otherwise than it should, one line each.
 */
async function wrongs(
  box: Sandbox,
  from: Place,
  ears: readonly Place[],
  cases: readonly Case[],
  honest: (id: number) => readonly string[],
  ...tables: readonly string[]
): Promise<readonly string[]> {
  const listening = await Promise.all(ears.map((ear) => listen(box, ear)));
  const found: string[] = [];
  try {
    for (const [at, { says, frames, passes = false, counted = true }] of cases.entries()) {
      const [id, end] = [2 * at + 1, 2 * at + 2];
      const before = await drops(box, ...tables);
      await send(box, from, [...frames(id), ...honest(end)]);
      await box.until(`what follows ${says}`, (seen) => {
        seen(listening.map((ear) => [...ear.heard()]));
        return listening.every((ear) => ear.heard().has(end));
      });
      const arrived = listening.filter((ear) => ear.heard().has(id)).length;
      if (passes && arrived !== listening.length) found.push(`${says}: heard at ${arrived} places`);
      if (!passes && arrived > 0) found.push(`${says}: heard at ${arrived} places`);
      const more = await drops(box, ...tables) - before;
      if (!passes && counted && more === 0) found.push(`${says}: not counted`);
    }
  } finally {
    for (const ear of listening) await ear.close();
  }
  return found;
}

/** A vnode's pid, and MAC and address of one of its interfaces. */
async function partyOf(box: Sandbox, vnode: string, device: string): Promise<Party & Place> {
  const pid = Number((await box.sh(`docker inspect -f '{{.State.Pid}}' ${vnode}`)).trim());
  const [link] = JSON.parse(await box.sh(`nsenter -t ${pid} -n ip -j addr show dev ${device}`)) as [
    { address: string; addr_info: { family: string; local: string; scope: string }[] },
  ];
  const of = (family: string) =>
    link.addr_info.find((one) => one.family === family && one.scope === "global")?.local;
  return { pid, device, mac: link.address, ip: of("inet")!, ip6: of("inet6") };
}

test("the control network takes from a vnode only its own MAC and address", async () => {
  const box = await openVhost("20.10", {
    vnodes: { left: { image: "box", command: SLEEP }, right: { image: "box", command: SLEEP } },
  });
  try {
    const [me, peer] = [await partyOf(box, "left", "eth0"), await partyOf(box, "right", "eth0")];
    const mac = (await box.sh("cat /sys/class/net/_dockercnet/address")).trim();
    const host = { ...CONTROL, mac, pid: 1, device: "_dockercnet" };
    // Both hear what all hear; what goes to one MAC is sent to each.
    const honest = (id: number) =>
      [peer, host].map((to) => frame(to.mac, me.mac, 0x0800, udp4(me.ip, to.ip, id)));
    assert.equal(
      await wrongs(box, me, [peer, host], controlCases(me, peer, host), honest, "bridge berth", "inet berth"),
      [],
    );
  } finally {
    await box.close();
  }
});

test("a guarded lan takes from a vnode only its own MAC and addresses; another lan takes anything", async () => {
  const links = (number: number) =>
    ["guarded", "free"].map((lan) => ({ lan, addresses: [`10.1.0.${number}`, `fd00:1::${number}`] }));
  const lan = { subnets: ["10.1.0.0/24", "fd00:1::/64"] };
  const vnode = (number: number) => ({ image: "box", command: SLEEP, links: links(number) });
  const box = await openVhost("20.10", {
    lans: { guarded: { ...lan, antiSpoof: true }, free: lan },
    vnodes: { left: vnode(1), right: vnode(2) },
  });
  try {
    const [me, peer] = [await partyOf(box, "left", "eth1"), await partyOf(box, "right", "eth1")];
    const honest = (id: number) => [frame(peer.mac, me.mac, 0x0800, udp4(me.ip, peer.ip, id))];
    const all = lanCases(me, peer);
    assert.equal(await wrongs(box, me, [peer], all, honest, "bridge berth"), []);
    // What people use, in both families, with nothing known of each other.
    await box.sh(`nsenter -t ${me.pid} -n ip neigh flush all; docker exec left ping -c 1 -W 2 10.1.0.2
      docker exec left ping -c 1 -W 2 fd00:1::2`);
    const [mine, other] = [await partyOf(box, "left", "eth2"), await partyOf(box, "right", "eth2")];
    // With the neighbour's MAC as its source, the bridge takes the frame's own port for the neighbour's.
    const spoofed = lanCases(mine, other).filter(({ says, passes }) =>
      passes !== true && says !== "IPv4 with the neighbour's MAC"
    ).map((one) => ({ ...one, passes: true }));
    assert.ok(spoofed.length > 25);
    const there = (id: number) => [frame(other.mac, mine.mac, 0x0800, udp4(mine.ip, other.ip, id))];
    assert.equal(await wrongs(box, mine, [other], spoofed, there, "bridge berth"), []);
  } finally {
    await box.close();
  }
});

test.run();
