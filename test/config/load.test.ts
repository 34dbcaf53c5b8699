// Loading: which files count, what the normal form holds, what is derived, and that nothing is asked for that has a
// default.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadConfig, loadHostConfig } from "../../lib/config/load.ts";
import { parseConfig } from "../../lib/config/parse.ts";
import { BerthError } from "../../lib/log/error.ts";
import { lookAt } from "./_files.ts";

const DEFAULTS = {
  engine: {
    package: "docker.io",
    liveRestore: true,
    iptables: false,
    bip: "192.168.254.1/24",
    socket: "/var/run/docker.sock",
    root: "/var/lib/docker",
    options: {},
  },
  storage: { fileSystem: "ext4", adopt: false, ssd: "last", minimumBytes: 32 * 2 ** 30, sizes: {} },
  controlNet: {
    subnet: "172.16.0.0/12",
    address: "172.16.0.1",
    driver: "bridge",
    isolation: "experiments",
    gatewayTimeoutMs: 20_000,
    nat: true,
    routable: [],
  },
  kernel: { sysctls: {}, modules: [] },
  watch: { resyncMs: 60_000 },
  consent: { objects: [], replace: [], wipe: [] },
};

const vnodes = (text: string) => parseConfig([{ path: "/etc/berth/vnodes.d/a.yaml", text }]);
const host = (text: string) => parseConfig([{ path: "/etc/berth/host.yaml", text }]).host;

test("loadConfig() names a directory of vnodes that cannot be read", async () => {
  const look = { ...lookAt({}), list: () => Promise.reject(new Error("EACCES: permission denied")) };
  const refused = await loadConfig({ look }).catch((error: unknown) => error);
  assert.instance(refused, BerthError);
  const { code, object, next } = refused as BerthError;
  assert.equal([code, object], ["config", "directory /etc/berth/vnodes.d"]);
  assert.is(next, "Make it a readable directory, or remove it");
});

test("loadConfig() takes a missing directory for all defaults", async () => {
  assert.equal(await loadConfig({ look: lookAt({}) }), { host: DEFAULTS, lans: [], vnodes: [] });
});

test("loadConfig() takes empty files for all defaults", async () => {
  const files = {
    "/c/host.yaml": "",
    "/c/vnodes.d/a.yaml": "# nothing yet\n",
    "/c/vnodes.d/b.yaml": "---\n",
  };
  const config = await loadConfig({ look: lookAt(files), directory: "/c" });
  assert.equal(config, { host: DEFAULTS, lans: [], vnodes: [] });
});

test("loadConfig() reads .yaml, .yml and .json, in order of name, and no other file", async () => {
  const one = (name: string) => JSON.stringify({ name, image: "debian" });
  const files = {
    "/etc/berth/host.json": '{"watch": {"resync": "5s"}}',
    "/etc/berth/berth.schema.json": "{}",
    "/etc/berth/vnodes.d/c.json": one("third"),
    "/etc/berth/vnodes.d/a.yaml": one("first"),
    "/etc/berth/vnodes.d/b.yml": one("second"),
    "/etc/berth/vnodes.d/host.yaml": one("zeroth"),
    "/etc/berth/vnodes.d/d.yaml~": one("old"),
    "/etc/berth/vnodes.d/.e.yaml": one("hidden"),
    "/etc/berth/vnodes.d/README": "text",
  };
  const config = await loadConfig({ look: lookAt(files) });
  assert.equal(config.vnodes.map((vnode) => vnode.name), ["first", "second", "third", "zeroth"]);
  assert.is(config.host.watch.resyncMs, 5000);
});

test("loadConfig() checks further files together with the rest", async () => {
  const files = { "/etc/berth/vnodes.d/a.yaml": "lans: { wire: { subnet: 10.1.0.0/24 } }" };
  const extra = [{
    path: "new.yaml",
    text: "name: left\nimage: debian\nlinks: [{ lan: wire, address: 10.1.0.1 }]",
  }];
  const config = await loadConfig({ look: lookAt(files), extra });
  assert.equal(config.vnodes[0]!.links[0]!.addresses, ["10.1.0.1/24"]);
});

test("loadConfig() counts a further file of the directory's own once", async () => {
  const path = "/etc/berth/vnodes.d/a.yaml";
  const files = { [path]: "name: left\nimage: debian" };
  const config = await loadConfig({ look: lookAt(files), extra: [{ path, text: files[path]! }] });
  assert.is(config.vnodes.length, 1);
});

test("loadConfig() lets engineRoot go over the file", async () => {
  const config = await loadConfig({ look: lookAt({}), engineRoot: "/tmp/engine" });
  assert.is(config.host.engine.root, "/tmp/engine");
});

test("loadConfig() names the file that cannot be read", async () => {
  const look = { ...lookAt({}), readText: () => Promise.reject(new Error("EISDIR")) };
  try {
    await loadConfig({ look });
  } catch (error) {
    assert.instance(error, BerthError);
    assert.is((error as BerthError).code, "config");
    assert.is((error as BerthError).object, "file /etc/berth/host.yaml");
    return;
  }
  assert.unreachable();
});

test("loadConfig() refuses links to nothing, and a file in the place of vnodes.d", async () => {
  const file = lookAt({ "/etc/berth/vnodes.d": "text" });
  const linked = (folder: string, name: string) => ({
    ...lookAt({}),
    list: (path: string) => Promise.resolve(path === folder ? [name] : null),
  });
  const cases = [
    [file, "directory /etc/berth/vnodes.d"],
    [linked("/etc/berth/vnodes.d", "a.yaml"), "file /etc/berth/vnodes.d/a.yaml"],
    [linked("/etc/berth", "host.yaml"), "file /etc/berth/host.yaml"],
  ] as const;
  for (const [look, wanted] of cases) {
    const error = await loadConfig({ look }).then(() => null, (thrown) => thrown as BerthError);
    assert.equal([error?.code, error?.object], ["config", wanted]);
  }
});

test("a vnode has defaults for all but its image", () => {
  const [vnode] = vnodes("name: left\nimage: debian\n").vnodes;
  assert.equal(vnode, {
    name: "left",
    image: "debian",
    env: {},
    control: vnode!.control,
    links: [],
    routes: [],
    hosts: {},
    gateway: "172.16.0.1",
    source: "/etc/berth/vnodes.d/a.yaml:1",
    forwarding: false,
  });
  assert.match(vnode!.control.address, /^172\.(1[6-9]|2[0-9]|3[01])\./);
});

test("maps by name and lists with names mean the same", () => {
  const map = vnodes("lans: {wire: {mtu: 1400}}\nvnodes: {left: {image: debian, links: [{lan: wire}]}}");
  const list = vnodes(
    "lans: [{name: wire, mtu: 1400}]\nvnodes: [{name: left, image: debian, links: [{lan: wire}]}]",
  );
  const strip = (config: typeof map) =>
    JSON.stringify({ ...config, vnodes: config.vnodes.map((v) => ({ ...v, source: "" })) });
  assert.is(strip(map), strip(list));
});

test("sections and lans may stand without a value", () => {
  const config = vnodes(
    "lans:\n  wire:\nvnodes:\n  left:\n    image: debian\n    env:\n    links:\n    control:\n",
  );
  assert.equal(config.lans, [{ name: "wire", subnets: [], mtu: 1500 }]);
  assert.equal(host("engine:\nwatch:\n").engine, DEFAULTS.engine);
});

test("anchors and merge keys are read", () => {
  const config = vnodes(
    "vnodes:\n  left: &node\n    image: debian\n    env: { A: x }\n  right:\n    <<: *node\n    image: alpine\n",
  );
  assert.equal(config.vnodes.map(({ image, env }) => [image, env.A]), [["debian", "x"], ["alpine", "x"]]);
});

test("line ends of Windows, a byte-order mark and JSON indented by tabs are read", () => {
  assert.is(vnodes("\ufeffname: left\r\nimage: debian\r\n").vnodes[0]!.image, "debian");
  assert.is(
    vnodes(JSON.stringify({ name: "left", image: "debian", env: { A: "x" } }, null, "\t")).vnodes[0]!.env.A,
    "x",
  );
});

test("a file that is larger than any experiment is refused at once", () => {
  assert.throws(
    () => vnodes("#".repeat(9 * 2 ** 20)),
    (error: BerthError) => error.issues[0]!.message === "Is too large",
  );
});

test("shaping of both ways is overridden key by key", () => {
  const config = vnodes(
    "lans: {w: {}}\nvnodes: {left: {image: debian, links: [{lan: w, rate: 10mbit, delay: 20ms, loss: 0%, egress: {rate: 1mbit, delay: 0ms}, ingress: {loss: 0.1%}}]}}",
  );
  const { egress, ingress } = config.vnodes[0]!.links[0]!;
  assert.equal(egress, { rateBps: 1_000_000 });
  assert.equal(ingress, { rateBps: 10_000_000, delayUs: 20_000, lossPercent: 0.1 });
});

test("the same subnet on two lans is allowed, with the same addresses", () => {
  const config = vnodes(
    "lans: {a: {subnet: 10.1.0.0/24}, b: {subnet: 10.1.0.0/24}}\n" +
      "vnodes: {left: {image: debian, links: [{lan: a, address: 10.1.0.1}, {lan: b, address: 10.1.0.1}]}}",
  );
  assert.is(config.lans.length, 2);
});

test("addresses, subnets, MACs and routes are written canonically", () => {
  const config = vnodes(
    'lans: {a: {subnet: "FD00:0:0:1::/64"}}\nvnodes: {left: {image: debian, hosts: {b: "FD00::0:2"}, routes: [{to: "FD01::/16", via: "fd00:0:0:1:0::2"}, {to: 10.9.8.7, via: 172.16.0.1}],' +
      ' links: [{lan: a, mac: "02:AA:00:00:00:01", address: "fd00:0:0:1:0:0:0:1"}]}}',
  );
  const [left] = config.vnodes;
  assert.equal(config.lans[0]!.subnets, ["fd00:0:0:1::/64"]);
  assert.equal(left!.links[0]!.addresses, ["fd00:0:0:1::1/64"]);
  assert.is(left!.links[0]!.mac, "02:aa:00:00:00:01");
  assert.equal(left!.hosts, { b: "fd00::2" });
  assert.equal(left!.routes, [{ to: "fd01::/16", via: "fd00:0:0:1::2" }, {
    to: "10.9.8.7/32",
    via: "172.16.0.1",
  }]);
});

test("what is derived stays the same whatever stands beside it", () => {
  const text = (others: string) =>
    `lans: {w: {}}\nvnodes:\n${others}  left: {image: debian, links: [{lan: w}, {lan: w}]}\n`;
  const alone = vnodes(text("")).vnodes[0]!;
  const among = vnodes(text("  abc: {image: debian}\n  zzz: {image: debian, links: [{lan: w}]}\n"))
    .vnodes[2]!;
  assert.equal({ ...alone, source: "" }, { ...among, source: "" });
  // Frozen: a later version must not move existing vnodes.
  assert.is(alone.control.address, "172.18.23.128");
  assert.is(alone.control.mac, "02:00:ac:12:17:80");
  assert.equal(alone.links.map((link) => link.mac), ["02:33:ef:62:51:6a", alone.links[1]!.mac]);
});

/** An experiment of so many vnodes with four links each. */
function large(count: number): string {
  const lines = ["lans:", "  w: { subnet: 10.0.0.0/8 }", "vnodes:"];
  for (let i = 0; i < count; i++) {
    const tail = `${i >> 8}.${i & 255}`;
    lines.push(`  n${i}:`, "    image: debian", `    control: { address: 172.20.${tail} }`, "    links:");
    for (let j = 1; j <= 4; j++) lines.push(`      - { lan: w, address: 10.${j}.${tail}, rate: 10mbit }`);
  }
  return lines.join("\n");
}

test("loading grows with the number of vnodes, not with its square", () => {
  const time = (count: number) => {
    const text = large(count);
    const start = performance.now();
    assert.is(vnodes(text).vnodes.length, count);
    return performance.now() - start;
  };
  time(200); // Warm: the first run compiles.
  const [few, many] = [time(200), time(1000)];
  // Five times as many; comparing each with each would take 25 times as long.
  assert.ok(many < 15 * few, `200 vnodes in ${few.toFixed(0)} ms, 1000 in ${many.toFixed(0)} ms`);
});

test("loadHostConfig() is not kept by a slip in a vnode's file, and tells one in its own", async () => {
  const files = {
    "/c/host.yaml": "engine: {socket: /run/other.sock}",
    "/c/vnodes.d/slip.yaml": "vnodes: {left: {imgae: box}}",
  };
  const config = await loadHostConfig({ look: lookAt(files), directory: "/c" });
  assert.is(config.host.engine.socket, "/run/other.sock");
  assert.equal([config.lans, config.vnodes], [[], []]);
  const broken = loadHostConfig({ look: lookAt({ "/c/host.yaml": "engin: {}" }), directory: "/c" });
  assert.is(await broken.then(() => "", (error: BerthError) => error.code), "config");
});

test.run();
