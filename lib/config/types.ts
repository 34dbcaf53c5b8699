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
  /** Percent, 0 to 100. */
  readonly lossPercent?: number;
}

export interface LanSpec {
  /** Unique on the vhost: 1 to 32 of [a-z0-9-], first a letter, last not a hyphen. */
  readonly name: string;
  /** Subnets its addresses must lie in; [] for pure layer 2. */
  readonly subnets: readonly string[];
  /** @default {1500} */
  readonly mtu: number;
}

export interface LinkSpec {
  readonly lan: string;
  /** Name inside the vnode. @default {"eth1", "eth2" … in order} */
  readonly name: string;
  /** Addresses with prefix length, IPv4 or IPv6; the prefix of the lan's subnet is filled in when left out. */
  readonly addresses: readonly string[];
  /** Lower case, with colons. Default: derived from vnode and link name, 02:…, stable. */
  readonly mac: string;
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
}

export interface RouteSpec {
  /** "10.1.0.0/16" or "default". */
  readonly to: string;
  readonly via: string;
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
  /** The file and line it was read from, for messages. */
  readonly source: string;
}

/** Everything an operator has declared. */
export interface Config {
  readonly host: HostConfig;
  readonly lans: readonly LanSpec[];
  readonly vnodes: readonly VnodeSpec[];
}
