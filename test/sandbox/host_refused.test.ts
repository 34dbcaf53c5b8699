// deadline: 300s
// What of a machine's `host up` does not touch: all of it where the control network cannot be had, which is told before
// anything is disrupted; and a firewall of the operator's.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox, type Sandbox } from "./harness.ts";
import { berth } from "./_host.ts";

/** What a user of the machine would notice: the engine, its file, its containers, its rules. */
async function theirs(box: Sandbox): Promise<string> {
  return await box.sh(`
    cat /run/docker.pid; ls -l /etc/docker; cat /etc/docker/daemon.json 2>&1 || true
    docker info --format '{{.DockerRootDir}} {{.LiveRestoreEnabled}}'
    docker inspect --format '{{.Name}} {{.State.StartedAt}} {{.RestartCount}}' $(docker ps -q)
    iptables-save | sed 's/\\[[0-9:]*\\]//; /^#/d'; cat /proc/sys/net/ipv4/ip_forward; ip -4 -o addr show`);
}

test("host up on a machine whose Docker networks take the control subnet changes nothing of Docker's", async () => {
  const box = await openSandbox({ engine: "20.10", dockerd: true, image: true });
  try {
    await box.sh(`docker network create --subnet 172.20.0.0/16 theirs
      docker run -d --name web --network theirs -p 8080:80 box:latest sleep 10000`);
    const before = await theirs(box);
    const taken = await berth(box, "host", "up");
    assert.is(taken.exit, 3, taken.stderr);
    assert.match(taken.stderr, /theirs \(172\.20\.0\.0\/16\)/);
    assert.match(taken.stderr, /10\.\d+\.0\.0\/12/);
    assert.is(await theirs(box), before);

    await box.sh(`docker network create --subnet 10.99.0.0/24 _dockercnet
      mkdir -p /etc/berth; printf 'controlNet: { subnet: 10.240.0.0/12, address: 10.240.0.1 }\\n' >/etc/berth/host.yaml`);
    const between = await theirs(box);
    const foreign = await berth(box, "host", "up");
    assert.is(foreign.exit, 5, foreign.stderr);
    assert.match(foreign.stderr, /berth did not make/);
    assert.is(await theirs(box), between);

    await box.sh("docker network rm _dockercnet");
    const free = await berth(box, "host", "up");
    assert.is(free.exit, 0, free.stderr);
  } finally {
    await box.close();
  }
});

test("a FORWARD that an operator has drop what his rules do not let pass stays so, and host check tells it", async () => {
  const box = await openSandbox({ engine: "20.10", dockerd: true });
  try {
    await box.sh(
      "iptables -N theirs-forward; iptables -A FORWARD -j theirs-forward; iptables -P FORWARD DROP",
    );
    const up = await berth(box, "host", "up");
    assert.is(up.exit, 0, up.stderr);
    const rules = await box.sh("iptables-save -t filter");
    assert.match(rules, /^:FORWARD DROP/m);
    assert.match(rules, "-A FORWARD -j theirs-forward");
    assert.not.match(rules, "DOCKER");
    const check = () => berth(box, "host", "check");
    const told = await check();
    assert.is(told.exit, 0, told.stderr);
    assert.match(told.stdout, "Chain FORWARD of nft table ip filter drops what no rule there accepts");
    await box.sh(`iptables -A theirs-forward -i _dockercnet -j ACCEPT
      iptables -A theirs-forward -o _dockercnet -j ACCEPT`);
    const { stdout, stderr } = await check();
    assert.is(stdout, "As prepared\n", stderr);
    const down = await berth(box, "host", "down");
    assert.is(down.exit, 0, down.stderr);
    assert.match(await box.sh("iptables-save -t filter"), /^:FORWARD DROP/m);
  } finally {
    await box.close();
  }
});

test.run();
