// What an operator is told who asks for what cannot be: names that nobody has, vnodes that are halted.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Shapes, shapesOf } from "../../lib/config/shape_text.ts";
import { DockerError } from "../../lib/docker/errors.ts";
import { BerthError } from "../../lib/log/error.ts";
import { halt } from "../../lib/vnode/halt.ts";
import { knownRecord, whyNotRun } from "../../lib/vnode/known.ts";
import { selectSpecs } from "../../lib/vnode/select.ts";
import { shapeLink } from "../../lib/vnode/shape_link.ts";
import { up } from "../../lib/vnode/up.ts";
import { madeNames, madeRecord } from "../../tasks/vnode/_names.ts";
import { throwFailed, throwInterrupted } from "../../tasks/vnode/_report.ts";
import { placesOf } from "../../tasks/vnode/shape.ts";
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

test("a command in a vnode that is halted is answered with the way to start it", async () => {
  const { ground } = await leftOf();
  const refused = (status: number) =>
    new DockerError({ fault: "status", status, object: "container c", message: "Cannot run a command" });
  const why = async (status = 409) => {
    const record = await knownRecord(ground, "left");
    return await whyNotRun(ground, record, refused(status)) as BerthError;
  };
  assert.is((await why()).message, "Cannot run a command", "it runs: the engine's own words");
  await halt(ground, ["left"]);
  const { object, message, next, exit } = await why();
  assert.equal([object, message, next, exit], ["vnode left", "It is halted", "berth vnode boot left", 8]);
  assert.is((await why(500)).message, "Cannot run a command");
  await ground.docker.removeContainer("left");
  assert.is((await why(404)).message, "Its container is gone");
});

test("a failed start names the vnode, not its container's id", () => {
  const id = "b6".repeat(32);
  const error = new DockerError({
    fault: "status",
    object: `container ${id}`,
    message: `Cannot start container "${id}": no`,
  });
  try {
    throwFailed([{ vnode: "left", changed: false, did: [], error }]);
    assert.unreachable();
  } catch (told) {
    const { object, message, code } = told as BerthError;
    assert.equal([object, message, code], ["vnode left", 'Cannot start container "left": no', "docker"]);
  }
});

test("an interrupted run tells what was made and not started", async () => {
  const { ground } = await leftOf();
  await halt(ground, ["left"]);
  const outcomes = ["left", "middle"].map((vnode) => ({
    vnode,
    changed: false,
    did: [],
    error: new Error("x"),
  }));
  const docker = () => Promise.resolve(ground.docker);
  const signal = AbortSignal.abort();
  const { code, message, next } = await refusal(throwInterrupted({ docker, signal }, outcomes));
  assert.equal([code, message], ["interrupted", "Interrupted; made, not started: left; not made: middle"]);
  assert.match(next!, "berth vnode up left middle, or berth vnode down");
  await throwInterrupted({ docker, signal: new AbortController().signal }, outcomes); // an ordinary failure
  await throwInterrupted({ docker, signal }, []);
});

test("what the kernel cannot do is told of the argument that asks for it", async () => {
  const world = createWorld(["wire"]);
  const { vnodes, lans } = declared(
    "lans:\n  wire: {subnet: 10.1.0.0/24}\n" +
      file({ left: "image: box, links: [{lan: wire, address: 10.1.0.1}]" }),
  );
  const [outcome] = await up(world.ground, vnodes, lans);
  assert.is(outcome?.error, undefined, String(outcome?.error));
  const exec: typeof world.host.exec = (command) =>
    command.argv[0] === "unshare"
      ? Promise.resolve({ exit: 0, stdout: "sch_netem\n", stderr: "" } as Awaited<
        ReturnType<typeof world.host.exec>
      >)
      : world.host.exec(command);
  const ground = { ...world.ground, host: { ...world.host, exec } };
  const keys = ["ingress.rate=1mbit", "egress.delay=30ms"];
  const shaping = ({ now }: { now: Shapes }) => shapesOf(now, keys, 3);
  const { code, message, issues } = await refusal(
    shapeLink(ground, "left", "eth1", shaping, (way) => placesOf(keys, way)),
  );
  assert.equal([code, message], ["missing", "The kernel cannot shape its link so"]);
  assert.equal(issues.map(({ place, path }) => [place, path]), [
    ["argument 4", "vnodes.left.links.eth1.egress"],
  ]);
});

test.run();
