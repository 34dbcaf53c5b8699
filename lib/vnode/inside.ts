// What an operator changed inside a vnode between two specs of it, as steps for a life that runs already. Pure.
// Nothing else inside is ever touched in a settled life: the rest is its user's.
import type { VnodeSpec } from "../config/types.ts";
import { networkSteps } from "./network_steps.ts";
import type { Step } from "./step.ts";
import { wiringOf } from "./wiring.ts";

/**
 * The steps inside from one spec to another, for links that both have; [] where nothing changed. A link may have
 * been made anew in the same pass, with all that its spec says: lines say "replace", not "add".
 */
export function insideChanges(before: VnodeSpec, after: VnodeSpec): Step[] {
  // Addresses wait for the next start still, and routes that lean on them with them.
  const waits = after.links.some((link) => {
    const old = before.links.find((one) => one.name === link.name);
    return old !== undefined && JSON.stringify(old.addresses) !== JSON.stringify(link.addresses);
  });
  return waits ? [] : networkSteps(wiringOf(before), wiringOf(after));
}
