// Vnodes taken away for good: nothing of them is left, wherever it was cut off, and what went wrong with one thing keeps
// neither the others nor their outcomes.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { destroy } from "../../lib/vnode/destroy.ts";
import type { Ground } from "../../lib/vnode/ground.ts";
import { recordedNames } from "../../lib/vnode/status.ts";
import { up } from "../../lib/vnode/up.ts";
import { Crash, mortal } from "../laws/mortal.ts";
import { createWorld, declared } from "./_world.ts";

const { vnodes, lans } = declared(`lans: { wire: { subnet: 10.1.0.0/24 } }
vnodes:
  left: { image: box, links: [{ lan: wire, address: 10.1.0.1 }], forward: [{ port: 8080, to: 22 }] }
  right: { image: box, links: [{ lan: wire, address: 10.1.0.2 }] }
`);

async function begun(more: Partial<Ground> = {}) {
  const world = createWorld(["wire"], more);
  const outcomes = await up({ ...world.ground, ensureAll: createWorld([]).ground.ensureAll }, vnodes, lans);
  assert.equal(outcomes.flatMap(({ error }) => error === undefined ? [] : [String(error)]), []);
  return world;
}

/** All that is left of vnodes, of what stands and of what is remembered. */
function leftOf({ kernel, host, containers }: Awaited<ReturnType<typeof begun>>): string[] {
  return [
    ...[...host.machine.files.keys()].filter((path) => /^\/(var\/lib|run)\/berth\/(?!lock)/.test(path)),
    ...[...kernel.links.values()].flatMap(({ ifname, ifalias }) => ifalias === undefined ? [] : [ifname]),
    ...[...kernel.elements].flatMap(([set, all]) => [...all.keys()].map((key) => `${set} ${key}`)),
    ...kernel.allow,
    ...containers.keys(),
  ];
}

test("destroy() leaves nothing, and finishes what was cut off anywhere", async () => {
  let crashes = 0;
  for (let calls = 1;; calls++) {
    const world = await begun();
    const dying = mortal(world.host, calls);
    const outcomes = await destroy({ ...world.ground, host: dying }, ["left", "right"])
      .catch((error: unknown) => [{ error }]);
    const isCrashed = outcomes.some(({ error }) => error instanceof Crash);
    // By what an operator can name: those that have a record.
    const names = await recordedNames(world.host);
    const again = await destroy(world.ground, names);
    assert.equal(again.flatMap(({ error }) => error === undefined ? [] : [String(error)]), []);
    const left = leftOf(world).filter((one) => !one.startsWith("bbr-"));
    assert.equal(left, [], `cut off after ${calls} calls, then again for "${names}"`);
    if (!isCrashed) break;
    crashes++;
  }
  assert.ok(crashes > 10, `${crashes} crashes`);
});

test("destroy() tells of each vnode what became of it, where rules or lans could not be mended", async () => {
  const world = await begun({ ensureAll: () => Promise.reject(new Error("nft says no")) });
  const outcomes = await destroy(world.ground, ["left", "right"]);
  assert.equal(outcomes.map(({ vnode, did, error }) => [vnode, did, String(error)]), [
    ["left", ["destroyed"], "Error: nft says no"],
    ["right", ["destroyed"], "Error: nft says no"],
  ]);
  assert.equal(leftOf(world), [], "lans went all the same");
});

test("destroy() brings the others to their end where one has no record and no container", async () => {
  const world = await begun();
  const outcomes = await destroy(world.ground, ["left", "nobody"]);
  assert.equal(outcomes.map(({ vnode, changed }) => [vnode, changed]), [["left", true], ["nobody", false]]);
  assert.match(String(outcomes[1]!.error), "No such vnode");
  assert.equal(await recordedNames(world.host), ["right"]);
});

test("destroy() goes on where somebody else takes away an element of a map between its look and its batch", async () => {
  const world = await begun();
  let taken = 0;
  const racing: Ground["host"] = {
    ...world.host,
    exec(command) {
      if (taken === 0 && /^delete element/m.test(command.input ?? "")) {
        taken += world.kernel.elements.get("inet berth_vnodes/experiment_of")!.size;
        world.kernel.elements.get("inet berth_vnodes/experiment_of")!.clear();
      }
      return world.host.exec(command);
    },
  };
  const outcomes = await destroy({ ...world.ground, host: racing }, ["left", "right"]);
  assert.is(taken, 2);
  assert.equal(outcomes.flatMap(({ error }) => error === undefined ? [] : [String(error)]), []);
  assert.equal(leftOf(world), []);
});

test.run();
