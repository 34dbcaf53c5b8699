// deadline: 180s
// The control network as macvlans on a device of the machine: nothing is moved, vnodes are on the device's network.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox } from "./harness.ts";

const VNODES = {
  vnodes: {
    one: { image: "box", command: ["sleep", "100000"], control: { address: "172.16.0.21" } },
    two: { image: "box", command: ["sleep", "100000"], control: { address: "172.16.0.22" } },
  },
};

test("with macvlan vnodes reach host, router and each other, and the device stays as it is", async () => {
  const box = await openSandbox({ engine: "20.10", berth: true });
  try {
    const look =
      "ip -o addr show dev eth0 | sed 's, tentative,,'; ip route show dev eth0; ip -6 route show dev eth0";
    const before = await box.sh(look);
    await box.write("/etc/berth/host.yaml", '{"controlNet": {"device": "auto", "driver": "macvlan"}}');
    await box.sh("berth host up", { timeoutMs: 120_000 });
    await box.loadImage();
    await box.write("/etc/berth/vnodes.d/two.yaml", JSON.stringify(VNODES));
    await box.sh("berth vnode up", { timeoutMs: 120_000 });
    assert.is(await box.sh(look), before);
    await box.router(["ip", "addr", "add", "172.31.0.1/12", "dev", "vhost"]);
    for (const to of ["172.16.0.22", "172.16.0.1", "172.31.0.1", "203.0.113.1"]) {
      const said = await box.run(["docker", "exec", "one", "ping", "-c", "1", "-W", "2", to]);
      assert.is(said.exit, 0, `${to}: ${said.stdout}`);
    }
    assert.is((await box.router(["ping", "-c", "1", "-W", "2", "172.16.0.21"])).exit, 0);

    await box.sh("docker restart -t 0 one && docker exec one ping -c 1 -W 2 172.16.0.1", {
      timeoutMs: 120_000,
    });
    assert.match(await box.sh("berth host check", { timeoutMs: 120_000 }), /As prepared/);
    await box.sh("berth vnode down one two && berth host down", { timeoutMs: 120_000 });
    assert.is(await box.sh(look), before);
    assert.is((await box.run(["ip", "link", "show", "_dockercnet"])).exit, 1);
  } finally {
    await box.close();
  }
});

test.run();
