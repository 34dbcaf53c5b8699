// What stands between a vnode's elements in the firewall's sets and maps and what they should be. Pure. Which
// elements a vnode has is said by its wiring; the tables are lib/resource's.
import {
  addElementLine,
  deleteElementLine,
  dropElementLines,
  type Element,
} from "../resource/nft_elements.ts";
import { BRIDGE_TABLE, ownerKey, VNODE_ELEMENT_SETS } from "./elements.ts";
import { HOST_END_PREFIX, parseLinkAlias } from "./names.ts";
import type { Seen, Step } from "./step.ts";
import type { HostView } from "./view.ts";
import type { Wiring } from "./wiring.ts";

/** Each view's elements by what tells whose they are: sought through once, however many vnodes there are. */
const indexed = new WeakMap<HostView, ReadonlyMap<string, readonly Element[]>>();

/** All elements of vnodes in a view, by host end or control address. */
function elementsByOwner(view: HostView): ReadonlyMap<string, readonly Element[]> {
  const known = indexed.get(view);
  if (known !== undefined) return known;
  const found = new Map<string, Element[]>();
  for (const where of VNODE_ELEMENT_SETS) {
    const [table, set] = where.split("/") as [string, string];
    for (const [key, data] of view.elements.get(where) ?? []) {
      const element: Element = { table, set, key, ...(data !== "" && { data }) };
      const owner = ownerKey(element);
      const list = found.get(owner);
      if (list === undefined) found.set(owner, [element]);
      else list.push(element);
    }
  }
  indexed.set(view, found);
  return found;
}

/** The keys that a vnode's elements bear: host ends of its links, its control address. */
function ownersOf(wiring: Wiring): readonly string[] {
  return [...wiring.links.map((link) => link.end), wiring.control.address];
}

/** The same, with the host ends that it has and should not: they go in the same pass (link_steps.ts). */
function formerOwnersOf(wiring: Wiring, view: HostView): readonly string[] {
  const marked = [...view.links.values()].flatMap(({ ifname, ifalias }) =>
    ifname.startsWith(HOST_END_PREFIX) && parseLinkAlias(ifalias)?.vnode === wiring.vnode ? [ifname] : []
  );
  return [...new Set([...ownersOf(wiring), ...marked])];
}

const sameElement = (one: Element) => (other: Element) =>
  one.table === other.table && one.set === other.set && one.key === other.key;

/** The steps that add what a vnode lacks, and take away what bears its keys and is not wanted. */
export function elementSteps(wiring: Wiring, seen: Seen): Step[] {
  const index = elementsByOwner(seen.view);
  const found = formerOwnersOf(wiring, seen.view).flatMap((owner) => index.get(owner) ?? []);
  const stale = found.filter((one) => !wiring.elements.some(sameElement(one)));
  const [lacking, other]: [Element[], Element[]] = [[], []];
  for (const element of wiring.elements) {
    const there = found.find(sameElement(element));
    if (there === undefined) lacking.push(element);
    else if (there.data !== element.data) other.push(element);
  }
  const resource = `firewall ${wiring.vnode}`;
  const told = (elements: readonly Element[]) => [...new Set(elements.map(({ set }) => set))].join(", ");
  return [
    ...(lacking.length === 0
      ? []
      : [{ resource, verb: "create" as const, why: `not in ${told(lacking)}`, nft: elementLines(lacking) }]),
    ...(other.length === 0 ? [] : [{
      resource,
      verb: "update" as const,
      why: `another entry in ${told(other)}`,
      nft: other.flatMap((one) => [deleteElementLine(one), addElementLine(one)]),
    }]),
    ...(stale.length === 0 ? [] : [{
      resource,
      verb: "delete" as const,
      why: `not to be in ${told(stale)}`,
      nft: removalLines(stale),
    }]),
  ];
}

/** Lines for `nft -f` that add elements. Those that are there already with the same data are fine. */
export function elementLines(elements: readonly Element[]): string[] {
  return elements.map(addElementLine);
}

/**
 * Lines that take elements away that were seen. What is gone since is as it should be: the watch and a command may do
 * this at once. Only where a map says something else of a key by now the batch fails, and the next look finds it so.
 */
export function removalLines(elements: readonly Element[]): string[] {
  return elements.flatMap((one) =>
    one.data === undefined ? dropElementLines(one) : [addElementLine(one), deleteElementLine(one)]
  );
}

/** Of a vnode's elements those that stand, whatever their data. */
export function standing(view: HostView, wanted: readonly Element[]): readonly Element[] {
  const index = elementsByOwner(view);
  return wanted.flatMap((element) => (index.get(ownerKey(element)) ?? []).filter(sameElement(element)));
}

/** Elements of a view that are of none of these vnodes. Those of lans' own ports are lans'. */
export function strayElements(view: HostView, wirings: readonly Wiring[]): readonly Element[] {
  const known = new Set(wirings.flatMap(ownersOf));
  return [...elementsByOwner(view)].flatMap(([owner, elements]) =>
    known.has(owner)
      ? []
      : elements.filter(({ table }) => table !== BRIDGE_TABLE || owner.startsWith(HOST_END_PREFIX))
  );
}
