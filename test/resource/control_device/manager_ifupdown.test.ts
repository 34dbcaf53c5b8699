// What ifupdown is told of a moved device, from configurations as they are found on machines.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BerthError } from "../../../lib/log/error.ts";
import { managerForm, managerFreed } from "../../../lib/resource/control_device/manager.ts";
import { interfacesFiles } from "../../../lib/resource/control_device/manager_ifupdown.ts";
import { type IfupdownState, ofBridge } from "../../../lib/resource/control_device/manager_ifupdown_form.ts";
import {
  parseInterfaces,
  renamed,
  withForm,
  withoutForm,
} from "../../../lib/resource/control_device/manager_interfaces.ts";
import { CONTROL, DHCLIENT, INTERFACES, MAC, machineWith } from "./_captured.ts";

const FORM = { ...CONTROL, mac: MAC, mtu: 1500 };
const FILE = "/etc/network/interfaces";
const OWN = "/etc/network/interfaces.d/eth0";

/** What ifupdown reads of a rewritten file: all but comments. */
const effective = (text: string) => text.split("\n").filter((line) => !/^\s*(#|$)/.test(line)).join("\n");

const MADE = [
  `    pre-up [ -e /sys/class/net/_dockercnet ] || ip link add name _dockercnet address ${MAC} type bridge ` +
  "stp_state 0 mcast_snooping 0 group_fwd_mask 0xfff8",
  "    pre-up n=0; while [ ! -e /sys/class/net/eth0 ] && [ $n -lt 30 ]; do n=$((n+1)); sleep 1; done",
  "    pre-up ip link set dev eth0 addrgenmode none",
  "    pre-up ip link set dev eth0 up",
  "    pre-up ip link set dev eth0 master _dockercnet",
  "    pre-up ip link set dev _dockercnet up",
  "    up ip addr add 172.16.0.1/12 dev _dockercnet label _dockercnet:b 2>/dev/null || true",
].join("\n");
const PORT = [
  "    pre-up ip link set dev eth0 addrgenmode none",
  "    up ip link set dev eth0 up",
  "    up [ ! -d /sys/class/net/_dockercnet/bridge ] || ip link set dev eth0 master _dockercnet",
].join("\n");

test("DHCP: the device is manual and a port, the bridge has its method", () => {
  const text = "auto lo\niface lo inet loopback\n\n# the wire\nallow-hotplug eth0\niface eth0 inet dhcp\n";
  assert.is(
    effective(withForm(text, FORM)),
    `auto lo
iface lo inet loopback
allow-hotplug eth0
iface eth0 inet manual
${PORT}
auto _dockercnet
iface _dockercnet inet dhcp
${MADE}`,
  );
});

/** Configurations as they are found; each is given back by taking the form away. */
const FOUND: Readonly<Record<string, string>> = {
  "nothing of ours": "auto lo\niface lo inet loopback\n",
  "dhcp": "allow-hotplug eth0\niface eth0 inet dhcp\n",
  "no newline at the end": "auto eth0\niface eth0 inet dhcp",
  "static with lines": `auto eth0
iface eth0 inet static
\taddress 192.0.2.5/24
\tgateway 192.0.2.1
\t# the lab's own
\tup ip route add 198.51.100.0/24 via 192.0.2.2 dev eth0
\tup ethtool -K $IFACE tso off
\tdown ip route del 198.51.100.0/24 \\
\t  via 192.0.2.2 dev eth0
\tdns-nameservers 192.0.2.53

auto eth1
iface eth1 inet dhcp
`,
  "both families, apart": `auto eth0
iface eth0 inet static
    address 192.0.2.5
    netmask 255.255.255.0

iface eth1 inet manual

iface eth0 inet6 static
    address 2001:db8::5/64
    gateway fe80::1
    up ethtool -s eth0 wol g
`,
  "aliases": "auto eth0 eth0:1\niface eth0 inet dhcp\niface eth0:1 inet static\n  address 192.0.2.6/24\n",
  "VLANs on it":
    "auto eth0.5\niface eth0.5 inet dhcp\n  vlan-raw-device eth0\nauto eth0\niface eth0 inet dhcp\n",
  "a template":
    "iface lab inet static\n  netmask 24\nauto eth0\niface eth0 inherits lab\n  address 192.0.2.5\n",
};

for (const [name, text] of Object.entries(FOUND)) {
  test(`given back as it was: ${name}`, () => {
    const once = withForm(text, FORM);
    assert.is(withoutForm(once), text);
    assert.is(withForm(withoutForm(once), FORM), once);
    assert.is(withoutForm(text), text, "nothing of ours, nothing taken");
  });
}

test("static: lines follow the address by name, what is the wire's stays", () => {
  assert.is(
    effective(withForm(FOUND["static with lines"]!, FORM)),
    `auto eth0
iface eth0 inet manual
    up ethtool -K $IFACE tso off
${PORT}
auto _dockercnet
iface _dockercnet inet static
${MADE}
    address 192.0.2.5/24
    gateway 192.0.2.1
    up ip route add 198.51.100.0/24 via 192.0.2.2 dev _dockercnet
    down ip route del 198.51.100.0/24  via 192.0.2.2 dev _dockercnet
    dns-nameservers 192.0.2.53
auto eth1
iface eth1 inet dhcp`,
  );
});

test("the first stanza makes the bridge, the others only go to it", () => {
  const text = effective(withForm(FOUND["both families, apart"]!, FORM));
  assert.is(text.split("ip link add").length, 2);
  assert.match(text, "iface eth1 inet manual\niface eth0 inet manual\n    up ethtool -s eth0 wol g\n");
  assert.match(text, "iface _dockercnet inet6 static\n    address 2001:db8::5/64\n    gateway fe80::1");
  assert.not.match(effective(withForm(FOUND["dhcp"]!, FORM, false)), "ip link add");
});

test("aliases stay names that ifupdown knows; VLANs stay on the device; templates are inherited", () => {
  assert.match(
    effective(withForm(FOUND["aliases"]!, FORM)),
    "iface eth0:1 inet manual\nauto _dockercnet:1\niface _dockercnet:1 inet static\n    address 192.0.2.6/24",
  );
  assert.match(
    effective(withForm(FOUND["VLANs on it"]!, FORM)),
    "iface eth0.5 inet dhcp\n  vlan-raw-device eth0\n",
  );
  assert.match(effective(withForm(FOUND["a template"]!, FORM)), "iface _dockercnet inherits lab\n");
});

test("hardware settings and a large MTU are the port's", () => {
  const text = withForm(
    "iface eth0 inet static\n  hwaddress 02:00:00:00:00:05\n  mtu 9000\n  address 192.0.2.5/24\n",
    {
      ...FORM,
      mtu: 9000,
    },
  );
  const [port, bridge] = effective(text).split("auto _dockercnet\n");
  assert.match(port!, "hwaddress 02:00:00:00:00:05");
  assert.match(port!, "pre-up ip link set dev eth0 mtu 9000");
  assert.match(bridge!, "    mtu 9000");
  assert.not.match(bridge!, "hwaddress");
});

test("others' edits beside ours survive our going", () => {
  const once = withForm(FOUND["dhcp"]!, FORM);
  assert.is(withoutForm(`# mine\n${once}\nauto eth9\n`), `# mine\n${FOUND["dhcp"]}\nauto eth9\n`);
});

test("names in commands", () => {
  for (
    const [from, to] of [
      ["ip route add default via 192.0.2.1 dev eth0", "ip route add default via 192.0.2.1 dev _dockercnet"],
      ["iptables -A INPUT -i eth0 -j DROP", "iptables -A INPUT -i _dockercnet -j DROP"],
      [
        "echo 1 >/proc/sys/net/ipv4/conf/eth0/rp_filter",
        "echo 1 >/proc/sys/net/ipv4/conf/_dockercnet/rp_filter",
      ],
      ["cat /sys/class/net/eth0/address", "cat /sys/class/net/eth0/address"],
      ["ip link show eth0.5 eth01 veth0", "ip link show eth0.5 eth01 veth0"],
    ]
  ) assert.is(renamed(from!, "eth0", "_dockercnet"), to);
  assert.is(ofBridge("/var/lib/dhcp/dhclient6.eth0.leases", "eth0", "b"), "/var/lib/dhcp/dhclient6.b.leases");
  assert.is(ofBridge("veth0", "eth0", "b"), "veth0");
});

test("the syntax: continued lines, comments between options, hooks of any kind", () => {
  const [auto, iface] = parseInterfaces(
    "auto a \\\n  b\niface a inet static\n# x\n\n  up one \\\n two\n  down  three\n",
  );
  assert.equal(auto!.words, ["a", "b"]);
  assert.equal(iface!.options, [["up", "one  two"], ["down", "three"]]);
  assert.is(iface!.end, 8);
});

test("files: source with patterns, source-directory with its names only, each once", async () => {
  const host = machineWith({
    [FILE]: "source interfaces.d/*\nsource-directory /etc/network/more\nsource /etc/network/interfaces\n",
    "/etc/network/interfaces.d/a": "iface a inet dhcp\nsource ../deep\n",
    "/etc/network/interfaces.d/.hidden": "",
    "/etc/network/interfaces.d/b.cfg": "",
    "/etc/network/more/x": "",
    "/etc/network/more/x.bak": "",
  });
  assert.equal((await interfacesFiles(host)).map(({ path }) => path), [
    FILE,
    "/etc/network/interfaces.d/a",
    "/etc/network/interfaces.d/b.cfg",
    "/etc/network/more/x",
  ]);
});

/** A machine that ifupdown has set up by DHCP, as captured. */
const dhcp = (more: Record<string, string> = {}, processes = [DHCLIENT]) =>
  machineWith({
    [FILE]: INTERFACES,
    [OWN]: "allow-hotplug eth0\niface eth0 inet dhcp\n    up echo up $IFACE >>/run/lines\n",
    "/run/network/ifstate": "lo=lo\neth0=eth0\n",
    ...more,
  }, processes);

test("a machine: files, then the client on the bridge, by its own words", async () => {
  const host = dhcp();
  const form = await managerForm(host, CONTROL);
  assert.is(form.kind, "ifupdown");
  const [resource] = form.resources;
  const found = await resource!.observe(host);
  const [change] = resource!.diff(found);
  assert.is(change!.verb, "create");
  const writes = change!.do.flatMap((op) => "write" in op ? [op.write] : []);
  assert.equal(writes, [`/var/lib/berth/backup${OWN}`, OWN]);
  const run = change!.do.find((op) => "run" in op) as { run: { argv: string[] } };
  assert.equal(run.run.argv.slice(6), [
    ...["eth0", "_dockercnet", "172.16.0.1/12", "dhclient", "-4", "-v", "-i", "-pf"],
    ...["/run/dhclient._dockercnet.pid", "-lf", "/var/lib/dhcp/dhclient._dockercnet.leases", "-I", "-df"],
    ...["/var/lib/dhcp/dhclient6._dockercnet.leases", "_dockercnet"],
  ]);

  // As it stands afterwards, and after a reboot: nothing to do; undone, the file is the operator's.
  const wanted = resource!.desired as IfupdownState;
  const after = dhcp({
    [OWN]: wanted.files[OWN]!,
    "/run/network/ifstate": "lo=lo\neth0=eth0\n_dockercnet=_dockercnet\n",
  }, [
    DHCLIENT.map((word) => ofBridge(word, "eth0", "_dockercnet")),
  ]);
  const [again] = (await managerForm(after, CONTROL)).resources;
  const state = await again!.observe(after);
  assert.equal(again!.diff(state), []);
  const [back] = again!.revert(found, state);
  const [text] = back!.do.flatMap((op) => "write" in op ? [op.text] : []);
  assert.is(text, host.machine.files.get(OWN)!.text);
  assert.equal(again!.revert(found, found), [], "given back already");
});

test("a device that is not named any more is freed", async () => {
  const host = machineWith({ [FILE]: withForm("auto eth0\niface eth0 inet dhcp\n", FORM) });
  assert.equal(await managerFreed(host, CONTROL, "eth0"), []);
  const [freed] = await managerFreed(host, CONTROL, "eth1");
  const [change] = freed!.diff(await freed!.observe(host));
  assert.match(JSON.stringify(change!.do[0]), '"text":"auto eth0\\niface eth0 inet dhcp\\n"');
});

test("a client that has died is started again by ifupdown", async () => {
  const form = withForm("auto eth0\niface eth0 inet dhcp\n", FORM);
  const host = machineWith({ [FILE]: form, "/run/network/ifstate": "eth0=eth0\n_dockercnet=_dockercnet\n" });
  const [resource] = (await managerForm(host, CONTROL)).resources;
  const [change] = resource!.diff(await resource!.observe(host));
  assert.match(change!.why, 'no DHCP client holds "_dockercnet"');
  assert.match(JSON.stringify(change!.do), "ifup --force --ignore-errors");
});

test("static: nothing is run but the notes", async () => {
  const host = machineWith({
    [FILE]: "auto eth0\niface eth0 inet static\n  address 192.0.2.5/24\n",
    "/run/network/ifstate": "eth0=eth0\n",
  });
  const [resource] = (await managerForm(host, CONTROL)).resources;
  const [change] = resource!.diff(await resource!.observe(host));
  const run = change!.do.find((op) => "run" in op) as { run: { argv: string[] } };
  assert.equal(run.run.argv.slice(6), ["eth0", "_dockercnet", "172.16.0.1/12"]);
});

/** What is refused, and what of it must be told. */
const REFUSED: readonly [name: string, files: Record<string, string>, told: RegExp][] = [
  ["a bond's port", { [FILE]: "iface eth0 inet manual\n  bond-master bond0\n" }, /bond-master bond0/],
  ["wireless", { [FILE]: "iface eth0 inet dhcp\n  wpa-ssid lab\n" }, /wpa-ssid lab/],
  ["a bridge", { [FILE]: "iface eth0 inet dhcp\n  bridge_ports eth1\n" }, /bridge_ports eth1/],
  ["a method", { [FILE]: "iface eth0 inet ppp\n" }, /Method \\"ppp\\"/],
  ["mappings", { [FILE]: "mapping eth*\n  script /x\niface eth0 inet dhcp\n" }, /mapping eth\*/],
  [
    "cloud-init's file",
    { [FILE]: INTERFACES, "/etc/network/interfaces.d/50-cloud-init": "auto eth0\niface eth0 inet dhcp\n" },
    /network: \{config: disabled\}/,
  ],
  ["no stanza", { [FILE]: "auto lo\n", "/run/network/ifstate": "eth0=eth0\n" }, /iface eth0/],
  ["ifupdown2", { [FILE]: "iface eth0 inet dhcp\n", "/usr/share/ifupdown2/x": "" }, /ifupdown2/],
];
for (const [name, files, told] of REFUSED) {
  test(`refused: ${name}`, async () => {
    try {
      await managerForm(machineWith(files), CONTROL);
      assert.unreachable();
    } catch (error) {
      assert.ok(error instanceof BerthError, String(error));
      assert.is(error.code, "refused");
      assert.match(JSON.stringify(error), told);
    }
  });
}

test("cloud-init that is told to leave the network alone is no hindrance", async () => {
  const host = machineWith({
    [FILE]: INTERFACES,
    "/etc/network/interfaces.d/50-cloud-init": "auto eth0\niface eth0 inet dhcp\n",
    "/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg": "network: {config: disabled}\n",
  });
  assert.is((await managerForm(host, CONTROL)).kind, "ifupdown");
});

test("ifupdown with dhcpcd: refused with what to write", async () => {
  try {
    await managerForm(dhcp({}, [["dhcpcd: eth0 [ip4]"]]), CONTROL);
    assert.unreachable();
  } catch (error) {
    assert.is((error as BerthError).code, "refused");
    assert.match((error as BerthError).next!, `In ${OWN}:\n`);
    assert.match((error as BerthError).next!, "iface _dockercnet inet dhcp");
  }
});

test("a vnode's client of the same link name is none of the machine's", async () => {
  const host = dhcp();
  const resource = (await managerForm(host, CONTROL)).resources[0]!;
  const elsewhere = {
    ...host,
    readLink: (path: string) => Promise.resolve(path.includes("self") ? "net:[1]" : "net:[2]"),
  };
  assert.equal((await resource.observe(elsewhere) as IfupdownState).onDevice, []);
});

test.run();
