// deadline: 900s
// `berth verify` on vnodes whose image has nothing but a program that sleeps: what is right passes, with packets each
// way; what is then spoilt by hand, with no watch to mend it, fails, and nothing else does. It leaves no trace.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { hostEndName } from "../../lib/vnode/names.ts";
import type { Finding } from "../../lib/vnode/verify/types.ts";
import { changed } from "./_world.ts";
import type { Sandbox } from "./harness.ts";
import { berth, openVhost } from "./vhost.ts";

/** Two lans with the same subnets, a pair on each; behind right a vnode that is reached by a route. */
const EXPERIMENT = {
  lans: {
    wire: { subnets: ["10.1.0.0/24", "fd00:1::/64"] },
    twin: { subnets: ["10.1.0.0/24", "fd00:1::/64"] },
    far: { subnet: "10.2.0.0/24" },
  },
  vnodes: Object.fromEntries(
    Object.entries({
      left: {
        links: [{ lan: "wire", addresses: ["10.1.0.1", "fd00:1::1"], egress: { rate: "1mbit" } }],
        routes: [{ to: "10.2.0.0/24", via: "10.1.0.2" }],
      },
      right: {
        links: [
          { lan: "wire", addresses: ["10.1.0.2", "fd00:1::2"], rate: "2mbit" },
          { lan: "far", address: "10.2.0.2" },
        ],
      },
      end: {
        links: [{ lan: "far", address: "10.2.0.3" }],
        routes: [{ to: "10.1.0.0/24", via: "10.2.0.2" }],
      },
      left2: { links: [{ lan: "twin", addresses: ["10.1.0.1", "fd00:1::1"] }] },
      right2: { links: [{ lan: "twin", addresses: ["10.1.0.2", "fd00:1::2"] }] },
    }).map(([name, one]) => [name, { image: "bare", command: ["/sleep", "100000"], ...one }]),
  ),
};

interface Told {
  readonly exit: number;
  readonly findings: readonly Finding[];
}

async function verify(box: Sandbox, ...argv: string[]): Promise<Told> {
  const said = await box.run(["berth", "verify", "--json", ...argv], { timeoutMs: 600_000 });
  assert.ok(said.exit === 0 || said.exit === 2, said.stdout + said.stderr);
  return { exit: said.exit, findings: JSON.parse(said.stdout).findings };
}

/** "rate left/eth1 right/eth1" for each finding of that verdict, sorted. */
const those = ({ findings }: Told, verdict: Finding["verdict"]) =>
  findings.filter((one) => one.verdict === verdict).map(({ check, from, to }) =>
    `${check} ${from} ${to}`.trim()
  )
    .sort();

/** An image of one file: busybox, which is whatever program it is called. */
const bareImage = (box: Sandbox) =>
  box.sh(`mkdir /tmp/bare
    id=$(docker create box); docker cp "$id:/bin/busybox" /tmp/bare/sleep; docker rm "$id"
    tar -C /tmp/bare -c sleep | docker import - bare:latest`);

const pidOf = async (box: Sandbox, vnode: string) =>
  (await box.sh(`docker inspect -f '{{.State.Pid}}' ${vnode}`)).trim();

let box: Sandbox;
test.before(async () => {
  box = await openVhost("20.10", null);
  await bareImage(box);
  await box.write("/etc/berth/vnodes.d/experiment.yaml", JSON.stringify(EXPERIMENT));
  await berth(box, "vnode", "up");
});
test.after(async () => {
  await box?.close();
});

test("everything that is right passes, and nothing is changed by it", async () => {
  const before = await box.dump();
  const told = await verify(box);
  assert.equal(those(told, "fail"), [], JSON.stringify(told.findings, null, 1));
  assert.is(told.exit, 0);
  const passed = those(told, "pass");
  for (
    const one of [
      "state left",
      "state right/eth2",
      "state lan wire",
      "reach left/eth1 right/eth1",
      "reach left2/eth1 right2/eth1",
      "route left/eth1 end/eth1",
      "route end/eth1 left/eth1",
      "loss left/eth1 right/eth1",
      "loss right/eth1 left/eth1",
      "isolation left/eth1 right2/eth1",
      "isolation left2/eth1 right/eth1",
      "isolation left/eth1 host",
      "isolation host lan wire",
      "isolation host nft table bridge berth",
    ]
  ) assert.ok(passed.includes(one), `${one} is not among ${passed.join("; ")}`);
  // By IPv4 and by IPv6.
  assert.is(passed.filter((one) => one === "reach left/eth1 right/eth1").length, 2);
  const rates = told.findings.filter(({ check }) => check === "rate").map(({ from, to, asked, verdict }) =>
    `${from} ${to} ${asked} ${verdict}`
  );
  // Right cannot be sent to as fast as it may hear: that is told, and blames nobody.
  assert.equal(rates.sort(), [
    "left/eth1 right/eth1 1000000 pass",
    "right/eth1   unknown",
    "right/eth1 left/eth1 2000000 pass",
  ]);
  assert.equal(changed(before, await box.dump()), []);
});

test("people get a table, with a plot of what was asked for and what was measured", async () => {
  const said = await box.run(["berth", "verify", "--only", "rate", "left"], { timeoutMs: 300_000 });
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.match(said.stdout, /^pass +rate +left\/eth1 → right\/eth1 +1\.00 Mbit\/s +\S+ [kM]bit\/s +─+●─+/m);
  assert.match(said.stdout, /^2 passed, 0 failed/m);
});

test("a rate that was changed by hand fails, and no other", async () => {
  const end = hostEndName("right", "eth1");
  await box.sh(`tc qdisc replace dev ${end} root handle 1: tbf rate 500kbit burst 4000b limit 80000b`);
  const told = await verify(box, "--only", "state,rate,loss,reach");
  assert.is(told.exit, 2);
  assert.equal(those(told, "fail"), ["rate left/eth1 right/eth1", "state right"]);
  const { asked, measured } = told.findings.find(({ check, verdict }) =>
    check === "rate" && verdict === "fail"
  )!;
  assert.is(asked, 1_000_000);
  assert.ok(Math.abs(measured! - 500_000) < 15_000, String(measured));
  await berth(box, "vnode", "up");
});

test("a link that is down inside fails, and no other", async () => {
  const inside = `nsenter --net=/proc/${await pidOf(box, "right2")}/ns/net`;
  await box.sh(`${inside} ip link set eth1 down`);
  const told = await verify(box, "--level", "2");
  assert.equal(those(told, "fail"), [
    "reach left2/eth1 right2/eth1",
    "reach left2/eth1 right2/eth1",
    "state right2/eth1",
  ]);
  assert.match(
    told.findings.find(({ check, verdict }) => check === "state" && verdict === "fail")!.why,
    /down/,
  );
  await box.sh(`${inside} ip link set eth1 up; ${inside} ip addr add fd00:1::2/64 dev eth1 nodad`);
  assert.equal(those(await verify(box, "--level", "1", "right2"), "fail"), []);
});

test("datagrams that get lost on the way fail one way, and no other", async () => {
  await box.sh(`nft -f - <<END
table bridge spoilt {
  chain on_the_way {
    type filter hook forward priority 0
    iifname "${hostEndName("left2", "eth1")}" ip protocol udp numgen random mod 20 == 0 drop
  }
}
END`);
  const told = await verify(box, "--only", "reach,loss");
  assert.equal(those(told, "fail"), ["loss left2/eth1 right2/eth1"]);
  const { measured, asked } = told.findings.find(({ verdict }) => verdict === "fail")!;
  assert.is(asked, 0);
  assert.ok(measured! > 2 && measured! < 9, String(measured));
  await box.sh("nft delete table bridge spoilt");
});

test("a wall that is gone and a register that was emptied fail: the host hears what is said on a lan", async () => {
  const chain = (await box.sh("nft -j list table bridge berth")).match(
    /"chain": ?\{[^}]*"name": ?"(\w+)"[^}]*"hook": ?"input"/,
  )![1]!;
  await box.sh(`nft flush chain bridge berth ${chain}; nft flush set bridge berth control_ports`);
  const told = await verify(box, "--only", "state,isolation");
  assert.equal(those(told, "fail"), [
    "isolation host nft table bridge berth",
    "isolation left/eth1 host",
    "isolation left2/eth1 host",
    "state end",
    "state left",
    "state left2",
    "state right",
    "state right2",
  ]);
  await berth(box, "host", "firewall");
  await berth(box, "vnode", "up");
  assert.equal(those(await verify(box, "--only", "state,isolation"), "fail"), []);
});

test("a slip in --only is told, and nothing is measured", async () => {
  const said = await box.run(["berth", "verify", "--only", "los"]);
  assert.is(said.exit, 64);
  assert.match(said.stderr, /There is no check "los"/);
});

test.run();
