// The rules of the host's own addresses on lans, over all files: within the lan's subnet, claimed like a link's, and
// no network twice. Fills in prefix lengths.
import { type Address, isOverlapping, type Subnet, subnetAround } from "./address.ts";
import type { HostFacts } from "./check_host.ts";
import type { Lan } from "./check_lans.ts";
import { type Claims, placeAddress } from "./check_links.ts";
import { IPV6_MTU } from "./ipv6_mtu.ts";
import { Problem } from "./problem.ts";
import type { Where } from "./validate.ts";

/** Checks them; answers with them by lan, as "ADDRESS/PREFIX". */
export function placeHosts(
  lans: ReadonlyMap<string, Lan>,
  host: HostFacts,
  claims: Claims,
): ReadonlyMap<string, readonly string[]> {
  const networks: Network[] = [
    ...(host.control === undefined ? [] : [{ subnet: host.control.subnet, what: "the control network's" }]),
    ...(host.bip === undefined ? [] : [{ subnet: host.bip, what: "docker0's" }]),
  ];
  return new Map([...lans.values()].map((lan) => {
    const placed = lan.host.flatMap(({ wanted, where }) => {
      const good = placeAddress(wanted, lan, "the address", "the host", where, claims);
      if (good === undefined) return [];
      checkNetwork(lan, good, where, networks, claims);
      return [`${good.address.text}/${good.prefix}`];
    });
    return [lan.name, placed];
  }));
}

/** A network that the host has an address in. */
interface Network {
  readonly subnet: Subnet;
  readonly what: string;
  readonly lan?: string;
}

/** The host could not tell two networks with the same addresses apart, as vnodes on different lans can. */
function checkNetwork(
  lan: Lan,
  { address, prefix }: { readonly address: Address; readonly prefix: number },
  where: Where,
  networks: Network[],
  { report }: Claims,
): void {
  const subnet = subnetAround(address, prefix);
  const other = networks.find((one) => one.lan !== lan.name && isOverlapping(one.subnet, subnet));
  if (other !== undefined) {
    const problem = new Problem(
      `Its subnet ${subnet.text} overlaps ${other.what} ${other.subnet.text}, which the host is on, too`,
      "a subnet that the host is on once",
      "Leave the host off one of them, or take another subnet",
    );
    report.add(where, problem, address.text);
  }
  networks.push({ subnet, what: `the lan ${lan.name}'s`, lan: lan.name });
  if (address.family === 6 && lan.mtu < IPV6_MTU) {
    const problem = new Problem(
      `The lan's mtu of ${lan.mtu} is too small for IPv6`,
      `at least ${IPV6_MTU}`,
      "Raise it, or leave the address out",
    );
    report.add(where, problem, address.text);
  }
}
