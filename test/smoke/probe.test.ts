// `berth probe` in the executable, two of them in a namespace with nothing but lo: datagrams there and back, one
// way and in a flood, connections. The runtime in the executable has sockets of its own make; this shows that they do.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../tasks/dev/_run.ts";
import type { AgentAnswer, AgentTask } from "../../lib/vnode/verify/types.ts";
import { executable, inDirectory } from "./_berth.ts";

test.before(async () => {
  await executable();
});

const IDLE: AgentTask = {
  port: 47800,
  expect: [],
  echoes: [],
  sends: [],
  floods: [],
  flings: [],
  untilMs: 20_000,
  lingerMs: 100,
};

/** Runs one probe that listens and one that speaks to it, and returns what each told. */
async function pair(
  heard: Partial<AgentTask>,
  said: Partial<AgentTask>,
): Promise<[AgentAnswer, AgentAnswer]> {
  return await inDirectory(async (directory) => {
    const path = (name: string) => join(directory, name);
    writeFileSync(path("far"), JSON.stringify({ ...IDLE, ...heard }));
    writeFileSync(path("near"), JSON.stringify({ ...IDLE, port: 47801, ...said }));
    const script = `ip link set lo up
      "$0" probe <"$1/far" >"$1/far.out" & far=$!
      "$0" probe <"$1/near" >"$1/near.out" && wait "$far" && cat "$1/far.out" "$1/near.out"`;
    const ran = await run(["unshare", "--net", "sh", "-c", script, await executable(), directory], {
      cwd: "/",
      deadlineMs: 60_000,
    });
    assert.is(ran.exit, 0, ran.output);
    const [far, near] = ran.stdout.trim().split("\n").map((line) => JSON.parse(line) as AgentAnswer);
    return [far!, near!];
  });
}

const TO = { to: "127.0.0.1", port: 47800, waitMs: 10_000 };

test("probes measure there and back, and one way, by IPv4 and IPv6", async () => {
  const [far, near] = await pair({ expect: [3, 4] }, {
    echoes: [
      { ...TO, flow: 1, from: "127.0.0.1", bytes: 24, count: 20, everyUs: 5000 },
      { ...TO, flow: 2, to: "::1", bytes: 24, count: 20, everyUs: 5000 },
    ],
    sends: [
      // As many as a socket holds while its reader waits for a processor.
      { ...TO, flow: 3, bytes: 64, count: 200, everyUs: 2000 },
      { ...TO, flow: 4, to: "::1", bytes: 1400, count: 50, everyUs: 5000 },
    ],
  });
  for (const flow of ["1", "2"]) {
    assert.is(near.echoed[flow]!.reached, true);
    assert.is(near.echoed[flow]!.rttsUs.length, 20);
    assert.ok(near.echoed[flow]!.rttsUs.every((rtt) => rtt > 0));
  }
  const { count, duplicates, late, bytes, delaysUs } = far.received["3"]!;
  assert.equal([count, duplicates, late, bytes], [200, 0, 0, 200 * 64]);
  assert.is(delaysUs.length, 200);
  assert.equal([far.received["4"]!.count, far.received["4"]!.bytes], [50, 50 * 1400]);
  assert.equal([near.sent["3"]!.reached, near.sent["3"]!.sent], [true, 200]);
});

test("probes flood by datagrams larger than a frame, and by TCP", async () => {
  const [far, near] = await pair({ expect: [5, 6] }, {
    floods: [
      { ...TO, flow: 5, tcp: false, bps: 100e6, bytes: 60_000, ms: 1000 },
      { ...TO, flow: 6, tcp: true, bps: 0, bytes: 0, ms: 1000 },
    ],
  });
  // What a busy machine gets through is its own matter; that it is counted is ours.
  assert.ok(far.received["5"]!.count > 5, JSON.stringify(far.received["5"]));
  assert.is(far.received["5"]!.bytes, (far.received["5"]!.count + far.received["5"]!.duplicates) * 60_000);
  assert.ok(far.received["6"]!.bytes > 1e6, JSON.stringify(far.received["6"]));
  assert.ok(near.sent["6"]!.sent >= far.received["6"]!.bytes);
});

test("a probe that nobody answers says so and ends", async () => {
  const [, near] = await pair({}, {
    echoes: [{ ...TO, flow: 1, port: 47999, bytes: 24, count: 20, everyUs: 5000, waitMs: 300 }],
    sends: [{ ...TO, flow: 2, from: "192.0.2.9", bytes: 24, count: 20, everyUs: 5000, waitMs: 300 }],
  });
  assert.equal(near.echoed["1"], { reached: false, sent: 0, rttsUs: [] });
  assert.equal([near.sent["2"]!.reached, near.sent["2"]!.sent], [false, 0]);
});

test("a probe whose port is taken tells it", async () => {
  const told = await pair({ stays: true, untilMs: 3000 }, { port: 47800, stays: true, untilMs: 3000 });
  const faults = told.flatMap(({ fault }) => fault ?? []);
  assert.is(faults.length, 1, "one of two has it");
  assert.match(faults[0]!, /EADDRINUSE|in use/);
});

test.run();
