// Chains of vnodes with rules of their own, over specs that have them and specs that do not.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VNODE_SETS, VNODES_TABLE } from "../../lib/resource/firewall_vnodes.ts";
import { ownChainName } from "../../lib/vnode/vnode_rules.ts";
import { up } from "../../lib/vnode/up.ts";
import { createWorld, declared } from "./_world.ts";

test("up() of a spec without rules takes the chain away that the one before had, once nothing leads to it", async () => {
  const chain = ownChainName("left", "out");
  const seen: { readonly wanted: boolean; readonly isUsed: boolean }[] = [];
  const { ground, elements } = createWorld([], {
    ensureAll: (resources) => {
      const chains = resources.find(({ id }) => id === "nft chains of vnodes");
      if (chains !== undefined) {
        const { chains: wanted } = chains.desired as { readonly chains: object };
        const used = elements(`${VNODES_TABLE}/${VNODE_SETS.out}`);
        seen.push({ wanted: chain in wanted, isUsed: used.some((one) => one.endsWith(chain)) });
      }
      return Promise.resolve(resources.map((one) => ({ state: one.desired, changed: false, changes: [] })));
    },
  });
  const give = async (firewall: string) => {
    const { vnodes, lans } = declared(`vnodes: { left: { image: box${firewall} } }`);
    assert.equal((await up(ground, vnodes, lans)).flatMap(({ error }) => error ?? []), []);
  };
  await give(", firewall: { rules: [{ out: drop, protocol: udp }] }");
  assert.equal(seen, [{ wanted: true, isUsed: false }]);
  await give("");
  assert.equal(seen.slice(1), [{ wanted: false, isUsed: true }, { wanted: false, isUsed: false }]);
  await give("");
  assert.is(seen.length, 4, "once where nothing is left behind");
});

test.run();
