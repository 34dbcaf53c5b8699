// Merging of routes: every address is led where it was led before, and nothing is left that could still be merged.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type Address,
  addressAt,
  isWithin,
  parseAddress,
  type Subnet,
  subnetAround,
} from "../../lib/config/address.ts";
import { KEPT_FREE, merged, NO_HOP, prefixesOf } from "../../lib/vnode/prefixes.ts";

/** The last eight bits of an address are all that the drawn subnets differ in. */
const drawn = (family: 4 | 6): fc.Arbitrary<Subnet> => {
  const base = (parseAddress(family === 4 ? "10.0.0.0" : "fd00::") as Address).value;
  const width = family === 4 ? 32 : 128;
  return fc.tuple(fc.nat(255), fc.integer({ min: width - 8, max: width })).map(([last, prefix]) =>
    subnetAround(addressAt(family, base + BigInt(last)), prefix)
  );
};

/** Longest match, as the kernel looks a route up. */
function lookUp(subnets: readonly Subnet[], hops: Int32Array, address: Address): number {
  let [best, length] = [NO_HOP, -1];
  subnets.forEach((subnet, number) => {
    const hop = hops[number] ?? NO_HOP;
    if (hop === NO_HOP || subnet.prefix <= length || !isWithin(address, subnet)) return;
    [best, length] = [hop, subnet.prefix];
  });
  return best;
}

for (const family of [4, 6] as const) {
  test(`IPv${family}: merged routes lead each address over the next hop it had`, () => {
    const hop = fc.constantFrom(NO_HOP, KEPT_FREE, 0, 0, 1, 1, 2);
    fc.assert(
      fc.property(fc.array(fc.tuple(drawn(family), hop), { maxLength: 40 }), (all) => {
        const each = [...new Map(all.map(([subnet, hop]) => [subnet.text, { subnet, hop }])).values()];
        const prefixes = prefixesOf(each.map(({ subnet }) => subnet));
        const before = new Int32Array(prefixes.subnets.length).fill(NO_HOP);
        each.forEach(({ subnet, hop }) => before[prefixes.numbers.get(subnet.text)!] = hop);
        const after = merged(prefixes, before);
        const first = (parseAddress(family === 4 ? "10.0.0.0" : "fd00::") as Address).value;
        for (let last = 0n; last < 256n; last++) {
          const address = addressAt(family, first + last);
          assert.is(
            lookUp(prefixes.subnets, after, address),
            lookUp(prefixes.subnets, before, address),
            address.text,
          );
        }
        for (const [left, right, whole] of prefixes.merges) {
          assert.not.ok(after[left]! >= 0 && after[left] === after[right] && after[whole] !== KEPT_FREE);
        }
        each.forEach(({ subnet, hop }) => {
          if (hop === KEPT_FREE) assert.is(after[prefixes.numbers.get(subnet.text)!], KEPT_FREE);
        });
      }),
      { numRuns: process.env["BERTH_LONG"] === "1" ? 5000 : 300, seed: 1 },
    );
  });
}

test("256 neighbouring subnets of one next hop are one route, and never a default", () => {
  const slash = (text: string, prefix: number) => subnetAround(parseAddress(text) as Address, prefix);
  const each = Array.from({ length: 256 }, (_, at) => slash(`10.7.${at}.0`, 24));
  const prefixes = prefixesOf(each);
  const after = merged(prefixes, new Int32Array(prefixes.subnets.length).fill(NO_HOP).fill(3, 0, 256));
  assert.equal(
    prefixes.order.filter((number) => after[number]! >= 0).map((number) => prefixes.subnets[number]!.text),
    ["10.7.0.0/16"],
  );
  const halves = prefixesOf([slash("10.0.0.1", 1), slash("128.0.0.1", 1)]);
  assert.equal(halves.subnets.map((subnet) => subnet.text), ["0.0.0.0/1", "128.0.0.0/1"]);
});

test.run();
