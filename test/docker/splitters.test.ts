import { test } from "uvu";
import * as assert from "uvu/assert";
import fc from "fast-check";
import { parseEvent, sinceParameter } from "../../lib/docker/events.ts";
import { FrameSplitter } from "../../lib/docker/frames.ts";
import { LineSplitter } from "../../lib/docker/lines.ts";
import { Mailbox } from "../../lib/docker/mailbox.ts";
import { compareVersions } from "../../lib/docker/version.ts";
import { retryDelay } from "../../lib/docker/follow.ts";
import type { Followed } from "../../lib/docker/types.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Bytes cut at the given places (any numbers; empty pieces too). */
function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [0, ...places.map((each) => each % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i]!, end));
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(pieces.flatMap((each) => [...each]));
}

const line = fc.string({ unit: "binary", maxLength: 40 }).map((each) =>
  each.replace(/[\r\n]/g, "").toWellFormed()
);

test("LineSplitter gives the same lines however the bytes are cut, inside characters too", () => {
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 12 }),
      line,
      fc.boolean(),
      fc.array(fc.nat(), { maxLength: 30 }),
      (lines, rest, carriage, places) => {
        const bytes = encode(lines.map((each) => each + (carriage ? "\r\n" : "\n")).join("") + rest);
        const splitter = new LineSplitter();
        const found = cutAt(bytes, places).flatMap((chunk) => splitter.push(chunk));
        // A byte order mark at the start of a line is taken by the decoder: no line of the engine's has one.
        const plain = (each: string) => each.replace(/^\ufeff/, "");
        assert.equal(found, lines.map(plain));
        assert.is(splitter.end() ?? "", plain(rest));
      },
    ),
    { numRuns: 500 },
  );
});

test("LineSplitter keeps no reference to a chunk that is used again", () => {
  const splitter = new LineSplitter();
  const chunk = encode("ab");
  splitter.push(chunk);
  chunk.fill(0);
  assert.equal(splitter.push(encode("c\n")), ["abc"]);
});

test("LineSplitter refuses a line without end", () => {
  const splitter = new LineSplitter(100);
  assert.throws(
    () => [0, 1, 2].forEach(() => splitter.push(new Uint8Array(50))),
    /a line of more than 100 bytes/,
  );
});

function frame(stream: number, payload: Uint8Array): Uint8Array {
  const size = payload.length;
  return join([new Uint8Array([stream, 0, 0, 0, size >>> 24, size >>> 16, size >>> 8, size]), payload]);
}

test("FrameSplitter gives the same streams however the bytes are cut, empty frames included", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 50 })), { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      (frames, places) => {
        const splitter = new FrameSplitter();
        const bytes = join(frames.map(([stream, payload]) => frame(stream, payload)));
        const pieces = cutAt(bytes, places).flatMap((chunk) => splitter.push(chunk));
        for (const stream of [1, 2]) {
          assert.equal(
            join(pieces.filter((each) => each.stream === stream).map((each) => each.bytes)),
            join(frames.filter(([each]) => each === stream).map(([, payload]) => payload)),
          );
        }
        assert.ok(splitter.isWhole);
      },
    ),
    { numRuns: 500 },
  );
});

test("FrameSplitter passes a frame of 4 GiB on without holding it", () => {
  const splitter = new FrameSplitter();
  splitter.push(new Uint8Array([1, 0, 0, 0, 255, 255, 255, 255]));
  const chunk = new Uint8Array(16 * 1024 * 1024);
  let left = 0xffffffff;
  while (left > 0) {
    const [piece] = splitter.push(chunk.subarray(0, Math.min(left, chunk.length)));
    left -= piece!.bytes.length;
    assert.is(piece!.bytes.buffer, chunk.buffer);
  }
  assert.ok(splitter.isWhole);
});

test("FrameSplitter tells what is no frame, and an end in the middle of one", () => {
  assert.throws(() => new FrameSplitter().push(encode("OCI runtime")), /no frames: found header 4f 43 49 20/);
  const splitter = new FrameSplitter();
  splitter.push(frame(1, encode("abc")).subarray(0, 10));
  assert.not.ok(splitter.isWhole);
});

const OLD =
  `{"status":"start","id":"c1","from":"busybox","Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"image":"busybox","name":"left"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}`;
const NEW =
  `{"Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"image":"busybox","name":"left"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}`;

test("parseEvent() reads API 1.41 and 1.52 to the same event, with all digits of timeNano", () => {
  assert.equal(parseEvent(OLD), parseEvent(NEW));
  assert.equal(parseEvent(NEW), {
    type: "container",
    action: "start",
    detail: "",
    id: "c1",
    name: "left",
    attributes: { image: "busybox", name: "left" },
    timeNano: "1700000000123456789",
  });
});

test("parseEvent() keeps what stands behind the colon apart", () => {
  const event = (action: string) => parseEvent(NEW.replace('"start"', JSON.stringify(action)));
  assert.equal([event("health_status: healthy")].map((e) => [e.action, e.detail]), [[
    "health_status",
    "healthy",
  ]]);
  const exec = event('exec_start: sh -c echo "timeNano":5 a: b');
  assert.equal([exec.action, exec.detail], ["exec_start", 'sh -c echo "timeNano":5 a: b']);
  assert.is(exec.timeNano, "1700000000123456789");
});

test("parseEvent() takes no attribute for timeNano, whatever it is called and says", () => {
  fc.assert(fc.property(fc.string(), fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (value, nano) => {
    const attributes = JSON.stringify({ timeNano: value, x: '"timeNano":1', '"timeNano":2,"': "3" });
    const line =
      `{"Type":"network","Action":"connect","Actor":{"ID":"n","Attributes":${attributes}},"timeNano":${nano}}`;
    assert.is(parseEvent(line).timeNano, String(nano));
  }));
});

test("parseEvent() throws on what is no event, whatever it is", () => {
  for (const bad of ["", "{", "null", "[]", "7", '{"Type":"container"}']) {
    assert.throws(() => parseEvent(bad), (error: unknown) => error instanceof SyntaxError, bad);
  }
});

test("sinceParameter() writes seconds and nine digits", () => {
  assert.is(sinceParameter("1700000000000000005"), "1700000000.000000005");
  assert.is(sinceParameter("5"), "0.000000005");
});

test("compareVersions() compares by number", () => {
  assert.ok(compareVersions("1.9", "1.40") < 0);
  assert.ok(compareVersions("1.100", "1.41") > 0);
  assert.is(compareVersions("1.41", "1.41"), 0);
});

test("retryDelay() grows from 0.2 s to 10 s and stays there", () => {
  assert.equal([0, 1, 2, 5, 6, 1000].map((n) => retryDelay(n, () => 0)), [
    200,
    400,
    800,
    6400,
    10_000,
    10_000,
  ]);
  fc.assert(fc.property(fc.nat(), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, random) => {
    const ms = retryDelay(failures, () => random);
    assert.ok(ms >= 200 && ms <= 10_000);
  }));
});

const event = (n: number): Followed => ({
  kind: "event",
  event: { ...parseEvent(NEW), timeNano: String(n) },
});

test("Mailbox never holds more than its size, and loses nothing without a resync after it", async () => {
  const never = new AbortController().signal;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.boolean(), { maxLength: 60 }),
      async (most, moves) => {
        const mailbox = new Mailbox(most);
        let sent = 0;
        let queued = 0;
        // The newest event that a consumer knows of, by itself or because it looked after a resync.
        let known = 0;
        const take = async () => {
          const item = (await mailbox.take(never))!;
          if (item.kind === "event") {
            const n = Number(item.event.timeNano);
            assert.ok(n === known + 1, `event ${n} after ${known} without a resync`);
            known = n;
          } else if (item.kind === "resync") known = Math.max(known, dropped);
          queued--;
        };
        let dropped = 0;
        for (const isPut of moves) {
          if (isPut) {
            if (queued >= most) {
              dropped = ++sent;
              queued = 1;
            } else {
              sent++;
              queued++;
            }
            mailbox.put(event(sent));
          } else if (queued > 0) await take();
        }
        while (queued > 0) await take();
        assert.is(known, sent);
      },
    ),
    { numRuns: 300 },
  );
});

test("Mailbox tells a change of the connection even when it overflows", async () => {
  const signal = new AbortController().signal;
  const mailbox = new Mailbox(2);
  [1, 2, 3, 4].forEach((n) => mailbox.put(event(n)));
  mailbox.put({ kind: "disconnected", reason: "x", retryMs: 1 });
  assert.is((await mailbox.take(signal))?.kind, "resync");
  assert.is((await mailbox.take(signal))?.kind, "disconnected");
});

test.run();
