// What an operator changed inside a vnode between two specs of it, as steps for a life that runs already. Pure.
// Nothing else inside is ever touched in a settled life: the rest is its user's.
import type { VnodeSpec } from "../config/types.ts";
import type { Step } from "./step.ts";

/**
 * The steps inside from one spec to another, for links that both have; [] where nothing changed. A link may have
 * been made anew in the same pass, with all that its spec says: lines say "replace", not "add".
 */
export function insideChanges(_before: VnodeSpec, _after: VnodeSpec): Step[] {
  return [];
}
