// A machine on which the control network cannot be had: `host up` tells it before it disrupts anything.
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

test.run();
