// Managers that berth does not write for: who is found, and the lines an operator is given for this very device.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BerthError } from "../../../lib/log/error.ts";
import { checkGivenBack } from "../../../lib/resource/control_device/isolated.ts";
import { managedDevice, managerForm } from "../../../lib/resource/control_device/manager.ts";
import type { ManagerKind } from "../../../lib/resource/control_device/manager_types.ts";
import {
  asPort,
  CONTROL,
  DHCLIENT,
  INTERFACES,
  linkFile,
  MAC,
  machineWith,
  NETWORK_MANAGER,
  NETWORKD,
  UNMANAGED_LINK,
} from "./_captured.ts";

const NETPLAN = "/run/systemd/network/10-netplan-eth0.network";
const CONNMAN = ["/usr/sbin/connmand", "-n"];
/** /run/NetworkManager/devices/3. */
const managed = (is: boolean) =>
  `[device]\nmanaged=${is}\nconnection-uuid=6e5a8b0e-71f4-4f3c-9f0c-111111111111\nroute-metric-default-aspired=100\n`;
const INTERFACES_DHCP = { "/etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n" };

/** Who is found: files, processes. */
const WHO: readonly [
  kind: ManagerKind | "refused",
  name: string,
  files: Record<string, string>,
  processes: readonly (readonly string[])[],
][] = [
  ["none", "nothing at all", {}, []],
  ["none", "interfaces(5) without the device", { "/etc/network/interfaces": INTERFACES }, []],
  ["none", "networkd runs, for others", { "/run/systemd/netif/links/3": UNMANAGED_LINK }, [NETWORKD]],
  ["none", "NetworkManager leaves it alone", { "/run/NetworkManager/devices/3": managed(false) }, [
    NETWORK_MANAGER,
  ]],
  [
    "networkd",
    "its link file",
    { "/run/systemd/netif/links/3": linkFile("/etc/systemd/network/a.network") },
    [
      NETWORKD,
    ],
  ],
  [
    "networkd",
    "still waiting for a lease",
    { "/run/systemd/netif/links/3": linkFile("/run/systemd/network/a.network", "configuring") },
    [NETWORKD],
  ],
  ["netplan", "a file that it made", { "/run/systemd/netif/links/3": linkFile(NETPLAN) }, [NETWORKD]],
  ["networkmanager", "its note", { "/run/NetworkManager/devices/3": managed(true) }, [NETWORK_MANAGER]],
  ["networkmanager", "no note yet", {}, [NETWORK_MANAGER]],
  ["ifupdown", "a stanza, not up yet", INTERFACES_DHCP, []],
  ["ifupdown", "a stanza beside a NetworkManager that leaves it alone", {
    ...INTERFACES_DHCP,
    "/run/NetworkManager/devices/3": managed(false),
  }, [NETWORK_MANAGER, DHCLIENT]],
  ["ifupdown", "up without a stanza", { "/run/network/ifstate": "lo=lo\neth0=eth0\n" }, []],
  ["ifupdown2", "the other one of this file", { ...INTERFACES_DHCP, "/usr/share/ifupdown2/x": "" }, []],
  ["connman", "its daemon", {}, [CONNMAN]],
  ["dhclient", "a client by hand", {}, [["/sbin/dhclient", "eth0"]]],
  ["none", "a client of another link", {}, [["/sbin/dhclient", "eth1"]]],
  ["udhcpc", "busybox's", {}, [["/bin/busybox", "udhcpc", "-i", "eth0"]]],
  ["dhcpcd", "by its title", {}, [["dhcpcd: eth0 [ip4]"]]],
  ["dhcpcd", "its daemon, which takes all", {}, [["/sbin/dhcpcd", "-q", "-b"]]],
  ["dhcpcd", "its daemon's title", {}, [["dhcpcd: [manager] [ip4] [ip6]"]]],
  ["none", "a daemon that is denied it", { "/etc/dhcpcd.conf": "hostname\ndenyinterfaces e* wlan0\n" }, [
    ["/sbin/dhcpcd", "-q", "-b"],
  ]],
  ["none", "a daemon that is allowed others", { "/etc/dhcpcd.conf": "allowinterfaces eth1\n" }, [
    ["/sbin/dhcpcd", "-b"],
  ]],
  ["none", "dhcpcd of another link", {}, [["dhcpcd: eth1 [ip4]"]]],
  ["refused", "two of them", {
    ...INTERFACES_DHCP,
    "/run/systemd/netif/links/3": linkFile("/etc/systemd/network/a.network"),
  }, [NETWORKD]],
];
for (const [kind, name, files, processes] of WHO) {
  test(`found: ${kind}, by ${name}`, async () => {
    const look = machineWith(files, processes);
    if (kind !== "refused") return assert.is((await managedDevice(look, CONTROL)).kind, kind);
    await managedDevice(look, CONTROL).then(() => assert.unreachable(), (error: BerthError) => {
      assert.is(error.code, "refused");
      assert.match(error.message, "managed by networkd and ifupdown");
    });
  });
}

test("a device that is not there", async () => {
  await managedDevice(machineWith({}), { ...CONTROL, device: "eth7" }).then(
    () => assert.unreachable(),
    (error: BerthError) => {
      assert.is(error.code, "missing");
    },
  );
});

/** The refusal's lines. */
async function linesFor(
  files: Record<string, string>,
  processes: readonly (readonly string[])[],
): Promise<string> {
  try {
    await managerForm(machineWith(files, processes), CONTROL);
  } catch (error) {
    assert.ok(error instanceof BerthError, String(error));
    assert.is(error.code, "refused");
    assert.match(error.message, '"eth0" is managed by');
    return error.next!;
  }
  throw new Error("not refused");
}

test("NetworkManager: commands with the settings of the connection that is up", async () => {
  const lines = await linesFor({
    "/run/NetworkManager/devices/3": managed(true),
    "/etc/NetworkManager/system-connections/other.nmconnection":
      "[connection]\nuuid=1\n[ipv4]\nmethod=disabled\n",
    "/etc/NetworkManager/system-connections/wired.nmconnection": `[connection]
id=Wired connection 1
uuid=6e5a8b0e-71f4-4f3c-9f0c-111111111111
type=ethernet

[ipv4]
method=manual
address1=192.0.2.5/24,192.0.2.1
route1=198.51.100.0/24,192.0.2.2
dns=192.0.2.53;192.0.2.54;

[ipv6]
method=auto
`,
  }, [NETWORK_MANAGER]);
  assert.is(
    lines,
    `Make the bridge there, then run this again:
nmcli connection add type bridge con-name _dockercnet ifname _dockercnet bridge.stp no bridge.multicast-snooping no bridge.group-forward-mask 65528 bridge.mac-address ${MAC} ipv4.method manual ipv4.addresses 192.0.2.5/24,172.16.0.1/12 ipv4.gateway 192.0.2.1 ipv4.routes '198.51.100.0/24 192.0.2.2' ipv4.dns 192.0.2.53,192.0.2.54 ipv6.method auto
nmcli connection add type ethernet con-name _dockercnet-port ifname eth0 master _dockercnet slave-type bridge
nmcli connection modify 6e5a8b0e-71f4-4f3c-9f0c-111111111111 connection.autoconnect no
nmcli connection up _dockercnet && nmcli connection up _dockercnet-port`,
  );
});

test("NetworkManager without a file for its connection: by DHCP, found by nmcli itself", async () => {
  const lines = await linesFor({}, [NETWORK_MANAGER]);
  assert.match(lines, "ipv4.method auto ipv4.addresses 172.16.0.1/12 ipv6.method auto");
  assert.match(lines, '"$(nmcli -g GENERAL.CONNECTION device show eth0)"');
});

test("netplan: a file for the bridge with the device's settings", async () => {
  const lines = await linesFor({
    "/run/systemd/netif/links/3": linkFile(NETPLAN),
    "/sys/class/net/eth0/mtu": "9000\n",
    [NETPLAN]: `[Match]
Name=eth0

[Network]
DHCP=ipv4
LinkLocalAddressing=ipv6
Address=192.0.2.5/24
DNS=192.0.2.53
Domains=lab.example

[Route]
Destination=0.0.0.0/0
Gateway=192.0.2.1
Metric=50

[DHCP]
RouteMetric=100
UseMTU=true
`,
  }, [NETWORKD]);
  assert.is(
    lines.slice(lines.indexOf("network:\n")),
    `network:
  version: 2
  ethernets:
    eth0:
      dhcp4: false
      dhcp6: false
      mtu: 9000
  bridges:
    _dockercnet:
      interfaces: [eth0]
      macaddress: "${MAC}"
      parameters: {stp: false, forward-delay: 0}
      mtu: 9000
      dhcp4: true
      dhcp6: false
      addresses: ["192.0.2.5/24", "172.16.0.1/12"]
      nameservers: {addresses: ["192.0.2.53"], search: ["lab.example"]}
      routes:
        - to: default
          via: "192.0.2.1"
          metric: 50
netplan try`,
  );
});

test("others: how to take the device from them, and who takes it", async () => {
  assert.match(await linesFor({}, [CONNMAN]), "NetworkInterfaceBlacklist=eth0,_dockercnet,bve-");
  assert.match(await linesFor({}, [["dhcpcd: eth0 [ip4]"]]), "denyinterfaces eth0 _dockercnet");
  const lines = await linesFor({}, [["/sbin/dhclient", "-v", "eth0"]]);
  assert.match(lines, 'Take away what starts "/sbin/dhclient -v eth0" (500)');
  assert.match(lines, "In /etc/systemd/network/10-eth0.network:\n[Match]\nName=eth0\n");
});

test("a bridge that the operator has made is taken as it is", async () => {
  const look = asPort(machineWith({ "/run/NetworkManager/devices/3": managed(true) }, [NETWORK_MANAGER]));
  assert.equal(await managerForm(look, CONTROL), { kind: "networkmanager", resources: [] });
});

test("a bridge of the operator's own files for networkd or ifupdown is taken, too", async () => {
  const own = "/etc/systemd/network/10-eth0.network";
  const files = {
    "/run/systemd/netif/links/3": linkFile(own),
    [own]: "[Match]\nName=eth0\n[Network]\nBridge=_dockercnet\n",
    "/etc/systemd/network/20-cnet.network": "[Match]\nName=_dockercnet\n[Network]\nDHCP=yes\n",
  };
  const host = asPort(machineWith(files, [NETWORKD]));
  assert.equal(await managerForm(host, CONTROL), { kind: "networkd", resources: [] });
  const stanzas =
    "auto eth0\niface eth0 inet manual\nauto _dockercnet\niface _dockercnet inet dhcp\n  bridge_ports eth0\n";
  const other = asPort(machineWith({ "/etc/network/interfaces": stanzas }));
  assert.equal(await managerForm(other, CONTROL), { kind: "ifupdown", resources: [] });
});

test("a port that the operator has made is not given back against his files; one of berth's is", async () => {
  const refusal = (files: Record<string, string>, processes: readonly (readonly string[])[] = [NETWORKD]) =>
    checkGivenBack(asPort(machineWith(files, processes)), CONTROL).then(() => null, (error: BerthError) => {
      assert.is(error.code, "refused");
      return error.message;
    });
  const own = "/etc/systemd/network/20-eth0.network";
  const held = (text: string) => ({ "/run/systemd/netif/links/3": linkFile(own), [own]: text });
  const by = (kind: string) =>
    new RegExp(`"eth0" is on bridge "_dockercnet" by files of ${kind} that are not`);
  assert.match((await refusal(held("[Match]\nName=eth0\n[Network]\nBridge=_dockercnet\n")))!, by("networkd"));
  assert.is(await refusal(held("[Match]\nName=eth0\n[Network]\nDHCP=yes\n")), null);
  const netplan = { "/run/systemd/netif/links/3": linkFile(NETPLAN), [NETPLAN]: "" };
  assert.match((await refusal(netplan))!, by("netplan"));
  const note = { "/run/NetworkManager/devices/3": managed(true) };
  assert.match((await refusal(note, [NETWORK_MANAGER]))!, by("networkmanager"));
  const stanzas =
    "iface eth0 inet manual\nauto _dockercnet\niface _dockercnet inet dhcp\n  bridge_ports eth0\n";
  assert.match((await refusal({ "/etc/network/interfaces": stanzas }, []))!, by("ifupdown"));
  assert.is(await refusal(INTERFACES_DHCP, []), null);
  assert.is(await refusal({}, []), null, "nobody's after a reboot");
});

test.run();
