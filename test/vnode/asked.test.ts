// What an operator is told who asks for what cannot be: names that nobody has, vnodes that are halted.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BerthError } from "../../lib/log/error.ts";
import { halt } from "../../lib/vnode/halt.ts";
import { selectSpecs } from "../../lib/vnode/select.ts";
import { up } from "../../lib/vnode/up.ts";
import { madeNames, madeRecord } from "../../tasks/vnode/_names.ts";
import { createWorld, declared } from "./_world.ts";

const VNODES = { left: "image: box", middle: "image: box" };
const file = (vnodes: Record<string, string>) =>
  `vnodes:\n${Object.entries(vnodes).map(([name, body]) => `  ${name}: {${body}}\n`).join("")}`;

/** A world whose `left` runs and whose `middle` is only declared, in another directory than the usual one. */
async function leftOf() {
  const world = createWorld([]);
  const { vnodes, lans } = declared(file({ left: VNODES.left }));
  const [outcome] = await up(world.ground, vnodes, lans);
  assert.is(outcome?.error, undefined, String(outcome?.error));
  world.host.machine.directories.set("/tmp/x/vnodes.d", 0o755);
  world.host.machine.files.set("/tmp/x/vnodes.d/a.yaml", { text: file(VNODES), mode: 0o644 });
  return { ...world, context: { host: world.host, configDirectory: "/tmp/x" } };
}

async function refusal(work: Promise<unknown>): Promise<BerthError> {
  const error = await work.then(() => null, (error: unknown) => error);
  assert.instance(error, BerthError);
  return error as BerthError;
}

test("a name that nobody has is not to be brought up, and the nearest is named", async () => {
  const { context } = await leftOf();
  for (const asked of [madeNames(context, ["lef"]), madeRecord(context, "lef")]) {
    const { code, next, issues } = await refusal(asked);
    assert.is(code, "usage");
    assert.is(next, "berth vnode list; known are left");
    assert.equal(issues, [{ message: 'No vnode "lef"', next: 'Did you mean "left"?' }]);
  }
  const near = await refusal(madeNames(context, ["midle"]));
  assert.is(near.issues[0]?.next, 'Did you mean "middle"?', "what is only declared is near as well");
});

test("one that is declared is to be brought up", async () => {
  const { context } = await leftOf();
  const { next, issues } = await refusal(madeRecord(context, "middle"));
  assert.is(next, "berth vnode up middle; known are left");
  assert.equal(issues, [{
    message: '"middle" is declared, and not made yet',
    next: "berth vnode up middle",
  }]);
});

test("a faulty configuration does not go before the name", async () => {
  const { context, host } = await leftOf();
  host.machine.files.set("/tmp/x/host.yaml", { text: "engin: {}\n", mode: 0o644 });
  const { code, next } = await refusal(madeRecord(context, "nobody"));
  assert.equal([code, next], ["usage", "berth vnode list; known are left"]);
});

test("where vnodes are declared is where this command looks", async () => {
  const context = { host: createWorld([]).host, configDirectory: "/tmp/x" };
  const { next } = await refusal(madeNames(context, ["a1"]));
  assert.is(next, "Declare it in /tmp/x/vnodes.d, then berth vnode up a1");
  const config = { vnodes: [] } as unknown as Parameters<typeof selectSpecs>[0];
  const specs = await refusal(Promise.resolve().then(() => selectSpecs(config, ["a1"], "/tmp/x/vnodes.d")));
  assert.is(specs.next, "Declare it in /tmp/x/vnodes.d");
});

test("an operation of the library's names the nearest, too", async () => {
  const { ground } = await leftOf();
  const [outcome] = await halt(ground, ["lef"]);
  assert.is((outcome?.error as BerthError).issues[0]?.next, 'Did you mean "left"?');
});

test.run();
