// Routes of one vnode to a whole experiment: each case by hand, and by property: a packet that follows the routes of all
// vnodes arrives wherever a path leads, and nowhere else.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Address, isWithin, parseAddress, parseSubnet, type Subnet } from "../../lib/config/address.ts";
import type { LanSpec, RouteSpec, VnodeSpec } from "../../lib/config/types.ts";
import { routesFrom, standpointOf, topologyOf } from "../../lib/vnode/nets.ts";
import { costOf } from "../../lib/vnode/shortest.ts";
import { aLan, aLink, aVnode } from "./_experiment.ts";

/** Routes as "TO via VIA[ dev DEV]". */
function routes(vnodes: readonly VnodeSpec[], lans: readonly LanSpec[], from: string): string[] {
  return routesFrom(standpointOf(topologyOf(vnodes, lans), from)).map(({ to, via, dev }) =>
    `${to} via ${via}${dev === undefined ? "" : ` dev ${dev}`}`
  );
}

const LANS = [
  aLan("x", "10.1.0.0/24", "fd00:1::/64"),
  aLan("y", "10.2.0.0/24", "fd00:2::/64"),
  aLan("z", "10.3.0.0/24"),
];
const LINE = [
  aVnode("a", [aLink("x", ["10.1.0.1/24", "fd00:1::1/64"])]),
  aVnode("b", [aLink("x", ["10.1.0.2/24", "fd00:1::2/64"]), aLink("y", ["10.2.0.2/24", "fd00:2::2/64"])]),
  aVnode("c", [aLink("y", ["10.2.0.3/24", "fd00:2::3/64"]), aLink("z", "10.3.0.3/24")]),
  aVnode("d", [aLink("z", "10.3.0.4/24")]),
];

test("a line: each vnode to what it is not on itself, of both families", () => {
  assert.equal(routes(LINE, LANS, "a"), [
    "10.2.0.0/24 via 10.1.0.2",
    "10.3.0.0/24 via 10.1.0.2",
    "fd00:2::/64 via fd00:1::2",
  ]);
  assert.equal(routes(LINE, LANS, "b"), ["10.3.0.0/24 via 10.2.0.3"]);
  assert.equal(routes(LINE, LANS, "d"), ["10.1.0.0/24 via 10.3.0.3", "10.2.0.0/24 via 10.3.0.3"]);
});

test("who does not hand on, a link that is down, and a device of the machine carry nothing", () => {
  const change = (name: string, more: (spec: VnodeSpec) => VnodeSpec) =>
    LINE.map((spec) => spec.name === name ? more(spec) : spec);
  const silent = change("b", (spec) => ({ ...spec, forwarding: false }));
  assert.equal(routes(silent, LANS, "a"), []);
  assert.equal(routes(silent, LANS, "b"), ["10.3.0.0/24 via 10.2.0.3"]);
  const down = change("c", (spec) => ({
    ...spec,
    links: [{ ...spec.links[0]!, up: false }, spec.links[1]!],
  }));
  assert.equal(routes(down, LANS, "a"), ["10.2.0.0/24 via 10.1.0.2", "fd00:2::/64 via fd00:1::2"]);
  assert.equal(routes(down, LANS, "d"), []);
  const device = change("d", (spec) => ({
    ...spec,
    links: [...spec.links, { ...aLink("", "10.9.0.1/24"), device: "ens5" }],
  }));
  assert.equal(routes(device, LANS, "a"), routes(LINE, LANS, "a"));
});

test("costs choose the way, one's own link's counting as one leaves; ties go to the shorter, then to the name", () => {
  // a and d are joined by b and by c.
  const ring = (cost: { ab: number; bd: number }) => [
    aVnode("a", [
      aLink("ab", "10.0.1.1/24", { cost: cost.ab }),
      aLink("ac", "10.0.2.1/24", { cost: 3 }),
    ]),
    aVnode("b", [aLink("ab", "10.0.1.2/24"), aLink("bd", "10.0.3.2/24", { cost: cost.bd })]),
    aVnode("c", [aLink("ac", "10.0.2.3/24"), aLink("cd", "10.0.4.3/24", { cost: 3 })]),
    aVnode("d", [aLink("bd", "10.0.3.4/24"), aLink("cd", "10.0.4.4/24"), aLink("far", "10.7.0.4/24")]),
  ];
  const lans = [["ab", 1], ["ac", 2], ["bd", 3], ["cd", 4]].map(([name, at]) =>
    aLan(`${name}`, `10.0.${at}.0/24`)
  );
  lans.push(aLan("far", "10.7.0.0/24"));
  const far = (cost: { ab: number; bd: number }) =>
    routes(ring(cost), lans, "a").find((route) => route.startsWith("10.7."));
  assert.is(far({ ab: 1, bd: 1 }), "10.7.0.0/24 via 10.0.1.2");
  assert.is(far({ ab: 1, bd: 9 }), "10.7.0.0/24 via 10.0.2.3");
  assert.is(far({ ab: 9, bd: 1 }), "10.7.0.0/24 via 10.0.2.3");
  assert.is(far({ ab: 3, bd: 3 }), "10.7.0.0/24 via 10.0.1.2", "a tie: b comes before c");
});

test("a written route goes over a computed one, and a default is never computed", () => {
  const spec = { ...LINE[0]!, routes: [{ to: "10.3.0.0/24", via: "10.1.0.9" }] };
  assert.equal(routes([spec, ...LINE.slice(1)], LANS, "a"), [
    "10.2.0.0/24 via 10.1.0.2",
    "fd00:2::/64 via fd00:1::2",
  ]);
  const halves = [aLan("low", "0.0.0.0/1"), aLan("high", "128.0.0.0/1"), aLan("six", "fd00::/64")];
  const all = [
    aVnode("a", [aLink("six", "fd00::1/64"), aLink("mid", "10.1.0.1/24")]),
    aVnode("b", [aLink("mid", "10.1.0.2/24"), aLink("low", "1.0.0.1/1"), aLink("high", "192.0.0.1/1")]),
  ];
  assert.equal(routes(all, [...halves, aLan("mid", "10.1.0.0/24")], "a"), [
    "0.0.0.0/1 via 10.1.0.2",
    "128.0.0.0/1 via 10.1.0.2",
  ]);
});

test("families do not mix: an IPv6 net behind an IPv4 one is not reached", () => {
  const lans = [aLan("four", "10.1.0.0/24"), aLan("six", "fd00:2::/64")];
  const all = [
    aVnode("a", [aLink("four", "10.1.0.1/24")]),
    aVnode("b", [aLink("four", "10.1.0.2/24"), aLink("six", "fd00:2::2/64")]),
  ];
  assert.equal(routes(all, lans, "a"), []);
});

test("twin nets: the nearer of two, and the interface is named where the next hop's address is on both", () => {
  const lans = [aLan("l", "10.1.0.0/24"), aLan("r", "10.1.0.0/24"), aLan("t", "10.2.0.0/24")];
  const all = [
    aVnode("a", [aLink("l", "10.1.0.1/24"), aLink("r", "10.1.0.9/24")]),
    aVnode("b", [aLink("r", "10.1.0.2/24"), aLink("t", "10.2.0.2/24")]),
  ];
  assert.equal(routes(all, lans, "a"), ["10.2.0.0/24 via 10.1.0.2 dev r0"]);
  assert.equal(routes(all, lans, "b"), [], "both twins are its own subnet");
});

test("a lan without subnets counts with its addresses' own prefix lengths", () => {
  const all = [
    aVnode("a", [aLink("p", "10.1.0.1/24")]),
    aVnode("b", [aLink("p", "10.1.0.2/24"), aLink("q", "10.2.0.2/24")]),
  ];
  assert.equal(routes(all, [aLan("p"), aLan("q")], "a"), ["10.2.0.0/24 via 10.1.0.2"]);
});

/** Vnodes on lans with a subnet each, of one family or both. */
const experiments = fc.record({
  vnodes: fc.integer({ min: 2, max: 8 }),
  lans: fc.integer({ min: 1, max: 8 }),
})
  .chain(({ vnodes, lans }) =>
    fc.record({
      six: fc.array(fc.boolean(), { minLength: lans, maxLength: lans }),
      /** All costs 1: then every own subnet is the cheapest way to it, and what is paid is exactly the distance. */
      flat: fc.boolean(),
      forwarding: fc.array(fc.boolean(), { minLength: vnodes, maxLength: vnodes }),
      on: fc.uniqueArray(
        fc.record({
          vnode: fc.nat(vnodes - 1),
          lan: fc.nat(lans - 1),
          cost: fc.integer({ min: 1, max: 4 }),
          up: fc.boolean(),
        }),
        { maxLength: 24, selector: ({ vnode, lan }) => `${vnode} ${lan}` },
      ),
    })
  );

interface Parsed {
  readonly name: string;
  readonly on: readonly {
    readonly address: Address;
    readonly subnet: Subnet;
    readonly lan: string;
    readonly cost: number;
  }[];
  readonly routes: readonly { readonly to: Subnet; readonly via: Address }[];
}

function parsed(spec: VnodeSpec, found: readonly RouteSpec[]): Parsed {
  return {
    name: spec.name,
    on: spec.links.filter((link) => link.up !== false).flatMap((link) =>
      link.addresses.map((text) => {
        const [address, prefix] = text.split("/") as [string, string];
        const parsed = parseAddress(address) as Address;
        const subnet = parseSubnet(
          parsed.family === 4
            ? `10.0.${address.split(".")[2]}.0/${prefix}`
            : `fd00:${address.split(":")[1]}::/${prefix}`,
        ) as Subnet;
        return { address: parsed, subnet, lan: link.lan, cost: link.cost ?? 1 };
      })
    ),
    routes: found.map(({ to, via }) => ({
      to: parseSubnet(to) as Subnet,
      via: parseAddress(via) as Address,
    })),
  };
}

/** What a packet pays from a vnode to an address when each hop looks its routes up; null where it is lost. */
function travel(
  all: ReadonlyMap<string, Parsed>,
  forwards: ReadonlySet<string>,
  from: string,
  to: Address,
): number | null {
  let [at, paid] = [from, 0];
  for (let left = 20; left > 0; left--) {
    if (at !== from && !forwards.has(at)) return null;
    const { on, routes } = all.get(at)!;
    const direct = on.find(({ subnet }) => isWithin(to, subnet));
    const route = routes.filter((one) => isWithin(to, one.to)).sort((a, b) => b.to.prefix - a.to.prefix)[0];
    const next = direct !== undefined ? to : route?.via;
    const out = on.find(({ subnet }) => next !== undefined && isWithin(next, subnet));
    if (next === undefined || out === undefined) return null;
    paid += out.cost;
    const owner = [...all.values()].find((one) =>
      one.on.some(({ address, lan }) =>
        lan === out.lan && address.value === next.value && address.family === next.family
      )
    );
    if (owner === undefined) return null;
    if (next === to) return paid;
    at = owner.name;
  }
  return null;
}

test("packets that follow the routes arrive wherever a path leads, and nowhere else", () => {
  fc.assert(
    fc.property(experiments, ({ six, flat, forwarding, on }) => {
      const lans = six.map((both, at) =>
        aLan(`l${at}`, `10.0.${at}.0/24`, ...(both ? [`fd00:${at}::/64`] : []))
      );
      const specs = forwarding.map((forwards, vnode) =>
        aVnode(
          `v${vnode}`,
          on.filter((one) => one.vnode === vnode).map(({ lan, cost, up }) =>
            aLink(
              `l${lan}`,
              [`10.0.${lan}.${vnode + 1}/24`, ...(six[lan] ? [`fd00:${lan}::${vnode + 1}/64`] : [])],
              { ...(flat ? {} : { cost }), ...(up ? {} : { up: false }) },
            )
          ),
          { forwarding: forwards },
        )
      );
      const topology = topologyOf(specs, lans);
      const all = new Map(
        specs.map((spec) => [spec.name, parsed(spec, routesFrom(standpointOf(topology, spec.name)))]),
      );
      const forwards = new Set(specs.filter((spec) => spec.forwarding).map((spec) => spec.name));
      for (const { name } of specs) {
        const { paths } = standpointOf(topology, name);
        topology.families.forEach((family, at) => {
          family.places.forEach((places, other) => {
            if (topology.specs[other]!.name === name) return;
            for (const place of places) {
              const distance = paths[at]!.distance[place.net]!;
              const paid = travel(all, forwards, name, parseAddress(place.address) as Address);
              const label = `${name} to ${place.address}`;
              if (distance === Infinity) {
                assert.is(paid, null, label);
                continue;
              }
              assert.is.not(paid, null, label);
              // Whoever is on the subnet itself hands over there, whatever its link costs.
              if (flat) assert.is(paid, costOf(distance), label);
              else assert.ok(paid! > 0, label);
            }
          });
        });
      }
    }),
    { numRuns: process.env["BERTH_LONG"] === "1" ? 3000 : 200, seed: 1 },
  );
});

test.run();
