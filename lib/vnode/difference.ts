// What stands between what is and what a vnode's wiring should be: steps as data, each with its reason. Pure.
// Owned always: host ends, ifbs, bridge membership, qdiscs, control elements. Inside: only what a new life
// has not been given yet. Puts together what link_steps.ts, shape_steps.ts and control_steps.ts find.
import { controlSteps } from "./control_steps.ts";
import { strayDeviceSteps } from "./devices.ts";
import { elementSteps } from "./element_steps.ts";
import { linkSteps, strayLinkSteps } from "./link_steps.ts";
import type { Seen, Step } from "./step.ts";
import { routeLines, type Wiring } from "./wiring.ts";

/** The steps that make the wiring so; [] means converged. */
export function stepsOf(wiring: Wiring, seen: Seen): Step[] {
  const links = wiring.links.map((link) => linkSteps(wiring, link, seen));
  const made = wiring.links.filter(({ name }, index) =>
    seen.half?.has(name) === true || links[index]!.some((step) => step.makes !== undefined)
  );
  const steps = links.flat();
  steps.push(...strayLinkSteps(wiring, seen.view), ...strayDeviceSteps(wiring, seen.view));
  if (wiring.sysctls.length > 0 && !seen.settled) {
    const resource = `sysctls ${wiring.vnode}`;
    steps.unshift({ resource, verb: "create", why: "new life", sysctls: wiring.sysctls });
  }
  // Routes lean on links: set once a generation, and again with a link that had to be made anew.
  const routes = routeLines(wiring);
  if (routes.length > 0 && (!seen.settled || made.length > 0)) {
    steps.push({
      resource: `routes ${wiring.vnode}`,
      verb: "create",
      why: seen.settled ? "a link was made anew" : "new life",
      inside: routes,
    });
  }
  steps.push(...controlSteps(wiring, seen), ...elementSteps(wiring, seen));
  return steps;
}
