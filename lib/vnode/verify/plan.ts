// What is measured, by level: 1 neighbours and their latency, 2 routes, 3 loss, 4 rates, 5 what must not be heard.
// Pure: specs in, tests out. How they are run is session.ts's.
import type { VnodeSpec } from "../../config/types.ts";
import { areNeighbours, endOf, measurable, type Member, wayOf } from "./members.ts";
import { netOf, routeTests } from "./routes.ts";
import { type Fence, silenceTests } from "./silence.ts";
import type { Left, Test } from "./types.ts";

/** Levels, each with all below it. */
export type Level = 1 | 2 | 3 | 4 | 5;

/** What is wanted of a plan. */
export interface PlanOptions {
  readonly level: Level;
  /** Only tests that have to do with these vnodes. @default {all} */
  readonly names?: readonly string[];
  /** Every route of every vnode. @default {false} */
  readonly all?: boolean;
  /** What keeps vnodes apart on the control network. */
  readonly fence: Fence;
}

/** Tests, and what is left out of them. */
export interface Plan {
  readonly tests: readonly Test[];
  readonly left: readonly Left[];
}

/** Lans up to this size are measured pair by pair, larger ones each vnode to its next two. */
const ALL_PAIRS = 6;

/** Plans the tests of the vnodes that run. */
export function planOf(specs: readonly VnodeSpec[], options: PlanOptions): Plan {
  const sorted = [...specs].sort((a, b) => a.name < b.name ? -1 : 1);
  const { members, left } = measurable(sorted);
  const groups = groupsOf(members);
  const tests: Test[] = groups.flatMap(echoTests);
  const told: Left[] = [...left];
  if (options.level >= 2) tests.push(...routeTests(netOf(sorted), members, options.all === true));
  if (options.level >= 3) tests.push(...once(groups.flatMap(flowTests)));
  if (options.level >= 4) {
    const rates = groups.map(rateTests);
    tests.push(...once(rates.flatMap((one) => one.tests)));
    const names = new Set<string>();
    for (const one of rates.flatMap((group) => group.left)) {
      if (!names.has(one.from + one.why)) told.push(one);
      names.add(one.from + one.why);
    }
  }
  if (options.level >= 5) tests.push(...silenceTests(sorted, members, options.fence));
  const named = new Set(options.names ?? []);
  if (named.size === 0) return { tests, left: told };
  const isNamed = (test: Test) =>
    named.has(test.from.vnode) || (test.to !== "host" && named.has(test.to.vnode));
  return {
    tests: tests.filter(isNamed),
    left: told.filter((one) => named.has(one.from.split("/")[0]!)),
  };
}

/** Members that take each other for neighbours: of one lan, family and subnet. IPv4 first. */
function groupsOf(members: readonly Member[]): readonly (readonly Member[])[] {
  const groups: Member[][] = [];
  for (const family of [4, 6] as const) {
    for (const one of members.filter(({ address }) => address.family === family)) {
      const found = groups.find((group) =>
        group[0]!.link.lan === one.link.lan && group[0]!.subnet.text === one.subnet.text
      );
      // One address a link is enough of one subnet.
      if (found?.some((other) => other.vnode === one.vnode)) continue;
      if (found === undefined) groups.push([one]);
      else found.push(one);
    }
  }
  return groups.filter((group) => group.length > 1);
}

function echoTests(group: readonly Member[]): readonly Test[] {
  const test = (from: Member, to: Member): Test => ({
    kind: "echo",
    level: 1,
    from: endOf(from),
    to: endOf(to),
    there: wayOf(from, to),
    back: wayOf(to, from),
    hops: 0,
  });
  const pairs = group.flatMap((from, at) => {
    const others = group.length <= ALL_PAIRS
      ? group.slice(at + 1)
      : [1, 2].map((step) => group[(at + step) % group.length]!);
    return others.map((to) => [from, to] as const);
  });
  return pairs.filter(([from, to]) => areNeighbours(from, to)).map(([from, to]) => test(from, to));
}

/** Each to the next in a ring: every direction of every link once. */
function flowTests(group: readonly Member[]): readonly Test[] {
  return group.map((from, at): Test => {
    const to = group[(at + 1) % group.length]!;
    return {
      kind: "flow",
      level: 3,
      from: endOf(from),
      to: endOf(to),
      there: wayOf(from, to),
      back: wayOf(to, from),
    };
  });
}

/** Each direction that has a rate, with the neighbour that limits it least; which are limited all the same. */
function rateTests(group: readonly Member[]): { tests: readonly Test[]; left: readonly Left[] } {
  const tests: Test[] = [];
  const left: Left[] = [];
  const rate = ({ link }: Member, way: "egress" | "ingress") => link[way].rateBps ?? Infinity;
  for (const [at, one] of group.entries()) {
    for (const way of ["egress", "ingress"] as const) {
      if (rate(one, way) === Infinity) continue;
      const other = way === "egress" ? "ingress" : "egress";
      const step = way === "egress" ? 1 : group.length - 1;
      const others = group.slice(1).map((_, index) => group[(at + step * (index + 1)) % group.length]!);
      // The next in the ring unless another one is faster: so that both ends' directions share a test.
      const best = others.reduce((a, b) =>
        rate(b, other) > rate(a, other) && rate(a, other) < rate(one, way) ? b : a
      );
      if (rate(best, other) < rate(one, way)) {
        left.push({
          check: "rate",
          from: `${one.vnode}/${one.link.name}`,
          why:
            `its ${way} cannot be filled: no neighbour is as fast, ${best.vnode}/${best.link.name} is the fastest`,
        });
      }
      const [from, to] = way === "egress" ? [one, best] : [best, one];
      tests.push({
        kind: "rate",
        level: 4,
        from: endOf(from),
        to: endOf(to),
        there: wayOf(from, to),
        back: wayOf(to, from),
      });
    }
  }
  return { tests, left };
}

/** The same two links need one test, by IPv4 or by IPv6. */
function once(tests: readonly Test[]): readonly Test[] {
  const seen = new Set<string>();
  return tests.filter((test) => {
    if (test.to === "host") return true;
    const key = `${test.kind} ${test.from.vnode}/${test.from.link} ${test.to.vnode}/${test.to.link}`;
    return seen.has(key) ? false : seen.add(key);
  });
}
