// The engine of resources beyond the laws: consent, what is left over, roll-back, merged batches, the journal's form.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ipBatch, nftBatch, tcBatch } from "../../lib/host/batch.ts";
import { BerthError } from "../../lib/log/error.ts";
import {
  type AnyResource,
  createEnsure,
  differences,
  type EnsureOptions,
} from "../../lib/resource/ensure.ts";
import { createJournal, journalState, priorsOf, readJournal } from "../../lib/resource/journal.ts";
import { textFile } from "../../lib/resource/kinds/file.ts";
import { sysctl } from "../../lib/resource/kinds/sysctl.ts";
import { mergedSteps } from "../../lib/resource/merge.ts";
import type { Change, Op } from "../../lib/resource/types.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";

const engine = (host: FakeHost, how: Partial<EnsureOptions> = {}) =>
  createEnsure({ host, mode: "apply", journal: createJournal(host), ...how });

async function errorOf(running: Promise<unknown>): Promise<BerthError> {
  const error = await running.then(() => new Error("it did not fail"), (error) => error);
  if (error instanceof BerthError) return error;
  throw error;
}

/** A thing that is there when a file says "yes"; its ops are given. */
function thing(
  name: string,
  how: { do: readonly Op[]; undo?: readonly Op[]; risk?: Change["risk"] },
): AnyResource {
  const path = `/run/${name}`;
  const change = {
    resource: `thing ${name}`,
    verb: "create",
    why: "missing",
    risk: how.risk ?? "safe",
  } as const;
  return {
    id: change.resource,
    desired: "yes",
    observe: (look) => look.readText(path),
    diff: (found) => found === "yes" ? [] : [{ ...change, do: how.do, undo: how.undo ?? [] }],
    prior: (found) => found,
    revert: (_prior, found) =>
      found === null ? [] : [{ ...change, verb: "delete", do: [{ remove: path }], undo: [] }],
  };
}
const yes = (name: string): Op => ({ write: `/run/${name}`, text: "yes" });

test("ensure() refuses a destructive change without consent, and changes nothing before it", async () => {
  const host = createFakeHost();
  const things = [thing("a", { do: [yes("a")] }), thing("disk", { do: [yes("disk")], risk: "destructive" })];
  const error = await errorOf(engine(host).ensureAll(things));
  assert.is(error.code, "refused");
  assert.is(error.object, "thing disk");
  assert.equal(host.done, []);
  await engine(host, { consent: (change) => change.resource === "thing disk" }).ensureAll(things);
  assert.is(await host.readText("/run/disk"), "yes");
});

test("ensure() in plan mode shows a destructive change without refusing it, and answers with what is wanted", async () => {
  const host = createFakeHost();
  const planning = engine(host, { mode: "plan" });
  const { state, changed } = await planning.ensure(thing("disk", { do: [yes("disk")], risk: "destructive" }));
  assert.is(state, "yes");
  assert.ok(changed);
  assert.is(planning.changes.length, 1);
  assert.equal(host.done, []);
});

test("ensure() throws not-converged when the change did not take", async () => {
  const error = await errorOf(engine(createFakeHost()).ensure(thing("a", { do: [yes("b")] })));
  assert.is(error.code, "not-converged");
  assert.is(error.message, "Changed thing a, but it is still not as wanted: missing");
});

test("a failed change is rolled back by its own undo, finished ones stay, failures of the undo are told", async () => {
  const host = createFakeHost();
  const bad: Op = { run: { argv: ["sysctl", "-qw", "no/such=1"] } };
  const things = [
    thing("first", { do: [yes("first")], undo: [{ remove: "/run/first" }] }),
    thing("second", { do: [yes("half"), bad], undo: [{ remove: "/run/half" }, bad] }),
    thing("third", { do: [yes("third")] }),
  ];
  const failing = engine(host);
  const error = await errorOf(failing.ensureAll(things));
  assert.is(error.code, "command-failed");
  assert.is(error.object, "thing second");
  assert.equal(failing.changes.map(({ resource }) => resource), ["thing first"]);
  assert.match(error.message, "Cannot create thing second (missing): ");
  assert.match(error.message, "No such file or directory");
  assert.match(error.issues[0]!.message, "Roll-back failed: ");
  assert.equal(await host.list("/run"), ["first"]);
});

test("an aborted signal stops before the next step, and roll-back still runs", async () => {
  const host = createFakeHost();
  const stop = new AbortController();
  const exec = host.exec;
  host.exec = (command, options) => {
    stop.abort();
    return exec(command, options);
  };
  const noop: Op = { run: { argv: ["sysctl", "-qw", "kernel/osrelease=x"] } };
  const things = [thing("a", { do: [yes("half"), noop, yes("a")], undo: [{ remove: "/run/half" }] })];
  const error = await errorOf(engine(host, { signal: stop.signal }).ensureAll(things));
  assert.is(error.code, "interrupted");
  assert.equal(await host.list("/run"), []);
});

const shown = (ops: readonly { op: Op }[]) =>
  ops.map(({ op }) =>
    "run" in op ? [op.run.argv[0], op.run.netns ?? "", op.run.input!.trim().split("\n")] : op
  );
const change = (...ops: readonly Op[]): Change => (
  { resource: "x", verb: "create", why: "missing", risk: "safe", do: ops, undo: [] }
);
const wired = (name: string) =>
  change(
    { run: ipBatch([`link add ${name}`]) },
    { run: ipBatch([`addr add 10.0.0.1/8 dev ${name}`], { netns: "/proc/1/ns/net" }) },
    { run: tcBatch([`qdisc add dev ${name} root tbf`]) },
    { run: nftBatch(`add element inet t s { ${name} }`) },
  );

test("mergedSteps() makes one process per tool of many links", () => {
  assert.equal(shown(mergedSteps([wired("a"), wired("b"), wired("c")])), [
    ["ip", "", ["link add a", "link add b", "link add c"]],
    ["ip", "/proc/1/ns/net", ["a", "b", "c"].map((name) => `addr add 10.0.0.1/8 dev ${name}`)],
    ["tc", "", ["a", "b", "c"].map((name) => `qdisc add dev ${name} root tbf`)],
    ["nft", "", ["a", "b", "c"].map((name) => `add element inet t s { ${name} }`)],
  ]);
});

test("mergedSteps() never moves what deletes, nor anything across an op that is no batch", () => {
  const taken = change({ run: tcBatch(["qdisc del dev a root"]) }, { run: ipBatch(["link del a"]) });
  assert.equal(shown(mergedSteps([taken, wired("b")])).slice(0, 2), [
    ["tc", "", ["qdisc del dev a root"]],
    ["ip", "", ["link del a", "link add b"]],
  ]);
  assert.equal(shown(mergedSteps([wired("b"), taken])).slice(-2), [
    ["tc", "", ["qdisc del dev a root"]],
    ["ip", "", ["link del a"]],
  ]);
  const file = change({ write: "/x", text: "" });
  assert.is(mergedSteps([wired("a"), file, wired("b")]).length, 9);
});

test("mergedSteps() keeps apart what may fail and what may not", () => {
  const change = (resource: string, okExit?: number[]): Change => ({
    resource,
    verb: "create",
    why: "missing",
    risk: "safe",
    do: [{ run: nftBatch(`add ${resource}\n`, okExit === undefined ? {} : { okExit }) }],
    undo: [],
  });
  const steps = mergedSteps([change("a", [0, 1]), change("b", [0, 1]), change("c"), change("d")]);
  const inputs = steps.map(({ op }) => "run" in op && [op.run.input, op.run.okExit]);
  assert.equal(inputs, [["add a\nadd b\n", [0, 1]], ["add c\nadd d\n", undefined]]);
});

test("a failed line of a merged batch is blamed on its own change, and only what it began is rolled back", async () => {
  const host = createFakeHost();
  const batches = [0, 1, 2].map((at) => ({
    ...thing(`l${at}`, {
      do: [{ run: ipBatch([at === 1 ? "link set dev none up" : `link add name l${at} type bridge`]) }],
      undo: [{ run: ipBatch([`link del dev l${at}`], { okExit: [0, 1] }) }],
    }),
  }));
  const error = await errorOf(engine(host).ensureAll(batches));
  assert.is(error.object, "thing l1");
  assert.match(error.message, 'at line 2 "link set dev none up"');
  assert.equal([...host.machine.links.keys()], ["lo", "l0"]);
});

test("the journal keeps the first prior, ignores a torn line, and survives being continued after one", async () => {
  const host = createFakeHost({ files: { "/etc/a": "before" } });
  await engine(host).ensure(textFile("/etc/a", "one"));
  const path = "/var/lib/berth/journal";
  assert.is((await host.stat("/var/lib/berth"))!.mode, 0o700);
  await host.appendText(path, '{"begin":"file /etc/b","prior":nu');
  await engine(host).ensure(textFile("/etc/a", "two"));
  const state = await readJournal(host);
  assert.equal([...state.keys()], ["file /etc/a"]);
  assert.equal(priorsOf(state, "file /etc/a", "any")![0], { text: "before", mode: 0o644 });
  await engine(host).undo([textFile("/etc/a", "three")]);
  assert.is(await host.readText("/etc/a"), "before");
  assert.is((await readJournal(host)).size, 0);
});

test("journalState() marks a begin without its done as interrupted", () => {
  const begin = { begin: "x", prior: 1, bootId: "b", volatile: true, time: "t", verb: "create", why: "w" };
  const text = (lines: readonly unknown[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  assert.is(journalState(text([begin])).get("x")!.interrupted, true);
  const state = journalState(text([begin, { done: "x" }]));
  assert.is(state.get("x")!.interrupted, false);
  assert.is(priorsOf(state, "x", "another boot"), null);
  assert.equal(priorsOf(state, "x", "b"), [1]);
  assert.equal([...journalState(`garbage\n[]\nnull\n{}\n${text([begin, { undone: "x" }])}`)], []);
});

test("undo() goes on after a failure, tells all of them, and reports what has no resource", async () => {
  const host = createFakeHost({ sysctls: { "a.b": "0", "c.d": "0" } });
  const all = [sysctl("a.b", "1"), sysctl("c.d", "1"), textFile("/etc/x", "x")];
  await engine(host).ensureAll(all);
  const broken: AnyResource = { ...all[1]!, observe: () => Promise.reject(new Error("disk on fire")) };
  const error = await errorOf(engine(host).undo([all[0]!, broken, all[2]!]));
  assert.equal(error.issues, [{ place: "sysctl c.d", message: "disk on fire" }]);
  assert.is(await host.readText("/etc/x"), null);
  assert.is(await host.readText("/proc/sys/a/b"), "0\n");
  assert.equal((await engine(host).undo([])).unknown, ["sysctl c.d"]);
  assert.equal((await differences(host, [all[0]!, all[1]!])).map(({ resource }) => resource), ["sysctl a.b"]);
});

test("without a journal nothing is kept and nothing is undone", async () => {
  const host = createFakeHost();
  const bare = engine(host, { journal: null });
  await bare.ensure(textFile("/etc/x", "x"));
  assert.equal(host.done, ["write /etc/x"]);
  assert.equal(await bare.undo([textFile("/etc/x", "x")]), {
    changes: [],
    unknown: [],
    unreadable: [],
  });
});

test("two runs at once make a thing once: the second looks again when it has the lock", async () => {
  const host = createFakeHost({});
  const file = textFile("/etc/motd", "Moored\n");
  const both = await Promise.all([engine(host).ensure(file), engine(host).ensure(file)]);
  assert.equal(both.map(({ changed }) => changed).sort(), [false, true]);
  const lines = (await host.readText("/var/lib/berth/journal"))!.trim().split("\n");
  assert.is(lines.length, 2, "one begin and its done");
});

test.run();
