// What `berth verify` stands on: it enters a vnode's network only while that vnode's life goes on, tells what cannot be
// looked at as that, and waits for nobody in vain.
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Command, Host } from "../../lib/host/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { idleTask, runProbe, type VerifyGround } from "../../lib/vnode/verify/ground.ts";
import { runRate } from "../../lib/vnode/verify/rate.ts";
import { hostOnLans, rulesStand, stateInside, stateOfLans } from "../../lib/vnode/verify/state.ts";
import type { AgentAnswer, AgentTask, Test } from "../../lib/vnode/verify/types.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";
import { aLan, aLink, aVnode } from "./_experiment.ts";

const PIDS: Readonly<Record<string, number>> = { left: 42, right: 43 };
const SILENT: AgentAnswer = { received: {}, echoed: {}, sent: {}, listenedUs: [0, 0] };

/** What /proc says of a process: its start time is field 22. */
const stat = (pid: number, startTime: number) =>
  `${pid} (sleep) S ${Array.from({ length: 18 }, () => 0).join(" ")} ${startTime} 0\n`;

/** A host on which left and right run, what its commands answer, and the namespaces that were entered. */
function vhost(answer: (command: Command) => string = () => "[]") {
  const entered: string[] = [];
  const host = createFakeHost({
    files: Object.fromEntries(Object.values(PIDS).map((pid) => [`/proc/${pid}/stat`, stat(pid, 777)])),
    commands: [(command) => {
      if (command.netns !== undefined) entered.push(command.netns);
      return { stdout: answer(command) };
    }],
  });
  return { host, entered, ground: groundOf(host) };
}

function groundOf(host: Host): VerifyGround {
  const lives = new Map(Object.entries(PIDS).map(([name, pid]) => [name, `0123456789ab.${pid}.777.boot-1`]));
  return { host, berth: ["berth"], lives, bootId: "boot-1", jobs: 4, seconds: 1, startMs: 1 };
}

/** The vnode has died, and its pid is another process's now. */
const reuse = (host: FakeHost, vnode: string) =>
  void host.machine.files.set(`/proc/${PIDS[vnode]}/stat`, { text: stat(PIDS[vnode]!, 999), mode: 0o444 });

const INSIDE = JSON.stringify([{
  ...{ ifname: "wire0", ifindex: 2, mtu: 1500, address: "02:be:00:00:00:01", flags: ["UP"] },
  addr_info: [{ local: "10.1.0.1", prefixlen: 24, scope: "global" }],
}]);
const LEFT = aVnode("left", [aLink("wire", "10.1.0.1/24")]);

test("a probe enters the namespace of a vnode that runs, and no stranger's that has its pid now", async () => {
  const { host, entered, ground } = vhost(() => JSON.stringify(SILENT));
  assert.equal(await runProbe(ground, "left", idleTask(1, 1)), SILENT);
  assert.equal(entered.splice(0), ["/proc/42/ns/net"]);
  reuse(host, "left");
  assert.match((await runProbe(ground, "left", idleTask(1, 1))).fault!, /does not run any more/);
  assert.equal(entered, []);
});

test("what a probe told is nobody's when its vnode died meanwhile", async () => {
  const { ground } = vhost(() => {
    reuse(ground.host as FakeHost, "left");
    return JSON.stringify(SILENT);
  });
  assert.match((await runProbe(ground, "left", idleTask(1, 1))).fault!, /does not run any more/);
});

test("stateInside() looks into the vnode, and not into a stranger's namespace", async () => {
  const { host, entered, ground } = vhost(() => INSIDE);
  assert.equal((await stateInside(ground, LEFT)).map(({ verdict }) => verdict), ["pass"]);
  assert.equal(entered.splice(0), ["/proc/42/ns/net"]);
  reuse(host, "left");
  const [found] = await stateInside(ground, LEFT);
  assert.equal([found!.from, found!.verdict], ["left", "unknown"]);
  assert.match(found!.why, /cannot be looked at: .*does not run any more/);
  assert.equal(entered, []);
});

test("what cannot be looked at is unknown, with its reason, and no failure", async () => {
  const { host, ground } = vhost(() => {
    throw new BerthError({ code: "missing", object: "ip", message: 'There is no program "ip"' });
  });
  const lans = [aLan("wire", "10.1.0.0/24")];
  const rules = () => Promise.reject(new Error("No table can be read"));
  const found = [
    ...await stateInside(ground, LEFT),
    ...await stateOfLans(host, lans),
    ...await hostOnLans(host, lans),
    ...await rulesStand(host, rules),
  ];
  assert.equal(found.map(({ check, from, to, verdict }) => `${check} ${from} ${to}: ${verdict}`), [
    "state left : unknown",
    "state lan wire : unknown",
    "isolation host lan wire: unknown",
    "isolation host rules: unknown",
  ]);
  assert.ok(found.slice(0, 3).every(({ why }) => why.includes('There is no program "ip"')), found[0]!.why);
  assert.match(found[3]!.why, "No table can be read");
});

/** A rate from left to right, over a queue whose counter stands still. */
const RATE: Test & { kind: "rate" } = {
  kind: "rate",
  level: 4,
  from: { vnode: "left", link: "wire0", lan: "wire", address: "10.1.0.1", mtu: 1500 },
  to: { vnode: "right", link: "wire0", lan: "wire", address: "10.1.0.2", mtu: 1500 },
  there: [{ link: "left/wire0", way: "egress", shape: { rateBps: 1e6 }, device: "bif-1" }],
  back: [],
};

/** A host whose probes answer as told; each is given what stops it. */
function probing(answer: (task: AgentTask, stopped: Promise<never>) => Promise<AgentAnswer>): VerifyGround {
  const { host } = vhost(() => JSON.stringify([{ kind: "tbf", bytes: 0, backlog: 0, drops: 0 }]));
  const exec = async ({ input }: Command, options?: { signal?: AbortSignal | null }) => {
    const stopped = new Promise<never>((_, reject) =>
      options?.signal?.addEventListener("abort", () => {
        reject(new BerthError({ code: "interrupted", object: "berth probe", message: "Stopped" }));
      })
    );
    stopped.catch(() => {});
    const said = await answer(JSON.parse(input!) as AgentTask, stopped);
    return { exit: 0, stdout: JSON.stringify(said), stderr: "", ms: 0 };
  };
  return groundOf({ ...host, exec });
}

/** Fails where something takes so long that it must be waiting for what does not come. */
async function soon<T>(what: string, work: Promise<T>): Promise<T> {
  const stop = new AbortController();
  const late = sleep(20_000, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`${what} did not come within 20 s`);
  });
  return await Promise.race([work, late]).finally(() => stop.abort());
}

test("a rate whose peer cannot be reached is told as soon as the sender tells it", async () => {
  const ground = probing((task, stopped) => {
    const [flood] = task.floods;
    if (flood === undefined) return stopped; // the reader, whom nobody sends anything
    const sent = { reached: false, sent: 0, ms: 0, endUs: 0 };
    return Promise.resolve({ ...SILENT, sent: { [flood.flow]: sent } });
  });
  assert.equal(await soon("the rate", runRate(ground, RATE, () => true)), {});
});

test("a rate whose reader cannot work is told with the reason, and its sender is not waited for", async () => {
  const ground = probing((task, stopped) =>
    task.floods.length > 0 ? stopped : Promise.resolve({ ...SILENT, fault: "bind EADDRINUSE" })
  );
  assert.equal(await soon("the rate", runRate(ground, RATE, () => true)), { fault: "bind EADDRINUSE" });
});

test.run();
