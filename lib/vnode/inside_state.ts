// What is inside a vnode that runs, held against its spec: only where an operator asks for it (`vnode apply --inside`),
// since its user may change what he likes there. Looks only; the steps are run by wire.ts.
import type { RouteSpec } from "../config/types.ts";
import type { Look } from "../host/types.ts";
import { linkChanges } from "./link_changes.ts";
import { networkSteps } from "./network_steps.ts";
import type { Step } from "./step.ts";
import { type InsideLink, parseJson, readInside } from "./view.ts";
import { destinationOf, type LinkWiring, routesOf, type Sysctl, sysctlsOf, type Wiring } from "./wiring.ts";

/** A route as `ip -j route show` prints it; only what is read. */
interface FoundRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
}

/**
 * The steps that make all inside as the wiring says: MACs, MTUs, addresses and no others, links up, sysctls, routes.
 * What its user has added beside (interfaces, routes) stays.
 */
export async function insideDifference(look: Look, wiring: Wiring, pid: number): Promise<Step[]> {
  const netns = `/proc/${pid}/ns/net`;
  const [links, routes, values] = await Promise.all([
    readInside(look, pid),
    readRoutes(look, netns),
    readSysctls(look, netns, sysctlsOf(wiring).map(([path]) => path)),
  ]);
  const as = (all: readonly Sysctl[]) =>
    all.map(([path, value]): Sysctl => [path, isSame(values.get(path), value) ? value : "other"]);
  const found: Wiring = {
    ...wiring,
    // One that is missing goes with its host end, and is made anew.
    links: wiring.links.flatMap((link) => {
      const inner = links.get(link.name);
      return inner === undefined ? [] : [{ ...foundLink(link, inner), sysctls: as(link.sysctls) }];
    }),
    sysctls: as(wiring.sysctls),
    gateway: null,
    routes: routesOf(wiring).filter((route) => stands(route, routes)),
  };
  const network = networkSteps(found, wiring);
  const isSysctl = (step: Step) => step.sysctls !== undefined;
  const { gone, given } = linkChanges(found, wiring, network.some(isSysctl));
  const down = found.links.filter(({ name }) => links.get(name)?.flags.includes("UP") === false);
  const up = down.map(({ name }): Step => ({
    resource: `link ${wiring.vnode}/${name}`,
    verb: "update",
    why: "down inside",
    inside: [`link set dev ${name} up`],
  }));
  return [
    ...network.filter(isSysctl),
    ...gone,
    ...given,
    ...up,
    ...network.filter((step) => !isSysctl(step)),
  ];
}

function foundLink(link: LinkWiring, inner: InsideLink): LinkWiring {
  return { ...link, mac: inner.address ?? "", mtu: inner.mtu, addresses: inner.addresses };
}

/** "0 0" and "0\t0" are one value. */
function isSame(found: string | undefined, wanted: string): boolean {
  return found?.trim().replace(/\s+/g, " ") === wanted.trim().replace(/\s+/g, " ");
}

function stands(route: RouteSpec, found: readonly FoundRoute[]): boolean {
  const to = destinationOf(route).replace(/\/(32|128)$/, "").replace("::/0", "default");
  return found.some(({ dst, gateway, dev }) =>
    dst === to && gateway === route.via && (route.dev === undefined || route.dev === dev)
  );
}

async function readRoutes(look: Look, netns: string): Promise<FoundRoute[]> {
  const tables = await Promise.all([["-4"], ["-6"]].map(async (family) => {
    const { stdout } = await look.query({ argv: ["ip", "-j", ...family, "route", "show"], netns });
    return parseJson<FoundRoute[]>(stdout, "ip route show");
  }));
  return tables.flat();
}

/** By path; those that the kernel does not have are left out. */
async function readSysctls(
  look: Look,
  netns: string,
  paths: readonly string[],
): Promise<Map<string, string>> {
  if (paths.length === 0) return new Map();
  const { stdout } = await look.query({ argv: ["sysctl", "-e", ...paths], netns, okExit: [0, 1, 255] });
  return new Map(
    stdout.split("\n").flatMap((line): [string, string][] => {
      const at = line.indexOf(" = ");
      if (at < 0) return [];
      // "net.ipv4.conf.eth1/5.mtu" is of the interface "eth1.5".
      const path = line.slice(0, at).replace(/[./]/g, (sign) => sign === "." ? "/" : ".");
      return [[path, line.slice(at + 3)]];
    }),
  );
}
