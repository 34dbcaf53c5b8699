// deadline: 900s
// Routes and names of whole experiments, by packets: a line of four beside its twin with the same addresses, costs that
// choose the longer way, who hands on and who does not, a vnode that comes later, and whose gateway is the default.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine, Sandbox } from "./harness.ts";
import { berth, ENGINES, openVhost } from "./vhost.ts";

const SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"];

interface Vnode {
  image?: string;
  command?: readonly string[];
  links: { lan: string; address?: string; addresses?: string[]; name?: string; cost?: number }[];
  routes?: { to: string; via: string; dev?: string }[];
  hosts?: Record<string, string>;
  routing?: string;
  forwarding?: boolean;
}
interface Experiment {
  routing?: string;
  lans: Record<string, { subnet?: string; subnets?: string[] }>;
  vnodes: Record<string, Vnode>;
}

/** Four in a line, each lan with IPv4 and IPv6. Its lans and vnodes end in `tail`, its addresses do not. */
function line(tail: string): Experiment {
  const lan = (at: number) => `wire${at}${tail}`;
  const link = (at: number, own: number) => ({
    lan: lan(at),
    addresses: [`10.1.${at}.${own}`, `fd00:${at}::${own}`],
    name: `data${at}`,
  });
  return {
    routing: "static",
    lans: Object.fromEntries(
      [1, 2, 3].map((at) => [lan(at), { subnets: [`10.1.${at}.0/24`, `fd00:${at}::/64`] }]),
    ),
    vnodes: {
      [`na${tail}`]: { links: [link(1, 1)] },
      [`nb${tail}`]: { links: [link(1, 2), link(2, 2)] },
      [`nc${tail}`]: { links: [link(2, 3), link(3, 3)] },
      [`nd${tail}`]: { links: [link(3, 4)] },
    },
  };
}

async function put(box: Sandbox, name: string, experiment: Experiment): Promise<void> {
  const vnodes = Object.fromEntries(
    Object.entries(experiment.vnodes).map((
      [name, vnode],
    ) => [name, { image: "box", command: SLEEP, ...vnode }]),
  );
  await box.write(`/etc/berth/vnodes.d/${name}.yaml`, JSON.stringify({ ...experiment, vnodes }));
}

const inspect = async (box: Sandbox, vnode: string, form: string) =>
  (await box.sh(`docker inspect -f '${form}' ${vnode}`)).trim();

/** Runs a script in a vnode's network namespace with the host's programs. */
async function inside(box: Sandbox, vnode: string, script: string) {
  const pid = await inspect(box, vnode, "{{.State.Pid}}");
  return await box.run(["nsenter", "-t", pid, "-n", "sh", "-c", script], { timeoutMs: 60_000 });
}

/** Addresses that one vnode does not reach; at once, each with one echo. */
async function unreached(box: Sandbox, vnode: string, addresses: readonly string[]): Promise<string[]> {
  const said = await inside(
    box,
    vnode,
    `for to in ${addresses.join(" ")}; do (ping -c 1 -W 3 "$to" >/dev/null 2>&1 || echo "$to") & done; wait`,
  );
  return said.stdout.split("\n").filter((word) => word !== "").sort();
}

async function changes(box: Sandbox, ...argv: string[]): Promise<string[]> {
  const told = JSON.parse(await berth(box, "vnode", ...argv, "--json")) as {
    vnodes: { vnode: string; changed: boolean }[];
  };
  return told.vnodes.filter((one) => one.changed).map((one) => one.vnode).sort();
}

/** The address that a vnode's /etc/hosts gives a name, of one family. */
async function addressOf(
  box: Sandbox,
  vnode: string,
  name: string,
  family: 4 | 6 = 4,
): Promise<string | undefined> {
  const text = await box.sh(`docker exec ${vnode} cat /etc/hosts`);
  return text.split("\n").map((line) => line.split(/\s+/)).find(([address, ...names]) =>
    names.includes(name) && address!.includes(":") === (family === 6)
  )?.[0];
}

const WHERE: Readonly<Record<string, string[]>> = {
  na: ["10.1.1.1", "fd00:1::1"],
  nb: ["10.1.1.2", "fd00:1::2", "10.1.2.2", "fd00:2::2"],
  nc: ["10.1.2.3", "fd00:2::3", "10.1.3.3", "fd00:3::3"],
  nd: ["10.1.3.4", "fd00:3::4"],
};
const EVERYWHERE = Object.values(WHERE).flat();

async function lines(box: Sandbox): Promise<void> {
  await put(box, "line", line(""));
  await put(box, "twin", line("2"));
  const all = ["na", "na2", "nb", "nb2", "nc", "nc2", "nd", "nd2"];
  assert.equal(await changes(box, "up"), all);
  assert.equal(await changes(box, "up"), []);
  for (const vnode of all) assert.equal(await unreached(box, vnode, EVERYWHERE), [], vnode);
  // The twin of d goes: d answers as before, and the twin's a hears nobody.
  assert.equal(await changes(box, "halt", "nd2", "--grace", "0"), ["nd2"]);
  assert.equal(await unreached(box, "na", WHERE["nd"]!), []);
  assert.equal(await unreached(box, "na2", WHERE["nd"]!), [...WHERE["nd"]!].sort());
  // Who hands on, both ways and both families.
  for (const [vnode, state] of [["na", "0 0"], ["nb", "1 1"], ["nc", "1 1"], ["nd", "0 0"]] as const) {
    const said = await inside(
      box,
      vnode,
      "echo $(cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding)",
    );
    assert.is(said.stdout.trim(), state, vnode);
  }
}

async function names(box: Sandbox): Promise<void> {
  for (
    const [name, four, six] of [
      ["nb", "10.1.1.2", "fd00:1::2"],
      ["nb-wire1", "10.1.1.2", "fd00:1::2"],
      ["nb-1", "10.1.2.2", "fd00:2::2"],
      ["nc", "10.1.2.3", "fd00:2::3"],
      ["nc-wire3", "10.1.3.3", "fd00:3::3"],
      ["nd", "10.1.3.4", "fd00:3::4"],
      ["nd-0", "10.1.3.4", "fd00:3::4"],
    ] as const
  ) {
    assert.is(await addressOf(box, "na", name), four, name);
    assert.is(await addressOf(box, "na", name, 6), six, name);
  }
  assert.is(
    await addressOf(box, "na", "na"),
    await inspect(box, "na", "{{.NetworkSettings.Networks._dockercnet.IPAddress}}"),
  );
  assert.is(await addressOf(box, "na", "nb2"), undefined, "another experiment has names of its own");
  const said = await box.run(["docker", "exec", "na", "ping", "-c", "1", "-W", "2", "nd-wire3"]);
  assert.is(said.exit, 0, said.stdout + said.stderr);
}

/** A vnode added, changed and taken away: what of the others follows from it changes, their lives do not. */
async function later(box: Sandbox): Promise<void> {
  const form = "{{.Id}} {{.State.Pid}}";
  const lives = async () =>
    await Promise.all(["na", "nb", "nc", "nd"].map((vnode) => inspect(box, vnode, form)));
  const before = await lives();
  const more = line("");
  more.lans["wire4"] = { subnet: "10.7.0.0/24" };
  more.vnodes["nd"]!.links.push({ lan: "wire4", address: "10.7.0.4", name: "data4" });
  more.vnodes["ne"] = { links: [{ lan: "wire4", address: "10.7.0.5", name: "data4" }] };
  await put(box, "line", more);
  // Those that are not named are told of it all the same; d itself is one that changes.
  assert.equal(await changes(box, "up", "nd", "ne"), ["nd", "ne"]);
  assert.is(await addressOf(box, "na", "ne-wire4"), "10.7.0.5");
  assert.equal(await unreached(box, "na", ["10.7.0.5"]), []);
  assert.equal(await unreached(box, "ne", WHERE["na"]!.slice(0, 1)), []);
  assert.equal(await lives(), before, "lives go on");
  assert.equal(await changes(box, "up"), ["nd2"]);
  // What was made while one did not run is there when it starts again.
  await box.sh("docker restart -t 0 na >/dev/null");
  assert.equal(await unreached(box, "na", ["10.7.0.5"]), []);
  assert.is(await addressOf(box, "na", "ne"), "10.7.0.5");
  before[0] = await inspect(box, "na", form);
  assert.equal(await changes(box, "down", "ne"), ["ne"]);
  assert.is(await addressOf(box, "na", "ne"), undefined);
  await put(box, "line", line(""));
  assert.equal(await changes(box, "up"), ["na", "nb", "nc", "nd"], "the others lose a route");
  const said = await inside(box, "na", "ip route; ip -6 route");
  assert.not.match(said.stdout, /10\.7\./);
  assert.equal(await lives(), before);
  for (const vnode of ["na", "nd"]) assert.equal(await unreached(box, vnode, EVERYWHERE), [], vnode);
}

/** Costs send packets the longer way; a change of them is taken by those that run. */
async function costs(box: Sandbox): Promise<void> {
  const ring = (cost: number): Experiment => ({
    routing: "static",
    lans: Object.fromEntries(
      ["ab", "bd", "ac", "cd", "far"].map((lan, at) => [lan, { subnet: `10.2.${at}.0/24` }]),
    ),
    vnodes: {
      ra: {
        links: [{ lan: "ab", address: "10.2.0.1", cost, name: "l0" }, {
          lan: "ac",
          address: "10.2.2.1",
          name: "l1",
        }],
      },
      rb: {
        links: [{ lan: "ab", address: "10.2.0.2", name: "l0" }, {
          lan: "bd",
          address: "10.2.1.2",
          name: "l1",
        }],
      },
      rc: {
        links: [{ lan: "ac", address: "10.2.2.3", name: "l0" }, {
          lan: "cd",
          address: "10.2.3.3",
          cost: 2,
          name: "l1",
        }],
      },
      rd: {
        links: [
          { lan: "bd", address: "10.2.1.4", name: "l0" },
          { lan: "cd", address: "10.2.3.4", name: "l1" },
          { lan: "far", address: "10.2.4.4", name: "l2" },
        ],
      },
    },
  });
  const way = async () => (await inside(box, "ra", "ip route get 10.2.4.4")).stdout.match(/via (\S+)/)?.[1];
  await put(box, "ring", ring(1));
  await berth(box, "vnode", "up");
  assert.is(await way(), "10.2.0.2");
  const life = await inspect(box, "ra", "{{.Id}} {{.State.Pid}}");
  await put(box, "ring", ring(5));
  await berth(box, "vnode", "up");
  assert.is(await way(), "10.2.2.3");
  assert.is(await inspect(box, "ra", "{{.Id}} {{.State.Pid}}"), life);
  assert.equal(await unreached(box, "ra", ["10.2.4.4", "10.2.1.2", "10.2.1.4", "10.2.3.3"]), []);
  await berth(box, "vnode", "down", "ra", "rb", "rc", "rd");
  await box.sh("rm /etc/berth/vnodes.d/ring.yaml");
}

/** Written routes: the vnode that one leads by hands on unless it says no; a link-local next hop names its interface. */
async function written(box: Sandbox): Promise<void> {
  const three = (forwarding?: boolean): Experiment => ({
    lans: {
      left: { subnets: ["10.3.1.0/24", "fd03:1::/64"] },
      right: { subnets: ["10.3.2.0/24", "fd03:2::/64"] },
    },
    vnodes: {
      wa: {
        links: [{ lan: "left", addresses: ["10.3.1.1", "fd03:1::1"], name: "l0" }],
        routes: [{ to: "10.3.2.0/24", via: "10.3.1.2" }, {
          to: "fd03:2::/64",
          via: "fe80::be:ff:fe00:302",
          dev: "l0",
        }],
      },
      wb: {
        links: [
          {
            lan: "left",
            addresses: ["10.3.1.2", "fd03:1::2"],
            name: "l0",
            mac: "02:be:00:00:03:02",
          } as Vnode["links"][number],
          { lan: "right", addresses: ["10.3.2.2", "fd03:2::2"], name: "l1" },
        ],
        ...(forwarding === undefined ? {} : { forwarding }),
      },
      wc: {
        links: [{ lan: "right", addresses: ["10.3.2.3", "fd03:2::3"], name: "l0" }],
        routes: [{ to: "10.3.1.0/24", via: "10.3.2.2" }, { to: "fd03:1::/64", via: "fd03:2::2" }],
      },
    },
  });
  const ends = ["10.3.2.3", "fd03:2::3"];
  await put(box, "written", three());
  await berth(box, "vnode", "up");
  assert.equal(await unreached(box, "wa", ends), []);
  assert.equal(await unreached(box, "wc", ["10.3.1.1", "fd03:1::1"]), []);
  await put(box, "written", three(false));
  assert.equal(await changes(box, "up"), ["wb"]);
  assert.equal(await unreached(box, "wa", ends), ends);
  assert.equal(await unreached(box, "wa", ["10.3.1.2", "fd03:1::2"]), []);
  await berth(box, "vnode", "reboot", "wb", "--grace", "0");
  assert.equal(await unreached(box, "wa", ends), ends, "nor after its next start");
  await berth(box, "vnode", "down", "wa", "wb", "wc");
  await box.sh("rm /etc/berth/vnodes.d/written.yaml");
}

/**
 * A second Docker network, whose name comes before the control network's: an engine would take its gateway. From 28 on
 * only: engines before give eth0 to any of a container's networks when they start it again.
 */
async function gateway(box: Sandbox): Promise<void> {
  await box.sh(
    "docker network create --subnet 192.168.77.0/24 0net >/dev/null; docker network connect 0net nd",
  );
  await box.sh("docker restart -t 0 nd >/dev/null");
  const said = await inside(box, "nd", "ip route");
  const defaults = said.stdout.split("\n").filter((line) => line.startsWith("default"));
  assert.equal(defaults.map((line) => line.trim()), ["default via 172.16.0.1 dev eth0"], said.stdout);
  assert.match(said.stdout, /192\.168\.77\.0\/24/, "it is on that network, too");
  await box.sh("docker network disconnect 0net nd; docker network rm 0net >/dev/null");
}

async function story(engine: Engine): Promise<void> {
  const box = await openVhost(engine, null);
  try {
    await lines(box);
    await names(box);
    await later(box);
    if (engine !== "28.5") return;
    await gateway(box);
    await costs(box);
    await written(box);
  } finally {
    await box.close();
  }
}

for (const engine of (process.env.ENGINE ? [process.env.ENGINE as Engine] : ENGINES)) {
  test(`engine ${engine}: vnodes of an experiment know and reach one another`, () => story(engine));
}

test.run();
