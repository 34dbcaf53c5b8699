// The words that the files about a device's manager share. Owns no behaviour.
import type { AnyResource } from "../ensure.ts";

/**
 * Who gives a device its addresses. `none`: nobody does after a reboot. `dhclient` and `udhcpc`: such a client runs and
 * nobody is known to have started it.
 */
export type ManagerKind =
  | "networkd"
  | "ifupdown"
  | "netplan"
  | "networkmanager"
  | "connman"
  | "dhcpcd"
  | "dhclient"
  | "udhcpc"
  | "ifupdown2"
  | "none";

/** The device that becomes a port, and what it becomes a port of. */
export interface ControlDevice {
  readonly device: string;
  readonly bridge: string;
  /** The host's alias on the control network, with prefix length: "172.16.0.1/12". */
  readonly alias: string;
}

/** The persistent form of a moved device. */
export interface ManagerForm {
  readonly kind: ManagerKind;
  /** To be ensured after the move. [] where there is nothing to write. */
  readonly resources: readonly AnyResource[];
}

/** What was seen of a device and of who manages it. */
export interface ManagedDevice extends ControlDevice {
  readonly kind: ManagerKind;
  readonly index: number;
  readonly mac: string;
  readonly mtu: number;
  /** Name of the bridge it is a port of, or null. */
  readonly master: string | null;
  /** networkd, netplan: the .network file that counts, never one of ours, or null. */
  readonly networkFile: string | null;
  /** networkd: the client identifier of its lease, in hex digits. */
  readonly clientId: string | null;
  /** networkd: the IAID of its DHCPv6 client, as soon as a router has told it to ask. */
  readonly iaid6: number | null;
  /** networkd: it is set up, with IPv6 addresses that are not link-local. */
  readonly isRoutable6: boolean;
  /** DHCP clients that run for it (argv by pid). */
  readonly clients: readonly DhcpClient[];
}

/** A DHCP client that runs. */
export interface DhcpClient {
  readonly pid: number;
  /** Base name of its program. */
  readonly program: string;
  readonly argv: readonly string[];
}
