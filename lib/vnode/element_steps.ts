// What stands between a vnode's elements in the firewall's sets and maps and what they should be. Pure. Which
// elements a vnode has is said by its wiring; the tables are lib/resource's.
import { addElementLine, type Element } from "../resource/nft_elements.ts";
import type { Seen, Step } from "./step.ts";
import type { Wiring } from "./wiring.ts";

/** The steps that add what a vnode lacks, and take away what bears its keys and is not wanted. */
export function elementSteps(_wiring: Wiring, _seen: Seen): Step[] {
  return [];
}

/** Lines for `nft -f` that add elements. Those that are there already with the same data are fine. */
export function elementLines(elements: readonly Element[]): string[] {
  return elements.map(addElementLine);
}
