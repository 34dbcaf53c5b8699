// deadline: 720s
// A device of the machine on the control bridge: everything that hangs on it moves under a living connection, stays
// through restarts, and comes back; or comes back by itself when the gateway falls silent or berth is killed.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { furnishUplink, hangingOn, reaches, talk } from "./_uplink.ts";
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

test("a device with IPv6 only goes into the bridge, reaches its network by it, and comes back", async () => {
  const box = await openSandbox({ engine: "20.10", berth: true });
  try {
    await box.sh("ip -4 addr flush dev eth0; sysctl -qw net.ipv6.conf.all.forwarding=0");
    const unique = () =>
      box.until("addresses of eth0 that are checked for duplicates", async (seen) => {
        const tentative = await box.sh("ip -o -6 addr show dev eth0 tentative");
        seen(tentative);
        return tentative === "";
      });
    await unique();
    const before = await hangingOn(box, "eth0");
    assert.not.match(before, "198.51.100");
    const reaches6 = async () => {
      const said = await box.router(["ping", "-6", "-c", "1", "-W", "3", "2001:db8::2"]);
      assert.is(said.exit, 0, said.stdout + said.stderr);
      assert.is((await box.run(["ping", "-6", "-c", "1", "-W", "3", "2001:db8:ffff::1"])).exit, 0);
    };
    await reaches6();
    await box.write("/etc/berth/host.yaml", DEVICE);
    await box.sh("berth host up", { timeoutMs: 120_000 });
    assert.match(await box.sh("ip -o link show eth0"), " master _dockercnet ");
    assert.match(await box.sh("ip -6 addr show dev _dockercnet"), "2001:db8::2/64");
    await reaches6();
    assert.match(await box.sh("berth host check", { timeoutMs: 120_000 }), /As prepared/);
    await box.sh("berth host down", { timeoutMs: 120_000 });
    const given = "^ipv4/conf/@/forwarding:";
    await unique();
    assert.is(await hangingOn(box, "eth0", given), without(before, given));
    await reaches6();
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

test.run();
