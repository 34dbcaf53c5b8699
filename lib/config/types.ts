// The configuration after loading: validated, defaults filled in, units turned into numbers, cross-checked.
// The schemas that produce it stand beside this file; everything downstream reads only these types.
import type { ReplaceConsent, StorageConfig, WipeConsent } from "./types_storage.ts";

/** Where a value may come from and what the whole machine should be. `/etc/berth/host.yaml`, normalised. */
export interface HostConfig {
  readonly engine: {
    /** Debian package to install when no engine is there. @default {"docker.io"} */
    readonly package: string;
    /** Keep containers running while dockerd is down. @default {true} */
    readonly liveRestore: boolean;
    /** Leave Docker's own iptables management on. @default {false} */
    readonly iptables: boolean;
    /** Address of docker0. @default {"192.168.254.1/24"} */
    readonly bip: string;
    /** Unix socket of the engine. @default {"/var/run/docker.sock"} */
    readonly socket: string;
    /** Directory of the engine's data. @default {"/var/lib/docker"} */
    readonly root: string;
    /** Extra daemon.json keys, passed through as they are. @default {{}} */
    readonly options: Readonly<Record<string, unknown>>;
  };
  readonly storage: StorageConfig;
  readonly controlNet: {
    /** @default {"172.16.0.0/12"} */
    readonly subnet: string;
    /** The host's own address on it, also the gateway of the vnodes. @default {"172.16.0.1"} */
    readonly address: string;
    /** Device it is on: "auto" (the default route's) or a name. Absent: isolated. */
    readonly device?: string;
    /** How vnodes are put on the device. @default {"bridge"} */
    readonly driver: "bridge" | "macvlan";
    /** Who does not reach whom: experiments each other, each vnode any other, or nobody. @default {"experiments"} */
    readonly isolation: "experiments" | "vnodes" | "none";
    /** Milliseconds the gateway is waited for after the device was moved. @default {20000} */
    readonly gatewayTimeoutMs: number;
    /** Neighbours asked in the gateways' stead; [] asks nobody. Absent: the device's gateways. */
    readonly probe?: readonly string[];
    /** Masquerade what leaves the control network. @default {true} */
    readonly nat: boolean;
    /** Destinations that are routable from control addresses and so are not masqueraded. @default {[]} */
    readonly routable: readonly string[];
  };
  readonly kernel: {
    /** Sysctls beside berth's own. Names with dots. @default {{}} */
    readonly sysctls: Readonly<Record<string, string>>;
    /** Modules beside berth's own. @default {[]} */
    readonly modules: readonly string[];
  };
  readonly watch: {
    /** Milliseconds between full looks when nothing happens. @default {60000} */
    readonly resyncMs: number;
  };
  readonly consent: {
    /** Objects whose destructive changes may be made, as plan names them: "lan left". @default {[]} */
    readonly objects: readonly string[];
    /** File systems that may be made anew over what is there. @default {[]} */
    readonly replace: readonly ReplaceConsent[];
    /** Disks whose content may be lost. @default {[]} */
    readonly wipe: readonly WipeConsent[];
  };
}

/** What one direction of a link does to frames. Absent fields shape nothing. */
export interface Shape {
  /** bit/s of Ethernet frames without preamble and FCS. */
  readonly rateBps?: number;
  /** Microseconds. */
  readonly delayUs?: number;
  /** Microseconds by which the delay varies, at most the delay. */
  readonly jitterUs?: number;
  /** Percent, 0 to 100, as all that follow: how much a frame's jitter depends on that of the frame before. */
  readonly jitterCorrelation?: number;
  /** How the jitter spreads. @default {uniform} */
  readonly distribution?: "normal" | "pareto" | "paretonormal";
  /** Percent, 0 to 100. */
  readonly lossPercent?: number;
  readonly lossCorrelation?: number;
  /** Gilbert and Elliott's loss instead of `lossPercent`: chances of going bad and good, and of loss in each state. */
  readonly lossModel?: {
    readonly toBad: number;
    readonly toGood: number;
    readonly inBad: number;
    readonly inGood: number;
  };
  readonly duplicatePercent?: number;
  readonly duplicateCorrelation?: number;
  readonly corruptPercent?: number;
  readonly corruptCorrelation?: number;
  readonly reorderPercent?: number;
  readonly reorderCorrelation?: number;
  /** Where frames wait for the rate. @default {from rate and delay} */
  readonly queue?: { readonly packets: number } | { readonly bytes: number };
}

export interface LanSpec {
  /** Unique on the vhost: 1 to 32 of [a-z0-9-], first a letter, last not a hyphen. */
  readonly name: string;
  /** Subnets its addresses must lie in; [] for pure layer 2. */
  readonly subnets: readonly string[];
  /** @default {1500} */
  readonly mtu: number;
  /** @default {bridge} */
  readonly driver?: "macvlan";
  /** A device of the machine that it is on. Absent: it is local. */
  readonly device?: string;
  /** The VLAN of that device. Absent: its untagged frames. */
  readonly vlan?: number;
  /** The tunnel that joins it to the same lan on other hosts. */
  readonly vxlan?: {
    readonly id: number;
    /** Addresses of the other hosts. */
    readonly peers: readonly string[];
    /** Our own address. Absent: the kernel's choice. */
    readonly local?: string;
    readonly port: number;
  };
  /** Addresses with prefix length that the host itself has on it. Absent: the host is not reachable there. */
  readonly host?: readonly string[];
  /** Present where it is a hub: each port hears everything. */
  readonly learning?: false;
  /** Present where a link says nothing with another's MAC or address. */
  readonly antiSpoof?: true;
}

/** A link that goes up and down by the clock: its state follows from the time alone, and survives any restart. */
export interface Flap {
  /** Milliseconds. A period begins with these. */
  readonly upMs: number;
  readonly downMs: number;
  /** Periods are counted from this many milliseconds after the beginning of Unix time. */
  readonly offsetMs: number;
}

export interface LinkSpec {
  /** "" where `device` is set. */
  readonly lan: string;
  /** Name inside the vnode. @default {"eth1", "eth2" … in order} */
  readonly name: string;
  /** Addresses with prefix length, IPv4 or IPv6; the prefix of the lan's subnet is filled in when left out. */
  readonly addresses: readonly string[];
  /** Lower case, with colons. Default: derived from vnode and link name, 02:…, stable; "": a device's own. */
  readonly mac: string;
  /** 0: a device's own. */
  readonly mtu: number;
  /** From the vnode into the lan. */
  readonly egress: Shape;
  /** From the lan into the vnode. */
  readonly ingress: Shape;
  /**
   * Present where delay or loss shapes any link of the lan: frames leave one by one then. A scheduler that counts
   * packets would otherwise take the 64 kB that segmentation offload hands on at once for one.
   */
  readonly oneSegment?: true;
  /** As its lan is made: copied, so that a vnode's spec alone says how it is wired. @default {bridge} */
  readonly driver?: "macvlan";
  /** From the lan: the device that a macvlan sits on; "": the lan's VLAN. @default {the lan's bridge} */
  readonly parent?: string;
  /** A device of the machine's own, handed in. */
  readonly device?: string;
  /** Present where the link has no carrier. */
  readonly up?: false;
  readonly flap?: Flap;
  /** Of this interface inside: FAMILY.KEY → value ("ipv4.rp_filter": "0"). */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** From the lan: a hub. */
  readonly learning?: false;
  /** From the lan: the host has an address on it. */
  readonly host?: true;
  /** From the lan. */
  readonly antiSpoof?: true;
  /** For computed routes, of leaving by this link. @default {1} */
  readonly cost?: number;
}

export interface RouteSpec {
  /** "10.1.0.0/16" or "default". */
  readonly to: string;
  readonly via: string;
  /** Interface inside; needed where the next hop is a link-local address. Absent: found by `via`. */
  readonly dev?: string;
  /** Present where it was not written: it follows from the other vnodes (lib/vnode/topology.ts). */
  readonly computed?: true;
}

/** What may come to a vnode and leave it by the control network. */
export interface Firewall {
  /** What becomes of what no rule speaks of. */
  readonly style: "open" | "basic" | "closed";
  /** Present where what the style drops is logged. */
  readonly log?: true;
  /** Before the style; the first that fits decides. */
  readonly rules: readonly FirewallRule[];
}

/** One rule of a vnode's own. Absent fields fit anything. */
export interface FirewallRule {
  readonly way: "in" | "out";
  readonly verdict: "accept" | "drop" | "reject";
  readonly protocol?: "tcp" | "udp" | "icmp";
  /** First and last port of each range. */
  readonly ports?: readonly (readonly [number, number])[];
  /** Subnets or addresses: whom it comes from (in) or goes to (out). */
  readonly peers?: readonly string[];
  readonly log?: true;
}

/** A port of the host's that leads to one of a vnode. */
export interface Forward {
  readonly protocol: "tcp" | "udp";
  /** On every address of the host. */
  readonly port: number;
  /** On the vnode's control address. */
  readonly to: number;
}

export interface VnodeSpec {
  /** Container name and host name: 2 to 32 of [a-z0-9-], first a letter, last not a hyphen. */
  readonly name: string;
  readonly image: string;
  /** Arguments that replace the image's command; absent: the image's own. */
  readonly command?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly control: {
    /** Address on the control network, without prefix length. Default: derived from the vnode's name, stable. */
    readonly address: string;
    /** Default: 02:00 followed by the address's four bytes. */
    readonly mac: string;
  };
  readonly links: readonly LinkSpec[];
  readonly routes: readonly RouteSpec[];
  /** Extra names for /etc/hosts: name → address. */
  readonly hosts: Readonly<Record<string, string>>;
  /** Whose whole topology it belongs to, and whom it is kept apart from. Absent: the common one. */
  readonly experiment?: string;
  /** @default {manual: the written routes alone} */
  readonly routing?: "static";
  /** Whether it hands on packets for others. Absent only in records of earlier versions: as the engine made it. */
  readonly forwarding?: boolean;
  /** Of its network namespace: name with dots → value ("net.ipv4.tcp_ecn": "1"). */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** The control network's gateway. Not within `control`, which its container's digest is made from. */
  readonly gateway?: string;
  readonly firewall?: Firewall;
  readonly forwards?: readonly Forward[];
  /** The file and line it was read from, for messages. */
  readonly source: string;
  /** Lines of /etc/hosts for the others of its experiment. Never written: they follow from those. */
  readonly names?: readonly string[];
}

/** Everything an operator has declared. */
export interface Config {
  readonly host: HostConfig;
  readonly lans: readonly LanSpec[];
  readonly vnodes: readonly VnodeSpec[];
}
