// deadline: 600s
// A device of the machine on the control bridge: everything that hangs on it moves under a living connection, stays
// through restarts, and comes back; or comes back by itself when the gateway falls silent or berth is killed.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { hostEnd } from "./_host.ts";
import { furnishUplink, hangingOn, talk } from "./_uplink.ts";
import { type Engine, openSandbox, type Sandbox } from "./harness.ts";

/** Seconds until everything goes back. */
const SECONDS = 4;
const ISOLATED = JSON.stringify({});
const DEVICE = JSON.stringify({ controlNet: { device: "auto", gatewayTimeout: `${SECONDS}s` } });
/** Lines of the bridge that are berth's own: the alias, its subnet, what it is told for vnodes' sake. */
const OWN = "172[.]1?6[.]0|arp_notify|MAC |MTU |@/arp_notify|172[.]31[.]255[.]255";

async function prepared(engine: Engine = "20.10"): Promise<Sandbox> {
  const box = await openSandbox({ engine, berth: true });
  await furnishUplink(box);
  await box.write("/etc/berth/host.yaml", ISOLATED);
  await box.sh("berth host up", { timeoutMs: 120_000 });
  await box.write("/etc/berth/host.yaml", DEVICE);
  return box;
}

/** Both ways between the router and the vhost. */
async function reaches(box: Sandbox): Promise<void> {
  const said = await box.router(["ping", "-c", "1", "-W", "3", "198.51.100.2"]);
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.is((await box.run(["ping", "-c", "1", "-W", "3", "203.0.113.1"])).exit, 0);
  assert.is((await box.run(["ping", "-6", "-c", "1", "-W", "3", "2001:db8:ffff::1"])).exit, 0);
}

/**
 * From the moment that eth0 is a port, nothing that comes in by it is heard: the gateway falls silent with the move.
 * Before, the rule is about nothing.
 */
const MUTE = `nft -f - <<E
table bridge mute { chain in { type filter hook prerouting priority -400; iifname "eth0" drop; }; }
E`;
const UNMUTE = "nft delete table bridge mute";

for (const engine of ["20.10", "26.1", "28.5"] as const) {
  test(`${engine}: all that hangs on the device moves under a living connection, stays, and comes back`, async () => {
    const box = await prepared(engine);
    try {
      const before = await hangingOn(box, "eth0");
      const connection = await talk(box);
      await box.sh("berth host control-net && berth host firewall", { timeoutMs: 120_000 });
      await connection.more();

      const moved = await hangingOn(box, "_dockercnet", OWN);
      assert.is(moved, without(before, OWN));
      assert.is(await box.sh("ip -o addr show dev eth0"), "");
      const routes = "{ ip -4 route show table all; ip -6 route show table all; } | grep 'dev eth0' || true";
      assert.match(await box.sh(routes), /^(multicast ff00::\/8 dev eth0 table local .*\n)?$/);
      const same = "cat /sys/class/net/eth0/address; cat /sys/class/net/_dockercnet/address";
      const [mac, bridgeMac] = (await box.sh(same)).trim().split("\n");
      assert.is(bridgeMac, mac);
      assert.is((await box.sh("cat /sys/class/net/_dockercnet/mtu")).trim(), "1400");
      await reaches(box);

      // Nothing is left to do, and nothing is done.
      assert.match(await box.sh("berth host check", { timeoutMs: 120_000 }), /As prepared/);
      const again = await box.sh("berth host control-net");
      assert.match(again, /^0 changed/m);

      await box.dockerdStop();
      await box.dockerdStart();
      assert.is(await hangingOn(box, "_dockercnet", OWN), moved);
      // Also where the alias is gone, which an engine takes for an address of its own to be put there.
      await box.dockerdStop();
      await box.sh("ip addr del 172.16.0.1/12 dev _dockercnet");
      await box.dockerdStart();
      assert.is(await hangingOn(box, "_dockercnet", OWN), moved);
      await connection.more();
      await box.sh("berth host control-net");

      await box.sh("berth host down", { timeoutMs: 120_000 });
      await connection.more();
      // Forwarding went with berth's own setting of it.
      const given = "^ipv4/conf/@/forwarding:";
      assert.is(await hangingOn(box, "eth0", given), without(before, given));
      assert.is((await box.run(["ip", "link", "show", "_dockercnet"])).exit, 1);
      await reaches(box);
      connection.close();

      // A port that somebody takes out of the bridge is told of, and put back.
      await box.sh("berth host up", { timeoutMs: 240_000 });
      await box.sh("ip link set eth0 nomaster");
      assert.is((await box.run(["berth", "host", "check"], { timeoutMs: 120_000 })).exit, 2);
      await box.sh("berth host control-net", { timeoutMs: 120_000 });
      assert.match(await box.sh("ip -o link show eth0"), " master _dockercnet ");
      await reaches(box);

      // Where its mark is gone, too, auto cannot tell which it was; the next step that is told works.
      await box.sh("ip link set eth0 nomaster; ip link set eth0 alias ''");
      const lost = await box.run(["berth", "host", "control-net"], { timeoutMs: 120_000 });
      assert.is(lost.exit, 3, lost.stdout + lost.stderr);
      assert.match(lost.stderr, 'Write "controlNet: { device: eth0 }" into host.yaml');
      await box.write("/etc/berth/host.yaml", DEVICE.replace('"auto"', '"eth0"'));
      await box.sh("berth host up", { timeoutMs: 120_000 });
      await reaches(box);
      await box.write("/etc/berth/host.yaml", DEVICE);
      assert.match(await box.sh("berth host check", { timeoutMs: 120_000 }), /As prepared/);
    } finally {
      await box.close();
    }
  });
}

function without(text: string, own: string): string {
  return text.split("\n").filter((line) => !new RegExp(own).test(line)).join("\n");
}

test("a silent gateway stops the move; one that falls silent, or a kill -9 at any moment, brings all back", async () => {
  const box = await prepared();
  try {
    const before = await hangingOn(box, "eth0");
    const connection = await talk(box);
    const isBack = (seen: (what: unknown) => void) =>
      hangingOn(box, "eth0").then((now) => {
        seen(now);
        return now === before;
      });

    await box.sh(MUTE);
    const said = await box.run(["berth", "host", "control-net"], { timeoutMs: 120_000 });
    assert.is(said.exit, 10, said.stdout + said.stderr);
    assert.match(said.stderr, /Gateway 198.51.100.1.* no answer within 4 s: everything was put back/);
    assert.is(await hangingOn(box, "eth0"), before);
    await connection.more();

    // The files of the move as they come: while it is rehearsed, armed, made, and while the gateway is waited for.
    for (const moment of ["real", "answered", "armed", "moved", "asked"]) {
      const file = moment === "asked" ? "moved" : moment;
      const later = moment === "asked" ? "sleep 0.5" : ":";
      await box.sh("rm -rf /run/berth/move");
      const run = box.spawn(["berth", "host", "control-net"]);
      await box.sh(
        `until [ -e /run/berth/move/${file} ]; do :; done; ${later}; kill -9 $(cat /run/berth/lock/host)`,
      );
      assert.is(await run.ended, 137, `killed at ${moment}: ${run.stdout}${run.stderr}`);
      await box.until(`all to be back after a kill at ${moment}`, isBack, {
        deadlineMs: (SECONDS + 10) * 1000,
      });
      await box.until(
        "the switch to be done",
        (seen) =>
          box.sh("ls /run/berth/move; pgrep -f '[m]ove/switch' || true").then((left) => {
            seen(left);
            return !/^armed$/m.test(left) && !/^[0-9]+$/m.test(left);
          }),
      );
      await connection.more();
    }

    // Nobody was left to go back: the next run finds it, goes back, and starts anew.
    await box.sh("rm -rf /run/berth/move");
    const run = box.spawn(["berth", "host", "control-net"]);
    await box.sh(`until [ -e /run/berth/move/moved ]; do :; done
      kill -9 $(cat /run/berth/lock/host) $(pgrep -f '[m]ove/switch')`);
    await run.ended;
    assert.not(await isBack(() => {}), "it was killed in the middle");
    await box.sh(UNMUTE);
    const mended = await box.sh("berth host control-net", { timeoutMs: 120_000 });
    assert.match(mended, /control device switch: a move of an earlier run/);
    assert.is(await hangingOn(box, "_dockercnet", OWN), without(before, OWN));
    await connection.more();
    await reaches(box);
    connection.close();
  } finally {
    await box.close();
  }
});

/** A container that nobody has registered, with IPv6 and an address of its own beside Docker's; pings from it by name. */
async function stranger(box: Sandbox, name: string, network: string, addresses: readonly string[]) {
  const ip = network === "_dockercnet" ? `--ip 172.16.0.3${name.slice(-1)}` : "";
  await box.sh(`docker run -d --name ${name} --network ${network} ${ip} box:latest sleep 10000
    inside() { nsenter --net=/proc/$(docker inspect -f '{{.State.Pid}}' ${name})/ns/net "$@"; }
    inside sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0
    for address in ${addresses.join(" ")}; do inside ip addr add $address dev eth0 nodad; done`);
  await hostEnd(box, name);
}

async function pings(box: Sandbox, name: string, to: string): Promise<boolean> {
  const said = await box.run([
    "sh",
    "-c",
    `nsenter --net=/proc/$(docker inspect -f '{{.State.Pid}}' ${name})/ns/net ping -c 1 -W 1 ${to}`,
  ]);
  return said.exit === 0;
}

test("host down leaves the machine's addresses where they are while the gateway is silent", async () => {
  const box = await prepared();
  try {
    const before = await hangingOn(box, "eth0");
    await box.sh("berth host up", { timeoutMs: 120_000 });
    const moved = await hangingOn(box, "_dockercnet", OWN);
    await box.sh(MUTE);
    const said = await box.run(["berth", "host", "down"], { timeoutMs: 120_000 });
    assert.is(said.exit, 12, said.stdout + said.stderr);
    assert.match(
      said.stderr,
      /Bridge _dockercnet stays: this machine's addresses are on it: 198\.51\.100\.2/,
    );
    const settings = `${OWN}|^ipv4/conf/@/forwarding:`;
    assert.is(await hangingOn(box, "_dockercnet", settings), without(moved, settings));
    await box.sh(UNMUTE);
    await reaches(box);
    await box.sh("berth host down", { timeoutMs: 120_000 });
    const given = "^ipv4/conf/@/forwarding:";
    assert.is(await hangingOn(box, "eth0", given), without(before, given));
    await reaches(box);
  } finally {
    await box.close();
  }
});

test("another device is named: the first one goes out with what it brought, and only then the other goes in", async () => {
  const box = await openSandbox({ engine: "20.10", berth: true });
  try {
    await box.sh(`
      ip link add eth1 type veth peer name far1
      ip link set far1 up && ip link set eth1 up && ip addr add 192.0.2.2/24 dev eth1`);
    const name = (device: string, more: object = {}) =>
      box.write(
        "/etc/berth/host.yaml",
        JSON.stringify({ controlNet: { device, gatewayTimeout: `${SECONDS}s`, ...more } }),
      );
    const ports = () =>
      box.sh("ls /sys/class/net/_dockercnet/brif").then((text) => text.split(/\s+/).join(" "));
    await name("eth0");
    await box.sh("berth host up", { timeoutMs: 120_000 });
    assert.is((await ports()).trim(), "eth0");
    await name("eth1");
    // It has no gateway, and so nobody who would tell: nothing is changed, the rules included.
    const rules = () => box.sh("nft -s list ruleset");
    const before = await rules();
    const refused = await box.run(["berth", "host", "up"], { timeoutMs: 120_000 });
    assert.is(refused.exit, 5, refused.stderr);
    assert.match(
      refused.stderr,
      /host firewall, control-net: Nobody would tell whether "eth1" still reaches/,
    );
    assert.is((await ports()).trim(), "eth0");
    assert.is(await rules(), before);
    await name("eth1", { probe: [] });
    await box.sh("berth host up", { timeoutMs: 120_000 });
    assert.is((await ports()).trim(), "eth1");
    assert.match(await box.sh("ip -br addr show dev eth0"), "198.51.100.2/24");
    assert.match(await box.sh("ip -br addr show dev _dockercnet"), "192.0.2.2/24");
    await reaches(box);
    assert.match(await box.sh("berth host check", { timeoutMs: 120_000 }), /As prepared/);
    await box.sh("berth host down", { timeoutMs: 120_000 });
    assert.match(await box.sh("ip -br addr show dev eth1"), "192.0.2.2/24");
    await reaches(box);
  } finally {
    await box.close();
  }
});

test("without its mark, as after a reboot, the device named no more is no less the machine's door", async () => {
  const box = await prepared();
  try {
    const before = await hangingOn(box, "eth0");
    await box.sh("berth host up", { timeoutMs: 120_000 });
    const connection = await talk(box);
    await box.sh("ip link set eth0 alias ''");
    await box.write("/etc/berth/host.yaml", ISOLATED);
    await box.sh("berth host firewall", { timeoutMs: 120_000 });
    await connection.more();
    await reaches(box);
    await box.sh("berth host up", { timeoutMs: 120_000 });
    assert.is((await box.run(["sh", "-c", "readlink /sys/class/net/eth0/master"])).exit, 1);
    const given = "^ipv4/conf/@/forwarding:";
    assert.is(await hangingOn(box, "eth0", given), without(before, given));
    assert.match(await box.sh("nft list chain inet berth prerouting"), "ip saddr != 172.16.0.0/12");
    await connection.more();
    await reaches(box);
    connection.close();

    // Where only routes tell that the world lies behind the bridge, it is not shut.
    await box.sh(`ip link add veth-odd type veth peer name far1
      ip link set veth-odd master _dockercnet up && ip link set far1 up
      ip addr add 10.88.0.2/24 dev _dockercnet && ip route add 10.99.0.0/16 via 10.88.0.1`);
    for (const task of ["firewall", "control-net"]) {
      const said = await box.run(["berth", "host", task], { timeoutMs: 120_000 });
      assert.is(said.exit, 5, said.stdout + said.stderr);
      assert.match(said.stderr, /Routes of this machine lead over "_dockercnet" by 10\.88\.0\.1/);
    }
  } finally {
    await box.close();
  }
});

const VNODES = {
  vnodes: {
    one: { image: "box", command: ["sleep", "100000"], control: { address: "172.16.0.21" } },
    two: { image: "box", command: ["sleep", "100000"], control: { address: "172.16.0.22" } },
  },
};

/** "SOURCE . DESTINATION" of all echo requests that the router gets meanwhile, sorted. */
async function asSeen(box: Sandbox, meanwhile: () => Promise<void>): Promise<readonly string[]> {
  const router = async (script: string) => {
    const said = await box.router(["sh", "-c", script]);
    assert.is(said.exit, 0, said.stderr);
    return said.stdout;
  };
  await router(`nft -f - <<E
table ip seen {
  set pairs { type ipv4_addr . ipv4_addr; flags dynamic; }
  chain in { type filter hook prerouting priority -400; icmp type echo-request add @pairs { ip saddr . ip daddr }; }
}
E`);
  await meanwhile();
  const listed = await router("nft list set ip seen pairs; nft delete table ip seen");
  return (listed.match(/[\d.]+ \. [\d.]+/g) ?? []).sort();
}

/** Two that are not registered, on the control network: neither speaks to anybody, nor is spoken to. */
async function strangersAreMute(box: Sandbox, others: readonly string[]): Promise<void> {
  await stranger(box, "mute1", "_dockercnet", ["fd00:9::1/64", "198.51.100.66/24", "2001:db8::66/64"]);
  await stranger(box, "mute2", "_dockercnet", ["fd00:9::2/64", "198.51.100.67/24", "2001:db8::67/64"]);
  for (const to of ["172.16.0.32", "fd00:9::2", "172.16.0.1", "172.16.0.21", ...others]) {
    assert.not(await pings(box, "mute1", to), `one that is not registered reaches ${to}`);
  }
  for (const to of ["172.16.0.31", "172.16.0.32"]) {
    assert.not(await pings(box, "one", to), `${to}, not registered, is reached by a vnode`);
  }
  await box.sh("docker rm -f mute1 mute2");
}

test("vnodes reach the world and are reached; what is not registered is mute, by IPv6 too", async () => {
  const box = await openSandbox({ engine: "20.10", berth: true });
  try {
    await box.write("/etc/berth/host.yaml", ISOLATED);
    await box.sh("berth host up", { timeoutMs: 120_000 });
    await box.loadImage();
    await box.write("/etc/berth/vnodes.d/two.yaml", JSON.stringify(VNODES));
    await box.sh("berth vnode up", { timeoutMs: 120_000 });
    await strangersAreMute(box, []);

    // The device comes under vnodes that run.
    const routable = { device: "auto", gatewayTimeout: `${SECONDS}s`, routable: ["203.0.113.128/25"] };
    await box.write("/etc/berth/host.yaml", JSON.stringify({ controlNet: routable }));
    await box.sh("berth host up", { timeoutMs: 120_000 });
    await reaches(box);
    await box.until("a vnode to reach another", () => pings(box, "one", "172.16.0.22"));
    assert.ok(await pings(box, "one", "172.16.0.1"), "the host's own address");
    assert.ok(await pings(box, "one", "198.51.100.2"), "the host's address on the device");
    assert.ok(await pings(box, "one", "203.0.113.1"), "the world, masqueraded: the router knows no way back");
    await box.router(["ip", "route", "add", "172.16.0.0/12", "dev", "vhost"]);
    await box.router(["ip", "addr", "add", "203.0.113.129/32", "dev", "lo"]);
    const sources = await asSeen(box, async () => {
      assert.ok(await pings(box, "one", "198.51.100.1"), "the router");
      assert.ok(await pings(box, "one", "203.0.113.129"), "what is routable");
      assert.ok(await pings(box, "one", "203.0.113.1"), "the world");
    });
    assert.equal(sources, [
      "172.16.0.21 . 198.51.100.1",
      "172.16.0.21 . 203.0.113.129",
      "198.51.100.2 . 203.0.113.1",
    ], "masqueraded is what nobody would know the way back to, and nothing else");
    const reached = await box.router(["ping", "-c", "1", "-W", "3", "172.16.0.21"]);
    assert.is(reached.exit, 0, `a vnode is reached from beyond the device: ${reached.stdout}`);

    await strangersAreMute(box, [
      "198.51.100.1",
      "198.51.100.2",
      "2001:db8::1",
      "2001:db8::2",
      "203.0.113.1",
    ]);
    for (const to of ["172.16.0.31", "2001:db8::66"]) {
      assert.is.not(
        (await box.router(["ping", "-c", "1", "-W", "1", to])).exit,
        0,
        `${to} is heard beyond the device`,
      );
    }
    // Other networks of Docker's are not touched by that.
    await box.sh("docker network create plain");
    await stranger(box, "free1", "plain", ["fd00:9::1/64"]);
    await stranger(box, "free2", "plain", ["fd00:9::2/64"]);
    assert.ok(await pings(box, "free1", "fd00:9::2"));
    assert.ok(await pings(box, "free1", "203.0.113.1") === false, "Docker's own NAT is off");

    // Out of the configuration, out of the bridge.
    await box.sh("docker rm -f free1 free2 && docker network rm plain");
    await box.write("/etc/berth/host.yaml", ISOLATED);
    await box.sh("berth host up", { timeoutMs: 120_000 });
    await reaches(box);
    assert.is((await box.run(["sh", "-c", "readlink /sys/class/net/eth0/master"])).exit, 1);
    assert.match(await box.sh("berth host check", { timeoutMs: 120_000 }), /As prepared/);
    assert.ok(await pings(box, "one", "172.16.0.22"));
    assert.ok(await pings(box, "one", "203.0.113.1"));
  } finally {
    await box.close();
  }
});

test.run();
