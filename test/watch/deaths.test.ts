import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EngineEvent } from "../../lib/docker/types.ts";
import { Deaths } from "../../lib/watch/deaths.ts";
import { Pace } from "../../lib/watch/pace.ts";
import { engineCrashed } from "../../lib/watch/engine_end.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { createFakeHost } from "../fake/host.ts";

function event(words: string): EngineEvent {
  const [action = "", value = ""] = words.split(" ");
  const attributes: Record<string, string> = action === "kill"
    ? { signal: value }
    : action === "die"
    ? { exitCode: value }
    : {};
  return { type: "container", action, detail: "", id: "c1", name: "n1", attributes, timeNano: "1" };
}

/** What is wanted after these events, as "state by" of the last verdict. */
const CASES: readonly (readonly [string, string, string])[] = [
  ["start", "start", "up docker start"],
  ["docker stop, die first", "start, kill 15, die 143, stop", "halted docker stop"],
  ["docker stop, stop first", "start, kill 15, stop, die 143", "halted docker kill or stop (signal 15)"],
  ["docker stop after its grace", "start, kill 15, kill 9, die 137, stop", "halted docker stop"],
  ["docker kill", "start, kill 9, die 137", "halted docker kill or stop (signal 9)"],
  ["docker restart", "start, kill 15, die 143, stop, start, restart", "up docker start"],
  ["its own end", "start, die 0", "halted its own end (exit code 0)"],
  ["a crash inside", "start, die 139", "halted its own end (exit code 139)"],
  ["oom", "start, oom, die 137", "halted its own end (exit code 137)"],
  ["reboot inside", "start, die 129", "up reboot inside"],
  ["poweroff inside", "start, die 130", "halted poweroff inside"],
  ["a told signal, then reboot inside", "start, kill 1, die 129", "up reboot inside"],
  ["WINCH, then its own end", "start, kill 28, die 0", "halted its own end (exit code 0)"],
  ["busybox init reboots on TERM", "start, kill 15, die 129", "halted docker kill or stop (signal 15)"],
  ["a kill of an earlier life", "start, kill 15, die 143, start, die 129", "up reboot inside"],
  ["exec and health", "start, exec_start, exec_die, health_status, top", "up docker start"],
  ["pause", "start, pause, unpause", "up docker start"],
];

for (const [name, script, wanted] of CASES) {
  test(`a death is judged by what went before it: ${name}`, () => {
    const deaths = new Deaths();
    const verdicts = script.split(", ").map((words) => deaths.judge(event(words))).filter((one) =>
      one !== null
    );
    const last = verdicts.at(-1)!;
    assert.is(`${last.state} ${last.by}`, wanted);
  });
}

test("only what Docker was told to end may be the first half of a restart", () => {
  const deaths = new Deaths();
  assert.is(deaths.judge(event("die 0"))?.byDocker, undefined);
  assert.is(deaths.judge(event("stop"))?.byDocker, true);
  deaths.judge(event("kill 9"));
  assert.is(deaths.judge(event("die 137"))?.byDocker, true);
  deaths.judge(event("destroy"));
  assert.is(deaths.judge(event("die 137"))?.byDocker, undefined);
});

test("a vnode that ends soon after each boot is booted at once, then after 1, 2, 4 … 60 s", () => {
  const clock = new FakeClock();
  const pace = new Pace(clock);
  const life = (ms: number) => {
    const startedAt = new Date(clock.unix()).toISOString();
    clock.advance(ms);
    return { startedAt, finishedAt: new Date(clock.unix()).toISOString().replace("Z", "123456Z") };
  };
  const pauses: number[] = [];
  for (let lives = 0; lives < 10; lives++) {
    const ended = life(50);
    const pause = pace.pause("n1", ended);
    pauses.push(pause);
    assert.is(pace.pause("n1", ended), pause, "asking twice counts once");
    clock.advance(pause);
    assert.is(pace.pause("n1", ended), 0);
  }
  assert.equal(pauses, [0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.is(pace.pause("n1", life(20_000)), 0);
  assert.is(pace.pause("n1", life(50)), 0, "a steady life starts it anew");
  assert.is(pace.pause("n2", { startedAt: "", finishedAt: "" }), 0);
});

test("an engine has crashed when its pid file names nobody, and ended in order when there is none", async () => {
  const clock = new FakeClock();
  const host = createFakeHost();
  assert.is(await engineCrashed(host, clock), false);
  await host.writeText("/var/run/docker.pid", "77");
  assert.is(await engineCrashed(host, clock), true);
  await host.writeText("/proc/77/comm", "sleep\n");
  assert.is(await engineCrashed(host, clock), true);
  await host.writeText("/proc/77/comm", "dockerd\n");
  const orderly = engineCrashed(host, clock);
  await until("a second look", () => clock.pending === 1);
  await host.remove("/var/run/docker.pid");
  clock.advance(50);
  assert.is(await orderly, false);
});

test.run();
