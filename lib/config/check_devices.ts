// The rules of a link that is a device of the machine's own, handed in: what it can have without a lan, and that nobody
// else has it. Makes its normal form. Pure.
import { type Address, type Subnet, subnetAround } from "./address.ts";
import type { HostFacts } from "./check_host.ts";
import type { CheckedLink, Claims, LinkDraft } from "./check_links.ts";
import { checkLinkSysctls, sysctlsOf } from "./check_sysctls.ts";
import { IPV6_MTU } from "./ipv6_mtu.ts";
import { Problem } from "./problem.ts";
import type { LinkSpec } from "./types.ts";
import type { Where } from "./validate.ts";

/** Keys that a device can have: all others are of a lan, or need an end on the host. */
const DEVICE_KEYS: ReadonlySet<string> = new Set([
  "device",
  "name",
  "address",
  "addresses",
  "mac",
  "mtu",
  "sysctls",
]);

/** Devices that something else has. */
export interface TakenDevices {
  readonly host: HostFacts;
  /** Devices of lans, with the lan's name. */
  readonly lans: ReadonlyMap<string, string>;
}

/** An address as it was written. */
interface Written {
  readonly wanted: { readonly address: Address; readonly prefix?: number } | undefined;
  readonly place: Where;
}

/** Checks a link that is a device. Its MAC is "" and its MTU 0 where it keeps its own. */
export function checkDeviceLink(
  draft: LinkDraft,
  link: { readonly name: string; readonly vnode: string; readonly where: Where },
  listed: readonly Written[],
  taken: TakenDevices,
  claims: Claims,
): CheckedLink {
  const { report } = claims;
  const { name, vnode, where } = link;
  const at = (...path: (string | number)[]): Where => ({ file: where.file, path: [...where.path, ...path] });
  for (const key of Object.keys(draft).filter((one) => !DEVICE_KEYS.has(one))) {
    const next = key === "lan" ? "Leave one out" : `Leave ${key} out, or put the link on a lan`;
    report.add(at(key), new Problem("Does not go with a device of the machine's own", `no ${key}`, next));
  }
  const device = draft.device ?? "";
  if (device !== "") checkTaken(device, `${name} of ${vnode}`, at("device"), taken, claims);
  const addresses: Address[] = [];
  const near: Subnet[] = [];
  const texts: string[] = [];
  for (const { wanted, place } of listed) {
    if (wanted === undefined) continue;
    const { address, prefix } = wanted;
    if (prefix === undefined) {
      const next = `Write "${address.text}/${address.family === 4 ? 24 : 64}"`;
      const problem = new Problem(
        "A device has no lan to take the prefix length from",
        "an address with prefix length",
        next,
      );
      report.add(place, problem, address.text);
      continue;
    }
    addresses.push(address);
    near.push(subnetAround(address, prefix));
    texts.push(`${address.text}/${prefix}`);
  }
  const isSix = addresses.some(({ family }) => family === 6);
  if (draft.mtu !== undefined && draft.mtu < IPV6_MTU && isSix) {
    const next = "Raise it, or leave the IPv6 address out";
    report.add(
      at("mtu"),
      new Problem("The MTU is too small for IPv6", `at least ${IPV6_MTU}`, next),
      draft.mtu,
    );
  }
  checkLinkSysctls(draft.sysctls, isSix, where, report);
  const spec: LinkSpec = {
    lan: "",
    device,
    name,
    addresses: texts,
    mac: draft.mac ?? "",
    mtu: draft.mtu ?? 0,
    ...sysctlsOf(draft.sysctls),
    egress: {},
    ingress: {},
  };
  return { spec, near, addresses, complete: addresses.length === listed.length };
}

function checkTaken(device: string, holder: string, where: Where, taken: TakenDevices, claims: Claims): void {
  const lan = taken.lans.get(device);
  if (device === taken.host.device) {
    const next = "Name another one: with it, this machine would be out of reach";
    claims.report.add(
      where,
      new Problem("Is the control network's device", "a device of its own", next),
      device,
    );
  } else if (lan !== undefined) {
    const next = `Put the link on ${lan}, or take another device`;
    claims.report.add(
      where,
      new Problem(`Is the device of the lan ${lan}`, "a device of its own", next),
      device,
    );
  } else {
    claims.claim("device", device, holder, where, `The device ${device}`, () => "Take another device");
  }
}
