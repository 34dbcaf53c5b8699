// What an operator changed of a vnode's routes and of what its network namespace as a whole is set to, as steps for a
// life that runs already. Pure. Links and their addresses are inside.ts's, which puts these after its own.
import type { RouteSpec } from "../config/types.ts";
import type { Step } from "./step.ts";
import { destinationOf, routeLine, routesOf, type Wiring } from "./wiring.ts";

/** The steps inside from one wiring to another; [] where nothing changed. */
export function networkSteps(before: Wiring, after: Wiring): Step[] {
  const steps: Step[] = [];
  const was = new Map(before.sysctls);
  const sysctls = after.sysctls.filter(([path, value]) => was.get(path) !== value);
  if (sysctls.length > 0) {
    steps.push({
      resource: `sysctls ${after.vnode}`,
      verb: "update",
      why: sysctls.map(([path, value]) => `${path} is to be ${value}`).join(", "),
      sysctls,
    });
  }
  const inside = routeChanges(before, after);
  if (inside.length > 0) {
    const why = `${inside.length} lines differ from the spec before`;
    steps.push({ resource: `routes ${after.vnode}`, verb: "update", why, inside });
  }
  return steps;
}

function routeChanges(before: Wiring, after: Wiring): string[] {
  const old = new Map(routesOf(before).map((route) => [keyOf(route), route]));
  const now = new Map(routesOf(after).map((route) => [keyOf(route), route]));
  // With an address the kernel takes routes away, too: all are made sure of.
  const moved = JSON.stringify(before.links.map(placeOf)) !== JSON.stringify(after.links.map(placeOf));
  const changed = [...now].filter(([key, route]) =>
    moved || old.get(key) === undefined || routeLine(old.get(key)!) !== routeLine(route)
  );
  const gone = [...old].filter(([key]) => !now.has(key)).map(([, route]) => route);
  return [...gone.flatMap(goneLines), ...changed.map(([, route]) => routeLine(route))];
}

/** IPv4 and IPv6 each have a default of their own. */
function keyOf(route: RouteSpec): string {
  return `${route.via.includes(":") ? 6 : 4} ${destinationOf(route)}`;
}

/** A link and its addresses; the kernel tells them in an order of its own. */
function placeOf({ name, addresses }: Wiring["links"][number]): readonly unknown[] {
  return [name, [...addresses].sort()];
}

/**
 * Lines that take a route away, whether it is still there or not: it goes with its link, and a batch ends at the first
 * line that fails. A route of the kernel's own to the same subnet stays (both measured with iproute2 6.1).
 */
function goneLines(route: RouteSpec): string[] {
  const to = destinationOf(route);
  if (!route.via.includes(":")) return [`route flush exact ${to} via ${route.via}`];
  // "flush" leaves IPv6 out of a batch. A blackhole takes the place of what has the usual metric, then goes.
  return [`route replace blackhole ${to} metric 1024`, `route del ${to} dev lo metric 1024`];
}
