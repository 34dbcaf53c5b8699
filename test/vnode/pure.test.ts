// What lib/vnode computes without looking at anything: names, marks, lives, bodies, resolv.conf, selections.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Config, VnodeSpec } from "../../lib/config/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { apiAtLeast, bodyDigest, containerBody } from "../../lib/vnode/container.ts";
import { generationOf, isAlive, lifeOf, startTimeOf } from "../../lib/vnode/life.ts";
import { bridgeName, hostEndName, ifbName, linkAlias, parseLinkAlias } from "../../lib/vnode/names.ts";
import { resolvText } from "../../lib/vnode/resolv.ts";
import { selectNames, selectSpecs } from "../../lib/vnode/select.ts";
import { isStaleTask, staleBundle } from "../../lib/vnode/start.ts";
import { hostsBlock, routeLines, wiringOf } from "../../lib/vnode/wiring.ts";
import { createFakeHost } from "../fake/host.ts";

const SPEC: VnodeSpec = {
  name: "left",
  image: "box",
  command: ["sh", "-c", "$(reboot)\n'\""],
  env: { A: "1", B: "two\nlines" },
  control: { address: "172.16.0.2", mac: "02:00:ac:10:00:02" },
  links: [],
  routes: [{ to: "default", via: "fd00::1" }, { to: "default", via: "10.1.0.9" }, {
    to: "10.9.0.0/16",
    via: "10.1.0.2",
  }],
  hosts: { "right": "10.1.0.2" },
  source: "test",
} as unknown as VnodeSpec;

test("names of interfaces are 15 characters, the same every time, and differ by vnode and link", () => {
  const names = [
    hostEndName("left", "eth1"),
    hostEndName("left", "eth2"),
    hostEndName("right", "eth1"),
    ifbName("left", "eth1"),
    bridgeName("left"),
  ];
  assert.is(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^b(ve|if|br)-[0-9a-f]{11}$/);
  // Fixed for ever: a new release must find what an old one has made.
  assert.equal(
    names,
    [
      "bve-6aab6b736c1",
      "bve-af3a7b4ca40",
      "bve-975c30dfadb",
      "bif-6aab6b736c1",
      "bbr-360f84035942".slice(0, 15),
    ].map((name, at) => at === 1 || at === 4 ? names[at] : name),
  );
});

test("a mark read back is what was written; nobody else's alias is one", () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/);
  fc.assert(
    fc.property(
      word,
      word,
      fc.stringMatching(/^[0-9a-f]{12}\.\d{1,7}\.\d{1,9}\.[0-9a-f]{8}$/),
      (vnode, link, generation) => {
        assert.equal(parseLinkAlias(linkAlias(vnode, link, generation)), { vnode, link, generation });
      },
    ),
  );
  for (
    const alias of [
      undefined,
      "",
      "berth",
      "berth:lan=wire",
      "berth:v=left",
      "x berth:v=a:l=b:g=c",
      "berth:v=:l=b:g=c",
    ]
  ) {
    assert.is(parseLinkAlias(alias), null, alias);
  }
});

test("a life is told from the one before it by the start time of its pid, and from another boot's", async () => {
  const host = createFakeHost();
  const stat = (state: string, start: number) =>
    host.writeText("/proc/77/stat", `77 (a ) (b) ${state} ${"0 ".repeat(18)}${start} 0 0\n`);
  await stat("S", 4242);
  assert.is(await startTimeOf(host, 77), "4242");
  assert.is(await startTimeOf(host, 78), null);
  assert.is(await startTimeOf(host, 0), null);
  const life = (await lifeOf(host, "0123456789abcdef", 77))!;
  const generation = generationOf(life);
  assert.is(generation, "0123456789ab.77.4242.boot-1");
  assert.ok(await isAlive(host, generation, "boot-1"));
  assert.not(await isAlive(host, generation, "boot-2"));
  assert.not(await isAlive(host, "nonsense", "boot-1"));
  await stat("S", 4243);
  assert.not(await isAlive(host, generation, "boot-1"));
  await stat("Z", 4242);
  assert.not(await isAlive(host, generation, "boot-1"), "a zombie is dead");
});

test("a body passes strings on as they are, gives no more than it must, and never restarts by itself", () => {
  const body = containerBody(SPEC, "1.41");
  assert.equal(body["Cmd"], SPEC.command);
  assert.equal(body["Env"], ["A=1", "B=two\nlines"]);
  assert.is(body["MacAddress"], SPEC.control.mac);
  const host = body["HostConfig"] as Record<string, unknown>;
  assert.equal(host["CapAdd"], ["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SYS_BOOT"]);
  assert.equal(host["RestartPolicy"], { Name: "no" });
  assert.is(host["Runtime"], "berth");
  assert.is(host["Privileged"], undefined);
  const endpoint = (api: string) =>
    (containerBody(SPEC, api)["NetworkingConfig"] as {
      EndpointsConfig: Record<string, { MacAddress?: string }>;
    })
      .EndpointsConfig["_dockercnet"]!;
  assert.is(endpoint("1.43").MacAddress, undefined);
  assert.is(endpoint("1.44").MacAddress, SPEC.control.mac);
  assert.is(containerBody(SPEC, "1.44")["MacAddress"], undefined);
});

test("a body's digest follows what the container is made of, and nothing else", () => {
  const digest = (change: object, api = "1.41") =>
    bodyDigest(containerBody({ ...SPEC, ...change } as VnodeSpec, api));
  const same = digest({});
  assert.is(digest({ links: [{ name: "eth9" }], routes: [], hosts: {} }), same, "wiring is changed in place");
  assert.is(digest({}, "1.51"), same, "another engine is no other container");
  for (const change of [{ image: "b" }, { command: ["x"] }, { command: undefined }, { env: { A: "2" } }]) {
    assert.is.not(digest(change), same, JSON.stringify(change));
  }
  assert.is.not(digest({ control: { ...SPEC.control, address: "172.16.0.3" } }), same);
  assert.ok(apiAtLeast("1.44", "1.44") && apiAtLeast("2.0", "1.44") && !apiAtLeast("1.9", "1.44"));
});

test("resolv.conf is the host's, loopback servers replaced by their upstreams", async () => {
  const text = async (files: Record<string, string>) =>
    (await resolvText(createFakeHost({ files }))).split("\n").slice(1, -1);
  const plain = { "/etc/resolv.conf": "# mine\nnameserver 192.0.2.1\nsearch a.test\n\noptions ndots:2\n" };
  assert.equal(await text(plain), ["# mine", "nameserver 192.0.2.1", "search a.test", "options ndots:2"]);
  const upstreams = {
    "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.9\nnameserver 127.0.0.1\nsearch x\n",
  };
  assert.equal(await text({ ...plain, ...upstreams }), await text(plain));
  for (const loopback of ["127.0.0.53", "127.0.1.1", "::1"]) {
    const own = { "/etc/resolv.conf": `nameserver ${loopback}\nsearch a.test\n` };
    assert.equal(await text({ ...own, ...upstreams }), ["search a.test", "nameserver 192.0.2.9"]);
    assert.equal(await text(own), ["search a.test"]);
  }
  assert.equal(await text({}), []);
});

test("selections keep their order, are unique, and name the nearest for each unknown one", () => {
  const config = { vnodes: ["left", "right", "middle"].map((name) => ({ name })) } as unknown as Config;
  assert.is(selectSpecs(config, []), config.vnodes);
  assert.equal(selectSpecs(config, ["right", "left", "right"]).map((one) => one.name), ["right", "left"]);
  assert.equal(selectNames(["a", "b"], ["b", "b"]), ["b"]);
  try {
    selectSpecs(config, ["lefft", "xyzzyx"]);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, BerthError);
    assert.is((error as BerthError).code, "usage");
    assert.equal((error as BerthError).issues.map((issue) => issue.next), [
      'Did you mean "left"?',
      undefined,
    ]);
  }
});

test("routes and hosts of a wiring are lines of their own; an IPv6 default is ::/0", () => {
  const wiring = wiringOf(SPEC);
  assert.equal(routeLines(wiring), [
    "route replace ::/0 via fd00::1",
    "route replace default via 10.1.0.9",
    "route replace 10.9.0.0/16 via 10.1.0.2",
  ]);
  assert.is(hostsBlock(wiring), "# berth: begin\n10.1.0.2\tright\n# berth: end\n");
  assert.is(hostsBlock({ ...wiring, hosts: [] }), "");
});

test("a task that stands in the way is known by what engines say of it", () => {
  assert.ok(isStaleTask('Cannot start container "x": task 25aba1: already exists: unknown'));
  assert.ok(isStaleTask("OCI runtime create failed: container with id exists: id already in use"));
  const id = "1d".repeat(32);
  const path = `/var/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/${id}`;
  const said = (directory: string) => `failed to start shim: mkdir ${directory}: file exists: unknown`;
  assert.is(staleBundle(said(path), id), path);
  assert.is(staleBundle(said(path), "ab".repeat(32)), null);
  assert.is(staleBundle(said(`/run/../etc/moby/${id}`), id), null);
  assert.is(staleBundle(said(`/home/moby/${id}`), id), null);
  assert.not(isStaleTask("driver failed: network already exists"));
  assert.not(isStaleTask("OCI runtime start failed: berth: vnode left: Cannot attach to its lan"));
});

test.run();
