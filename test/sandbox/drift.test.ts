// deadline: 600s
// Each kind of drift by itself: check exits with 2 and tells exactly that, up changes exactly that, and then check has
// nothing to tell. One vhost; only the last kinds cost a restart of the engine.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openVhost } from "./vhost.ts";

const FILE = "/etc/docker/daemon.json";
const SYSCTLS = "/etc/sysctl.d/60-berth.conf";
const RUNTIME = "/usr/lib/berth/runtime";
const NETWORK = "docker network _dockercnet";
const BRIDGE = "bridge _dockercnet";
const ADDRESS = "address 172.16.0.1/12 on _dockercnet";
const ARP = "sysctl net/ipv4/conf/_dockercnet/arp_ignore";
const GENERIC = "net.netfilter.nf_conntrack_generic_timeout";

/** Makes a network of our name and label that is not as wanted. */
const OTHER_NETWORK = `docker network rm _dockercnet >/dev/null
  docker network create --label berth.network=control --subnet 172.16.0.0/12 --gateway 172.16.0.1 \\
    -o com.docker.network.bridge.name=_dockercnet -o com.docker.network.bridge.inhibit_ipv4=true _dockercnet`;
/** Deletes the first rule of a chain. */
const deleteRule = (table: string, chain: string) =>
  `handle=$(nft -a list chain ${table} ${chain} | sed -n 's/.* # handle //p' | sed -n 2p)
  nft delete rule ${table} ${chain} handle "$handle"`;

/** A machine with sysvinit as far as can be seen of it: the name of process 1, its table, and who tells it to read that. */
const SYSVINIT = `echo init >/run/one; mount --bind /run/one /proc/1/comm; touch /etc/inittab
  rm -f /sbin/telinit; printf '#!/bin/sh\\n' >/sbin/telinit; chmod 755 /sbin/telinit`;

/** What is done behind berth's back, and the resources that then differ. */
const KINDS: readonly (readonly [what: string, script: string, differs: readonly string[]])[] = [
  ["a parameter", "sysctl -qw net.ipv4.ip_forward=0", ["sysctl net.ipv4.ip_forward"]],
  ["a parameter of the bridge", "sysctl -qw net.ipv4.conf._dockercnet.arp_ignore=0", [ARP]],
  [
    "bridged frames through iptables",
    "sysctl -qw net.bridge.bridge-nf-call-iptables=1",
    ["sysctl net.bridge.bridge-nf-call-iptables"],
  ],
  ["a bound that is passed", `sysctl -qw ${GENERIC}=600`, [`sysctl ${GENERIC}`]],
  ["parameters' file edited", `echo 'net.ipv4.ip_forward = 0' >>${SYSCTLS}`, [`file ${SYSCTLS}`]],
  ["parameters' file gone", `rm ${SYSCTLS}`, [`file ${SYSCTLS}`]],
  ["mode of a directory", "chmod 755 /var/lib/berth", ["directory /var/lib/berth"]],
  ["mode of a directory that a reboot forgets", "chmod 755 /run/berth", ["directory /run/berth"]],
  ["a directory gone", "rm -r /var/lib/berth/gate", ["directory /var/lib/berth/gate"]],
  ["the gate edited", `echo '# more' >>${RUNTIME}`, [`file ${RUNTIME}`]],
  ["the gate not executable", `chmod 644 ${RUNTIME}`, [`file ${RUNTIME}`]],
  ["the gate gone", `rm ${RUNTIME}`, [`file ${RUNTIME}`]],
  ["a table flushed", "nft flush table inet berth", ["nft table inet berth"]],
  ["a table gone", "nft delete table ip berth_nat", ["nft table ip berth_nat"]],
  ["a rule gone", deleteRule("inet berth", "forward"), ["nft table inet berth"]],
  ["a rule of others' in our chain", "nft insert rule bridge berth prerouting accept", [
    "nft table bridge berth",
  ]],
  ["a chain of others' in our table", "nft add chain inet berth theirs", ["nft table inet berth"]],
  ["a set of ours gone", "nft flush table bridge berth; nft delete set bridge berth control_names", [
    "nft table bridge berth",
  ]],
  ["chains of Docker's", "iptables -N DOCKER; iptables -A FORWARD -j DOCKER; iptables -P FORWARD DROP", [
    "iptables rules of docker",
  ]],
  ["a missing unit", "rm /etc/init.d/berth", ["file /etc/init.d/berth", "rc sysvinit"]],
  ["a unit edited", "echo exit >>/etc/init.d/berth-prepare", [
    "file /etc/init.d/berth-prepare",
    "rc sysvinit",
  ]],
  ["a unit that does not start at boot", "rm /etc/rc?.d/S*berth-prepare", ["rc sysvinit"]],
  ["nobody guards the watch", "sed -i /berth/d /etc/inittab", ["guard of the watch"]],
  ["the vnodes' table flushed", "nft flush table inet berth_vnodes", ["nft table inet berth_vnodes"]],
  ["its frames kept from rules", "ip link set _dockercnet type bridge nf_call_iptables 0", [
    "bridge option _dockercnet nf_call_iptables",
  ]],
  ["the bridge down", "ip link set _dockercnet down", [BRIDGE]],
  ["the bridge's MTU", "ip link set _dockercnet mtu 1400", [BRIDGE]],
  ["the bridge's mark", "ip link set _dockercnet alias ''", [BRIDGE]],
  ["spanning tree", "ip link set _dockercnet type bridge stp_state 1", [BRIDGE]],
  ["snooping", "ip link set _dockercnet type bridge mcast_snooping 1", [BRIDGE]],
  ["the address gone", "ip addr del 172.16.0.1/12 dev _dockercnet", [ADDRESS]],
  ["the bridge gone", "ip link del _dockercnet", [BRIDGE, ADDRESS, ARP]],
  ["the network gone", "docker network rm _dockercnet", [NETWORK]],
  ["the network made otherwise", OTHER_NETWORK, [NETWORK]],
  [
    "a restart policy",
    "docker create --name ours --label berth.vnode=ours --restart always box:latest true",
    ["restart policy of ours"],
  ],
  ["a key of the engine's changed", `sed -i 's/"live-restore": *true/"live-restore": false/' ${FILE}`, [
    `file ${FILE}`,
    "engine docker",
  ]],
  ["the gate unknown to the engine", `sed -i 's/"berth": *{/"other": {/' ${FILE}`, [
    `file ${FILE}`,
    "engine docker",
  ]],
  ["docker0 moved", "ip addr flush dev docker0; ip addr add 10.66.0.1/24 dev docker0", ["engine docker"]],
  ["the engine stopped", "kill $(cat /run/docker.pid); while pgrep -x dockerd >/dev/null; do :; done", [
    "engine docker",
  ]],
];

const box = await openVhost("20.10", null);
await box.sh(SYSVINIT);
assert.equal(await told(0, "host", "up"), [
  "file /etc/init.d/berth",
  "file /etc/init.d/berth-prepare",
  "guard of the watch",
  "rc sysvinit",
]);

interface Told {
  readonly differences?: readonly { readonly resource: string }[];
  readonly changes?: readonly { readonly resource: string }[];
}

async function told(exit: number, ...argv: string[]): Promise<readonly string[]> {
  const said = await box.run(["berth", ...argv, "--json"], { timeoutMs: 120_000 });
  assert.is(said.exit, exit, `berth ${argv.join(" ")}: ${said.stdout}${said.stderr}`);
  const { differences, changes } = JSON.parse(said.stdout) as Told;
  return (differences ?? changes ?? []).map(({ resource }) => resource).sort();
}

for (const [what, script, differs] of KINDS) {
  test(`drift: ${what}`, async () => {
    await box.sh(script);
    const found = await told(2, "host", "check");
    // Some kernels want an option of the bridge, too.
    const options = found.filter((id) =>
      differs.includes(BRIDGE) && id.startsWith("bridge option _dockercnet")
    );
    const wanted = [...differs, ...options].sort();
    assert.equal(found, wanted);
    assert.equal(await told(0, "host", "up"), wanted); // what it leaves, the next kind's check would tell
  });
}

test("the end, with everything at once that does not hang on each other", async () => {
  const restarts = new Set(["the engine stopped", "docker0 moved"]);
  const once = new Map(
    KINDS.filter(([what]) => !restarts.has(what) && what !== "a restart policy")
      .map((kind) => [kind[2].join(), kind] as const),
  );
  const many = [...once.values()].filter(([what]) => !/network|bridge gone/.test(what));
  await box.sh(many.map(([, script]) => script).join("\n"));
  const wanted = [...new Set(many.flatMap(([, , differs]) => differs))].sort();
  assert.equal(await told(2, "host", "check"), wanted);
  assert.equal(await told(0, "host", "up"), wanted);
  assert.equal(await told(0, "host", "check"), []);
  assert.ok(KINDS.length >= 25);
  await box.close();
});

test.run();
