// What networkd is told of a moved device, from configurations as they are found on machines.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BerthError } from "../../../lib/log/error.ts";
import { managerForm, managerFreed } from "../../../lib/resource/control_device/manager.ts";
import { iaidOf, networkdForm, prefixBefore } from "../../../lib/resource/control_device/manager_networkd.ts";
import type { NetworkdState } from "../../../lib/resource/control_device/manager_networkd_form.ts";
import {
  allValues,
  divideNetwork,
  parseUnitFile,
  unitText,
} from "../../../lib/resource/control_device/manager_unit_file.ts";
import { CONTROL, IAID, LEASE, linkFile, MAC, machineWith, NETWORKD, UNMANAGED_LINK } from "./_captured.ts";

const OWN = "/etc/systemd/network/10-eth0.network";
const BRIDGE = "/etc/systemd/network/05-berth-control.network";
const PORT = "/etc/systemd/network/05-berth-control-port.network";
const NETDEV = "/etc/systemd/network/05-berth-control.netdev";

/** Our three files for a device's own one, without their comments. */
function formOf(network: string, iaid: number | null = IAID, own = OWN): Record<string, string> {
  const { files } = networkdForm({ ...CONTROL, mac: MAC }, own, network, iaid);
  return Object.fromEntries(
    Object.entries(files).map(([path, text]) => [path, text.slice(text.indexOf("\n\n") + 2)]),
  );
}

test("DHCP: the bridge has the device's MAC, its options and its IAID", () => {
  const files = formOf(
    "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nUseMTU=yes\nRouteMetric=512\n",
  );
  assert.is(
    files[NETDEV],
    `[NetDev]
Name=_dockercnet
Kind=bridge
MACAddress=${MAC}

[Bridge]
STP=no
MulticastSnooping=no
GroupForwardMask=65528
`,
  );
  assert.is(
    files[BRIDGE],
    `[Match]
Name=_dockercnet

[Network]
DHCP=ipv4

[DHCPv4]
UseMTU=yes
RouteMetric=512

[DHCPv4]
IAID=${IAID}

[DHCPv6]
IAID=${IAID}

[Address]
Address=172.16.0.1/12
`,
  );
  assert.is(
    files[PORT],
    "[Match]\nName=eth0\n\n[Network]\nBridge=_dockercnet\n\n[Link]\nRequiredForOnline=no\n",
  );
});

test("static: addresses, routes, rules and name servers go to the bridge", () => {
  const files = formOf(
    `[Match]
MACAddress=${MAC}

[Network]
Address=192.0.2.5/24
Address=2001:db8::5/64
Gateway=192.0.2.1
DNS=192.0.2.53
IPv6AcceptRA=no

[Route]
Destination=198.51.100.0/24
Gateway=192.0.2.2
Table=100

[RoutingPolicyRule]
From=192.0.2.5
Table=100

[Link]
MTUBytes=9000
RequiredForOnline=routable
`,
    null,
  );
  const bridge = files[BRIDGE]!;
  for (
    const line of ["Address=192.0.2.5/24", "Address=2001:db8::5/64", "Gateway=192.0.2.1", "DNS=192.0.2.53"]
  ) {
    assert.match(bridge, line);
  }
  assert.match(bridge, "[Route]\nDestination=198.51.100.0/24\nGateway=192.0.2.2\nTable=100\n");
  assert.match(bridge, "[RoutingPolicyRule]\nFrom=192.0.2.5\nTable=100\n");
  assert.match(bridge, "MTUBytes=9000\nRequiredForOnline=routable\n");
  // By the device's MAC, which the bridge has, too: ours must match by name.
  assert.match(bridge, "[Match]\nName=_dockercnet\n");
  assert.not.match(bridge, MAC);
  assert.match(files[PORT]!, "MTUBytes=9000");
  assert.not.match(files[PORT]!, "192.0.2");
});

test("what is the wire's stays with the port", () => {
  const { bridge, port } = divideNetwork(parseUnitFile(
    `[Network]
DHCP=yes
VLAN=eth0.5
VLAN=eth0.6
LLDP=yes
[Link]
MACAddress=02:00:00:00:00:05
ARP=yes
[FairQueueingControlledDelay]
Parent=root
[SR-IOV]
VirtualFunction=0
`,
  ));
  assert.is(unitText(bridge), "[Network]\nDHCP=yes\n\n[Link]\nARP=yes\n");
  assert.match(unitText(port), "VLAN=eth0.5\nVLAN=eth0.6\nLLDP=yes\n");
  assert.match(unitText(port), "MACAddress=02:00:00:00:00:05");
  assert.match(unitText(port), "[FairQueueingControlledDelay]\nParent=root\n\n[SR-IOV]\nVirtualFunction=0\n");
});

test("what makes it the port of something else is refused, all at once", () => {
  try {
    formOf("[Network]\nBond=bond0\nMACVLAN=mv0\n");
    assert.unreachable();
  } catch (error) {
    assert.ok(error instanceof BerthError);
    assert.is(error.code, "refused");
    assert.match(error.message, '"Bond=bond0", "MACVLAN=mv0"');
  }
  assert.not.throws(() => formOf("[Network]\nBond=bond0\nBond=\nDHCP=no\n"));
});

test("the syntax: comments, joined lines, resets, many sections of one name", () => {
  const sections = parseUnitFile(
    "# one\n[Network]\n; two\nDNS=192.0.2.1 \\\n# three\n  192.0.2.2\nDNS=\nDNS = 192.0.2.3\nnonsense\n[Network]\nDNS=192.0.2.4\n",
  );
  assert.equal(sections[0]!.lines[0], ["DNS", "192.0.2.1 192.0.2.2"]);
  assert.equal(allValues(sections, "Network", "DNS"), ["192.0.2.3", "192.0.2.4"]);
});

test("our files come before the device's own, whatever it is called", () => {
  assert.is(prefixBefore("/etc/systemd/network/10-eth0.network"), "05-berth-control");
  assert.is(prefixBefore("/run/systemd/network/zz.network"), "05-berth-control");
  assert.is(prefixBefore("/etc/systemd/network/05-a.network"), "00-berth-control");
  assert.is(prefixBefore("/etc/systemd/network/00-a.network"), "00-00-berth-control");
  assert.throws(() => prefixBefore("/etc/systemd/network/!.network"), /Rename|come before/);
});

test("a client identifier: only that of RFC 4361 has an IAID", () => {
  assert.is(iaidOf("ff1a4517b600020000ab113565fe035137f079"), IAID);
  assert.is(iaidOf("01525400000010"), null);
});

test("an IAID of the operator's own stands; a MAC as identifier needs none; without a lease it is refused", () => {
  assert.not.match(
    formOf("[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n[DHCPv4]\nIAID=7\n")[BRIDGE]!,
    `IAID=${IAID}`,
  );
  assert.not.match(formOf("[Network]\nDHCP=yes\n[DHCPv4]\nClientIdentifier=mac\n", null)[BRIDGE]!, "IAID");
  try {
    formOf("[Network]\nDHCP=yes\n", null);
    assert.unreachable();
  } catch (error) {
    assert.is((error as BerthError).code, "refused");
    assert.match(
      (error as BerthError).next!,
      `add to "${OWN}" the IAID that the server knows:\n[DHCPv4]\nIAID=`,
    );
  }
});

/** A machine whose eth0 networkd holds. */
const held = (network: string, more: Record<string, string> = {}) =>
  machineWith(
    {
      "/run/systemd/netif/links/3": linkFile(OWN),
      "/run/systemd/netif/leases/3": LEASE,
      [OWN]: network,
      ...more,
    },
    [NETWORKD],
  );

test("found by networkd's own notes; drop-ins of all folders are carried over", async () => {
  const host = held("[Match]\nName=e*\n[Network]\nDHCP=yes\n", {
    "/etc/systemd/network/10-eth0.network.d/20.conf": "[Network]\nNTP=192.0.2.1\n",
    "/usr/lib/systemd/network/10-eth0.network.d/10.conf": "[DHCPv4]\nUseDNS=no\n",
    "/usr/lib/systemd/network/10-eth0.network.d/20.conf": "[Network]\nNTP=192.0.2.99\n",
    "/etc/systemd/network/10-eth0.network.d/README": "[Network]\nDNS=192.0.2.98\n",
  });
  const form = await managerForm(host, CONTROL);
  assert.is(form.kind, "networkd");
  assert.equal(form.resources.map(({ id }) => id), ["networkd form of eth0"]);
  const { files } = form.resources[0]!.desired as NetworkdState;
  const bridge = files[BRIDGE]!;
  assert.match(bridge, "UseDNS=no");
  assert.match(bridge, "NTP=192.0.2.1");
  assert.not.match(bridge, "192.0.2.9");
  assert.ok(bridge.startsWith(`# berth: the control network on eth0\n# berth: from ${OWN}\n`));
});

test("a later run reads the operator's file, not ours, and keeps the IAID", async () => {
  const first = await managerForm(held("[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n"), CONTROL);
  const { files } = first.resources[0]!.desired as NetworkdState;
  const later = machineWith({
    "/sys/class/net/_dockercnet/ifindex": "4\n",
    "/run/systemd/netif/links/3": linkFile(PORT, "configuring"),
    "/run/systemd/netif/links/4": linkFile(BRIDGE),
    "/run/systemd/netif/leases/4": LEASE,
    [OWN]: "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n",
    ...files as Record<string, string>,
  }, [NETWORKD]);
  const [resource] = (await managerForm(later, CONTROL)).resources;
  assert.equal(resource!.diff(await resource!.observe(later)), []);

  await later.writeText(OWN, "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nDNS=192.0.2.7\n");
  const [changed] = (await managerForm(later, CONTROL)).resources;
  const [change] = changed!.diff(await changed!.observe(later));
  assert.is(change!.verb, "update");
  assert.match(JSON.stringify(change!.do), "192.0.2.7");
  assert.match((changed!.desired as NetworkdState).files[BRIDGE]!, `IAID=${IAID}`);

  await later.remove(OWN);
  assert.equal((await managerForm(later, CONTROL)).resources, [], "what stands is what there is");
});

test("files are written before networkd is told, and taken away before it is told again", async () => {
  const host = held("[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n");
  const [resource] = (await managerForm(host, CONTROL)).resources;
  const found = await resource!.observe(host);
  const [change] = resource!.diff(found);
  const steps = change!.do.map((op) => "write" in op ? op.write : "run" in op ? op.run.argv.at(-3) : "?");
  assert.equal(steps, [
    "/run/systemd/network/05-berth-control.network.d/berth.conf",
    NETDEV,
    PORT,
    BRIDGE,
    "_dockercnet",
  ]);
  const state: NetworkdState = {
    files: (resource!.desired as NetworkdState).files,
    holds: true,
    holdsPort: true,
    keeps: true,
  };
  const [back] = resource!.revert(resource!.prior(found), state);
  const undone = back!.do.map((op) => "remove" in op ? op.remove : "run" in op ? op.run.argv.slice(-3) : "?");
  assert.equal(undone.slice(0, 3), [NETDEV, PORT, BRIDGE]);
  assert.equal(undone.at(-2), ["eth0", OWN, "45"]);
  assert.equal(
    resource!.revert(null, {
      files: { [NETDEV]: null, [PORT]: null, [BRIDGE]: null },
      holds: false,
      holdsPort: false,
      keeps: false,
    }),
    [],
  );
});

test("a device that is not named any more is freed: the form's revert is what there is to do", async () => {
  const own = "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n";
  const [form] = (await managerForm(held(own), CONTROL)).resources;
  const { files } = form!.desired as NetworkdState;
  const host = held(own, {
    ...files as Record<string, string>,
    "/run/systemd/netif/links/3": linkFile(PORT),
  });
  assert.equal(await managerFreed(host, CONTROL, "eth0"), []);
  const [freed] = await managerFreed(host, CONTROL, null);
  const [change] = freed!.diff(await freed!.observe(host));
  assert.is(change!.verb, "delete");
  for (const path of [BRIDGE, PORT, NETDEV]) await host.remove(path);
  assert.is(freed!.diff(await freed!.observe(host)).length, 1, "networkd has not heard of it");
  await host.writeText("/run/systemd/netif/links/3", linkFile(OWN));
  assert.equal(freed!.diff(await freed!.observe(host)), []);
  assert.equal(await managerFreed(host, CONTROL, null), []);
});

test("a link that networkd leaves alone is not its", async () => {
  const host = machineWith({ "/run/systemd/netif/links/3": UNMANAGED_LINK }, [NETWORKD]);
  assert.is((await managerForm(host, CONTROL)).kind, "none");
  const stopped = machineWith({ "/run/systemd/netif/links/3": linkFile(OWN), [OWN]: "" });
  assert.is((await managerForm(stopped, CONTROL)).kind, "none", "notes of a networkd that does not run");
});

/** The device's link file in a network without DHCPv4. */
const sixOnly = (more: string) =>
  linkFile(OWN).replace("IPV4_ADDRESS_STATE=routable", "IPV4_ADDRESS_STATE=off")
    .replace("IPV6_ADDRESS_STATE=degraded", "IPV6_ADDRESS_STATE=routable") + more;

test("IPv6 only: the IAID is the DHCPv6 client's; without one there is no lease to keep, or a way is told", async () => {
  const bridgeOf = async (network: string, more: string) => {
    const host = machineWith({ "/run/systemd/netif/links/3": sixOnly(more), [OWN]: network }, [NETWORKD]);
    const [form] = (await managerForm(host, CONTROL)).resources;
    return (form!.desired as NetworkdState).files[BRIDGE]!;
  };
  const network = (dhcp: string) => `[Match]\nName=eth0\n[Network]\nDHCP=${dhcp}\n`;
  const client = "DHCP6_CLIENT_IAID=0x1a4517b6\n";
  for (const dhcp of ["yes", "ipv6"]) {
    assert.match(await bridgeOf(network(dhcp), client), `[DHCPv6]\nIAID=${IAID}\n`);
  }
  assert.not.match(await bridgeOf(network("ipv6"), ""), "IAID");
  await bridgeOf(network("yes"), "").then(
    () => assert.unreachable(),
    ({ code, next }: BerthError) => {
      assert.is(code, "refused");
      assert.match(
        next!,
        /^Wait for the lease, or, where only IPv6 is to be had, write "DHCP=ipv6" instead; or add/,
      );
    },
  );
});

test.run();
