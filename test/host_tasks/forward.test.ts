// A DROP that FORWARD has for others than Docker: it stays, and is told.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { noDockerLeftovers, parseLeftovers } from "../../lib/resource/docker_leftovers.ts";
import { forwardDrops } from "../../lib/resource/forward_policy.ts";
import { createFakeHost } from "../fake/host.ts";

const SAVED = `*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -s 10.0.0.1/32 -j DROP
-A DOCKER-USER -j RETURN
COMMIT
`;

test("parseLeftovers() leaves a DROP alone that others' rules let something pass of, and tells it", () => {
  const bridge =
    "-A FORWARD -o br-0a248185fcc4 -j DOCKER\n-A FORWARD -i br-0a248185fcc4 ! -o br-0a248185fcc4 -j ACCEPT\n";
  const established = "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
  const sets =
    "-A FORWARD -m set --match-set docker-ext-bridges-v4 dst -m conntrack --ctstate ESTABLISHED -j ACCEPT\n";
  const gateway =
    "-A FORWARD -o docker_gwbridge -j DOCKER\n-A FORWARD -i docker_gwbridge -o docker_gwbridge -j DROP\n";
  const withRule = (rule: string) => SAVED.replace("-A FORWARD -s", `${rule}-A FORWARD -s`);
  const docker = withRule(established + bridge + sets + gateway);
  assert.is(parseLeftovers(docker).shared, false);
  for (
    const rule of [
      "-A FORWARD -j ufw-before-forward\n",
      "-A FORWARD -i eth1 -o eth0 -j ACCEPT\n",
      "-A FORWARD -i br0 -o br0 -j ACCEPT\n",
      "-A FORWARD -g THEIRS\n",
    ]
  ) {
    const found = parseLeftovers(withRule(rule));
    assert.is(found.shared, true, rule);
    assert.not.match(found.removal + found.restoral, ":FORWARD");
    assert.match(found.removal, "-X DOCKER-USER");
    const set = { tool: "iptables" as const, restore: "iptables-restore", ...found };
    const [change] = noDockerLeftovers().diff({ sets: [set], running: [] });
    assert.match(change!.why, /^FORWARD's DROP stays, .*; left: filter\/DOCKER,/);
    assert.equal(
      noDockerLeftovers().revert({ sets: [set], running: [] }, {
        sets: [{ ...set, drops: false }],
        running: [],
      }),
      [],
    );
  }
});

test("forwardDrops() tells who drops what vnodes send out, unless a rule there knows of the control network", async () => {
  const chains = (policy: string, table = "filter") => ({
    nftables: [
      { chain: { family: "ip", table, name: "FORWARD", type: "filter", hook: "forward", prio: 0, policy } },
      { chain: { family: "inet", table: "berth", name: "forward", hook: "forward", policy: "drop" } },
      { chain: { family: "ip6", table: "filter", name: "FORWARD", hook: "forward", policy: "drop" } },
    ],
  });
  const said = (listed: unknown, text = "", old = "") => {
    const host = createFakeHost({
      files: { "/proc/net/ip_tables_names": old === "" ? "" : "filter\n" },
      commands: [({ argv }) => {
        const line = argv.join(" ");
        if (line === "nft -j -t list chains") return { stdout: JSON.stringify(listed) };
        if (line.startsWith("nft -j -t list table ip ")) return { stdout: `{"nftables":["${text}"]}` };
        return line === "iptables-legacy-save" ? { stdout: old } : null;
      }],
    });
    return forwardDrops(host, "_dockercnet");
  };
  assert.equal(await said(chains("accept")), []);
  assert.equal(await said(chains("drop"), "ufw _dockercnet"), []);
  const [line, ...rest] = await said(chains("drop"), "ufw docker0");
  assert.is(rest.length, 0);
  assert.match(line!, /^Chain FORWARD of nft table ip filter drops .* accepts "_dockercnet" /);
  assert.match((await said(chains("drop", "mine")))[0]!, "nft table ip mine");
  assert.match(
    (await said(chains("accept"), "", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"))[0]!,
    "iptables-legacy",
  );
  assert.equal(
    await said(chains("accept"), "", "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i _dockercnet -j ACCEPT\n"),
    [],
  );
});

test.run();
