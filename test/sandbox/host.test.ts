// The host tasks on a real machine with a real engine: a fresh one without Docker (one story from plan to down),
// and one where Docker has run with its own rules. Asserts the state of the world.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox } from "./harness.ts";
import * as host from "./_host.ts";
import { berth, changed, CHANGING, drift, names, settled, type Told, told, world } from "./_host.ts";

const JOURNAL = "/var/lib/berth/journal";

const fresh = await openSandbox({ engine: "none" });
await settled(fresh);
let before = "";

test("host plan on a machine without Docker tells every change and makes none", async () => {
  const first = await fresh.dump();
  const said = await berth(fresh, "host", "plan", "--exit-code");
  assert.is(said.exit, 2, said.stderr);
  for (
    const word of [
      "docker.io",
      "nftables",
      "sysctl net.ipv4.ip_forward",
      "/var/lib/berth",
      "/usr/lib/berth/runtime",
      "/etc/docker/daemon.json",
      "engine docker: not running",
      "nft table bridge berth",
      "docker network _dockercnet: missing",
      "address 172.16.0.1/12",
    ]
  ) assert.ok(said.stdout.includes(word), `${word} in:\n${said.stdout}`);
  assert.equal(changed(first, await fresh.dump()), []);
});

test("host packages installs what is missing, starts nothing, and has nothing to do the second time", async () => {
  const changes = await told(fresh, 0, "host", "packages");
  assert.is(changes.length, 1);
  assert.not.match(names(changes)[0]!, /iproute2|procps/);
  assert.is((await fresh.run(["pgrep", "-x", "dockerd"])).exit, 1);
  assert.equal(await told(fresh, 0, "host", "packages"), []);
});

test("host up leaves foreign things alone; the second one changes nothing at all", async () => {
  await fresh.sh(`
    nft add table inet foreign; nft add chain inet foreign c '{ type filter hook forward priority 0; }'
    nft add rule inet foreign c ip saddr 192.0.2.1 counter drop
    ip link add foreign0 type bridge; ip addr add 192.0.2.1/24 dev foreign0; ip link set foreign0 up
    ip route add 192.0.2.128/25 via 198.51.100.1
    sysctl -qw net.ipv4.conf.eth0.rp_filter=2
    mkdir -p /etc/docker; printf '{\\n  "debug": false,\\n  "labels": [\\n    "foreign=1"\\n  ]\\n}\\n' >/etc/docker/daemon.json`);
  await settled(fresh);
  before = await world(fresh);
  const first = await berth(fresh, "host", "up", "--json", "--verbose");
  assert.is(first.exit, 0, first.stdout + first.stderr);
  assert.match(first.stderr, CHANGING);
  assert.ok(names((JSON.parse(first.stdout) as Told).changes).includes("docker network _dockercnet"));
  const up = await fresh.dump();
  for (
    const line of [
      "nft: table inet foreign {",
      "192.0.2.128/25 via 198.51.100.1 dev eth0",
      "net/ipv4/conf/eth0/rp_filter:2",
      "network _dockercnet bridge",
    ]
  ) assert.ok(up.includes(line), line);
  const file = JSON.parse(await fresh.read("/etc/docker/daemon.json"));
  assert.equal(file.labels, ["foreign=1"]);
  assert.is(file.bip, "192.168.254.1/24");
  assert.is(file.runtimes.berth.path, "/usr/lib/berth/runtime");

  const journal = await fresh.read(JOURNAL);
  const pid = await fresh.read("/run/docker.pid");
  // --verbose tells each command and call that changes something; the first `up` had some to tell.
  const second = await berth(fresh, "host", "up", "--json", "--verbose");
  assert.equal((JSON.parse(second.stdout) as Told).changes, []);
  assert.not.match(second.stderr, CHANGING);
  assert.is(await fresh.read(JOURNAL), journal);
  assert.is(await fresh.read("/run/docker.pid"), pid);
  assert.equal(changed(up, await fresh.dump()), []);
  assert.is((await berth(fresh, "host", "check")).exit, 0);
});

test("a restart of dockerd takes no address and no route, with the alias or without", async () => {
  const state = () => fresh.sh("ip -o -4 addr show | sed 's/valid.*//'; ip route");
  const first = await state();
  const restart = "kill $(cat /run/docker.pid); while pgrep -x dockerd >/dev/null; do :; done";
  await fresh.sh(restart);
  assert.equal(names(await told(fresh, 0, "host", "up")), ["engine docker"]);
  assert.is(await state(), first);
  await fresh.sh(
    `ip addr del 172.16.0.1/12 dev _dockercnet; ip addr add 172.31.0.5/12 dev _dockercnet; ${restart}`,
  );
  const own = await state();
  await told(fresh, 0, "host", "daemon-json");
  assert.is(await state(), own);
  await fresh.sh("ip addr del 172.31.0.5/12 dev _dockercnet");
  assert.equal(names(await told(fresh, 0, "host", "up")), ["address 172.16.0.1/12 on _dockercnet"]);
  assert.is(await state(), first);
});

test("the gateway's MAC stays, whatever ports come and go: neighbours remember it", async () => {
  const mac = async () => (await fresh.sh("cat /sys/class/net/_dockercnet/address")).trim();
  assert.is(await mac(), "02:00:ac:10:00:01");
  await fresh.sh(
    "ip link add low0 address 02:00:00:00:00:01 type veth peer low1; ip link set low0 master _dockercnet up",
  );
  assert.is(await mac(), "02:00:ac:10:00:01");
  await fresh.sh("ip link del low0");
});

test("check finds drift of each kind, and up mends exactly that", async () => {
  await fresh.loadImage();
  await fresh.sh(`
    docker create --name ours --label berth.vnode=ours --restart always box:latest true
    docker create --name foreign --restart unless-stopped box:latest true
    nft -a list chain inet berth forward | sed -n 's/.*oifname "docker0".* handle //p' | head -1 |
      { read -r handle; nft delete rule inet berth forward handle "$handle"; }
    sysctl -qw net.ipv4.ip_forward=0
    sed -i 's/"live-restore": *true/"live-restore": false/' /etc/docker/daemon.json
    ip addr del 172.16.0.1/12 dev _dockercnet`);
  const found = await drift(fresh);
  const wanted = [
    "sysctl net.ipv4.ip_forward",
    "file /etc/docker/daemon.json",
    "engine docker",
    "nft table inet berth",
    "address 172.16.0.1/12 on _dockercnet",
    "restart policy of ours",
  ];
  assert.equal([...found].sort(), [...wanted].sort());
  const pid = await fresh.read("/run/docker.pid");
  assert.equal([...names(await told(fresh, 0, "host", "up"))].sort(), [...wanted].sort());
  // live-restore is taken over by a reload.
  assert.is(await fresh.read("/run/docker.pid"), pid);
  const policy = (name: string) => fresh.sh(`docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' ${name}`);
  assert.is((await policy("ours")).trim(), "no");
  assert.is((await policy("foreign")).trim(), "unless-stopped");
  const checked = await berth(fresh, "host", "check");
  assert.is(checked.exit, 0);
  // Who would start containers without berth is told.
  assert.match(checked.stdout, /^Starts containers beside berth: .*foreign.*unless-stopped/m);
  await fresh.sh("docker rm ours foreign");
});

const onControlNet = (name: string, address: string) => host.onControlNet(fresh, name, address);
const register = (name: string, port: string, address: string) => host.register(fresh, name, port, address);
const ping = (name: string, to: string) => host.ping(fresh, name, to);

test("a dynamic address cannot be had on the control network", async () => {
  const said = await fresh.run(["docker", "run", "--rm", "--network", "_dockercnet", "box:latest", "true"]);
  assert.is.not(said.exit, 0);
});

test("only registered containers speak and are heard on the control network", async () => {
  const ports = [
    await onControlNet("one", "172.16.0.10"),
    await onControlNet("two", "172.16.0.11"),
    await onControlNet("stranger", "172.16.0.12"),
  ];
  await register("one", ports[0]!, "172.16.0.10");
  await register("two", ports[1]!, "172.16.0.11");
  assert.ok(await ping("one", "172.16.0.11"), "one reaches two");
  assert.ok(await ping("one", "172.16.0.1"), "one reaches the host");
  assert.ok(await ping("one", "203.0.113.1"), "one reaches the outside, masqueraded");
  assert.not(await ping("stranger", "172.16.0.1"), "a stranger reaches the host");
  assert.not(await ping("stranger", "172.16.0.10"), "a stranger reaches a registered one");
  assert.not(await ping("one", "172.16.0.12"), "a stranger is reached");

  // Heard: the stranger's counter of received frames stands still while the others and the host talk.
  const heard = () => fresh.sh("docker exec stranger cat /sys/class/net/eth0/statistics/rx_packets");
  const first = await heard();
  await fresh.sh("ip neigh flush dev _dockercnet; ping -c 1 -W 1 172.16.0.99 || true");
  await fresh.run(["docker", "exec", "one", "ping", "-c", "1", "-W", "1", "172.16.0.98"]);
  assert.is(await heard(), first);

  // With another's address, or one from elsewhere, it is as dumb; and so is a registered one.
  for (const address of ["172.16.0.10/12", "10.9.9.9/8"]) {
    for (const name of ["stranger", "two"]) {
      await fresh.sh(`docker exec ${name} sh -c 'ip addr flush dev eth0; ip addr add ${address} dev eth0;
        ip route add 172.16.0.0/12 dev eth0 2>/dev/null || true'`);
      assert.not(await ping(name, "172.16.0.1"), `${name} as ${address} reaches the host`);
    }
  }
});

test("chains are replaced without losing the elements of the sets", async () => {
  const elements = () =>
    fresh.sh("nft list set bridge berth control_ports; nft list set bridge berth control_names");
  const first = await elements();
  assert.match(first, /172\.16\.0\.10/);
  await fresh.sh("nft flush chain bridge berth control_in; nft insert rule bridge berth prerouting accept");
  assert.equal(names(await told(fresh, 0, "host", "up")), ["nft table bridge berth"]);
  assert.is(await elements(), first);
  assert.ok(await ping("one", "172.16.0.1"), "one still reaches the host");
});

test("containers on docker0 reach the outside and not the control network", async () => {
  await fresh.sh("docker run -d --name plain box:latest sleep 10000");
  assert.ok(await ping("plain", "203.0.113.1"), "docker0 reaches the outside");
  assert.not(await ping("plain", "172.16.0.10"), "docker0 reaches a vnode");
  assert.not(await ping("one", "192.168.254.2"), "a vnode reaches docker0's containers");
});

test("a lan and the host neither hear nor reach each other", async () => {
  await fresh.sh(`
    ip link add bbr-test type bridge; ip addr add 10.77.0.1/24 dev bbr-test; ip link set bbr-test up
    ip netns add lan; ip link add bve-test type veth peer name eth1 netns lan; ip link set bve-test master bbr-test up
    ip -n lan addr add 10.77.0.2/24 dev eth1; ip -n lan link set eth1 up`);
  assert.is.not(
    (await fresh.run(["ip", "netns", "exec", "lan", "ping", "-c", "1", "-W", "1", "10.77.0.1"])).exit,
    0,
  );
  assert.is.not((await fresh.run(["ping", "-c", "1", "-W", "1", "10.77.0.2"])).exit, 0);
  const neighbours = await fresh.sh("ip neigh show dev bbr-test; ip -n lan neigh show dev eth1");
  assert.not.match(neighbours, /lladdr/);
  await fresh.sh("ip netns del lan; ip link del bbr-test");
});

test("host down is refused while a vnode exists, and then gives the first state back", async () => {
  await fresh.sh(
    "docker rm -f one two stranger plain; docker create --name ours --label berth.vnode=ours box:latest",
  );
  const refused = await berth(fresh, "host", "down");
  assert.is(refused.exit, 5);
  assert.match(refused.stderr, /ours/);
  await fresh.sh("docker rm ours");
  await told(fresh, 0, "host", "down");
  assert.equal(changed(before, await world(fresh)), []);
  assert.equal(await told(fresh, 0, "host", "down"), []);
});

test("end of the first story", () => fresh.close());

test("where Docker ran with its own rules, up ends them, names who runs, and keeps what is foreign", async () => {
  const box = await openSandbox({ engine: "20.10", dockerd: true, image: true });
  try {
    await box.sh(`
      docker network create --subnet 10.55.0.0/24 theirs
      docker run -d --name runs --network theirs box:latest sleep 10000
      iptables -I DOCKER-USER -s 192.0.2.7 -j DROP`);
    const rules = await box.sh("iptables-save");
    assert.match(rules, /:FORWARD DROP/);
    const file = await box.run(["cat", "/etc/docker/daemon.json"]);
    const changes = await told(box, 0, "host", "up");
    assert.match(
      changes.find(({ resource }) => resource === "engine docker")?.why ?? "",
      /starts again: runs/,
    );
    assert.match(await box.sh("docker ps"), /runs/);
    const left = changes.find(({ resource }) => resource === "iptables rules of docker");
    assert.match(left?.why ?? "", /running containers: runs/);
    const now = await box.sh("iptables-save");
    assert.match(now, /:FORWARD ACCEPT/);
    assert.match(now, /-A DOCKER-USER -s 192\.0\.2\.7\/32 -j DROP/);
    assert.match(now, /-A FORWARD -j DOCKER-USER/);
    assert.not.match(now, /DOCKER-ISOLATION|-j DOCKER$/m);
    assert.match(await box.sh("ip -o -4 addr show docker0"), /192\.168\.254\.1\/24/);
    assert.match(await box.sh("docker network ls"), /theirs/);
    await box.sh("docker exec runs ping -c 1 -W 1 10.55.0.1");
    assert.equal(await told(box, 0, "host", "up"), []);

    await told(box, 0, "host", "down");
    const after = await box.run(["cat", "/etc/docker/daemon.json"]);
    assert.is(after.stdout, file.stdout);
    assert.match(await box.sh("iptables-save"), /:FORWARD DROP/);
    assert.match(await box.sh("docker ps"), /runs/);
    assert.match(await box.sh("iptables-save"), /DOCKER-ISOLATION/);
    assert.not.match(await box.sh("docker network ls; ip -o link; nft list tables"), /_dockercnet|berth/);
  } finally {
    await box.close();
  }
});

test("a control subnet that is taken, and a foreign network of its name, are refused with a way out", async () => {
  const box = await openSandbox({ engine: "20.10", dockerd: true });
  try {
    await box.sh(`docker network create --subnet 172.20.0.0/16 theirs
      docker network create --subnet 10.99.0.0/24 _dockercnet`);
    const taken = await berth(box, "host", "control-net");
    assert.is(taken.exit, 3, taken.stderr);
    assert.match(taken.stderr, /theirs \(172\.20\.0\.0\/16\)/);
    assert.match(taken.stderr, /10\.\d+\.0\.0\/12/);
    await box.sh("docker network rm theirs");
    const foreign = await berth(box, "host", "control-net");
    assert.is(foreign.exit, 5, foreign.stderr);
    assert.match(foreign.stderr, /berth did not make/);
    assert.match(await box.sh("docker network inspect _dockercnet"), /"Labels": \{\}/);
  } finally {
    await box.close();
  }
});

test.run();
