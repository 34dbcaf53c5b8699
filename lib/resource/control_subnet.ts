// Whether the control network's subnet is free on this machine: against addresses, routes, resolvers and Docker's
// networks. Looks, and throws a configuration error that offers free subnets. Changes nothing.
import { BerthError, type Issue } from "../log/error.ts";
import type { Look } from "../host/types.ts";
import { ipList } from "./kinds/ip_list.ts";
import { askIp } from "./kinds/link.ts";
import { freeSubnets, overlap, parseSubnet, type Subnet, subnetText } from "./ipv4.ts";

/** Something on the machine that has addresses, in the words of a message. */
export interface Taken {
  readonly what: string;
  readonly subnet: Subnet;
}

/** What the control network is, so that it does not clash with itself. */
export interface ControlSubnet {
  readonly subnet: string;
  /** Name of the Docker network and of its bridge. */
  readonly network: string;
  /** The host's own address on it. */
  readonly address: string;
  /** Whether a device of the machine's may be in the bridge: what else hangs there is then the machine's. */
  readonly hasDevice: boolean;
}

/** Those of the taken ones that overlap the subnet. Pure. */
export function clashes(subnet: string, taken: readonly Taken[]): readonly Taken[] {
  const wanted = parseSubnet(subnet);
  return wanted === null ? [] : taken.filter((one) => overlap(wanted, one.subnet));
}

/**
 * Refuses a control subnet that overlaps something else.
 *
 * @throws {BerthError} code `config`, one issue for each clash, free subnets as the next step.
 */
export async function checkControlSubnet(look: Look, control: ControlSubnet): Promise<void> {
  const taken = await takenSubnets(look, control);
  const found = clashes(control.subnet, taken);
  if (found.length === 0) return;
  const issues: Issue[] = found.map(({ what }) => ({
    path: "controlNet.subnet",
    message: `Overlaps ${what}`,
  }));
  const free = freeSubnets(taken.map((one) => one.subnet));
  throw new BerthError({
    code: "config",
    object: `control network ${control.subnet}`,
    message: `Subnet "${control.subnet}" of the control network overlaps ${
      found.map(({ what }) => what).join(", ")
    }`,
    next: free.length === 0
      ? "Set controlNet.subnet and controlNet.address to a free subnet"
      : `Set controlNet.subnet (and address) to a free one, such as ${free.join(", ")}`,
    issues,
  });
}

interface Address {
  readonly ifname: string;
  readonly addr_info: readonly {
    readonly family: string;
    readonly local: string;
    readonly prefixlen: number;
  }[];
}

interface Route {
  readonly dst: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly protocol?: string;
}

interface EngineNetwork {
  readonly Name: string;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string }[] | null };
}

async function takenSubnets(look: Look, control: ControlSubnet): Promise<readonly Taken[]> {
  const { network } = control;
  const [addresses, routes, resolv, networks] = await Promise.all([
    askIp(look, ["-j", "-4", "addr", "show"]),
    askIp(look, ["-j", "-4", "route", "show", "table", "all", "type", "unicast"]),
    // A link (to systemd's stub, say) is followed by the kernel; readText reads what it leads to.
    look.readText("/etc/resolv.conf").catch(() => null),
    look.engine("/networks"),
  ]);
  const taken: Taken[] = [];
  const add = (what: string, text: string) => {
    const subnet = parseSubnet(text);
    if (subnet !== null && subnet.bits > 0) taken.push({ what, subnet });
  };
  // docker0 moves to the address the configuration gives it; that this one is free of clashes is checked there.
  const isOwn = (name: string | undefined) => name === network || name === "docker0" || name === "bridge";
  const own = parseSubnet(control.subnet);
  const ownText = own === null ? "" : subnetText(own);
  for (const { ifname, addr_info } of ipList<Address>(addresses.stdout)) {
    if (isOwn(ifname) && !(ifname === network && control.hasDevice)) continue;
    for (const { local, prefixlen } of addr_info) {
      // An alias that berth had under another address goes with its network.
      if (ifname === network && (local === control.address || prefixlen === own?.bits)) continue;
      add(`address ${local}/${prefixlen} of ${ifname}`, `${local}/${prefixlen}`);
    }
  }
  for (const { dst, dev, gateway, protocol } of ipList<Route>(routes.stdout)) {
    // What the kernel made with an address is told with that address.
    if (isOwn(dev) && !(dev === network && control.hasDevice && protocol !== "kernel")) continue;
    if (dst !== "default" && dst !== ownText) add(`route to ${dst}`, dst);
    if (gateway !== undefined) add(`gateway ${gateway}`, gateway);
  }
  for (const [, server] of (resolv ?? "").matchAll(/^\s*nameserver\s+(\S+)/gm)) {
    add(`name server ${server} of /etc/resolv.conf`, server!);
  }
  for (const { Name, IPAM } of (networks?.status === 200 ? networks.body : []) as readonly EngineNetwork[]) {
    if (isOwn(Name)) continue;
    for (const { Subnet } of IPAM?.Config ?? []) {
      if (Subnet) add(`Docker network ${Name} (${Subnet})`, Subnet);
    }
  }
  return taken;
}
