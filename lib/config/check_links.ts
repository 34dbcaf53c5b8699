// The rules of one vnode's links: names, lans, addresses, MTU, MACs, shaping. Makes their normal form.
import {
  type Address,
  addressAt,
  isWithin,
  linkMac,
  ownAddressOf,
  type Subnet,
  subnetAround,
} from "./address.ts";
import { checkDeviceLink, type TakenDevices } from "./check_devices.ts";
import { checkMacvlanLink, linkFromLan } from "./check_lan_uplinks.ts";
import type { Lan } from "./check_lans.ts";
import { type ReportShape, shapeIn, shapeOf } from "./check_shape.ts";
import { checkLinkSysctls, sysctlsOf } from "./check_sysctls.ts";
import { IPV6_MTU } from "./ipv6_mtu.ts";
import { nearest, oneOf, Problem } from "./problem.ts";
import { stateOf } from "./schema_flap.ts";
import type { VnodeDraft } from "./schema_vnodes.ts";
import type { LinkSpec } from "./types.ts";
import type { Loose, Report, Where } from "./validate.ts";

/** A link as it was written. */
export type LinkDraft = Loose<VnodeDraft["links"][number]>;
type Wanted = { readonly address: Address; readonly prefix?: number };

/** What must be unique, and who has it: `claim` reports the second. */
export class Claims {
  readonly #holders = new Map<string, { readonly holder: string; readonly where: Where }>();

  constructor(readonly report: Report) {}

  /** Takes a value for a holder; reports and answers false where it is taken. `next` is only asked for then. */
  claim(
    scope: string,
    value: string,
    holder: string,
    where: Where,
    what: string,
    next: () => string,
  ): boolean {
    const key = `${scope}\0${value}`;
    const other = this.#holders.get(key);
    if (other !== undefined) {
      const place = other.where.file.place(other.where.path);
      const problem = new Problem(`${what} is taken by ${other.holder} (${place})`, "one of its own", next());
      this.report.add(where, problem, value);
      return false;
    }
    this.#holders.set(key, { holder, where });
    return true;
  }

  isTaken(scope: string, value: string): boolean {
    return this.#holders.has(`${scope}\0${value}`);
  }
}

/** A link checked: its normal form, and the subnets a next hop may lie in. */
export interface CheckedLink {
  readonly spec: LinkSpec;
  readonly near: readonly Subnet[];
  readonly addresses: readonly Address[];
  /** False when an address was refused: next hops are then not held against the subnets. */
  readonly complete: boolean;
}

/** Checks one link. Answers undefined where it has no lan to be checked against. */
export function checkLink(
  draft: LinkDraft,
  index: number,
  vnode: string,
  where: Where,
  lans: ReadonlyMap<string, Lan>,
  claims: Claims,
  taken: TakenDevices,
): CheckedLink | undefined {
  const { report } = claims;
  const at = (...path: (string | number)[]): Where => ({ file: where.file, path: [...where.path, ...path] });
  const name = draft.name ?? `eth${index + 1}`;
  const isNamed = claims.claim(
    `link of ${vnode}`,
    name,
    `link ${index + 1}`,
    draft.name === undefined ? where : at("name"),
    `The interface name ${name}`,
    () => draft.name === undefined ? "Give this link a name" : "Rename one",
  );
  const isDevice = "device" in draft;
  const mac = draft.mac ?? linkMac(vnode, name);
  const macPlace = draft.mac === undefined ? where : at("mac");
  // A second link of the same name would get the same MAC: told once.
  if (draft.mac !== undefined || (isNamed && !isDevice)) {
    claims.claim("mac", mac, `${name} of ${vnode}`, macPlace, `The MAC ${mac}`, () => "Set another mac");
  }
  if (draft.address !== undefined && draft.addresses !== undefined) {
    report.add(
      at("addresses"),
      new Problem("Both address and addresses are given", "one of them", "Move the address into addresses"),
    );
  }
  const listed: { wanted: Wanted | undefined; place: Where }[] = draft.addresses !== undefined
    ? draft.addresses.map((wanted, i) => ({ wanted, place: at("addresses", i) }))
    : "address" in draft
    ? [{ wanted: draft.address, place: at("address") }]
    : [];
  if (isDevice) return checkDeviceLink(draft, { name, vnode, where }, listed, taken, claims);
  const lan = draft.lan === undefined ? undefined : lans.get(draft.lan);
  if (lan === undefined) {
    if (draft.lan !== undefined) report.add(at("lan"), undeclared(draft.lan, [...lans.keys()]), draft.lan);
    else if (!("lan" in draft)) report.add(where, NO_LAN);
    return undefined;
  }
  const placed = listed.map(({ wanted, place }) =>
    wanted && placeAddress(wanted, lan, name, vnode, place, claims)
  );
  const good = placed.filter((one) => one !== undefined);
  const mtu = draft.mtu ?? lan.mtu;
  if (mtu > lan.mtu) {
    report.add(
      at("mtu"),
      new Problem(
        `Is more than the lan's ${lan.mtu}`,
        `at most ${lan.mtu}`,
        `Lower it, or raise the mtu of ${lan.name}`,
      ),
      mtu,
    );
  } else if (mtu < IPV6_MTU && good.some(({ address }) => address.family === 6)) {
    const place = draft.mtu === undefined ? where : at("mtu");
    report.add(
      place,
      new Problem(
        "The MTU is too small for IPv6",
        `at least ${IPV6_MTU}`,
        "Raise it, or leave the IPv6 address out",
      ),
      mtu,
    );
  }
  const unshaped = (way: "egress" | "ingress"): ReportShape => (own, key, problem) =>
    report.add(own ? at(way, key) : at(key), problem);
  checkLinkSysctls(draft.sysctls, good.some(({ address }) => address.family === 6), where, report);
  const spec: LinkSpec = {
    lan: lan.name,
    name,
    addresses: good.map(({ address, prefix }) => `${address.text}/${prefix}`),
    mac,
    mtu,
    ...sysctlsOf(draft.sysctls),
    ...stateOf(draft),
    egress: shapeOf(shapeIn(draft), draft.egress, unshaped("egress")),
    ingress: shapeOf(shapeIn(draft), draft.ingress, unshaped("ingress")),
    ...(draft.cost === undefined ? {} : { cost: draft.cost }),
    ...(lan.antiSpoof && { antiSpoof: lan.antiSpoof }),
    ...linkFromLan(lan),
  };
  checkMacvlanLink(lan, draft, where, report);
  return {
    spec,
    near: good.map(({ address, prefix }) => subnetAround(address, prefix)),
    addresses: good.map(({ address }) => address),
    complete: good.length === listed.length && lan.complete,
  };
}

const NO_LAN = new Problem(
  'A link has no "lan"',
  '"lan": Name of the lan it leads to',
  'Add "lan"',
  undefined,
  true,
);

function undeclared(name: string, known: readonly string[]): Problem {
  const near = nearest(name, known);
  return new Problem(
    `The lan ${name} is not declared`,
    known.length === 0
      ? "a declared lan; there is none"
      : known.length <= 8
      ? oneOf(known)
      : "a declared lan",
    near === undefined
      ? `Declare it under lans: ${name}: {}`
      : `Write "${near}", or declare ${name} under lans`,
  );
}

/** Finds the address's subnet in the lan, fills in its prefix, and claims it. */
export function placeAddress(
  wanted: Wanted,
  lan: Lan,
  link: string,
  vnode: string,
  where: Where,
  claims: Claims,
): { readonly address: Address; readonly prefix: number } | undefined {
  const { report } = claims;
  const { address } = wanted;
  const text = wanted.prefix === undefined ? address.text : `${address.text}/${wanted.prefix}`;
  const home = lan.subnets.find((subnet) => isWithin(address, subnet));
  const prefix = wanted.prefix ?? home?.prefix;
  if (lan.subnets.length > 0 && home === undefined) {
    if (!lan.complete) return undefined;
    const subnets = lan.subnets.map((subnet) => subnet.text).join(" or ");
    report.add(
      where,
      new Problem(
        `Lies outside the subnets of the lan ${lan.name}`,
        `an address in ${subnets}`,
        `Change the address, or the lan's subnet`,
      ),
      text,
    );
    return undefined;
  }
  if (prefix === undefined) {
    if (!lan.complete) return undefined;
    const next = `Write "${address.text}/${address.family === 4 ? 24 : 64}", or give the lan a subnet`;
    report.add(
      where,
      new Problem(
        `The lan ${lan.name} has no subnet to take the prefix length from`,
        "an address with prefix length",
        next,
      ),
      text,
    );
    return undefined;
  }
  if (home !== undefined && prefix !== home.prefix) {
    const next = `Write "${address.text}/${home.prefix}", or leave the prefix length out`;
    report.add(
      where,
      new Problem(`Has another prefix length than the lan's ${home.text}`, `/${home.prefix}`, next),
      text,
    );
  }
  const subnet = home ?? subnetAround(address, prefix);
  const own = ownAddressOf(subnet, address);
  if (own !== null) {
    const next = freeIn(subnet, lan.name, claims);
    report.add(
      where,
      new Problem(`Is the ${own} address of ${subnet.text}`, "an address within it", next),
      text,
    );
    return undefined;
  }
  const next = () => freeIn(subnet, lan.name, claims) ?? "Change one of them";
  claims.claim(
    `lan ${lan.name}`,
    address.text,
    `${link} of ${vnode}`,
    where,
    `The address ${address.text} on ${lan.name}`,
    next,
  );
  return { address, prefix };
}

/** "Write …": the first address of a subnet that nobody has, among its first 1024. */
function freeIn(subnet: Subnet, lan: string, claims: Claims): string | undefined {
  for (let offset = 1n; offset < 1024n && subnet.first + offset < subnet.last; offset++) {
    const { text } = addressAt(subnet.family, subnet.first + offset);
    if (!claims.isTaken(`lan ${lan}`, text)) return `Write such as "${text}"`;
  }
  return undefined;
}
