// deadline: 3000s
// The control device of a whole Debian, held by networkd and by ifupdown: in the bridge, with its lease of 60 s, through
// renewals, restarts of the manager and reboots, with a connection through it all; and given back to its manager.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { build } from "../../tasks/dev/build.ts";
import { skip } from "../skip.ts";
import {
  addressesOn,
  DEVICE_MAC,
  outliveLease,
  ROUTER,
  ROUTER_FILES,
  startRouter,
  stillTalks,
  talk,
} from "./_router.ts";
import { type Machine, openMachine, until, whyNoMachine } from "./harness.ts";

const BERTH_MS = 500_000;
const BRIDGE = "_dockercnet";
const OWN = "/etc/systemd/network/10-eth0.network";
const DHCP = "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n";
const STATIC = `[Match]\nName=eth0\n\n[Network]\nAddress=10.77.0.20/24\nGateway=${ROUTER}\n`;
const INTERFACES = "/etc/network/interfaces.d/eth0";
const STANZA = 'auto eth0\niface eth0 inet dhcp\n    up echo "$IFACE up" >>/run/hooks\n';

let machine: Machine;
/** The device's address by lease, with prefix length. */
let leased: string;

const tell = (line: string) => void process.stdout.write(`\n  ${line}`);

/** Runs a berth command that must succeed; answers with what it said. */
async function berth(...args: string[]): Promise<string> {
  const began = Date.now();
  const said = await machine.run(["berth", ...args], { timeoutMs: BERTH_MS });
  assert.is(said.exit, 0, `berth ${args.join(" ")}\n${said.stdout}\n${said.stderr}`);
  tell(`berth ${args.join(" ")}: ${((Date.now() - began) / 1000).toFixed(0)} s`);
  return said.stdout;
}

const configure = (device: boolean) =>
  machine.write(
    "/etc/berth/host.yaml",
    device ? "controlNet:\n  device: eth0\n  gatewayTimeout: 60s\n" : "{}\n",
  );

/** Waits for the device's address on a link, and for nothing of it elsewhere. */
async function settled(what: string, on: string, address: string): Promise<void> {
  const off = on === "eth0" ? BRIDGE : "eth0";
  await until(`${address} on ${on}, ${what}`, async (seen) => {
    const [here, there] = [await addressesOn(machine, on), await addressesOn(machine, off)];
    seen(`${on}: ${here}; ${off}: ${there}`);
    return here.includes(address) && !there.includes(address);
  }, { deadlineMs: 180_000, everyMs: 500 });
}

/** The network stands on the bridge: address, one default route, router, alias, and the device as a port. */
async function stands(what: string, address = leased): Promise<void> {
  await settled(what, BRIDGE, address);
  await until(`the router to answer, ${what}`, async (seen) => {
    const answer = await machine.run(["busybox", "ping", "-c", "1", "-W", "2", ROUTER]);
    seen(answer.stdout);
    return answer.exit === 0;
  }, { deadlineMs: 60_000, everyMs: 500 });
  const routes = (await machine.sh("ip -4 route show default")).trim().split("\n");
  assert.is(routes.length, 1, routes.join("; "));
  assert.match(routes[0]!, `default via ${ROUTER} dev ${BRIDGE}`);
  assert.match(await machine.sh(`ip -4 addr show dev ${BRIDGE}`), "inet 172.16.0.1/12");
  assert.match(await machine.sh("ip link show eth0"), `master ${BRIDGE}`);
  assert.match(await machine.sh(`cat /sys/class/net/${BRIDGE}/address`), DEVICE_MAC);
}

/** Nothing of a manager's form is left to do. */
async function converged(): Promise<void> {
  assert.not.match(await berth("host", "control-net"), / form of /);
}

const absent = process.env["BERTH_LONG"] === "1"
  ? await whyNoMachine("bookworm")
  : "three boots and four leases are for the long run (BERTH_LONG=1)";
/** Each story goes on where the one before it ended: after a failure, which is told at once, the rest is not played. */
let failed: string | null = null;
const story = (name: string, play: () => Promise<void>) =>
  absent !== null ? skip(test, name, absent) : test(name, async () => {
    if (failed !== null) throw new Error(`Not played, because "${failed}" failed`);
    failed = name;
    await play().catch((error) => {
      tell(String(error));
      throw error;
    });
    failed = null;
  });

story("networkd, DHCP: the device goes into the bridge under a live connection", async () => {
  machine = await openMachine({
    suite: "bookworm",
    bootMs: 900_000, // three boots of a machine among others
    files: {
      ...ROUTER_FILES,
      [OWN]: DHCP,
      // Docker's own network out of the control network's way, as berth's daemon.json has it.
      "/etc/docker/daemon.json": '{"bip": "192.168.254.1/24"}\n',
      "/usr/local/bin/berth": { copy: await build(), mode: 0o755 },
    },
  });
  await configure(true);
  await startRouter(machine);
  await machine.sh("systemctl enable --quiet --now systemd-networkd.service");
  await until("a lease", async () => (await addressesOn(machine, "eth0")).length > 0, {
    deadlineMs: 120_000,
  });
  leased = (await addressesOn(machine, "eth0"))[0]!;
  await talk(machine, leased.split("/")[0]!);
  const said = await berth("host", "control-net");
  assert.match(said, "networkd form of eth0");
  await stands("after the move");
  await stillTalks(machine, "the connection after the move");
  await converged();
});

story("networkd, DHCP: renewals and a restart of networkd leave it standing", async () => {
  await machine.sh("systemctl restart systemd-networkd.service");
  await stands("after the restart");
  await outliveLease(machine);
  await stands("after renewals");
  await stillTalks(machine, "the connection after renewals and a restart");
});

story("networkd, DHCP: after a reboot networkd makes the bridge by itself", async () => {
  await machine.reboot();
  await stands("after the reboot, without berth");
  await talk(machine, leased.split("/")[0]!);
  await machine.sh("systemctl restart systemd-networkd.service");
  await outliveLease(machine);
  await stands("after a restart in that boot");
  await stillTalks(machine, "the connection of that boot");
  await converged();
});

story("networkd: the operator's own file goes on counting: a static address instead", async () => {
  await machine.write(OWN, STATIC);
  assert.match(await berth("host", "control-net"), "networkd form of eth0");
  await stands("with the static address", "10.77.0.20/24");
  await machine.sh("systemctl restart systemd-networkd.service");
  await stands("with the static address, after a restart", "10.77.0.20/24");
  assert.not.match(await machine.sh(`ip -4 addr show dev ${BRIDGE}`), leased);
});

story("networkd: named no more, the device is networkd's again", async () => {
  await configure(false);
  await machine.write(OWN, DHCP);
  await berth("host", "control-net");
  await settled("given back", "eth0", leased);
  assert.is(await machine.sh("ls /etc/systemd/network"), "05-berth-unmanaged.network\n10-eth0.network\n");
  assert.match(await machine.sh(`ip -4 addr show dev ${BRIDGE}`), "inet 172.16.0.1/12");
  assert.not.match(await machine.sh("ip link show eth0"), "master");
});

story("ifupdown, DHCP: the device goes into the bridge under a live connection", async () => {
  await machine.sh(`systemctl disable --quiet --now systemd-networkd.socket systemd-networkd.service
    rm ${OWN}; ip addr flush dev eth0`);
  await machine.write(INTERFACES, STANZA);
  await machine.sh("ifup eth0", { timeoutMs: 120_000 });
  leased = (await addressesOn(machine, "eth0"))[0]!;
  await talk(machine, leased.split("/")[0]!);
  await configure(true);
  assert.match(await berth("host", "control-net"), "ifupdown form of eth0");
  await stands("after the move");
  await stillTalks(machine, "the connection after the move");
  await converged();
  assert.is(
    await machine.sh("cat /run/hooks"),
    "eth0 up\n",
    "what the operator has run at up is not run again",
  );
  await outliveLease(machine);
  await stands("after renewals");
  await stillTalks(machine, "the connection after renewals");
});

story("ifupdown, DHCP: a restart of networking and a reboot leave it standing", async () => {
  await machine.sh("systemctl restart networking.service", { timeoutMs: 180_000 });
  await stands("after the restart");
  await outliveLease(machine);
  await stands("after renewals by the client of ifupdown's own start");
  await stillTalks(machine, "the connection after the restart");
  await machine.reboot();
  await stands("after the reboot, without berth");
  await converged();
});

story("ifupdown: host down gives the file and the device back", async () => {
  await berth("host", "down");
  await settled("given back", "eth0", leased);
  assert.is(await machine.sh(`cat ${INTERFACES}`), STANZA);
});

test.after(() => machine?.close());
test.run();
