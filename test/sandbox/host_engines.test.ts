// deadline: 900s
// The host tasks where an engine is installed and has run before berth, on each engine: what it had comes back.
// host.test.ts tells the same from a machine without Docker.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox, type Sandbox } from "./harness.ts";
import {
  berth,
  changed,
  CHANGING,
  drift,
  hostEnd,
  names,
  onControlNet,
  ping,
  register,
  settled,
  type Told,
  told,
  world,
} from "./_host.ts";
import { ENGINES } from "./vhost.ts";

/** One engine's story, told by tests in order. */
function story(engine: typeof ENGINES[number]): void {
  let box: Sandbox;
  let before = "";
  const docker0 = () => box.sh("ip -o -4 addr show docker0 | awk '{print $4}'").then((text) => text.trim());

  test(`${engine}: up moves docker0 of an engine that ran, and a second up runs nothing that changes`, async () => {
    box = await openSandbox({ engine, dockerd: true, image: true });
    await box.sh("docker network create --subnet 10.55.0.0/24 theirs");
    // docker0 learns from its first port (offloads, a link-local address): that is nobody's doing.
    await box.sh("docker run --rm box:latest true");
    await settled(box);
    before = await world(box);
    assert.is(await docker0(), "172.17.0.1/16");
    await told(box, 0, "host", "up");
    assert.is(await docker0(), "192.168.254.1/24");
    const up = await box.dump();
    const second = await berth(box, "host", "up", "--json", "--verbose");
    assert.equal((JSON.parse(second.stdout) as Told).changes, [], second.stderr);
    assert.not.match(second.stderr, CHANGING);
    assert.equal(changed(up, await box.dump()), []);
  });

  test(`${engine}: check finds drift, and up mends exactly that`, async () => {
    await box.sh(`
      docker create --name ours --label berth.vnode=ours --restart always box:latest true
      nft flush chain inet berth forward
      sysctl -qw net.ipv4.ip_forward=0
      ip addr del 172.16.0.1/12 dev _dockercnet
      ip addr del 192.168.254.1/24 dev docker0`);
    const wanted = [
      "address 172.16.0.1/12 on _dockercnet",
      "engine docker",
      "nft table inet berth",
      "restart policy of ours",
      "sysctl net.ipv4.ip_forward",
    ];
    assert.equal([...await drift(box)].sort(), wanted);
    assert.equal([...names(await told(box, 0, "host", "up"))].sort(), wanted);
    assert.is((await berth(box, "host", "check")).exit, 0);
    await box.sh("docker rm ours");
  });

  test(`${engine}: an unregistered container can neither speak nor be heard`, async () => {
    const one = await onControlNet(box, "one", "172.16.0.10");
    await register(box, "one", one, "172.16.0.10");
    // Some engines give out addresses from the whole subnet when the range is used up.
    const dynamic = await box.run([
      ...["docker", "run", "-d", "--name", "stranger", "--network", "_dockercnet", "--cap-add", "NET_ADMIN"],
      ...["box:latest", "sleep", "10000"],
    ]);
    if (dynamic.exit === 0) await hostEnd(box, "stranger");
    else {
      await box.run(["docker", "rm", "-f", "stranger"]);
      await onControlNet(box, "stranger", "172.16.0.12");
    }
    const address = (await box.sh(
      "docker inspect -f '{{.NetworkSettings.Networks._dockercnet.IPAddress}}' stranger",
    )).trim();
    assert.ok(await ping(box, "one", "172.16.0.1"), "a registered one reaches the host");
    assert.not(await ping(box, "stranger", "172.16.0.1"), "a stranger reaches the host");
    assert.not(await ping(box, "stranger", "172.16.0.10"), "a stranger reaches a registered one");
    assert.not(await ping(box, "one", address), "a stranger is reached");
    const heard = () => box.sh("docker exec stranger cat /sys/class/net/eth0/statistics/rx_packets");
    const first = await heard();
    await box.sh("ip neigh flush dev _dockercnet; ping -c 1 -W 1 172.16.0.99 || true");
    assert.is(await heard(), first);
    await box.sh("docker rm -f one stranger");
  });

  test(`${engine}: a restart of dockerd takes no address and no route, with the alias or without`, async () => {
    const state = () =>
      box.sh("ip -o -4 addr show | sed 's/valid.*//'; ip route | sed 's/ linkdown//' | sort");
    const first = await state();
    await box.dockerdStop();
    assert.equal(names(await told(box, 0, "host", "up")), ["engine docker"]);
    assert.is(await state(), first);
    await box.sh("ip addr del 172.16.0.1/12 dev _dockercnet; ip addr add 172.31.0.5/12 dev _dockercnet");
    const own = await state();
    await box.dockerdStop();
    await told(box, 0, "host", "daemon-json");
    assert.is(await state(), own);
    await box.sh("ip addr del 172.31.0.5/12 dev _dockercnet");
    await told(box, 0, "host", "up");
    assert.is(await state(), first);
  });

  test(`${engine}: an option it cannot start with costs the operator neither file nor engine`, async () => {
    await box.sh("docker run -d --name web box:latest sleep 10000");
    const file = await box.read("/etc/docker/daemon.json");
    await box.write("/etc/berth/host.yaml", "engine: { options: { storage-driver: nonesuch } }\n");
    const began = performance.now();
    const said = await berth(box, "host", "daemon-json");
    assert.is(said.exit, 8, said.stderr);
    assert.match(said.stderr, /It ended [\d.]+ s after its start/);
    assert.match(said.stderr, /nonesuch/, "the engine's own words");
    assert.match(said.stderr, /engine\.options in host\.yaml/);
    assert.ok(performance.now() - began < 40_000, "noticed at once");
    assert.is(await box.read("/etc/docker/daemon.json"), file);
    assert.match(await box.sh("docker ps"), /web/);
    assert.is(await docker0(), "192.168.254.1/24");
    await box.sh("rm /etc/berth/host.yaml; rmdir /etc/berth; docker rm -f web");
    assert.equal(await told(box, 0, "host", "up"), []);
  });

  test(`${engine}: down gives the first state back, docker0's address too`, async () => {
    await told(box, 0, "host", "down");
    assert.is(await docker0(), "172.17.0.1/16");
    assert.equal(changed(before, await world(box)), []);
    assert.equal(await told(box, 0, "host", "down"), []);
    await box.sh("docker run --rm box:latest ping -c 1 -W 2 172.17.0.1");
  });

  test(`${engine}: end of its story`, () => box.close());
}

const only = process.env["BERTH_TEST_ENGINE"];
for (const engine of ENGINES) if (only === undefined || only === engine) story(engine);

test.run();
