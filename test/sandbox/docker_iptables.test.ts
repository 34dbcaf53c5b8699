// deadline: 900s
// Docker manages iptables itself (engine.iptables: true): its policy of DROP and its chains break nothing of vnodes'
// traffic, with real packets; berth's rules stand where Docker lets operators put theirs, and go as they came.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FILE, pings, SLEEP, vnodeOn } from "./_lans.ts";
import { probe, serve } from "./_probes.ts";
import { type Engine, openSandbox, type Sandbox } from "./harness.ts";
import { berth } from "./vhost.ts";

const OURS = "rules of berth in DOCKER-USER";

/** One on the pair's lans; `docked` has the subnet that Docker masquerades for docker0. */
const onBoth = (at: number, more: object = {}) => ({
  image: "box",
  command: SLEEP,
  links: [
    { lan: "wire", addresses: [`10.1.0.${at}`, `fd00:1::${at}`] },
    { lan: "docked", address: `192.168.254.${at}` },
  ],
  ...more,
});
const EXPERIMENT = {
  lans: {
    wire: { subnets: ["10.1.0.0/24", "fd00:1::/64"] },
    twin: { subnet: "10.1.0.0/24" },
    docked: { subnet: "192.168.254.0/24" },
  },
  vnodes: {
    left: onBoth(1, { forward: [{ port: 2201, to: 7000 }] }),
    right: onBoth(2),
    twin1: vnodeOn("twin", "10.1.0.1"),
    twin2: vnodeOn("twin", "10.1.0.2"),
  },
};

/** What `host check` and `host up` name. */
const named = async (box: Sandbox, exit: number, ...argv: string[]): Promise<readonly string[]> => {
  const said = await box.run(["berth", "host", ...argv, "--json"], { timeoutMs: 120_000 });
  assert.is(said.exit, exit, said.stdout + said.stderr);
  const { differences, changes } = JSON.parse(said.stdout) as Record<
    string,
    { resource: string }[] | undefined
  >;
  return (differences ?? changes ?? []).map(({ resource }) => resource);
};

const chain = (box: Sandbox) =>
  box.sh("iptables-save -t filter | grep -E '^:DOCKER-USER|^-A DOCKER-USER' | sed 's, \\[.*,,'");
const addressOf = (box: Sandbox, vnode: string) =>
  box.sh(`docker inspect -f '{{.NetworkSettings.Networks._dockercnet.IPAddress}}' ${vnode}`).then((text) =>
    text.trim()
  );

/** All that must pass, at once with what stands in the kernel; what must not is styles.test.ts's. */
async function passes(box: Sandbox, when: string): Promise<void> {
  assert.ok(
    await pings(box, "left", await addressOf(box, "right")),
    `${when}: vnode to vnode by the control network`,
  );
  assert.ok(await pings(box, "left", "172.16.0.1"), `${when}: the gateway`);
  assert.ok(await pings(box, "left", "198.51.100.1"), `${when}: the world`);
  assert.ok(await pings(box, "left", "10.1.0.2"), `${when}: the lan`);
  assert.ok(await pings(box, "left", "fd00:1::2", "-6"), `${when}: the lan, IPv6`);
  assert.ok(await pings(box, "twin1", "10.1.0.2"), `${when}: the lan of the same subnet`);
  assert.ok(await pings(box, "left", "192.168.254.2"), `${when}: the lan of docker0's subnet`);
  // 7000 is listened on and not forwarded.
  const targets = ["tcp 198.51.100.2 2201", "tcp 198.51.100.2 7000"];
  assert.equal(
    await probe(box, "router", targets),
    { [targets[0]!]: "open", [targets[1]!]: "refused" },
    when,
  );
  const said = await box.run(["berth", "host", "check"]);
  assert.is(said.exit, 0, `${when}: ${said.stdout}${said.stderr}`);
}

/** A machine on which Docker has switched forwarding on, and so drops what it does not know. */
async function machine(engine: Engine): Promise<Sandbox> {
  const box = await openSandbox({ engine, berth: true });
  await box.sh(`sysctl -qw net.ipv4.ip_forward=0
    sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1`);
  await box.dockerdStart();
  await box.loadImage();
  assert.match(await box.sh("iptables-save -t filter"), ":FORWARD DROP");
  // The operator's own, and what a careful one does for IPv6, too.
  await box.sh("iptables -I DOCKER-USER -s 192.0.2.7 -j DROP; ip6tables -P FORWARD DROP");
  if (engine === "20.10") await box.sh("ip6tables -A FORWARD -m physdev --physdev-is-bridged -j ACCEPT");
  await box.write(
    "/etc/berth/host.yaml",
    JSON.stringify({ engine: { iptables: true }, controlNet: { routable: ["203.0.113.0/24"] } }),
  );
  await box.write(FILE, JSON.stringify(EXPERIMENT));
  return box;
}

async function story(engine: Engine): Promise<void> {
  const box = await machine(engine);
  try {
    const before = await chain(box);
    assert.match(before, "192.0.2.7");
    await berth(box, "host", "up");
    await berth(box, "vnode", "up");
    const pid = Number(await box.sh("docker inspect -f '{{.State.Pid}}' left"));
    await serve(box, { pid }, "7000");
    await passes(box, "at first");
    const rules = (await chain(box)).split("\n");
    assert.match(rules[1]!, "192.0.2.7", "the operator's rules come first");
    // Docker itself would masquerade what leaves for routable destinations.
    assert.not.match(await box.sh("iptables-save -t nat"), "-s 172.16.0.0/12");
    await box.dockerdStop();
    await box.dockerdStart();
    assert.match(await box.sh("iptables-save -t filter"), ":FORWARD DROP");
    assert.equal((await chain(box)).split("\n"), rules);
    await passes(box, "after a restart of dockerd");
    // Flushed, it is told and mended, and it is those rules that let things pass.
    await box.sh("iptables -F DOCKER-USER; nft flush chain inet berth prerouting");
    assert.not(await pings(box, "left", "10.1.0.2"), "without the rules");
    await box.sh("iptables -I FORWARD -i bbr-+ -j ACCEPT");
    assert.ok(await pings(box, "left", "10.1.0.2"), "accepted elsewhere");
    assert.not(
      await pings(box, "left", "192.168.254.2"),
      "for docker0's, as long as connections are tracked",
    );
    await box.sh("iptables -D FORWARD -i bbr-+ -j ACCEPT");
    assert.equal([...await named(box, 2, "check")].sort(), ["nft table inet berth", OURS]);
    assert.equal([...await named(box, 0, "up")].sort(), ["nft table inet berth", OURS]);
    await passes(box, "mended");
    await box.sh("iptables -I DOCKER-USER -s 192.0.2.7 -j DROP");
    await box.sh(before.includes("RETURN") ? "iptables -A DOCKER-USER -j RETURN" : "true");
    await berth(box, "vnode", "down", ...Object.keys(EXPERIMENT.vnodes));
    await berth(box, "host", "down");
    assert.is(await chain(box), before);
  } finally {
    await box.close();
  }
}

for (const engine of ["20.10", "28.5"] as const) {
  test(`${engine}: vnodes' traffic passes an engine that manages iptables itself`, () => story(engine));
}

test.run();
