// deadline: 900s
// Who reaches whom on the control network: styles, rules of vnodes' own, experiments apart, forwarded ports; each
// against a table of probes with real packets, on an old and a new engine.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { arp, BROADCAST, frame, listen, type Place, send, udp4 } from "./_frames.ts";
import { probe, serve, type Spot } from "./_probes.ts";
import type { Engine, Sandbox } from "./harness.ts";
import { berth, openVhost } from "./vhost.ts";

const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];
const GATEWAY = "172.16.0.1";
const OUTSIDE = "198.51.100.1";
const ADDRESS = {
  open: "172.16.7.1",
  basic: "172.16.7.2",
  closed: "172.16.7.3",
  own: "172.16.7.4",
  far: "172.16.7.5",
} as const;
type Name = keyof typeof ADDRESS;
const NAMES = Object.keys(ADDRESS) as Name[];

const vnode = (name: Name, more: Record<string, unknown> = {}) => ({
  image: "box",
  command: SLEEP,
  control: { address: ADDRESS[name] },
  ...more,
});

const one = (ownStyle: "basic" | "open" = "basic") => ({
  vnodes: {
    open: vnode("open", { forward: [{ port: 30080, to: 80 }] }),
    basic: vnode("basic", {
      firewall: { style: "basic" },
      forward: [{ port: 30122, to: 22 }, { port: 30180, to: 80 }],
    }),
    closed: vnode("closed", {
      firewall: { style: "closed", log: true },
      forward: [{ port: 30222, to: 22 }, { port: 30280, to: 80 }],
    }),
    own: vnode("own", {
      firewall: {
        style: ownStyle,
        rules: [
          { in: "accept", protocol: "tcp", port: 80, from: ADDRESS.open },
          { in: "reject", protocol: "udp", ports: "90-91", log: true },
          { out: "drop", protocol: "tcp", port: 80, to: `${OUTSIDE}/32` },
        ],
      },
    }),
  },
});

/** From whom, to whom ("PROTOCOL ADDRESS PORT"), and what comes of it. */
const TABLE: readonly (readonly [Name | "router" | "host", string, string])[] = [
  ["open", `tcp ${ADDRESS.basic} 22`, "open"],
  ["open", `tcp ${ADDRESS.basic} 80`, "silent"],
  ["open", `tcp ${ADDRESS.closed} 22`, "silent"],
  ["open", `tcp ${ADDRESS.closed} 80`, "silent"],
  ["open", `tcp ${ADDRESS.own} 22`, "open"],
  ["open", `tcp ${ADDRESS.own} 80`, "open"],
  ["open", `udp ${ADDRESS.own} 90`, "rejected"],
  ["open", `udp ${ADDRESS.own} 53`, "silent"],
  ["open", `tcp ${ADDRESS.far} 80`, "silent"],
  ["open", `tcp ${GATEWAY} 22`, "open"],
  ["open", `tcp ${OUTSIDE} 80`, "open"],
  ["basic", `tcp ${ADDRESS.open} 80`, "open"],
  ["basic", `udp ${ADDRESS.open} 53`, "open"],
  ["basic", `tcp ${ADDRESS.own} 80`, "silent"],
  ["basic", `tcp ${OUTSIDE} 80`, "open"],
  ["basic", `tcp ${ADDRESS.far} 80`, "silent"],
  ["closed", `tcp ${ADDRESS.open} 80`, "silent"],
  ["closed", `tcp ${GATEWAY} 22`, "open"],
  ["closed", `udp ${GATEWAY} 53`, "open"],
  ["closed", `udp ${OUTSIDE} 53`, "open"],
  ["closed", `tcp ${OUTSIDE} 80`, "silent"],
  ["own", `tcp ${OUTSIDE} 80`, "silent"],
  ["own", `tcp ${OUTSIDE} 22`, "open"],
  ["own", `tcp ${ADDRESS.open} 80`, "open"],
  ["far", `tcp ${ADDRESS.open} 80`, "silent"],
  ["far", `tcp ${ADDRESS.basic} 22`, "silent"],
  ["far", `tcp ${GATEWAY} 22`, "open"],
  ["far", `tcp ${OUTSIDE} 80`, "open"],
  ["host", `tcp ${ADDRESS.open} 80`, "open"],
  ["host", `tcp ${ADDRESS.basic} 80`, "silent"],
  ["host", `tcp ${ADDRESS.basic} 22`, "open"],
  ["host", `tcp ${ADDRESS.closed} 80`, "open"],
  ["router", "tcp VHOST 30080", "open"],
  ["router", "tcp VHOST 30122", "open"],
  ["router", "tcp VHOST 30180", "silent"],
  ["router", "tcp VHOST 30222", "open"],
  ["router", "tcp VHOST 30280", "silent"],
  ["router", "tcp VHOST 30999", "refused"],
  ["host", "tcp VHOST 30080", "open"],
  ["basic", `tcp ${GATEWAY} 30080`, "open"],
];

async function pids(box: Sandbox): Promise<Readonly<Record<Name, number>>> {
  const said = await box.sh(`docker inspect -f '{{.State.Pid}}' ${NAMES.join(" ")}`);
  const all = said.trim().split("\n").map(Number);
  return Object.fromEntries(NAMES.map((name, index) => [name, all[index]!])) as Record<Name, number>;
}

/** Rows of the table that came out otherwise. */
async function wrongs(box: Sandbox, table: typeof TABLE): Promise<readonly string[]> {
  const vhost = (await box.sh("ip -o -4 route get 198.51.100.1 | grep -oE 'src [0-9.]+'")).trim().slice(4);
  const known = await pids(box);
  const found: string[] = [];
  for (const from of new Set(table.map(([from]) => from))) {
    const rows = table.filter((row) => row[0] === from).map(([, to, wanted]) => ({
      to: to.replace("VHOST", vhost),
      wanted,
    }));
    const spot: Spot = from === "router" || from === "host" ? from : { pid: known[from] };
    const seen = await probe(box, spot, rows.map(({ to }) => to));
    for (const { to, wanted } of rows) {
      if (seen[to] !== wanted) found.push(`${from} → ${to}: ${seen[to]}, wanted ${wanted}`);
    }
  }
  return found;
}

/** IPv4 in frames that the receiver's bridge port gets, whatever the address in them; those that were heard. */
async function unaddressed(box: Sandbox, from: Name, to: Name): Promise<readonly string[]> {
  const known = await pids(box);
  const place = (name: Name): Place => ({ pid: known[name], device: "eth0" });
  const mac = async (name: Name) =>
    (await box.sh(
      `nsenter -t ${known[name]} -n ip -j link show dev eth0 | grep -oE '"address":"[^"]*' | cut -d'"' -f4`,
    )).trim();
  const [mine, theirs] = [await mac(from), await mac(to)];
  const kinds = [
    ["broadcast", BROADCAST, "255.255.255.255"],
    ["multicast", "01:00:5e:00:00:01", "224.0.0.1"],
    ["to its MAC, broadcast inside", theirs, "255.255.255.255"],
    ["to its MAC, to a lan's address", theirs, "10.9.9.9"],
  ] as const;
  const ear = await listen(box, place(to));
  try {
    const end = kinds.length + 1;
    const nobody = { mac: "00:00:00:00:00:00", ip: ADDRESS[to] };
    await send(box, place(from), [
      ...kinds.map(([, there, ip], at) => frame(there, mine, 0x0800, udp4(ADDRESS[from], ip, at + 1))),
      frame(BROADCAST, mine, 0x0806, arp(end, { sender: { mac: mine, ip: ADDRESS[from] }, target: nobody })),
    ]);
    await box.until("the ARP request behind them", (seen) => {
      seen([...ear.heard()]);
      return ear.heard().has(end);
    });
    return kinds.flatMap(([says], at) => ear.heard().has(at + 1) ? [`${from} → ${to}: ${says}`] : []);
  } finally {
    await ear.close();
  }
}

const rules = (box: Sandbox) => box.sh("nft -s -t list ruleset");
const keys = async (box: Sandbox, set: string) =>
  [...(await box.sh(`nft -j list ${set}`)).matchAll(/172\.16\.7\.\d/g)].map(([one]) => one).sort();

function story(engine: Engine): void {
  let box: Sandbox;
  const file = (spec: unknown) => box.write("/etc/berth/vnodes.d/one.yaml", JSON.stringify(spec));

  test(`${engine}: styles, own rules, experiments and forwarded ports let pass what they say, and nothing else`, async () => {
    box = await openVhost(engine, null);
    await file(one());
    await box.write("/etc/berth/vnodes.d/two.yaml", JSON.stringify({ vnodes: { far: vnode("far") } }));
    await berth(box, "vnode", "up");
    for (const [name, pid] of Object.entries(await pids(box))) {
      assert.ok(name);
      await serve(box, { pid }, "22", "80", "u53", "u90");
    }
    await serve(box, "router", "22", "80", "u53");
    await serve(box, "host", "22", "u53");
    assert.equal(await wrongs(box, TABLE), []);
    for (const from of ["far", "open"] as const) assert.equal(await unaddressed(box, from, "closed"), []);
    const ping = (from: Name, to: Name) =>
      box.run(["docker", "exec", from, "ping", "-c", "1", "-W", "1", ADDRESS[to]]).then(({ exit }) =>
        exit === 0
      );
    assert.ok(await ping("open", "basic"));
    assert.not(await ping("open", "closed"));
    assert.not(await ping("open", "far"));
  });

  test(`${engine}: a vnode's coming and going changes elements only, and what is dropped is logged at a limit`, async () => {
    const before = await rules(box);
    assert.match(before, /limit rate 10\/minute.*log prefix "berth in closed: "/);
    assert.match(before, /limit rate 10\/minute.*log prefix "berth in own: "/);
    assert.equal(await keys(box, "set inet berth_vnodes known"), Object.values(ADDRESS).sort());
    await berth(box, "vnode", "down", "basic");
    assert.is(await rules(box), before);
    const others = Object.values(ADDRESS).filter((one) => one !== ADDRESS.basic).sort();
    assert.equal(await keys(box, "set inet berth_vnodes known"), others);
    assert.not((await keys(box, "map ip berth_nat forwards")).includes(ADDRESS.basic));
    await berth(box, "vnode", "up", "basic");
    assert.is(await rules(box), before);
    await serve(box, { pid: (await pids(box)).basic }, "22", "80", "u53", "u90");
    assert.equal(
      await wrongs(box, TABLE.filter((row) => row.some((part) => part.includes(ADDRESS.basic)))),
      [],
    );
  });

  test(`${engine}: rules change under starts, and a vnode whose elements are lost is cut off until its next`, async () => {
    await file(one("open"));
    await Promise.all([
      berth(box, "vnode", "up", "own"),
      box.sh("docker restart -t 1 open"),
      box.sh("docker restart -t 1 far"),
    ]);
    const { open, far } = await pids(box);
    for (const pid of [open, far]) await serve(box, { pid }, "22", "80", "u53", "u90");
    const changed = TABLE.map((row) =>
      row[1] === `tcp ${ADDRESS.own} 80` || row[1] === `udp ${ADDRESS.own} 53`
        ? [row[0], row[1], "open"] as const
        : row
    );
    assert.equal(await wrongs(box, changed), []);
    await box.sh("nft flush set inet berth_vnodes known");
    const cut = [["far", `tcp ${GATEWAY} 22`, "silent"], ["far", `tcp ${OUTSIDE} 80`, "silent"]] as const;
    assert.equal(await wrongs(box, cut), []);
    await box.sh("docker restart -t 1 far");
    assert.equal(await wrongs(box, cut.map(([from, to]) => [from, to, "open"] as const)), []);
    await berth(box, "vnode", "up");
    assert.equal(await keys(box, "set inet berth_vnodes known"), Object.values(ADDRESS).sort());
    await berth(box, "vnode", "down", ...NAMES);
    assert.equal(await keys(box, "set inet berth_vnodes known"), []);
    assert.not.match(await rules(box), /chain v_/);
  });

  test(`${engine}: end of its story`, () => box.close());
}

const only = process.env["BERTH_TEST_ENGINE"];
for (const engine of ["20.10", "28.5"] as const) if (only === undefined || only === engine) story(engine);

test.run();
