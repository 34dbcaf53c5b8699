// Progress: nothing under a second, a spinner on a terminal, a plain line each five seconds elsewhere.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createProgress } from "../../lib/cli/progress.ts";
import { isInForeground } from "../../lib/cli/terminal.ts";

function stage(isTTY: boolean, attended = true) {
  let now = 0;
  let written = "";
  let tick = () => {};
  let running = false;
  const progress = createProgress({
    stream: { isTTY, columns: 40, write: (text) => written += text },
    attended,
    now: () => now,
    every(_ms, callback) {
      tick = callback;
      running = true;
      return () => running = false;
    },
  });
  const at = (ms: number) => {
    now = ms;
    tick();
    const said = written;
    written = "";
    return said;
  };
  return { progress, at, isRunning: () => running, said: () => written };
}

test("what takes under a second needs no word", () => {
  for (const terminal of [true, false]) {
    const { progress, at, isRunning, said } = stage(terminal);
    progress.set("Pulling debian:12");
    assert.is(at(900), "");
    progress.stop();
    assert.is(said(), "");
    assert.not.ok(isRunning());
  }
});

test("a terminal gets one line, cut to its width and cleared at the end", () => {
  const { TERM } = process.env;
  process.env.TERM = "xterm";
  const { progress, at, said } = stage(true);
  progress.set("Pulling an image with a very long name indeed");
  const line = at(1_500);
  assert.match(line, "Pulling an image");
  assert.not.match(line, "\n");
  assert.ok(line.replace("\r\x1b[K", "").length < 40);
  progress.set("");
  assert.is(said(), "\r\x1b[K");
  if (TERM === undefined) delete process.env.TERM;
  else process.env.TERM = TERM;
});

test("elsewhere a plain line comes each five seconds, and names what is new", () => {
  // A pipe; and a boot console, which is a terminal that nobody sits before.
  for (const { progress, at } of [stage(false), stage(true, false)]) {
    progress.set("Pulling debian:12");
    assert.is(at(4_000), "");
    assert.is(at(5_000), "still at it after 5 s: Pulling debian:12\n");
    assert.is(at(9_000), "");
    assert.is(at(10_500), "still at it after 11 s: Pulling debian:12\n");
    progress.set("Starting left");
    assert.is(at(11_000), "");
    assert.is(at(16_000), "still at it after 6 s: Starting left\n");
    progress.stop();
    assert.is(at(20_000), "");
  }
});

test("isInForeground() takes neither a boot console nor a job in the background for somebody's terminal", () => {
  const stat = (tty: number, group: number, foreground: number) =>
    `812 (berth (x) y) S 790 ${group} 790 ${tty} ${foreground} 4194304 0 0 0 0\n`;
  assert.ok(isInForeground(stat(34816, 812, 812)));
  assert.not.ok(isInForeground(stat(0, 812, -1)), "init's own console: no controlling terminal");
  assert.not.ok(isInForeground(stat(34816, 812, 790)), "in the background");
  assert.not.ok(isInForeground(""));
});

test.run();
