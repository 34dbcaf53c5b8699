// What berth's own nftables tables say: NAT of the control network, isolation between networks, the allow-list of
// control ports, and the wall between lans and host. Pure. Elements of the sets are the gate's and the watch's.
import { GUARD, lanGuards, lanSets, lanWall } from "./firewall_lans.ts";
import { forwardParts, type Isolation, vnodesTable } from "./firewall_vnodes.ts";
import type { NftTable } from "./nft_table.ts";

/** The table that holds the control allow-list, for `add element bridge berth …`. */
export const CONTROL_TABLE = { family: "bridge", name: "berth" } as const;

/**
 * Sets of the control allow-list. A vnode's port on the control bridge is registered by adding to both:
 * `ports` takes `PORT . MAC . ADDRESS` (IPv4), `names` takes `PORT`; add to `ports` first, delete from it last.
 */
export const CONTROL_SETS = { ports: "control_ports", names: "control_names" } as const;

/** What the tables are made from. Subnets are network addresses with prefix length. */
export interface FirewallFacts {
  /** Name of the control bridge. */
  readonly controlBridge: string;
  /** Subnet of the control network. */
  readonly controlSubnet: string;
  /** The host's own address on it. */
  readonly controlAddress: string;
  /** Who is kept apart on it. */
  readonly isolation: Isolation;
  /** True where the control network is on a device of the machine, by whatever driver. */
  readonly hasUplink: boolean;
  /** Masquerade what leaves the control network. */
  readonly nat: boolean;
  /** Destinations reached from control addresses without masquerading. */
  readonly routable: readonly string[];
  /** Subnet of docker0. */
  readonly dockerSubnet: string;
  /** False where Docker's own iptables management is on: then it masquerades docker0 itself. */
  readonly dockerNat: boolean;
  /** What names of lans' ports begin with: host ends of links, tunnels, VLANs. */
  readonly lanPortPrefixes: readonly string[];
  /** What names of lans' bridges begin with. */
  readonly lanPrefix: string;
  /** Whether rules can name the bridge (`meta ibrname`, CONFIG_NFT_BRIDGE_META: Debian has it as nft_meta_bridge). */
  readonly bridgeMeta: boolean;
  /** The device of the machine that is a port of the control bridge. Absent: the control network is isolated. */
  readonly uplink?: {
    readonly name: string;
    /** Subnets reached by it without a router, which control addresses are not masqueraded to. */
    readonly subnets: readonly string[];
  };
}

/**
 * The bit of a packet's mark that says, on kernels whose rules cannot name the bridge, that a port which is not
 * registered said it. Set when a bridge takes the packet in, cleared before anybody else's rules see it.
 */
const STRANGER = "0x20000000";

/** All tables of a prepared host, in the order they are made. */
export function firewallTables(facts: FirewallFacts): readonly NftTable[] {
  return [bridgeTable(facts), forwardTable(facts), natTable(facts), vnodesTable(facts)];
}

/**
 * The control allow-list and the lans' wall.
 *
 * A registered port speaks IPv4 and ARP with its own MAC and address, nothing else, and hears nobody but
 * registered ports and the host; with a device of the machine in the bridge, that, too. What comes in by the device
 * is never dropped on its way to the host. Between vnodes only what is addressed to a port's own MAC and address
 * passes, and ARP: who may speak to whom is judged by addresses, which broadcast and multicast do not have. Where
 * rules can name the bridge (CONFIG_NFT_BRIDGE_META), a port that is not registered says and hears nothing at all. Elsewhere it is known by what it says: nothing with a control
 * address passes a container's port (Docker names them veth…) unless that port is registered; and IPv6 is taken
 * through the inet tables (the bridge's own nf_call_ip6tables), which do know the bridge. What is left there: two
 * that are not registered can talk to each other by forged IPv4 addresses from elsewhere.
 */
function bridgeTable(facts: FirewallFacts): NftTable {
  const names = `@${CONTROL_SETS.names}`;
  const ports = `@${CONTROL_SETS.ports}`;
  const subnet = facts.controlSubnet;
  const uplink = facts.uplink === undefined ? null : `"${facts.uplink.name}"`;
  const notUplink = (side: "iifname" | "oifname") => uplink === null ? "" : ` ${side} != ${uplink}`;
  const onBridge = (way: "ibrname" | "obrname", side: "iifname" | "oifname") =>
    `meta ${way} "${facts.controlBridge}" ${side} != ${names}${notUplink(side)} counter drop`;
  const strangers = (side: "iifname" | "oifname") =>
    ["ip saddr", "ip daddr", "arp saddr ip", "arp daddr ip"].map((field) =>
      `${side} "veth*" ${field} ${subnet} counter drop`
    );
  return {
    ...CONTROL_TABLE,
    sets: [
      { name: CONTROL_SETS.ports, type: ["ifname", "ether_addr", "ipv4_addr"] },
      { name: CONTROL_SETS.names, type: ["ifname"] },
      ...lanSets(),
    ],
    chains: [
      {
        name: "control_in",
        rules: [
          // A tag hides the real protocol from the rules below.
          "ether type { 8021q, 8021ad } counter drop",
          // A physical network believes who answers for DHCP, and who elects routers: never a vnode.
          ...(uplink === null ? [] : [
            "ether type ip ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00 counter drop",
            "ip daddr 224.0.0.0/3 counter drop",
            "udp sport 67 counter drop",
          ]),
          `ether type ip iifname . ether saddr . ip saddr ${ports} accept`,
          `ether type arp arp htype 1 arp ptype ip iifname . ether saddr . arp saddr ip ${ports} ` +
          `iifname . arp saddr ether . arp saddr ip ${ports} accept`,
          "counter drop",
        ],
      },
      { name: "control_out", rules: ["ether type { ip, arp } accept", "counter drop"] },
      {
        name: "prerouting",
        hook: { type: "filter", at: "prerouting", priority: -300 },
        rules: [
          `iifname ${names} goto control_in`,
          GUARD,
          ...strangers("iifname"),
          ...(uplink === null
            ? []
            : facts.bridgeMeta
            ? [onBridge("ibrname", "iifname")]
            : [`iifname "veth*" meta mark set meta mark or ${STRANGER}`]),
        ],
      },
      {
        // Only here are both ports known: in postrouting a bridge tells no input port.
        name: "forward",
        hook: { type: "filter", at: "forward", priority: -200 },
        rules: [
          `iifname ${names} oifname ${names} ether type ip ` +
          `oifname . ether daddr . ip daddr != ${ports} counter drop`,
          `oifname ${names} iifname != ${names}${notUplink("iifname")} counter drop`,
          ...(uplink === null ? [] : [
            `iifname ${uplink} oifname != ${names} counter drop`,
            `oifname ${uplink} iifname != ${names} counter drop`,
          ]),
          ...(facts.bridgeMeta ? [onBridge("ibrname", "iifname")] : []),
        ],
      },
      {
        name: "postrouting",
        hook: { type: "filter", at: "postrouting", priority: 300 },
        rules: [
          `oifname ${names} goto control_out`,
          ...strangers("oifname"),
          ...(uplink !== null && facts.bridgeMeta ? [onBridge("obrname", "oifname")] : []),
        ],
      },
      ...lanGuards(),
      ...lanWall(facts.lanPortPrefixes),
    ],
  };
}

/**
 * Isolation between Docker's networks and the control network, which Docker's own rules no longer give. And a host
 * that is on lans is no router between them and anything else; from lan to lan the bridge's own `forwarding` says
 * so: a frame that only crosses a bridge comes by here, too, where br_netfilter hands them up.
 */
function forwardTable(facts: FirewallFacts): NftTable {
  const control = `"${facts.controlBridge}"`;
  const apart = ['"docker0"', '"br-*"'].flatMap((other) => [
    `iifname ${control} oifname ${other} counter drop`,
    `iifname ${other} oifname ${control} counter drop`,
  ]);
  return {
    family: "inet",
    name: "berth",
    sets: [],
    chains: [
      {
        name: "prerouting",
        hook: { type: "filter", at: "prerouting", priority: -300 },
        rules: [
          // Docker's NAT would take frames that only cross a lan for its networks', and two lans' for one connection.
          ...(facts.dockerNat
            ? []
            : [`iifname "${facts.lanPrefix}*" fib daddr type != { local, broadcast, multicast } notrack`]),
          ...strangerRules(facts),
        ],
      },
      ...(facts.uplink === undefined ? [] : [
        {
          name: "output",
          hook: { type: "filter", at: "output", priority: -5 },
          // The way into the world leads in and out by the same bridge: a vnode is not to be told to go by itself.
          rules: [
            `oifname ${control} ip daddr ${facts.controlSubnet} icmp type redirect counter drop`,
          ],
        } as const,
      ]),
      {
        name: "forward",
        hook: { type: "filter", at: "forward", priority: -5 },
        rules: [
          `iifname "${facts.lanPrefix}*" oifname != "${facts.lanPrefix}*" counter drop`,
          `iifname != "${facts.lanPrefix}*" oifname "${facts.lanPrefix}*" counter drop`,
          "ct state established,related accept",
          ...apart,
        ],
      },
    ],
  };
}

/** Whatever a port on the control bridge invents as a source reaches no one above the bridge either. */
function strangerRules(facts: FirewallFacts): readonly string[] {
  const control = `"${facts.controlBridge}"`;
  return facts.uplink === undefined
    ? [
      `iifname ${control} ip saddr != ${facts.controlSubnet} counter drop`,
      `iifname ${control} meta nfproto ipv6 counter drop`,
    ]
    // The world comes in there, too: ports are told apart in the bridge's own table.
    : facts.bridgeMeta
    ? []
    : [
      `iifname ${control} meta mark and ${STRANGER} == ${STRANGER} counter drop`,
      `meta mark and ${STRANGER} == ${STRANGER} meta mark set meta mark and 0xdfffffff`,
    ];
}

/**
 * The founding document's NAT: none within the control network or to routable destinations, else masquerade. And
 * ports of the host's that lead to vnodes.
 */
function natTable(facts: FirewallFacts): NftTable {
  const forwards = forwardParts();
  const subnet = facts.controlSubnet;
  const plain = [subnet, ...facts.uplink?.subnets ?? [], ...facts.routable].map((to) =>
    `ip saddr ${subnet} ip daddr ${to} accept`
  );
  return {
    family: "ip",
    name: "berth_nat",
    sets: [forwards.set],
    chains: [...forwards.chains, {
      name: "postrouting",
      hook: { type: "nat", at: "postrouting", priority: 100 },
      rules: [
        // The answer to a vnode that takes the way by the host must not take the short one.
        `ip saddr ${subnet} ip daddr ${subnet} ct status dnat masquerade`,
        ...plain,
        // With a device in the bridge the world lies behind it.
        ...(facts.nat && facts.uplink !== undefined ? [`ip saddr ${subnet} masquerade`] : []),
        ...(facts.nat && facts.uplink === undefined
          ? [`ip saddr ${subnet} oifname != "${facts.controlBridge}" masquerade`]
          : []),
        ...(facts.dockerNat ? [`ip saddr ${facts.dockerSubnet} oifname != "docker0" masquerade`] : []),
      ],
    }],
  };
}
