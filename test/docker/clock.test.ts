// Deadlines on the machine's own clock, which a boot sets: a step of the time of day is no time that has passed.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { systemClock } from "../../lib/docker/clock.ts";

test("systemClock tells how long something took when the time of day is set meanwhile, and both", () => {
  const HOUR = 3_600_000;
  const { now } = Date;
  const [before, day] = [systemClock.now(), systemClock.unix()];
  assert.ok(Math.abs(day - now()) < HOUR);
  try {
    Date.now = () => now() + 10 * HOUR;
    assert.ok(systemClock.now() - before < HOUR, "no deadline has passed");
    assert.ok(systemClock.unix() - day >= 10 * HOUR, "an engine's events have the new time");
    Date.now = () => now() - 10 * HOUR;
    assert.ok(systemClock.now() >= before);
  } finally {
    Date.now = now;
  }
});

test.run();
