// deadline: 300s
// Random experiments in place of others, in memory: the plan is empty, the kernel is as a fresh one would be, and what
// both specs say the same of is not touched. 150 pairs, 2,000 with BERTH_LONG=1; BERTH_TEST_SEED chooses
// them. test/sandbox/property.test.ts does it with a real kernel, and lans of all kinds.
import fc from "fast-check";
import process from "node:process";
import { test } from "uvu";
import { parse, stringify } from "yaml";
import { parseConfig } from "../../lib/config/parse.ts";
import type { LinkSpec } from "../../lib/config/types.ts";
import { apply } from "../../lib/vnode/apply.ts";
import { destroy } from "../../lib/vnode/destroy.ts";
import type { Outcome } from "../../lib/vnode/ground.ts";
import { bridgeName, hostEndName, ifbName, lanAlias } from "../../lib/vnode/names.ts";
import { up } from "../../lib/vnode/up.ts";
import { type Choices, filesOf, type SpecPair, specPairs } from "../sandbox/_specs.ts";
import { createWorld, type World } from "./_world.ts";

const RUNS = process.env["BERTH_LONG"] === "1" ? 2000 : 150;
/** The long run has another one each time (test/run.ts). */
const SEED = Number(process.env["BERTH_TEST_SEED"] ?? 20_779);

type Declared = ReturnType<typeof parseConfig>;

/** A world that makes bridges of lans when it is asked for lans. */
function worldOfLans(): World {
  const world: World = createWorld([], {
    ensureAll: (resources) => {
      for (const { id } of resources) {
        const [, lan] = /^lan (.*)$/.exec(id) ?? [];
        if (lan === undefined || world.kernel.links.has(bridgeName(lan))) continue;
        world.kernel.add(bridgeName(lan), "bridge", { up: true, ifalias: lanAlias(lan) });
      }
      return Promise.resolve(
        resources.map(({ desired }) => ({ state: desired, changed: false, changes: [] })),
      );
    },
  });
  world.kernel.findsNextHops = true;
  return world;
}

function demand(what: string, lines: readonly string[]): void {
  if (lines.length > 0) throw new Error(`${what}:\n${lines.join("\n")}`);
}

const failures = (outcomes: readonly Outcome[]) =>
  outcomes.flatMap(({ vnode, error }) => error === undefined ? [] : [`${vnode}: ${error}`]);

/** Gives a world an experiment in place of what it has; then nothing is left to do. */
async function give(world: World, { vnodes, lans }: Declared): Promise<void> {
  const gone = [...world.containers.keys()].filter((name) => !vnodes.some((one) => one.name === name));
  if (gone.length > 0) demand("down failed", failures(await destroy(world.ground, gone)));
  demand("up failed", failures(await up(world.ground, vnodes, lans)));
  for (
    const again of [up, (...[ground]: Parameters<typeof up>) => apply(ground, vnodes, lans, { inside: true })]
  ) {
    const plan = world.planned();
    const outcomes = await again(plan.ground, vnodes, lans);
    demand("a plan fails", failures(outcomes));
    demand("a plan is not empty", [...plan.told, ...outcomes.flatMap(({ did }) => did)]);
  }
  const { changes } = world.kernel;
  await up(world.ground, vnodes, lans);
  if (world.kernel.changes !== changes) throw new Error("The same again ran commands");
}

/** What is there, without what tells one life from another and the kernel's own addresses; routes beside it. */
function shownWorld(
  { kernel, pidOf }: World,
  vnodes: readonly { readonly name: string }[],
): readonly string[] {
  const byPid = new Map(vnodes.map(({ name }) => [String(pidOf(name)), name]));
  const lines = kernel.text().split("\n").map((line) =>
    line.replace(/:g=\S+/, "")
      .replace(/\bveth(\d+)/g, (_, pid) => `veth of ${byPid.get(pid)}`)
      .replace(/^(\d+): /, (_, pid) => `${byPid.get(pid)}: `)
      .replace(/ [0-9a-f.:/]+(,[0-9a-f.:/]+)*$/, (addresses) => ` ${sorted(addresses.trim())}`)
  );
  // A sysctl that is not asked for any more keeps its value until the next start; and tbf a queue of its own size,
  // since it would have none at all where one is taken from it.
  const kept = lines.filter((line) => !/^\S+: net\/|^qdisc .*"kind":"bfifo"/.test(line));
  const routes = vnodes.flatMap(({ name }) =>
    kernel.routes.get(pidOf(name))!.map((one) => `${name} route ${one}`)
  );
  return [...kept, ...routes].sort();
}

const sorted = (all: string) => all.split(",").filter((one) => !one.startsWith("fe80::")).sort().join();

/** What must outlive a change: interfaces and queues of links that both have, whole vnodes that need no new container. */
function identities(world: World, { vnodes }: Declared): ReadonlyMap<string, unknown> {
  const { kernel } = world;
  return new Map(vnodes.flatMap((spec): [string, unknown][] => {
    const container = world.containers.get(spec.name)!;
    const made = JSON.stringify([spec.image, spec.command, spec.env, spec.control]);
    const of = (what: string, value: unknown): [string, unknown] => [`${spec.name} ${made} ${what}`, value];
    const queue = (dev: string, { rateBps }: LinkSpec["egress"]): [string, unknown][] =>
      rateBps === undefined
        ? []
        : [of(`queue ${dev}`, kernel.qdiscs.find((one) => one.dev === dev && one.root === true))];
    return [
      of("container", container.id),
      of("pid", container.state.pid),
      ...spec.links.flatMap((link) => {
        const [end, ifb] = [hostEndName(spec.name, link.name), ifbName(spec.name, link.name)];
        return [
          of(`link ${link.name}`, kernel.links.get(end)?.ifindex),
          ...queue(end, link.ingress),
          ...queue(ifb, link.egress),
        ];
      }),
    ];
  }));
}

async function holds({ first, second }: SpecPair): Promise<void> {
  const [from, to] = [first, second].map((one) => parseConfig(filesOf(one))) as [Declared, Declared];
  const world = worldOfLans();
  await give(world, from);
  const before = identities(world, from);
  await give(world, to);
  const after = identities(world, to);
  demand(
    "What both have was made anew",
    [...before].filter(([what, one]) => after.has(what) && after.get(what) !== one).map(([what]) => what),
  );
  const fresh = worldOfLans();
  demand("up of a fresh world failed", failures(await up(fresh.ground, to.vnodes, to.lans)));
  const [found, wanted] = [world, fresh].map((one) => shownWorld(one, to.vnodes)) as [string[], string[]];
  demand("Another world than a fresh one's", [
    ...found.filter((line) => !wanted.includes(line)).map((line) => `left over: ${line}`),
    ...wanted.filter((line) => !found.includes(line)).map((line) => `lacking: ${line}`),
  ]);
}

const yamlOf = (choices: Choices) =>
  filesOf(choices).map(({ path, text }) => `# ${path}\n${stringify(parse(text))}`).join("");

test("random experiments in place of others leave nothing to do, and no trace of what they were", async () => {
  const property = fc.asyncProperty(specPairs({ vnodes: 4, kinds: false }), holds);
  const run = await fc.check(property, { seed: SEED, numRuns: RUNS });
  if (!run.failed) return;
  const [{ first, second }] = run.counterexample!;
  // Not in the error: the runner takes the indentation of its message away.
  process.stderr.write(`From:\n${yamlOf(first)}\nTo:\n${yamlOf(second)}\n`);
  throw new Error(`BERTH_TEST_SEED=${SEED}, path ${run.counterexamplePath}, see above: ${run.errorInstance}`);
});

test.run();
