// Destinations of one address family, and how neighbouring ones become one route: two halves of a subnet that lead
// over the same next hop are the subnet. Pure; who leads where is topology.ts's.
import { addressAt, type Subnet, subnetAround } from "../config/address.ts";

/** Subnets that a route may name: the destinations, and what they can be merged to. By number. */
export interface Prefixes {
  readonly subnets: readonly Subnet[];
  /** The number of a subnet by its text. Those of the destinations come first. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Two halves and their whole, the smallest wholes first. */
  readonly merges: readonly (readonly [left: number, right: number, whole: number])[];
  /** All numbers in the order of addresses, the wider first. */
  readonly order: readonly number[];
}

/** For `merged`: no route leads there; and the same, and none may be made. */
export const NO_HOP = -1;
export const KEPT_FREE = -2;

/** Everything that routes to these subnets of one family may name. A whole family is never a whole: no default. */
export function prefixesOf(destinations: readonly Subnet[]): Prefixes {
  const subnets: Subnet[] = [];
  const numbers = new Map<string, number>();
  const byLength: number[][] = [];
  const add = (subnet: Subnet): number => {
    const known = numbers.get(subnet.text);
    if (known !== undefined) return known;
    numbers.set(subnet.text, subnets.length);
    (byLength[subnet.prefix] ??= []).push(subnets.length);
    return subnets.push(subnet) - 1;
  };
  destinations.forEach(add);
  const merges: [number, number, number][] = [];
  for (let length = byLength.length - 1; length > 1; length--) {
    // Those of this length are complete: wholes are only made of longer ones.
    const starts = new Map((byLength[length] ?? []).map((number) => [subnets[number]!.first, number]));
    for (const [first, left] of starts) {
      const whole = wholeOf(subnets[left]!);
      const right = first === whole.first ? starts.get(subnets[left]!.last + 1n) : undefined;
      if (right !== undefined) merges.push([left, right, add(whole)]);
    }
  }
  const order = subnets.map((_, number) => number).sort((a, b) => {
    const [one, other] = [subnets[a]!, subnets[b]!];
    if (one.first !== other.first) return one.first < other.first ? -1 : 1;
    return one.prefix - other.prefix;
  });
  return { subnets, numbers, merges, order };
}

function wholeOf({ family, first, prefix }: Subnet): Subnet {
  return subnetAround(addressAt(family, first), prefix - 1);
}

/**
 * Next hops by number of the prefix, with halves of one next hop merged, as far as it goes. Every address of every
 * destination is led to the same next hop as before. What is KEPT_FREE (a subnet of the vnode's own, one with a
 * written route) is neither merged nor made.
 */
export function merged({ merges }: Prefixes, hops: Int32Array): Int32Array {
  const after = hops.slice();
  for (const [left, right, whole] of merges) {
    const hop = after[left]!;
    if (hop < 0 || hop !== after[right] || after[whole] === KEPT_FREE) continue;
    // A destination of its own, where there is one, is covered wholly by the two: it led nothing any more.
    after[whole] = hop;
    after[left] = NO_HOP;
    after[right] = NO_HOP;
  }
  return after;
}
