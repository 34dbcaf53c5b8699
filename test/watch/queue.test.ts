import { test } from "uvu";
import * as assert from "uvu/assert";
import { createQueue, type Failing } from "../../lib/watch/queue.ts";
import { FakeClock, until } from "../fake/clock.ts";

interface Parts {
  readonly clock: FakeClock;
  readonly abort: AbortController;
  readonly ran: string[];
  readonly open: Map<string, () => void>;
  readonly told: (Failing | null)[];
}

/** A queue whose work is ended by the test (`open`), or at once where `held` says so; fails for keys in `failing`. */
function parts(options: { held?: boolean; failing?: Set<string>; atOnce?: number } = {}) {
  const made: Parts = {
    clock: new FakeClock(),
    abort: new AbortController(),
    ran: [],
    open: new Map(),
    told: [],
  };
  const queue = createQueue({
    clock: made.clock,
    signal: made.abort.signal,
    atOnce: options.atOnce ?? 2,
    random: () => 0,
    onFailing: (_, failing) => made.told.push(failing),
    work: async (key) => {
      made.ran.push(key);
      if (options.held) await new Promise<void>((resolve) => made.open.set(key, resolve));
      if (options.failing?.has(key)) throw new Error(`no ${key}`);
    },
  });
  return { ...made, queue };
}

test("what is asked for while it waits is one run", async () => {
  const { queue, ran, open } = parts({ held: true, atOnce: 1 });
  queue.add("a");
  for (let i = 0; i < 100; i++) queue.add("b");
  open.get("a")!();
  await until("b to run", () => ran.includes("b"));
  open.get("b")!();
  await queue.idle();
  assert.equal(ran, ["a", "b"]);
});

test("a key asked for during its own run is run once more, never twice at once", async () => {
  const { queue, ran, open } = parts({ held: true });
  queue.add("a");
  queue.add("a");
  queue.add("a");
  assert.equal(ran, ["a"]);
  open.get("a")!();
  await until("the second run", () => ran.length === 2);
  open.get("a")!();
  await queue.idle();
  assert.equal(ran, ["a", "a"]);
});

test("no more than atOnce run, and one that waits long holds no other key up", async () => {
  const { queue, ran, open } = parts({ held: true, atOnce: 2 });
  ["a", "b", "c", "d"].forEach(queue.add);
  assert.equal(ran, ["a", "b"]);
  open.get("b")!();
  await until("c", () => ran.includes("c"));
  open.get("c")!();
  await until("d", () => ran.includes("d"));
  assert.equal(ran, ["a", "b", "c", "d"]);
  open.get("a")!();
  open.get("d")!();
  await queue.idle();
});

test("a failure comes back after 0.5, 1, 2 … 60 s, for ever, and is told with its tries", async () => {
  const failing = new Set(["a"]);
  const { queue, ran, clock, told } = parts({ failing });
  queue.add("a");
  const pauses: number[] = [];
  for (let tries = 1; tries <= 10; tries++) {
    await until(`try ${tries} to fail`, () => queue.failing()[0]?.tries === tries);
    assert.is(clock.pending, 1);
    pauses.push(clock.next!);
    if (tries < 10) clock.advance(clock.next!);
  }
  assert.equal(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.is(queue.failing()[0]!.reason, "no a");
  failing.clear();
  queue.add("a");
  await until("the recovery", () => told.at(-1) === null);
  assert.equal(queue.failing(), []);
  assert.is(ran.length, 11);
  assert.is(clock.pending, 0, "a pause is left behind");
});

test("a key that fails while it is asked for again has one pause, not one for each", async () => {
  const failing = new Set(["a"]);
  const { queue, ran, open, clock } = parts({ held: true, failing });
  queue.add("a");
  for (let run = 1; run <= 5; run++) {
    await until(`run ${run}`, () => ran.length === run);
    queue.add("a");
    open.get("a")!();
  }
  await until("run 6", () => ran.length === 6);
  assert.is(clock.pending, 0, "pauses of a key that runs");
  open.get("a")!();
  await until("its pause", () => clock.pending === 1);
});

test("the signal ends it: what runs is finished, nothing new begins, no pause is left", async () => {
  const { queue, ran, open, clock, abort } = parts({ held: true, failing: new Set(["x"]), atOnce: 2 });
  queue.add("x");
  open.get("x")!();
  await until("x to pause", () => clock.pending === 1);
  queue.add("a");
  queue.add("b");
  queue.add("c");
  abort.abort();
  const idle = queue.idle();
  open.get("a")!();
  open.get("b")!();
  await idle;
  assert.equal(ran, ["x", "a", "b"]);
  assert.is(clock.pending, 0);
});

test.run();
