// What the bridge table says of lans: who may claim what on a guarded one, and the wall between lans and the host.
// Pure. Elements of the sets come from vnodes' specs (vnode/rules.ts) and from lans (their uplinks).
import type { NftChain, NftSet } from "./nft_table.ts";

/**
 * Sets of the lans' part of the bridge table.
 *
 * `guarded`: ports whose vnode may claim only what is registered. `macs`, `four`, `six`: port, MAC and address.
 * `targets`: port, MAC and an IPv6 address as a number (what a neighbour message is about). `options`: port, MAC and
 * the same MAC as a number (what its option says). `uplinks`: devices of the machine that are ports of lans.
 * `hostPorts`: ports of lans that the host is on.
 */
export const LAN_SETS = {
  guarded: "lan_guarded",
  macs: "lan_macs",
  four: "lan_four",
  six: "lan_six",
  targets: "lan_targets",
  options: "lan_options",
  uplinks: "lan_uplinks",
  hostPorts: "lan_host_ports",
} as const;

/** The sets, with their types. */
export function lanSets(): readonly NftSet[] {
  const port = ["ifname", "ether_addr"];
  const raw = (name: string, payload: string): NftSet => ({
    name,
    type: [...port, "integer"],
    typeof: ["iifname", "ether saddr", payload],
  });
  return [
    { name: LAN_SETS.guarded, type: ["ifname"] },
    { name: LAN_SETS.macs, type: port },
    { name: LAN_SETS.four, type: [...port, "ipv4_addr"] },
    { name: LAN_SETS.six, type: [...port, "ipv6_addr"] },
    // nft 1.0.6 has no word for a neighbour message's target, and none of its versions for the option.
    raw(LAN_SETS.targets, "@th,64,128"),
    raw(LAN_SETS.options, "@th,208,48"),
    { name: LAN_SETS.uplinks, type: ["ifname"] },
    { name: LAN_SETS.hostPorts, type: ["ifname"] },
  ];
}

/** A rule for prerouting: guarded ports are asked. */
export const GUARD = `iifname @${LAN_SETS.guarded} goto lan_in`;

/**
 * The chains that a guarded port's frames go through: source MAC and addresses are the registered ones, in ARP and in
 * neighbour messages, too; no VLAN tag, no other protocol than IPv4, ARP and IPv6.
 *
 * A neighbour message carries at most one option, the one that its kind has: behind a harmless first one a forged
 * one could follow. Router advertisements and redirects are nobody's.
 */
export function lanGuards(): readonly NftChain[] {
  const port = "iifname . ether saddr";
  const known = `${port} . ip6 saddr @${LAN_SETS.six}`;
  const target = `${port} . @th,64,128 @${LAN_SETS.targets}`;
  const solicit = "icmpv6 type nd-neighbor-solicit";
  const advert = "icmpv6 type nd-neighbor-advert";
  const router = "icmpv6 type nd-router-solicit";
  const arp = `ether type arp arp htype 1 arp ptype ip`;
  return [
    {
      name: "lan_in",
      rules: [
        // A tag hides the real protocol from the rules below.
        "ether type { 8021q, 8021ad } counter drop",
        `ether type ip ${port} . ip saddr @${LAN_SETS.four} accept`,
        `${arp} ${port} . arp saddr ip @${LAN_SETS.four} ` +
        `iifname . arp saddr ether . arp saddr ip @${LAN_SETS.four} accept`,
        // A probe whether its own address is free (RFC 5227) names no sender.
        `${arp} arp operation request arp saddr ip 0.0.0.0 ${port} . arp daddr ip @${LAN_SETS.four} ` +
        `iifname . arp saddr ether . arp daddr ip @${LAN_SETS.four} accept`,
        `ether type ip6 ${port} @${LAN_SETS.macs} goto lan_in_six`,
        "counter drop",
      ],
    },
    {
      name: "lan_in_six",
      rules: [
        // Behind such a header the message's kind lies in a later fragment, where no rule finds it (RFC 7112).
        "frag nexthdr { 0, 43, 44, 51, 60 } counter drop",
        "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } " +
        "goto lan_in_nd",
        `${known} accept`,
        // An interface joins its groups before its address is proven.
        "ip6 saddr :: icmpv6 type mld2-listener-report accept",
        "counter drop",
      ],
    },
    {
      name: "lan_in_nd",
      rules: [
        // In fragments, or behind other headers, its options are not where they are looked for (RFC 6980).
        "ip6 nexthdr != 58 counter drop",
        // Whether its own address is free (RFC 4862), bare or with a nonce (RFC 7527).
        `${solicit} ip6 saddr :: ${target} ip6 length 24 accept`,
        `${solicit} ip6 saddr :: ${target} ip6 length 32 @th,192,16 0x0e01 accept`,
        `${router} ip6 saddr :: ip6 length 8 accept`,
        `${port} . ip6 saddr != @${LAN_SETS.six} counter drop`,
        // Source link-layer address is option 1, the target's option 2; both are eight bytes.
        `${solicit} ip6 length 24 accept`,
        `${solicit} ip6 length 32 @th,192,16 0x0101 ${port} . @th,208,48 @${LAN_SETS.options} accept`,
        `${advert} ${target} ip6 length 24 accept`,
        `${advert} ${target} ip6 length 32 @th,192,16 0x0201 ${port} . @th,208,48 @${LAN_SETS.options} accept`,
        `${router} ip6 length 8 accept`,
        `${router} ip6 length 16 @th,64,16 0x0101 ${port} . @th,80,48 @${LAN_SETS.options} accept`,
        "counter drop",
      ],
    },
  ];
}

/**
 * The wall: what comes in by a lan's port does not reach the host, nor the other way, but for lans that it is on.
 *
 * And what anybody says to an address that a bridge keeps to itself (01:80:c2:00:00:0x). A bridge takes such a frame
 * in without prerouting: its sender would be learned, its IP taken as the port's own, by rules that know the bridge.
 *
 * @param prefixes what names of lans' ports begin with.
 */
export function lanWall(prefixes: readonly string[]): readonly NftChain[] {
  const rules = (side: "iifname" | "oifname") => [
    `${side} @${LAN_SETS.hostPorts} accept`,
    ...prefixes.map((prefix) => `${side} "${prefix}*" counter drop`),
    `${side} @${LAN_SETS.uplinks} counter drop`,
  ];
  const reserved = ["veth", ...prefixes].map((prefix) =>
    `iifname "${prefix}*" ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 counter drop`
  );
  // In the bridge family's input and output the port is told, not the bridge.
  return [
    {
      name: "input",
      hook: { type: "filter", at: "input", priority: -200 },
      rules: [...reserved, ...rules("iifname")],
    },
    { name: "output", hook: { type: "filter", at: "output", priority: -200 }, rules: rules("oifname") },
  ];
}
