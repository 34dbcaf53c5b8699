// A long journal is made short without losing what undo goes back to, whatever other berths write meanwhile.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  compacted,
  createJournal,
  JOURNAL_PATH,
  journalFaults,
  journalState,
} from "../../lib/resource/journal.ts";
import { createFakeHost } from "../fake/host.ts";

const begin = (id: string, prior: unknown, bootId = "b1", volatile = false) =>
  `${JSON.stringify({ begin: id, prior, bootId, volatile, time: "t", verb: "update", why: "w" })}\n`;
const done = (id: string) => `${JSON.stringify({ done: id })}\n`;
const undone = (id: string) => `${JSON.stringify({ undone: id })}\n`;

test("compacted() keeps the first prior and those that differ, and nothing of what was given back", () => {
  const text = begin("a", 1) + done("a") + begin("gone", 1) + done("gone") + undone("gone") + begin("a", 2) +
    done("a") + begin("a", 2) + done("a") + begin("a", 1) + done("a") + begin("open", null) +
    '{"begin":"torn';
  const short = compacted(text);
  assert.is(short, begin("a", 1) + begin("a", 2) + done("a") + begin("open", null));
  const [before, after] = [journalState(text), journalState(short)];
  assert.equal([...before.keys()], [...after.keys()]);
  for (const [id, known] of after) {
    assert.equal({ ...known, priors: [] }, { ...before.get(id)!, priors: [] });
    assert.is(known.priors[0], before.get(id)!.priors[0]);
  }
});

test("compacted() keeps of what a reboot forgets the last boot's only, and is its own fixed point", () => {
  const text = begin("v", 1, "b1", true) + done("v") + begin("x", 0) + done("x") + begin("v", 2, "b2", true) +
    done("v") + begin("v", 1, "b2", true) + done("v");
  const short = compacted(text);
  assert.equal(journalState(short), journalState(text));
  assert.equal([...journalState(short).keys()], ["v", "x"]);
  assert.is(compacted(short), short);
});

test("a journal that has grown by the same lines over and over is short again, with what others appended", async () => {
  const host = createFakeHost();
  await host.makeDirectory("/var/lib/berth");
  const cycle = begin("sysctl x", { value: "0", ours: ["1"] }) + done("sysctl x");
  await host.writeText(JOURNAL_PATH, cycle.repeat(1000), { mode: 0o600 });
  const journal = createJournal(host);
  await journal.state();
  await host.appendText(JOURNAL_PATH, begin("theirs", 7) + done("theirs")); // another berth, since we read it
  await journal.begin([{ id: "ours", prior: null, volatile: false, verb: "create", why: "missing" }]);
  await journal.done(["ours"]);
  const text = await host.readText(JOURNAL_PATH) ?? "";
  assert.ok(text.length < 2000, `${text.length} bytes`);
  assert.equal([...journalState(text).keys()], ["sysctl x", "theirs", "ours"]);
  assert.equal(journalState(text).get("sysctl x")!.priors, [{ value: "0", ours: ["1"] }]);
});

test("a spoilt line inside is told, and stays; one that a crash cut off is no fault, even when more follows", async () => {
  const spoilt = begin("a", 1) + "garbage\n" + begin("b", 2);
  assert.equal(journalFaults(spoilt + '{"begin":"torn'), [{ line: 2, text: "garbage" }]);
  assert.equal(journalFaults(compacted(spoilt)), [{ line: 1, text: "garbage" }]);
  assert.is(compacted(compacted(spoilt)), compacted(spoilt));
  for (const last of ['{"begin":"to', JSON.stringify({ done: "a" })]) {
    const host = createFakeHost();
    await host.makeDirectory("/var/lib/berth");
    await host.writeText(JOURNAL_PATH, begin("a", 1) + last, { mode: 0o600 });
    await createJournal(host).begin([{ id: "c", prior: 3, volatile: false, verb: "create", why: "missing" }]);
    const text = await host.readText(JOURNAL_PATH) ?? "";
    assert.equal(journalFaults(text), [], text);
    assert.equal([...journalState(text).keys()], ["a", "c"]);
    assert.equal(journalFaults(compacted(text)), []);
  }
});

test.run();
