// Shortest paths: against Floyd and Warshall's algorithm on small graphs of every shape, and what a thousand vnodes cost.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  costOf,
  type Graph,
  type GraphLink,
  graphOf,
  hopsOf,
  shortestPaths,
} from "../../lib/vnode/shortest.ts";

/** Cost and hops; the smaller comes first. */
type Length = readonly [cost: number, hops: number];
const NEVER: Length = [Infinity, Infinity];
const less = (a: Length, b: Length) => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
const least = (all: readonly Length[]) => all.reduce((a, b) => less(b, a) ? b : a, NEVER);
const plus = (a: Length, b: Length): Length => [a[0] + b[0], a[1] + b[1]];

interface Drawn {
  readonly vnodes: number;
  readonly nets: number;
  readonly links: readonly GraphLink[];
  readonly transit: readonly boolean[];
}

/** By vnode and net, the slow and plain way: all pairs of vnodes, through those that hand on. */
function lengths({ vnodes, nets, links, transit }: Drawn): Length[][] {
  const all = [...Array(vnodes).keys()];
  const onto = (vnode: number, net: number) =>
    least(
      links.filter((one) => one.vnode === vnode && one.net === net).map((one): Length => [one.cost, 1]),
    );
  const between = all.map((from) =>
    all.map((to): Length =>
      from === to ? [0, 0] : least(links.filter((one) => one.vnode === to).map((one) => onto(from, one.net)))
    )
  );
  for (const middle of all) {
    if (!transit[middle]) continue;
    for (const from of all) {
      for (const to of all) {
        const over = plus(between[from]![middle]!, between[middle]![to]!);
        if (less(over, between[from]![to]!)) between[from]![to] = over;
      }
    }
  }
  return all.map((from) =>
    [...Array(nets).keys()].map((net) =>
      least([
        onto(from, net),
        ...all.filter((via) => transit[via]).map((via) => plus(between[from]![via]!, onto(via, net))),
      ])
    )
  );
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  vnodes: fc.integer({ min: 1, max: 12 }),
  nets: fc.integer({ min: 1, max: 10 }),
  few: fc.boolean(),
}).chain(({ vnodes, nets, few }) =>
  fc.record({
    vnodes: fc.constant(vnodes),
    nets: fc.constant(nets),
    links: fc.array(
      fc.record({
        vnode: fc.nat(vnodes - 1),
        net: fc.nat(nets - 1),
        // Costs that often tie, and costs of every size.
        cost: few ? fc.integer({ min: 1, max: 3 }) : fc.integer({ min: 1, max: 65_535 }),
      }),
      { maxLength: 30 },
    ),
    transit: fc.array(fc.boolean(), { minLength: vnodes, maxLength: vnodes }),
  })
);

test("paths are as short as they can be, and their first hop is the promised one of those", () => {
  fc.assert(
    fc.property(drawn, (drawn) => {
      const wanted = lengths(drawn);
      const graph = graphOf(drawn, drawn.links, (vnode) => drawn.transit[vnode]!);
      for (let from = 0; from < drawn.vnodes; from++) {
        const found = shortestPaths(graph, from);
        const own = drawn.links.filter((one) => one.vnode === from);
        for (let net = 0; net < drawn.nets; net++) {
          const [cost, hops] = wanted[from]![net]!;
          assert.is(costOf(found.distance[net]!), cost, `cost of ${from} to net ${net}`);
          if (cost === Infinity) {
            assert.is(found.neighbour[net], -1);
            continue;
          }
          assert.is(hopsOf(found.distance[net]!), hops, `hops of ${from} to net ${net}`);
          if (own.some((one) => one.net === net && one.cost === cost) && hops === 1) {
            assert.is(found.neighbour[net], -1);
            continue;
          }
          // Every first hop that gives this length, by number of the neighbour, then by the order of one's own links.
          const fit = own.flatMap((one, link) =>
            drawn.links
              .filter((other) => other.net === one.net && other.vnode !== from && drawn.transit[other.vnode])
              .filter((other) => {
                const all = plus([one.cost, 1], wanted[other.vnode]![net]!);
                return all[0] === cost && all[1] === hops;
              })
              .map((other) => ({ neighbour: other.vnode, link }))
          ).sort((a, b) => a.neighbour - b.neighbour || a.link - b.link);
          assert.equal({ neighbour: found.neighbour[net], link: found.link[net] }, fit[0]);
        }
      }
    }),
    { numRuns: process.env["BERTH_LONG"] === "1" ? 5000 : 400, seed: 1 },
  );
});

test("following the first hops arrives, in as many hops as promised", () => {
  const { graph, links } = torus(6, 4);
  for (let from = 0; from < graph.vnodes; from++) {
    for (let net = 0; net < graph.nets; net++) {
      let at = from;
      const hops = hopsOf(shortestPaths(graph, from).distance[net]!);
      for (let left = hops; left > 1; left--) {
        const next = shortestPaths(graph, at).neighbour[net]!;
        assert.ok(
          links.some((one) =>
            one.vnode === at && links.some((two) => two.vnode === next && two.net === one.net)
          ),
        );
        at = next;
      }
      assert.ok(links.some((one) => one.vnode === at && one.net === net), `${from} to ${net}`);
    }
  }
});

function torus(width: number, height: number): { graph: Graph; links: GraphLink[] } {
  const links: GraphLink[] = [];
  for (let at = 0; at < width * height; at++) {
    const right = Math.floor(at / width) * width + (at + 1) % width;
    const below = (at + width) % (width * height);
    for (const [net, other] of [[2 * at, right], [2 * at + 1, below]] as const) {
      links.push({ vnode: at, net, cost: 1 }, { vnode: other, net, cost: 1 });
    }
  }
  return { graph: graphOf({ vnodes: width * height, nets: 2 * width * height }, links, () => true), links };
}

/** A tree with a net for each vnode and its children. */
function tree(vnodes: number, fan: number): Graph {
  const links: GraphLink[] = [];
  for (let at = 1; at < vnodes; at++) {
    const parent = Math.floor((at - 1) / fan);
    if ((at - 1) % fan === 0) links.push({ vnode: parent, net: parent, cost: 1 });
    links.push({ vnode: at, net: parent, cost: 1 });
  }
  return graphOf({ vnodes, nets: Math.ceil((vnodes - 1) / fan) }, links, () => true);
}

/** Breadth first over the same rows: the least that looking at every link takes. Answers with the farthest net. */
function breadthFirst({ vnodes, nets, linkStart, linkNet, memberStart, member }: Graph, source: number) {
  const depth = new Int32Array(nets + vnodes).fill(-1);
  const queue = new Int32Array(nets + vnodes);
  let [head, tail, most] = [0, 0, 0];
  depth[nets + source] = 0;
  queue[tail++] = nets + source;
  while (head < tail) {
    const node = queue[head++]!;
    const [row, start, index] = node >= nets
      ? [linkNet, linkStart, node - nets]
      : [member, memberStart, node];
    for (let at = start[index]!; at < start[index + 1]!; at++) {
      const next = node >= nets ? row[at]! : nets + row[at]!;
      if (depth[next] !== -1) continue;
      depth[next] = depth[node]! + 1;
      if (next < nets) most = depth[next]!;
      queue[tail++] = next;
    }
  }
  return most;
}

test("a thousand vnodes, all with all: not many times what a plain look at every link takes", () => {
  for (const [name, graph] of [["torus", torus(40, 25).graph], ["tree", tree(1000, 3)]] as const) {
    const all = (work: (vnode: number) => number) => {
      const start = performance.now();
      let sum = 0;
      for (let vnode = 0; vnode < graph.vnodes; vnode++) sum += work(vnode);
      return { ms: performance.now() - start, sum };
    };
    const farthest = (
      vnode: number,
    ) => (shortestPaths(graph, vnode).distance.reduce((a, b) => Math.max(a, b)));
    const rounds = [1, 2, 3].map(() => {
      const plain = all((vnode) => breadthFirst(graph, vnode));
      const ours = all((vnode) => 2 * hopsOf(farthest(vnode)) - 1);
      assert.is(ours.sum, plain.sum, `${name}: the farthest nets are as far`);
      return { ours: ours.ms, plain: plain.ms };
    });
    const ratio = Math.min(...rounds.map((round) => round.ours / round.plain));
    if (process.env["FIGURES"]) process.stderr.write(`${name} ${JSON.stringify(rounds)}\n`);
    assert.ok(ratio < 25, `${name}: ${ratio.toFixed(1)} times as long, ${JSON.stringify(rounds)}`);
  }
});

test.run();
