// The rules of what joins lans to the world and to the host, over all files: devices, VLANs, tunnels, the host's own
// addresses; and what a lan's links have from it. Pure.
import type { Address } from "./address.ts";
import type { HostFacts } from "./check_host.ts";
import { Problem } from "./problem.ts";
import type { LanDraft } from "./schema_vnodes.ts";
import type { LanSpec, LinkSpec } from "./types.ts";
import type { Loose, Report, Where } from "./validate.ts";

/** What a lan has beside its name, subnets and MTU, in normal form but for the host's addresses. */
export type LanUplink = Pick<LanSpec, "driver" | "device" | "vlan" | "vxlan" | "learning">;

/** One of the host's own addresses as it was written; the prefix length is filled in later. */
export interface HostAddress {
  readonly wanted: { readonly address: Address; readonly prefix?: number };
  readonly where: Where;
}

/** A lan as far as it is checked here. */
interface Found {
  readonly name: string;
  readonly draft: Loose<LanDraft>;
  readonly where: Where;
}

const at = (where: Where, ...path: (string | number)[]): Where => ({
  file: where.file,
  path: [...where.path, ...path],
});

/** Checks the keys of one lan against each other. */
export function checkUplink({ draft, where }: Found, host: HostFacts, report: Report): LanUplink {
  const { device, vlan, vxlan, driver, learning } = draft;
  const add = (key: string, problem: Problem, found?: unknown) => report.add(at(where, key), problem, found);
  if (vlan !== undefined && !("device" in draft)) {
    add(
      "vlan",
      new Problem("Has no device", "vlan beside device", "Name the device that it is a VLAN of"),
      vlan,
    );
  }
  if (vxlan !== undefined) {
    const other = device !== undefined ? "device" : driver === "macvlan" ? "driver macvlan" : undefined;
    if (other !== undefined) {
      const next = device !== undefined ? "Leave one out" : "Leave driver out";
      add("vxlan", new Problem(`Does not go with ${other}`, "a bridge of its own", next));
    }
    checkPeers(vxlan, at(where, "vxlan"), report);
  }
  if (driver === "macvlan") {
    if (learning === false) {
      add(
        "learning",
        new Problem("Is of a bridge", "driver bridge", "Leave it out, or leave driver out"),
        false,
      );
    }
    if (draft.antiSpoof === true) {
      const problem = new Problem(
        "A macvlan has no end on the host that could be guarded",
        "driver bridge",
        "Leave it out, or leave driver out",
      );
      add("antiSpoof", problem, true);
    }
    if (draft.host !== undefined) {
      const problem = new Problem(
        "A macvlan has no end on the host, which therefore cannot be on this lan",
        "driver bridge",
        "Leave it out, or leave driver out",
      );
      add("host", problem);
    }
  }
  if (device !== undefined && vlan === undefined && driver !== "macvlan" && device === host.device) {
    const problem = new Problem(
      "Is the control network's device",
      "a device of its own",
      "Name another one, give the lan a vlan of it, or driver: macvlan",
    );
    add("device", problem, device);
  }
  return {
    ...(driver === "macvlan" && { driver }),
    ...(device !== undefined && { device }),
    ...(vlan !== undefined && { vlan }),
    ...(vxlan !== undefined && vxlan !== null && {
      vxlan: {
        id: vxlan.id ?? 0,
        peers: (vxlan.peers ?? []).flatMap((peer) => peer === undefined ? [] : [peer.text]),
        ...(vxlan.local !== undefined && { local: vxlan.local.text }),
        port: vxlan.port ?? 0,
      },
    }),
    ...(learning === false && { learning }),
  };
}

function checkPeers(vxlan: NonNullable<Loose<LanDraft>["vxlan"]>, where: Where, report: Report): void {
  const peers = (vxlan.peers ?? []).flatMap((peer, index) => peer === undefined ? [] : [{ peer, index }]);
  const family = peers[0]?.peer.family;
  const seen = new Set<string>();
  for (const { peer, index } of peers) {
    const place = at(where, "peers", index);
    if (peer.family !== family) {
      const problem = new Problem(
        `Is an IPv${peer.family} address among those of IPv${family}`,
        "peers of one family",
        "Name the peer by its other address",
      );
      report.add(place, problem, peer.text);
    }
    if (seen.has(peer.text)) {
      report.add(place, new Problem("Is there already", "each peer once", "Remove one"), peer.text);
    }
    seen.add(peer.text);
    if (peer.text === vxlan.local?.text) {
      report.add(place, new Problem("Is this host's own address", "the others'", "Leave it out"), peer.text);
    }
  }
  if (vxlan.local !== undefined && family !== undefined && vxlan.local.family !== family) {
    const problem = new Problem(`Is of another family than the peers`, `an IPv${family} address`);
    report.add(at(where, "local"), problem, vxlan.local.text);
  }
  if (family === 6 && !("local" in vxlan)) {
    const problem = new Problem(
      "Peers of IPv6 need this host's own address",
      '"local": an IPv6 address',
      "Add local",
      undefined,
      true,
    );
    report.add(where, problem);
  }
}

/** Takes what only one lan can have: a device, a VLAN of one, a tunnel's number. */
export function checkShared(found: readonly Found[], report: Report): void {
  const holders = new Map<string, Where>();
  const take = (key: string, what: string, where: Where, next: string) => {
    const first = holders.get(key);
    if (first === undefined) return void holders.set(key, where);
    report.add(
      where,
      new Problem(`${what} is another lan's (${first.file.place(first.path)})`, "one of its own", next),
    );
  };
  for (const { draft, where } of found) {
    const { device, vlan, vxlan, driver } = draft;
    if (device !== undefined && !(("vlan" in draft) && vlan === undefined)) {
      const [key, what] = vlan === undefined
        ? [`device ${device}`, `The device ${device}`]
        : [`vlan ${vlan} ${device}`, `VLAN ${vlan} of ${device}`];
      const next = driver === "macvlan" || vlan !== undefined
        ? "Join the two lans, or take another"
        : "Take another device, or a vlan of it";
      take(key, what, at(where, vlan === undefined ? "device" : "vlan"), next);
    }
    if (vxlan?.id !== undefined && vxlan.port !== undefined) {
      const what = `The tunnel ${vxlan.id} at port ${vxlan.port}`;
      take(`vxlan ${vxlan.id} ${vxlan.port}`, what, at(where, "vxlan", "id"), "Take another id");
    }
  }
}

/** The host's own addresses on a lan as they were written. */
export function hostAddresses({ draft, where }: Found): readonly HostAddress[] {
  return (draft.host ?? []).flatMap((wanted, index) =>
    wanted === undefined ? [] : [{ wanted, where: at(where, "host", index) }]
  );
}

/** Keys of a link that say how it is inside the vnode; all others need an end on the host. */
const INSIDE_KEYS: ReadonlySet<string> = new Set([
  "lan",
  "name",
  "address",
  "addresses",
  "mac",
  "mtu",
  "cost",
  "sysctls",
]);

/** Refuses what a link on a lan of macvlans cannot have. */
export function checkMacvlanLink(
  lan: { readonly name: string; readonly uplink: LanUplink },
  draft: object,
  where: Where,
  report: Report,
): void {
  if (lan.uplink.driver === undefined) return;
  for (const key of Object.keys(draft).filter((key) => !INSIDE_KEYS.has(key))) {
    const problem = new Problem(
      `A link on ${lan.name} has no end on the host: its driver is macvlan`,
      `no ${key} there`,
      `Leave ${key} out, or the lan's driver`,
    );
    report.add(at(where, key), problem);
  }
}

/** What a link has from its lan. */
export function linkFromLan(
  lan: { readonly name: string; readonly uplink: LanUplink; readonly host: readonly unknown[] },
): Pick<LinkSpec, "driver" | "parent" | "learning" | "host"> {
  const { driver, device, vlan, learning } = lan.uplink;
  return {
    ...(driver !== undefined && { driver }),
    ...(driver !== undefined && device !== undefined && { parent: vlan === undefined ? device : "" }),
    ...(learning === false && { learning }),
    ...(lan.host.length > 0 && { host: true as const }),
  };
}
