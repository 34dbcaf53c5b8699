// Specs and lans for tests of what follows from a whole experiment: only what routes and names are made from is given.
import type { LanSpec, LinkSpec, VnodeSpec } from "../../lib/config/types.ts";

/** A lan with these subnets; [] for pure layer 2. */
export function aLan(name: string, ...subnets: string[]): LanSpec {
  return { name, subnets, mtu: 1500 };
}

/** A link with these addresses, with prefix length. */
export function aLink(
  lan: string,
  addresses: string | readonly string[],
  more: Partial<LinkSpec> = {},
): LinkSpec {
  return {
    lan,
    name: `${lan}0`,
    addresses: typeof addresses === "string" ? [addresses] : addresses,
    mac: "02:be:00:00:00:01",
    mtu: 1500,
    egress: {},
    ingress: {},
    ...more,
  };
}

/** A vnode that hands on, with these links. */
export function aVnode(name: string, links: readonly LinkSpec[], more: Partial<VnodeSpec> = {}): VnodeSpec {
  return {
    name,
    image: "box",
    env: {},
    control: { address: `172.16.0.${name.charCodeAt(0)}`, mac: "02:00:ac:10:00:02" },
    links,
    routes: [],
    hosts: {},
    forwarding: true,
    source: "test",
    ...more,
  };
}
