// The rules of a vnode's static routes: one for each destination, by a neighbour. Makes their normal form.
import { type Address, isWithin, parseSubnet, type Subnet } from "./address.ts";
import type { HostFacts } from "./check_host.ts";
import type { CheckedLink } from "./check_links.ts";
import type { FoundVnode } from "./check_vnodes.ts";
import { oneOf, Problem } from "./problem.ts";
import type { RouteSpec } from "./types.ts";
import type { Report, Where } from "./validate.ts";

const LINK_LOCAL = parseSubnet("fe80::/10") as Subnet;

/** Checks the routes of one vnode. `complete` is false where its links are in doubt: next hops are not held against them then. */
export function checkRoutes(
  vnode: FoundVnode,
  control: string,
  links: readonly CheckedLink[],
  complete: boolean,
  host: HostFacts,
  report: Report,
): RouteSpec[] {
  const { draft, where } = vnode;
  const routes: RouteSpec[] = [];
  const seen = new Set<string>();
  const near = [...links.flatMap((link) => link.near), ...(host.control ? [host.control.subnet] : [])];
  const mine = links.flatMap((link) => link.addresses);
  const names = ["eth0", ...links.map((link) => link.spec.name)];
  const isBy = (dev: string, via: Address) =>
    dev === "eth0"
      ? host.control !== undefined && isWithin(via, host.control.subnet)
      : links.some((link) => link.spec.name === dev && link.near.some((subnet) => isWithin(via, subnet)));
  (draft.routes ?? []).forEach((route, index) => {
    if (route === undefined) return;
    const at = (key: string): Where => ({ file: where.file, path: [...where.path, "routes", index, key] });
    const { to, via, dev } = route;
    if (to === undefined || via === undefined) return;
    const family = to === "default" ? via.family : to.family;
    const text = to === "default" ? "default" : to.text;
    if (family !== via.family) {
      report.add(
        at("via"),
        new Problem(
          `Is an IPv${via.family} next hop for an IPv${family} destination`,
          `an IPv${family} address`,
          "Change one of them",
        ),
        via.text,
      );
    } else if (seen.has(`${family} ${text}`)) {
      report.add(
        at("to"),
        new Problem("Has a route already", "one route for each destination", "Remove one"),
        text,
      );
    } else if (via.text === control || mine.some((address) => isSame(address, via))) {
      report.add(
        at("via"),
        new Problem(
          "Is the vnode's own address",
          "a neighbour's address",
          "Write the address of the next hop",
        ),
        via.text,
      );
    } else if (dev !== undefined && complete && !names.includes(dev)) {
      report.add(
        at("dev"),
        new Problem("The vnode has no such interface", oneOf(names), "Write the name of one of its links"),
        dev,
      );
    } else if (isWithin(via, LINK_LOCAL)) {
      // Every interface has this subnet, and nobody's address in it is known.
      const wanted = `dev: ${names.slice(1, 8).join(" or ") || "eth0"}`;
      if (dev === undefined && complete) {
        report.add(
          at("via"),
          new Problem("Is a link-local address, which each link has a neighbour with", wanted, "Add dev"),
          via.text,
        );
      }
    } else if (complete && host.control && dev !== undefined && !isBy(dev, via)) {
      report.add(
        at("via"),
        new Problem(`Is not reached by ${dev}`, `an address in its subnets`, "Correct one of them"),
        via.text,
      );
    } else if (complete && host.control && !near.some((subnet) => isWithin(via, subnet))) {
      const wanted = `an address in ${near.slice(0, 8).map((subnet) => subnet.text).join(" or ")}`;
      report.add(
        at("via"),
        new Problem("Is not reached by any link of the vnode", wanted, "Write the address of a neighbour"),
        via.text,
      );
    }
    seen.add(`${family} ${text}`);
    routes.push({ to: text, via: via.text, ...(dev === undefined ? {} : { dev }) });
  });
  return routes;
}

function isSame(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}
