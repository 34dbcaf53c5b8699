// The rules of lans, over all files: unique names, subnets that do not overlap within a lan nor with the control
// network, an MTU that IPv6 can live with. Equal subnets on two lans are allowed: they are separate wires.
import { freeSubnets, isOverlapping, type Subnet } from "./address.ts";
import type { HostFacts } from "./check_host.ts";
import {
  checkShared,
  checkUplink,
  type HostAddress,
  hostAddresses,
  type LanUplink,
} from "./check_lan_uplinks.ts";
import { IPV6_MTU } from "./ipv6_mtu.ts";
import { Problem } from "./problem.ts";
import type { LanDraft } from "./schema_vnodes.ts";
import type { LanSpec } from "./types.ts";
import type { Loose, Report, Where } from "./validate.ts";

/** A lan as it was written, and where. */
export interface FoundLan {
  readonly name: string;
  readonly draft: Loose<LanDraft>;
  readonly where: Where;
}

/** A lan for the checks of links. */
export interface Lan {
  readonly name: string;
  readonly subnets: readonly Subnet[];
  readonly mtu: number;
  /** False when its subnets are in doubt (refused, declared twice): addresses are then not held against them. */
  readonly complete: boolean;
  readonly antiSpoof?: true;
  readonly uplink: LanUplink;
  /** The host's own addresses, as written. */
  readonly host: readonly HostAddress[];
}

/** Checks all lans; answers with them by name. `named` are all names that stand in the files, refused or not. */
export function checkLans(
  found: readonly FoundLan[],
  named: readonly string[],
  host: HostFacts,
  report: Report,
): ReadonlyMap<string, Lan> {
  const lans = new Map<string, Lan>(
    named.map((name) => [name, { name, subnets: [], mtu: 65_535, complete: false, uplink: {}, host: [] }]),
  );
  const first = new Map<string, Where>();
  for (const { name, draft, where } of found) {
    const at = (...path: (string | number)[]): Where => ({
      file: where.file,
      path: [...where.path, ...path],
    });
    const earlier = first.get(name);
    if (earlier !== undefined) {
      const message = `The lan ${name} is declared twice, first at ${earlier.file.place(earlier.path)}`;
      report.add(where, new Problem(message, "a name of its own", "Rename one, or declare it once"), name);
      const kept = lans.get(name);
      if (kept !== undefined) lans.set(name, { ...kept, subnets: [], complete: false });
      continue;
    }
    first.set(name, where);
    if (draft.subnet !== undefined && draft.subnets !== undefined) {
      report.add(
        at("subnets"),
        new Problem("Both subnet and subnets are given", "one of them", "Move the subnet into subnets"),
      );
    }
    const many = draft.subnets !== undefined && draft.subnets !== null;
    const listed = many
      ? draft.subnets.map((subnet, index) => ({ subnet, where: at("subnets", index) }))
      : "subnet" in draft
      ? [{ subnet: draft.subnet, where: at("subnet") }]
      : [];
    const subnets: Subnet[] = [];
    for (const { subnet, where: place } of listed) {
      if (subnet === undefined) continue;
      checkSubnet(subnet, subnets, place, host, report);
      subnets.push(subnet);
    }
    const mtu = draft.mtu ?? 1500;
    if (mtu < IPV6_MTU && subnets.some((subnet) => subnet.family === 6)) {
      const problem = new Problem(
        "Is too small for IPv6",
        `at least ${IPV6_MTU}`,
        "Raise it, or leave the IPv6 subnet out",
      );
      report.add(at("mtu"), problem, mtu);
    }
    lans.set(name, {
      name,
      subnets,
      mtu,
      complete: subnets.length === listed.length,
      uplink: checkUplink({ name, draft, where }, host, report),
      host: hostAddresses({ name, draft, where }),
      ...(draft.antiSpoof === true && { antiSpoof: true }),
    });
  }
  checkShared(found, report);
  return lans;
}

/** The normal form of a checked lan, and of the addresses that the host has on it. */
export function lanSpec({ name, subnets, mtu, antiSpoof, uplink }: Lan, host: readonly string[]): LanSpec {
  return {
    name,
    subnets: subnets.map((subnet) => subnet.text),
    mtu,
    ...uplink,
    ...(host.length > 0 && { host }),
    ...(antiSpoof && { antiSpoof }),
  };
}

function checkSubnet(
  subnet: Subnet,
  others: readonly Subnet[],
  where: Where,
  host: HostFacts,
  report: Report,
): void {
  const longest = subnet.family === 4 ? 31 : 127;
  if (subnet.prefix < 1 || subnet.prefix > longest) {
    report.add(
      where,
      new Problem("Is no size for a lan", `a prefix length from 1 to ${longest}`, "Widen or narrow it"),
      subnet.text,
    );
    return;
  }
  const twin = others.find((other) => isOverlapping(other, subnet));
  if (twin !== undefined) {
    report.add(
      where,
      new Problem(`Overlaps ${twin.text} of the same lan`, "subnets apart from each other", "Remove one"),
      subnet.text,
    );
  }
  const control = host.control?.subnet;
  if (control !== undefined && isOverlapping(control, subnet)) {
    const taken = [control, subnet, ...(host.bip ? [host.bip] : [])];
    const problem = new Problem(
      `Overlaps the control network ${control.text}`,
      "a subnet apart from it",
      `Take another subnet, or set controlNet.subnet in host.yaml to ${freeSubnets(taken).join(" or ")}`,
    );
    report.add(where, problem, subnet.text);
  }
}
