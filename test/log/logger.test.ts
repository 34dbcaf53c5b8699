// Log lines: for people, as JSON, for the journal; one line a message; no secrets.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { createLog, type LogOptions, underJournal } from "../../lib/log/logger.ts";
import type { Log } from "../../lib/log/log.ts";

function said(options: LogOptions, tell: (log: Log) => void): string {
  let text = "";
  const stream = { write: (more: string) => text += more };
  tell(createLog({ stream, now: () => new Date(0), ...options }));
  return text;
}

test("text lines have the message and its fields", () => {
  const text = said({ format: "text" }, (log) => {
    log.info("Wired", { vnode: "left", ms: 12, none: undefined });
    log.with({ task: "watch" }).warn("Gone", { error: new Error("No such file"), list: ["a", 1n] });
    log.debug("Not shown");
  });
  assert.is(
    text,
    'Wired vnode=left ms=12\nwarn: Gone task=watch error="No such file" list="[\\"a\\",\\"1\\"]"\n',
  );
});

test("a log that nobody else dates has time and level before each line", () => {
  const text = said({ format: "file" }, (log) => {
    log.info("Wired", { vnode: "left" });
    log.error("Gone");
  });
  assert.is(text, "1970-01-01T00:00:00.000Z info  Wired vnode=left\n1970-01-01T00:00:00.000Z error Gone\n");
});

test("the journal gets its priorities", () => {
  const text = said({ format: "journal", level: "debug" }, (log) => {
    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");
  });
  assert.is(text, "<7>debug: a\n<6>b\n<4>warn: c\n<3>error: d\n");
});

test("JSON lines have time, level, message and the fields", () => {
  const text = said({ format: "json" }, (log) => log.with({ vnode: "left" }).error("Died", { exit: 1 }));
  assert.equal(JSON.parse(text), {
    time: "1970-01-01T00:00:00.000Z",
    level: "error",
    message: "Died",
    vnode: "left",
    exit: 1,
  });
});

test("a message cannot forge a line or drive the terminal", () => {
  const text = said({ format: "text" }, (log) => log.info("a\n<0>b\x1b[2J", { name: "x\ny\x1b" }));
  assert.is(text.split("\n").length, 2);
  assert.not.match(text.trimEnd(), /\p{Cc}/u);
});

test("values under secret names are never written, however deep", () => {
  for (const format of ["text", "json"] as const) {
    const text = said({ format }, (log) =>
      log.info("Login", {
        password: "hunter2",
        identitytoken: "hunter2",
        nested: { Authorization: "hunter2", list: [{ apiToken: "hunter2" }] },
        keys: 3,
      }));
    assert.not.match(text, "hunter2");
    assert.match(text, "hidden");
    assert.match(text, "3");
  }
});

test("below the level nothing is written, and silent writes nothing", () => {
  const tell = (log: Log) => [log.debug("a"), log.info("b"), log.warn("c"), log.error("d")];
  assert.is(said({ format: "text", level: "error" }, tell), "error: d\n");
  assert.is(said({ format: "text", level: "silent" }, tell), "");
});

test("underJournal() wants the stderr that systemd tells of, not one that was put in its place", () => {
  assert.ok(underJournal({ dev: 8, ino: 1 }, { JOURNAL_STREAM: "8:1" }));
  assert.not.ok(underJournal({ dev: 8, ino: 2 }, { JOURNAL_STREAM: "8:1" }));
  assert.not.ok(underJournal({ dev: 8, ino: 1 }, {}));
  assert.not.ok(underJournal(null, { JOURNAL_STREAM: "8:1" }));
});

test.run();
