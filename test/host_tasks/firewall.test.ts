// The tables of the host as text and as found; Docker's leftovers; subnets.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseLeftovers } from "../../lib/resource/docker_leftovers.ts";
import { dockerUser, parseUserChain } from "../../lib/resource/docker_user.ts";
import { CONTROL_SETS, firewallTables } from "../../lib/resource/firewall.ts";
import { freeSubnets, overlap, parseSubnet, subnetText } from "../../lib/resource/ipv4.ts";
import { differences, nftTable, parseTable, ruleMark, tableText } from "../../lib/resource/nft_table.ts";
import { checkControlSubnet, clashes } from "../../lib/resource/control_subnet.ts";
import type { Look } from "../../lib/host/types.ts";
import type { BerthError } from "../../lib/log/error.ts";

const TABLES = firewallTables({
  controlBridge: "_dockercnet",
  controlSubnet: "172.16.0.0/12",
  controlAddress: "172.16.0.1",
  isolation: "experiments" as const,
  hasUplink: false,
  nat: true,
  routable: ["10.1.0.0/16"],
  dockerSubnet: "192.168.254.0/24",
  dockerNat: true,
  lanPortPrefixes: ["bve-", "bvx-", "bvl-"],
  lanPrefix: "bbr-",
  bridgeMeta: false,
});
const [bridge, , nat] = TABLES;

/** Of a machine with the defaults. */
const FACTS = {
  controlBridge: "_dockercnet",
  controlSubnet: "172.16.0.0/12",
  controlAddress: "172.16.0.1",
  isolation: "experiments" as const,
  hasUplink: false,
  nat: true,
  routable: [],
  dockerSubnet: "192.168.254.0/24",
  dockerNat: true,
  lanPortPrefixes: ["bve-", "bvx-", "bvl-"],
  lanPrefix: "bbr-",
};

test("a host that is on lans is no router for them, and only their ports pass the wall", () => {
  const [ports, inet] = firewallTables({ ...FACTS, bridgeMeta: false });
  const rules = (table: typeof ports, name: string) =>
    table!.chains.find((chain) => chain.name === name)!.rules;
  assert.equal(rules(ports, "input"), [
    ...["veth*", "bve-*", "bvx-*", "bvl-*"].map((name) =>
      `iifname "${name}" ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 counter drop`
    ),
    "iifname @lan_host_ports accept",
    ...["bve-*", "bvx-*", "bvl-*"].map((name) => `iifname "${name}" counter drop`),
    "iifname @lan_uplinks counter drop",
  ]);
  assert.equal(rules(inet, "forward").slice(0, 2), [
    'iifname "bbr-*" oifname != "bbr-*" counter drop',
    'iifname != "bbr-*" oifname "bbr-*" counter drop',
  ]);
});

test("where rules can name the bridge, a port that is not registered reaches no other at all", () => {
  const rules = (bridgeMeta: boolean) =>
    firewallTables({ ...FACTS, bridgeMeta })[0]!.chains.find(({ name }) => name === "forward")!.rules;
  assert.equal(
    rules(true).filter((rule) => !rules(false).includes(rule)),
    [`meta ibrname "_dockercnet" iifname != @${CONTROL_SETS.names} counter drop`],
  );
});

test("the NAT table accepts what is routable before it masquerades", () => {
  const rules = nat!.chains.find(({ name }) => name === "postrouting")!.rules.slice(1);
  const accept = rules.findIndex((rule) => rule.includes("10.1.0.0/16"));
  const masquerade = rules.findIndex((rule) => rule.includes("masquerade"));
  assert.ok(accept >= 0 && accept < masquerade);
});

test("tableText() of a table that stands flushes chains and touches no set's elements", () => {
  const found = nftTable(bridge!).desired;
  const text = tableText(bridge!, found);
  assert.match(text, /^flush chain bridge berth control_in$/m);
  assert.not.match(text, /(flush|delete) (set|table)/);
});

test("tableText() replaces a set of another type, after the rules that hold it", () => {
  const found = nftTable(bridge!).desired;
  const odd = { ...found, sets: { ...found.sets, [CONTROL_SETS.names]: "ether_addr" } };
  const lines = tableText(bridge!, odd).split("\n");
  const dropped = lines.indexOf(`delete set bridge berth ${CONTROL_SETS.names}`);
  assert.ok(dropped > lines.indexOf("flush chain bridge berth prerouting"));
});

test("differences() finds a rule that is missing, foreign or moved", () => {
  const desired = nftTable(bridge!).desired;
  const chain = desired.chains.control_in!;
  const having = (rules: readonly string[]) =>
    differences(desired, { ...desired, chains: { ...desired.chains, control_in: { ...chain, rules } } });
  assert.equal(having(chain.rules), []);
  assert.match(having(chain.rules.slice(1))[0]!, /1 of 4 rules missing/);
  assert.match(having(["", ...chain.rules])[0]!, /1 other rules/);
  assert.match(having([...chain.rules].reverse())[0]!, /another order/);
  const others = { ...desired, chains: { ...desired.chains, theirs: { hook: "", rules: ["x"] } } };
  assert.match(differences(desired, others)[0]!, /not berth's: theirs/);
  const text = tableText(bridge!, others).split("\n");
  const at = (line: string) => text.indexOf(line);
  assert.ok(at("flush chain bridge berth theirs") < at("flush chain bridge berth control_in"));
  assert.ok(at("flush chain bridge berth control_in") < at("delete chain bridge berth theirs"));
});

test("parseTable() reads marks, hooks and concatenated types", () => {
  const text = JSON.stringify({
    nftables: [
      { metainfo: { version: "1.0.6" } },
      { set: { name: "s", type: ["ifname", "ether_addr"] } },
      { chain: { name: "c", type: "filter", hook: "input", prio: -200, policy: "accept" } },
      { rule: { chain: "c", comment: ruleMark("drop") } },
      { rule: { chain: "c" } },
    ],
  });
  assert.equal(parseTable(text), {
    sets: { s: "ifname . ether_addr" },
    chains: { c: { hook: "filter input -200 accept", rules: [ruleMark("drop"), ""] } },
  });
});

const SAVED = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -s 10.0.0.1/32 -j DROP
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
`;

test("parseLeftovers() removes Docker's chains and jumps, and nothing else", () => {
  const { drops, removal } = parseLeftovers(SAVED);
  assert.ok(drops);
  assert.match(removal, /^:FORWARD ACCEPT/m);
  assert.match(removal, /^-D FORWARD -o docker0 -j DOCKER$/m);
  assert.match(removal, /^-X DOCKER-USER$/m);
  assert.not.match(removal, /10\.0\.0\.1/);
});

test("parseLeftovers() knows how to bring it all back: jumps at the head go there again, others to the end", () => {
  const { restoral } = parseLeftovers(`*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER
-A FORWARD -s 10.0.0.1/32 -j DROP
-A FORWARD -o docker0 -j DOCKER
-A DOCKER-USER -j RETURN
COMMIT
`);
  assert.equal(restoral.split("\n"), [
    ...[
      "*filter",
      ":FORWARD DROP [0:0]",
      ":DOCKER - [0:0]",
      ":DOCKER-USER - [0:0]",
      "-A DOCKER-USER -j RETURN",
    ],
    ...["-I FORWARD -j DOCKER", "-I FORWARD -j DOCKER-USER", "-A FORWARD -o docker0 -j DOCKER", "COMMIT", ""],
  ]);
});

test("parseLeftovers() keeps DOCKER-USER while it holds the operator's rules", () => {
  const { removal } = parseLeftovers(
    SAVED.replace("-A DOCKER-USER", "-A DOCKER-USER -s 10.9.9.9/32 -j DROP\n-A DOCKER-USER"),
  );
  assert.not.match(removal, /DOCKER-USER/);
});

const ACCEPTED = dockerUser({ controlBridge: "_dockercnet", lanPrefix: "bbr-" });
const OURS = [
  "-i bbr-+ -o bbr-+ -m comment --comment berth -j ACCEPT",
  "-i _dockercnet -o _dockercnet -m comment --comment berth -j ACCEPT",
  "-i _dockercnet -m conntrack --ctstate DNAT -m comment --comment berth -j ACCEPT",
  "-o _dockercnet -m conntrack --ctstate DNAT -m comment --comment berth -j ACCEPT",
];
const inputs = (changes: ReturnType<typeof ACCEPTED.diff>) =>
  changes.flatMap((one) => one.do).map((op) => "run" in op ? [op.run.argv[0], op.run.input] : []);
const asSaved = (rules: readonly string[]) =>
  parseUserChain(
    SAVED.replace("-A DOCKER-USER -j RETURN", rules.map((one) => `-A DOCKER-USER ${one}`).join("\n")),
  );

test("dockerUser() puts its rules after the operator's and before the chain's end, in their order", () => {
  const theirs = "-s 192.0.2.7/32 -j DROP";
  const wanted = [...OURS, "-j RETURN"].map((rule) => `-A DOCKER-USER ${rule}`).join("\n");
  const mended = (gone: readonly string[], added = wanted) => [[
    "iptables-restore",
    `*filter\n${[...gone.map((rule) => `-D DOCKER-USER ${rule}`), added].join("\n")}\nCOMMIT\n`,
  ]];
  const diff = (rules: readonly string[]) => inputs(ACCEPTED.diff({ ip: asSaved(rules), ip6: null }));
  assert.equal(diff([theirs, "-j RETURN"]), mended(["-j RETURN"]));
  assert.equal(diff([theirs, ...OURS, "-j RETURN"]), []);
  assert.equal(diff([...OURS, theirs]), []);
  // Behind the end nobody hears of them.
  assert.equal(diff(["-j RETURN", ...OURS]), mended([...OURS, "-j RETURN"]));
  const [first, ...others] = OURS;
  assert.equal(diff([...others, first!, "-j RETURN"]), mended([...others, first!, "-j RETURN"]));
  // Newer engines leave it without an end.
  assert.equal(diff([theirs]), mended([], OURS.map((rule) => `-A DOCKER-USER ${rule}`).join("\n")));
});

test("dockerUser() makes the chain before an engine does, and takes IPv6 where Docker manages that", () => {
  const [[tool, input]] = inputs(ACCEPTED.diff(null)) as [[string, string]];
  assert.is(tool, "iptables-restore");
  assert.match(input, "*filter\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -i bbr-+");
  assert.match(input, "-I FORWARD -j DOCKER-USER\nCOMMIT");
  const ip = asSaved([...OURS, "-j RETURN"]);
  const found = (ip6: ReturnType<typeof asSaved> | null) => inputs(ACCEPTED.diff({ ip, ip6 }));
  assert.equal(found(null), []);
  assert.equal(found({ rules: null, jump: false, managed: false }), []);
  assert.equal(found({ rules: [], jump: true, managed: true }), [
    ["ip6tables-restore", `*filter\n-A DOCKER-USER ${OURS[0]}\nCOMMIT\n`],
  ]);
  const flushed = ACCEPTED.diff({ ip: { ...ip, jump: false }, ip6: null });
  assert.equal(flushed.map(({ why }) => why), ["FORWARD does not lead there"]);
});

test("dockerUser() takes back its own rules alone, and a chain that no engine has taken up", () => {
  const theirs = "-s 192.0.2.7/32 -j DROP";
  const ip = asSaved([theirs, OURS[0]!, "-j RETURN"]);
  const gone = [["iptables-restore", `*filter\n-D DOCKER-USER ${OURS[0]}\nCOMMIT\n`]];
  assert.equal(inputs(ACCEPTED.revert(null, { ip, ip6: null })), gone);
  assert.equal(inputs(dockerUser(null).diff({ ip, ip6: null })), gone);
  const lone = { rules: [OURS[0]!], jump: true, managed: false };
  assert.equal(inputs(ACCEPTED.revert({ ip: null, ip6: null }, { ip: lone, ip6: null })), [[
    "iptables-restore",
    `*filter\n-D DOCKER-USER ${OURS[0]}\n-D FORWARD -j DOCKER-USER\n-X DOCKER-USER\nCOMMIT\n`,
  ]]);
});

test("parseLeftovers() takes berth's rules for nobody's use of the chain, and never brings them back", () => {
  const { removal, restoral } = parseLeftovers(
    SAVED.replace("-A DOCKER-USER", `-A DOCKER-USER ${OURS[0]}\n-A DOCKER-USER`),
  );
  assert.match(removal, /^-X DOCKER-USER$/m);
  assert.not.match(restoral, /berth/);
});

test("parseLeftovers() leaves a DROP alone where Docker has no chain", () => {
  assert.is(parseLeftovers("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n").removal, "");
});

test("subnets overlap, are printed and offered", () => {
  const net = (text: string) => parseSubnet(text)!;
  assert.is(subnetText(net("192.168.254.1/24")), "192.168.254.0/24");
  assert.ok(overlap(net("172.16.0.0/12"), net("172.31.9.9")));
  assert.not(overlap(net("172.16.0.0/12"), net("172.32.0.0/16")));
  assert.is(parseSubnet("fe80::1/64"), null);
  assert.is(parseSubnet("10.0.0.300"), null);
  assert.equal(freeSubnets([net("172.17.0.0/16"), net("10.240.1.1")]), [
    "10.224.0.0/12",
    "10.208.0.0/12",
    "10.192.0.0/12",
  ]);
  assert.is(clashes("172.16.0.0/12", [{ what: "x", subnet: net("172.20.0.1/16") }]).length, 1);
});

test("with a device in the bridge no rule drops by default what comes in by it, and its ends are told apart", () => {
  const facts = {
    ...FACTS,
    uplink: { name: "ens3", subnets: ["198.51.100.0/24"] },
  };
  for (const bridgeMeta of [true, false]) {
    const [ports, inet, nat] = firewallTables({ ...facts, bridgeMeta });
    const rules = (table: typeof ports, name: string) =>
      table!.chains.find((chain) => chain.name === name)!.rules;
    assert.not.match(rules(inet, "prerouting").join("\n"), /ip saddr !=|ipv6 counter drop/);
    for (const name of ["prerouting", "postrouting"]) {
      for (const rule of rules(ports, name)) {
        assert.match(
          rule,
          /name "veth\*"|[io]ifname @(control_names|lan_guarded) goto|[io]ifname != "ens3" counter drop$/,
          rule,
        );
      }
    }
    assert.ok(rules(ports, "forward").includes('oifname "ens3" iifname != @control_names counter drop'));
    const [answers, plain, direct, masquerade] = rules(nat, "postrouting");
    assert.is(answers, "ip saddr 172.16.0.0/12 ip daddr 172.16.0.0/12 ct status dnat masquerade");
    assert.is(plain, "ip saddr 172.16.0.0/12 ip daddr 172.16.0.0/12 accept");
    assert.is(direct, "ip saddr 172.16.0.0/12 ip daddr 198.51.100.0/24 accept");
    assert.is(masquerade, "ip saddr 172.16.0.0/12 masquerade");
  }
});

test("checkControlSubnet() tells what a device brought onto the bridge, and not berth's own address", async () => {
  const answers: Readonly<Record<string, string>> = {
    "ip -j -4 addr show": JSON.stringify([{
      ifname: "_dockercnet",
      addr_info: [
        { family: "inet", local: "172.16.0.1", prefixlen: 12 },
        { family: "inet", local: "172.20.5.6", prefixlen: 16 },
      ],
    }]),
    "ip -j -4 route show table all type unicast": JSON.stringify([
      { dst: "172.16.0.0/12", dev: "_dockercnet", protocol: "kernel" },
      { dst: "default", gateway: "172.20.0.1", dev: "_dockercnet" },
      { dst: "172.30.0.0/16", dev: "_dockercnet", protocol: "static", table: "100" },
    ]),
  };
  const look = {
    query: ({ argv }: { argv: readonly string[] }) =>
      Promise.resolve({ exit: 0, stdout: answers[argv.join(" ")]!, stderr: "", ms: 0 }),
    readText: () => Promise.resolve(null),
    engine: () => Promise.resolve(null),
  } as unknown as Look;
  const control = { subnet: "172.16.0.0/12", address: "172.16.0.1", network: "_dockercnet" };
  await checkControlSubnet(look, { ...control, hasDevice: false });
  try {
    await checkControlSubnet(look, { ...control, hasDevice: true });
  } catch (error) {
    const { issues, next } = error as BerthError;
    assert.equal(issues.map(({ message }) => message), [
      "Overlaps address 172.20.5.6/16 of _dockercnet",
      "Overlaps gateway 172.20.0.1",
      "Overlaps route to 172.30.0.0/16",
    ]);
    assert.match(next!, /such as 10\.240\.0\.0\/12/);
    return;
  }
  assert.unreachable("accepted");
});

test.run();
