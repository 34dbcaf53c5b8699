// deadline: 900s
// `berth vnode …` on real engines: each verb twice, nothing left by `down`, live changes in place, what a vnode may
// and what it cannot reach, and strings of a specification that arrive as they are.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { hostEndName } from "../../lib/vnode/names.ts";
import { changed, faultsOf, type WantedVnodes } from "./_world.ts";
import type { Engine, Sandbox } from "./harness.ts";
import { berth, ENGINES, openVhost } from "./vhost.ts";

const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];
const FILE = "/etc/berth/vnodes.d/experiment.yaml";

/** Two lans with the same subnets, a pair on each. */
const experiment = (rate: string | undefined = "10mbit", command: readonly string[] = SLEEP) => ({
  lans: {
    wire: { subnets: ["10.1.0.0/24", "fd00:1::/64"] },
    twin: { subnets: ["10.1.0.0/24", "fd00:1::/64"] },
  },
  vnodes: {
    left: {
      image: "box",
      command,
      links: [{ lan: "wire", addresses: ["10.1.0.1", "fd00:1::1"], mac: "02:00:00:00:01:01", rate }],
    },
    right: {
      image: "box",
      command: SLEEP,
      links: [{ lan: "wire", addresses: ["10.1.0.2", "fd00:1::2"], rate: "10mbit" }],
    },
    left2: { image: "box", command: SLEEP, links: [{ lan: "twin", addresses: ["10.1.0.1", "fd00:1::1"] }] },
    right2: { image: "box", command: SLEEP, links: [{ lan: "twin", addresses: ["10.1.0.2", "fd00:1::2"] }] },
  },
});
const VNODES: WantedVnodes = {
  left: [{ name: "eth1", lan: "wire", address: "10.1.0.1", rate: 10_000_000 }],
  right: [{ name: "eth1", lan: "wire", address: "10.1.0.2", rate: 10_000_000 }],
  left2: [{ name: "eth1", lan: "twin", address: "10.1.0.1" }],
  right2: [{ name: "eth1", lan: "twin", address: "10.1.0.2" }],
};
const NAMES = Object.keys(VNODES);

interface Told {
  readonly vnodes: readonly { readonly vnode: string; readonly changed: boolean }[];
}

/** Runs a verb and answers which vnodes it changed. */
async function changes(box: Sandbox, ...argv: string[]): Promise<string[]> {
  const told = JSON.parse(await berth(box, "vnode", ...argv, "--json")) as Told;
  return told.vnodes.filter((one) => one.changed).map((one) => one.vnode).sort();
}

async function put(box: Sandbox, spec: unknown): Promise<void> {
  await box.write(FILE, JSON.stringify(spec));
}

const inspect = async (box: Sandbox, vnode: string, form: string) =>
  (await box.sh(`docker inspect -f '${form}' ${vnode}`)).trim();

async function allWired(box: Sandbox): Promise<void> {
  for (const name of NAMES) assert.equal(await faultsOf(box, name, VNODES[name]!, "up"), [], name);
}

/**
 * What is left after `down`, but for what may be: the directories that records stand in, empty; the journal of the
 * lans that were made; the control network's carrier, which goes with its last port.
 */
function leftBetween(before: string, after: string): readonly string[] {
  return changed(before, after).filter((line) =>
    !/file: \/var\/lib\/berth\/((vnodes|gate) d |journal )|(link|route): .*_dockercnet/.test(line)
  );
}

async function verbs(box: Sandbox): Promise<void> {
  const all = [...NAMES].sort();
  const before = await box.dump();
  assert.equal(await changes(box, "up"), all);
  await allWired(box);
  const up = await box.dump();
  assert.equal(await changes(box, "up"), []);
  assert.equal(changed(up, await box.dump()), []);
  assert.equal(await changes(box, "halt", "left", "--grace", "0"), ["left"]);
  assert.equal(await changes(box, "halt", "left", "--grace", "0"), []);
  assert.equal(await faultsOf(box, "left", VNODES["left"]!, "halted"), []);
  assert.equal(await changes(box, "boot", "left"), ["left"]);
  assert.equal(await changes(box, "boot", "left"), []);
  assert.equal(await changes(box, "reboot", "left", "--grace", "0"), ["left"]);
  assert.equal(await changes(box, "reboot", "left", "--grace", "0"), ["left"]);
  await allWired(box);
  const list = JSON.parse(await berth(box, "vnode", "list", "--json")).vnodes as { wiring: string }[];
  assert.equal(list.map((one) => one.wiring), all.map(() => "wired"));
  assert.match(await berth(box, "vnode", "show", "left"), new RegExp(hostEndName("left", "eth1")));
  assert.equal(await changes(box, "down", ...all), all);
  assert.equal(leftBetween(before, await box.dump()), []);
  const again = await box.run(["berth", "vnode", "down", "left"]);
  assert.is(again.exit, 64, again.stderr);
}

async function execs(box: Sandbox): Promise<void> {
  const said = await box.run(["berth", "vnode", "exec", "left", "sh", "-c", "cat; echo err >&2; exit 23"], {
    input: "in\n",
  });
  assert.is(said.exit, 23);
  assert.is(said.stdout, "in\n");
  assert.match(said.stderr, /^err$/m);
  const sum = await box.sh(
    `head -c 3000000 /dev/urandom >/tmp/sent; berth vnode exec left cat </tmp/sent | cmp - /tmp/sent && echo same`,
  );
  assert.is(sum.trim(), "same");
}

async function changesLive(box: Sandbox): Promise<void> {
  const form = "{{.Id}} {{.State.Pid}}";
  const [before, others] = [
    await inspect(box, "left", form),
    await box.sh("tc qdisc show | grep -v 'bve-6aab6b736c1\\|bif-6aab6b736c1'"),
  ];
  const indexes = await box.sh("ip -o link | cut -d: -f1,2");
  await put(box, experiment("3mbit"));
  assert.equal(await changes(box, "up"), ["left"]);
  assert.is(await inspect(box, "left", form), before, "a rate is changed in place");
  assert.is(await box.sh("ip -o link | cut -d: -f1,2"), indexes);
  assert.is(await box.sh("tc qdisc show | grep -v 'bve-6aab6b736c1\\|bif-6aab6b736c1'"), others);
  assert.equal(await faultsOf(box, "left", [{ ...VNODES["left"]![0]!, rate: 3_000_000 }], "up"), []);
  // No rate any more: what led through the ifb goes with it, or nothing of what left says would arrive.
  const plain = experiment();
  delete (plain.vnodes.left.links[0] as { rate?: string }).rate;
  await put(box, plain);
  assert.equal(await changes(box, "up"), ["left"]);
  assert.is(await inspect(box, "left", form), before);
  assert.is(
    (await box.sh("tc qdisc show | grep 'bve-6aab6b736c1\\|bif-6aab6b736c1' | grep -v noqueue || true"))
      .trim(),
    "",
  );
  await box.sh("docker exec left ping -c 1 -W 2 10.1.0.2");
  const right = await inspect(box, "right", form);
  await put(box, experiment("3mbit", ["sh", "-c", "exec sleep 77777"]));
  assert.equal(await changes(box, "up"), ["left"]);
  assert.is.not(
    (await inspect(box, "left", form)).split(" ")[0],
    before.split(" ")[0],
    "a command needs a new container",
  );
  assert.is(await inspect(box, "right", form), right);
  await put(box, experiment());
  await berth(box, "vnode", "up");
  await allWired(box);
  // Somebody renamed it: the same container, under its name again.
  const id = await inspect(box, "left", "{{.Id}}");
  await box.sh("docker rename left elsewhere");
  assert.equal(await changes(box, "up"), ["left"]);
  assert.is(await inspect(box, "left", "{{.Id}}"), id);
}

async function confined(box: Sandbox): Promise<void> {
  const status = await box.sh("docker exec left grep -E 'Cap(Bnd|Eff)' /proc/1/status");
  const masks = [...status.matchAll(/Cap\w+:\s*([0-9a-f]+)/g)].map((match) => BigInt(`0x${match[1]}`));
  // Docker's own default set, and NET_ADMIN (12) and SYS_BOOT (22); NET_RAW (13) and NET_BIND_SERVICE (10) are in it.
  const wanted = BigInt("0xa80425fb") | 1n << 12n | 1n << 22n;
  assert.equal(masks, [wanted, wanted]);
  assert.not.match(await box.sh("docker exec left cat /etc/resolv.conf"), /127\.|::1/);
  assert.match(await box.sh("docker exec left cat /etc/resolv.conf"), /^nameserver 192\.0\.2\.53$/m);
}

/** What the host is by other names, from inside `left` over its lan: nothing may answer. */
async function hostUnreachable(box: Sandbox): Promise<void> {
  await box.sh("ip addr add 10.66.0.1/32 dev lo; ip addr add fd66::1/128 dev lo");
  const pid = await inspect(box, "left", "{{.State.Pid}}");
  const inside = (script: string) =>
    box.run(["nsenter", "-t", pid, "-n", "sh", "-c", script], { timeoutMs: 30_000 });
  const peer = await inside("ping -c 1 -W 2 10.1.0.2 >/dev/null && ping -6 -c 1 -W 2 fd00:1::2 >/dev/null");
  assert.is(peer.exit, 0, `the neighbour is reachable: ${peer.stderr}`);
  const own = (await box.sh("ip -o -4 addr show scope global | grep -oE 'inet [0-9.]+' | cut -c6-")).trim()
    .split("\n");
  const bridge = (await box.sh("cat /sys/class/net/bbr-9b2abfc29cc/address")).trim();
  for (const address of own) {
    await inside(`ip route replace ${address}/32 dev eth1`);
    const said = await inside(`ping -c 1 -W 1 ${address}`);
    assert.is.not(said.exit, 0, `${address} answers over the lan`);
    const neighbour = await inside(`ip neigh show ${address} dev eth1`);
    assert.not.match(neighbour.stdout, /REACHABLE|STALE|DELAY/, `ARP of ${address} is answered`);
    // Even to the bridge's own MAC, without ARP.
    await inside(`ip neigh replace ${address} lladdr ${bridge} dev eth1 nud permanent`);
    assert.is.not(
      (await inside(`ping -c 1 -W 1 ${address}`)).exit,
      0,
      `${address} answers at the bridge's MAC`,
    );
    await inside(`ip neigh del ${address} dev eth1; ip route del ${address}/32 dev eth1`);
  }
  await inside("ip -6 route replace fd66::1/128 dev eth1");
  assert.is.not((await inside("ping -6 -c 1 -W 1 fd66::1")).exit, 0, "the host's IPv6 answers");
  const all = await inside("ping -6 -c 2 -W 1 -I eth1 ff02::1 2>&1; ip -6 neigh show dev eth1");
  assert.not.match(all.stdout, new RegExp(bridge), "the host answers to all nodes by its link-local address");
  assert.is((await box.sh("ip -o addr show dev bbr-9b2abfc29cc")).trim(), "");
  // And the other way: the host has no way into the lan.
  assert.is.not((await box.run(["ping", "-c", "1", "-W", "1", "-I", "bbr-9b2abfc29cc", "10.1.0.2"])).exit, 0);
}

/** The same subnet twice: each pair hears its own neighbour only. */
async function twins(box: Sandbox): Promise<void> {
  const macOf = async (vnode: string) =>
    (await box.sh(`docker exec ${vnode} cat /sys/class/net/eth1/address`)).trim();
  for (const [from, to] of [["left", "right"], ["left2", "right2"]] as const) {
    const pid = await inspect(box, from, "{{.State.Pid}}");
    await box.sh(`nsenter -t ${pid} -n sh -c 'ip neigh flush dev eth1; ping -c 1 -W 2 10.1.0.2'`);
    assert.match(
      await box.sh(`nsenter -t ${pid} -n ip neigh show 10.1.0.2 dev eth1`),
      new RegExp(await macOf(to)),
    );
  }
}

async function refusals(box: Sandbox): Promise<void> {
  const spec = experiment() as { lans: unknown; vnodes: Record<string, unknown> };
  await box.sh("docker run -d --name stranger box sleep 100000 >/dev/null");
  const life = await inspect(box, "stranger", "{{.Id}} {{.State.Pid}}");
  const before = await box.dump();
  const refuse = async (vnode: unknown, exit: number, reason: RegExp, name = "other") => {
    await put(box, {
      lans: { ...spec.lans as object, fresh: { subnet: "10.7.0.0/24" } },
      vnodes: { ...spec.vnodes, [name]: vnode },
    });
    const said = await box.run(["berth", "vnode", "up"], { timeoutMs: 120_000 });
    assert.is(said.exit, exit, said.stdout + said.stderr);
    assert.match(said.stderr, reason);
    await put(box, spec);
    const left = leftBetween(before, await box.dump());
    assert.equal(left, [], `left by "${reason}"`);
  };
  const link = { lan: "fresh", address: "10.7.0.1" };
  await refuse(
    { image: "box", links: [link] },
    5,
    /A container "stranger" exists and is not a vnode/,
    "stranger",
  );
  assert.is(await inspect(box, "stranger", "{{.Id}} {{.State.Pid}}"), life);
  await refuse({ image: "no/such:image", links: [link] }, 8, /no\/such:image/);
  await refuse({ image: "box", links: [{ ...link, delay: "5ms" }] }, 4, /sch_netem/);
  await box.sh("docker rm -f stranger >/dev/null");
}

/** Text in every field that is passed on as data. */
const HOSTILE = [
  "$(reboot)",
  "`touch /tmp/owned`",
  `"double" 'single' \\back\\ \\n`,
  "two\nlines\ttab",
  "; rm -rf / #",
  "-rf",
  "../../etc/passwd",
  "%s%n {{.Id}} ${HOME} @PID@",
  "ümläut 日本 \u{1f6a2}",
  " ends with a space ",
];

async function hostile(box: Sandbox): Promise<void> {
  const spec = experiment() as { lans: unknown; vnodes: Record<string, unknown> };
  const env = Object.fromEntries(HOSTILE.map((text, index) => [`V${index}`, text]));
  const script = 'for word; do printf "%s\\0" "$word"; done >/args; exec sleep 100000';
  await put(box, {
    ...spec,
    vnodes: {
      ...spec.vnodes,
      hostile: { image: "box", command: ["sh", "-c", script, "sh", ...HOSTILE], env },
    },
  });
  await berth(box, "vnode", "up");
  const read = (path: string) => box.run(["docker", "exec", "hostile", "cat", path]);
  await box.until("the arguments", async () => (await read("/args")).stdout.endsWith("\0"));
  assert.equal((await read("/args")).stdout.split("\0").slice(0, -1), HOSTILE);
  const found = (await read("/proc/1/environ")).stdout.split("\0");
  for (const [name, text] of Object.entries(env)) {
    assert.ok(found.includes(`${name}=${text}`), `${name} in ${found}`);
  }
  await box.sh("docker restart -t 0 hostile >/dev/null; test ! -e /tmp/owned");
  assert.equal(await faultsOf(box, "hostile", [], "up"), []);
  assert.equal(await changes(box, "up"), [], "what was passed on reads back as it was written");
  await berth(box, "vnode", "down", "hostile");
  await put(box, spec);
}

async function story(engine: Engine): Promise<void> {
  const box = await openVhost(engine, null);
  try {
    await box.sh(
      "printf 'nameserver 127.0.0.53\\nsearch example.test\\n' >/tmp/resolv; cat /tmp/resolv >/etc/resolv.conf",
    );
    await box.write("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n");
    await put(box, experiment());
    await verbs(box);
    await berth(box, "vnode", "up");
    await execs(box);
    await confined(box);
    await twins(box);
    await hostUnreachable(box);
    await changesLive(box);
    await refusals(box);
    await hostile(box);
    await allWired(box);
  } finally {
    await box.close();
  }
}

for (const engine of (process.env.ENGINE ? [process.env.ENGINE as Engine] : ENGINES)) {
  test(`engine ${engine}: vnodes come, change and go as they are told`, () => story(engine));
}

test.run();
