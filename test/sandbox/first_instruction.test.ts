// deadline: 900s
// A vnode's first instruction finds all its links, addresses, MACs and routes, however it was started.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine, Sandbox } from "./harness.ts";
import { ENGINES, openVhost } from "./vhost.ts";

/** Starts of each engine; three ways in turn. */
const STARTS = 50;
const WAYS = [
  "docker restart -t 0 left",
  "docker stop -t 0 left && docker start left",
  "docker kill left && docker start left",
];

/** What must stand in what the first instruction told. */
const WANTED: readonly RegExp[] = [
  /eth1@if\d+:.*UP.*mtu 1500.*link\/ether 02:00:00:00:01:01/,
  /data0@if\d+:.*UP.*mtu 1400.*link\/ether 02:00:00:00:01:02/,
  /eth1 +inet 10\.1\.0\.1\/24/,
  /data0 +inet 10\.1\.0\.11\/24/,
  /eth1 +inet6 fd00:1::1\/64/,
  /eth0 +inet 172\./,
  /10\.1\.0\.0\/24 dev eth1/,
  /10\.9\.0\.0\/16 via 10\.1\.0\.2/,
  /default via 172\.16\.0\.1 dev eth0/,
  /fd00:1::\/64 dev eth1/,
  /10\.1\.0\.2\tright-wire/,
];

/** What the first so many starts told. */
async function toldBy(box: Sandbox, starts: number): Promise<readonly string[]> {
  return await box.until(`start ${starts} to tell`, async (seen): Promise<readonly string[] | null> => {
    const all = (await box.sh("docker logs left 2>&1")).split("TOLD\n").slice(0, -1);
    seen(`${all.length} tellings`);
    return all.length === starts ? all : null;
  });
}

async function story(engine: Engine): Promise<void> {
  const box = await openVhost(engine);
  try {
    let told = await toldBy(box, 1);
    for (let start = 0; start < STARTS; start++) {
      await box.sh(`(${WAYS[start % WAYS.length]}) >/dev/null`, { timeoutMs: 60_000 });
      // The next way ends this life at once: it is given the time to tell first.
      told = await toldBy(box, start + 2);
    }
    told.forEach((text, start) => {
      for (const wanted of WANTED) {
        assert.match(text, wanted, `start ${start} of ${engine} lacks ${wanted}:\n${text}`);
      }
    });
    // Forwarding between the two really happens, and with the egress rate through the ifb.
    await box.sh("docker exec right ping -c 2 -W 2 10.1.0.1");
    await box.sh("docker exec right ping -c 1 -W 2 10.1.0.11");
    assert.match(await box.sh("tc qdisc show | grep bif-"), /tbf .*rate 10Mbit/);
    // The good path needed no berth: the gate never left a process or a lock behind.
    assert.is(await box.sh("pgrep -f '[b]erth gate' || true"), "");
  } finally {
    await box.close();
  }
}

for (const engine of ENGINES) {
  test(`engine ${engine}: ${STARTS} starts, each wired before its first instruction`, () => story(engine));
}

test.run();
