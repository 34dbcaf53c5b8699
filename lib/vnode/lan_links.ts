// Interfaces of the host as lans look at them: two questions for all lans, parsed once. Reads only.
import type { Look, Output } from "../host/types.ts";

/** An interface as `ip -j -d link show` prints it, with its addresses; only what is read. */
export interface LanLink {
  readonly ifname: string;
  /** The device that a VLAN or macvlan sits on. */
  readonly link?: string;
  readonly ifalias?: string;
  readonly address?: string;
  readonly mtu: number;
  readonly master?: string;
  readonly flags: readonly string[];
  readonly inet6_addr_gen_mode?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
    readonly info_slave_data?: { readonly learning?: boolean };
  };
  readonly addr_info?: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope?: string;
  }[];
}

const parsed = new WeakMap<Output, ReadonlyMap<string, LanLink>>();

/** All interfaces of the host, by name. */
export async function lanLinks(look: Look): Promise<ReadonlyMap<string, LanLink>> {
  // Only `link` tells how IPv6 addresses are made, only `addr` which there are.
  const [links, addresses] = await Promise.all([
    look.query({ argv: ["ip", "-j", "-d", "link", "show"] }),
    look.query({ argv: ["ip", "-j", "addr", "show"] }),
  ]);
  const known = parsed.get(links) ?? join(links, addresses);
  parsed.set(links, known);
  return known;
}

function join(links: Output, addresses: Output): ReadonlyMap<string, LanLink> {
  const read = (output: Output) => JSON.parse(output.stdout.trim() || "[]") as LanLink[];
  const known = new Map(read(addresses).map((one) => [one.ifname, one.addr_info]));
  return new Map(
    read(links).map((link) => [link.ifname, { ...link, addr_info: known.get(link.ifname) ?? [] }]),
  );
}
