// What the watch tells an init system that listens: ready after its first full look, signs of life while it looks, and
// none where it has stopped looking.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createNotifier } from "../../lib/watch/notify.ts";
import type { WatchState } from "../../lib/watch/watch.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { createFakeHost } from "../fake/host.ts";

const log = { debug() {}, info() {}, warn() {}, error() {}, with: () => log };
const STATE: WatchState = {
  connected: true,
  engine: "20.10.24",
  lastResync: null,
  resyncReason: null,
  vnodes: 2,
  degraded: [],
};
const LOOKED: WatchState = { ...STATE, lastResync: "2026-01-01T00:00:00.000Z" };
const MINUTE = 60_000;

function open(
  env: Record<string, string> = { NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "300000000" },
) {
  const said: string[] = [];
  const host = createFakeHost({
    commands: [({ argv, env }) => {
      if (argv[0] !== "systemd-notify") return null;
      assert.is(env?.NOTIFY_SOCKET, "/run/systemd/notify");
      said.push(argv.slice(1).join(" "));
      return {};
    }],
  });
  const clock = new FakeClock();
  const controller = new AbortController();
  const { signal } = controller;
  const notifier = createNotifier({ host, log, clock, signal, env, resyncMs: MINUTE });
  const signs = () => said.filter((words) => words === "WATCHDOG=1").length;
  return { said, clock, controller, notifier, signs };
}

test("it is ready after its first full look, not when it has only connected", async () => {
  const { said, notifier, controller } = open();
  notifier.start();
  notifier.told(STATE);
  assert.not.ok(said.some((words) => words.startsWith("--ready")));
  notifier.told(LOOKED);
  await until("ready", () => said.includes("--ready --status=Watches 2 vnodes"));
  notifier.told({ ...LOOKED, connected: false });
  await until("its status", () => said.includes("--status=Waits for the engine"));
  assert.is(said.filter((words) => words.startsWith("--ready")).length, 1);
  controller.abort();
});

test("without an engine it is ready after a while: it waits for one, as is its office", async () => {
  const { said, clock, notifier, controller } = open();
  notifier.start();
  clock.advance(MINUTE);
  await until("ready", () => said.includes("--ready --status=Waits for the engine"));
  controller.abort();
});

test("it gives three signs of life in the time systemd wants one in, while full looks go on", async () => {
  const { clock, notifier, signs, controller } = open();
  notifier.start();
  await until("the first sign", () => signs() === 1);
  for (let minute = 1; minute <= 30; minute++) {
    await until("a wait", () => clock.next !== null);
    notifier.told(LOOKED);
    clock.advance(100_000);
    await until("a sign", () => signs() === minute + 1);
  }
  controller.abort();
});

test("a watch that has stopped looking gives no more signs; one without an engine goes on", async () => {
  const { clock, notifier, signs, controller } = open();
  notifier.start();
  notifier.told(LOOKED);
  for (let step = 0; step < 20; step++) {
    await until("a wait", () => clock.next !== null);
    clock.advance(100_000);
  }
  await until("a wait", () => clock.next !== null);
  const stuck = signs();
  assert.ok(stuck < 12, `${stuck} signs in 2,000 s of which it looked in none`);
  notifier.told({ ...LOOKED, connected: false });
  clock.advance(100_000);
  await until("signs again", () => signs() > stuck);
  controller.abort();
});

test("its end is told, and is the end of its signs", async () => {
  const { said, clock, notifier, controller } = open();
  notifier.start();
  notifier.told(LOOKED);
  controller.abort();
  await notifier.stopping();
  assert.match(said.at(-1)!, "STOPPING=1");
  const before = said.length;
  clock.advance(10 * MINUTE);
  assert.is(said.length, before);
});

test("where nobody listens nothing is said", async () => {
  const { said, clock, notifier } = open({});
  notifier.start();
  notifier.told(LOOKED);
  clock.advance(10 * MINUTE);
  await notifier.stopping();
  assert.equal(said, []);
});

test.run();
