// A machine's files as its network managers see them, for the tests about managers: a device eth0 with its lease by
// networkd, ifupdown or NetworkManager, as captured on Debian 12.
import type { Look } from "../../../lib/host/types.ts";
import type { ControlDevice } from "../../../lib/resource/control_device/manager_types.ts";
import { createFakeHost, type FakeHost } from "../../fake/host.ts";

export const CONTROL: ControlDevice = { device: "eth0", bridge: "_dockercnet", alias: "172.16.0.1/12" };
export const MAC = "52:54:00:00:00:10";

const DEVICE = {
  "/sys/class/net/eth0/ifindex": "3\n",
  "/sys/class/net/eth0/address": `${MAC}\n`,
  "/sys/class/net/eth0/mtu": "1500\n",
};

/** Files of a machine with eth0, and processes by their argv. */
export function machineWith(
  files: Readonly<Record<string, string>>,
  processes: readonly (readonly string[])[] = [],
): FakeHost {
  const proc = processes.map((argv, at) => [`/proc/${500 + at}/cmdline`, argv.join("\0") + "\0"] as const);
  return createFakeHost({ files: { ...DEVICE, ...Object.fromEntries(proc), ...files } });
}

/** The same eyes, with eth0 as a port of the bridge. */
export function asPort(look: Look, bridge = "_dockercnet"): Look {
  return {
    ...look,
    readLink: (path) => Promise.resolve(path === "/sys/class/net/eth0/master" ? `../${bridge}` : null),
  };
}

export const NETWORKD = ["/lib/systemd/systemd-networkd"];
export const NETWORK_MANAGER = ["/usr/sbin/NetworkManager", "--no-daemon"];

/** /run/systemd/netif/links/3, of systemd 252. */
export function linkFile(networkFile: string, state = "configured"): string {
  return `# This is private data. Do not parse.
ADMIN_STATE=${state}
OPER_STATE=routable
CARRIER_STATE=carrier
ADDRESS_STATE=routable
IPV4_ADDRESS_STATE=routable
IPV6_ADDRESS_STATE=degraded
ONLINE_STATE=online
REQUIRED_FOR_ONLINE=yes
REQUIRED_OPER_STATE_FOR_ONLINE=degraded
REQUIRED_FAMILY_FOR_ONLINE=any
ACTIVATION_POLICY=up
NETWORK_FILE=${networkFile}
DNS=
NTP=
SIP=
DOMAINS=
ROUTE_DOMAINS=
LLMNR=yes
MDNS=no
DHCP_LEASE=/run/systemd/netif/leases/3
DHCP6_CLIENT_DUID=DUID-EN/Vendor:0000ab113565fe035137f079
`;
}

/** A link that networkd leaves alone. */
export const UNMANAGED_LINK = `# This is private data. Do not parse.
ADMIN_STATE=unmanaged
OPER_STATE=routable
CARRIER_STATE=carrier
ADDRESS_STATE=routable
IPV4_ADDRESS_STATE=routable
IPV6_ADDRESS_STATE=off
`;

/** /run/systemd/netif/leases/3. */
export const LEASE = `# This is private data. Do not parse.
ADDRESS=10.77.0.171
NETMASK=255.255.255.0
ROUTER=10.77.0.1
SERVER_ADDRESS=10.77.0.1
NEXT_SERVER=10.77.0.1
BROADCAST=10.77.0.255
T1=60
T2=105
LIFETIME=120
HOSTNAME=vhost
CLIENTID=ff1a4517b600020000ab113565fe035137f079
`;
/** The IAID in it. */
export const IAID = 0x1a4517b6;

/** ifupdown's own client. */
export const DHCLIENT = [
  ...["dhclient", "-4", "-v", "-i", "-pf", "/run/dhclient.eth0.pid"],
  ...[
    "-lf",
    "/var/lib/dhcp/dhclient.eth0.leases",
    "-I",
    "-df",
    "/var/lib/dhcp/dhclient6.eth0.leases",
    "eth0",
  ],
];

/** Debian's own /etc/network/interfaces. */
export const INTERFACES = `# interfaces(5) file used by ifup(8) and ifdown(8)
# Include files from /etc/network/interfaces.d:
source /etc/network/interfaces.d/*
`;
