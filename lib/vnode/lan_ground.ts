// What a lan's uplink stands on, and what stands in its way: a device that is missing, down, in use or too small; a
// path to peers that does not take the lan's frames with the tunnel's headers. Looked at only before something is made.
import type { LanSpec } from "../config/types.ts";
import type { Look } from "../host/types.ts";
import { BerthError, type Issue } from "../log/error.ts";
import type { LanLink } from "./lan_links.ts";
import { bridgeName, parseLanAlias } from "./names.ts";

/** The device of the machine, as far as it matters. */
export interface DeviceState {
  readonly up: boolean;
  readonly mtu: number;
  readonly master: string;
  readonly alias: string;
  /** Global addresses, and routes that lead out by it. */
  readonly used: readonly string[];
}

/** The way to a peer. */
export interface Way {
  readonly peer: string;
  readonly device: string;
  readonly mtu: number;
  /** The peer is this host itself. */
  readonly own: boolean;
}

export interface Ground {
  /** Null: there is no such device, or none is named. */
  readonly device: DeviceState | null;
  /** Ways to those peers that there is a route to by now. */
  readonly ways: readonly Way[];
}

/** Bytes that a tunnel puts around a frame: Ethernet 14, VXLAN 8, UDP 8, IPv4 20 or IPv6 40. */
export const TUNNEL_BYTES = { ip: 50, ip6: 70 } as const;

export async function observeGround(
  look: Look,
  spec: LanSpec,
  links: ReadonlyMap<string, LanLink>,
): Promise<Ground> {
  const link = spec.device === undefined ? undefined : links.get(spec.device);
  const ways = await Promise.all((spec.vxlan?.peers ?? []).map((peer) => wayTo(look, peer, links)));
  return {
    device: link === undefined ? null : await observeDevice(look, link),
    ways: ways.filter((way) => way !== null),
  };
}

async function observeDevice(look: Look, link: LanLink): Promise<DeviceState> {
  const routes = async (family: "-4" | "-6") => {
    const argv = ["ip", family, "-j", "route", "show", "table", "all", "dev", link.ifname];
    // Exit 2: this kernel has no such family.
    const { stdout, exit } = await look.query({ argv, okExit: [0, 2] });
    const found = exit === 0 ? JSON.parse(stdout.trim() || "[]") as { dst: string; type?: string }[] : [];
    return found.filter(({ dst, type }) => type === undefined && !/^(fe80|ff00)::/.test(dst)).map(({ dst }) =>
      dst
    );
  };
  const addresses = (link.addr_info ?? []).filter((one) => one.scope !== "link")
    .map((one) => `address ${one.local}/${one.prefixlen}`);
  const led = [...await routes("-4"), ...await routes("-6")].map((dst) => `route to ${dst}`);
  return {
    up: link.flags.includes("UP"),
    mtu: link.mtu,
    master: link.master ?? "",
    alias: link.ifalias ?? "",
    used: [...addresses, ...led],
  };
}

/** Null where no route leads there yet: it may come. */
async function wayTo(look: Look, peer: string, links: ReadonlyMap<string, LanLink>): Promise<Way | null> {
  const { stdout, exit } = await look.query({ argv: ["ip", "-j", "route", "get", peer], okExit: [0, 2] });
  const [route] = exit === 0 ? JSON.parse(stdout.trim() || "[]") as { dev: string; type?: string }[] : [];
  if (route === undefined) return null;
  const mtu = links.get(route.dev)?.mtu ?? 65_535;
  return { peer, device: route.dev, mtu, own: route.type === "local" };
}

/** @throws {BerthError} code `missing` or `refused`, with all that stands in the way. */
export function refuseGround(resource: string, spec: LanSpec, ground: Ground): void {
  const issues = [...deviceIssues(spec, ground.device), ...wayIssues(spec, ground.ways)];
  const [first, ...others] = issues;
  if (first === undefined) return;
  throw new BerthError({
    code: ground.device === null && spec.device !== undefined ? "missing" : "refused",
    object: resource,
    ...first,
    issues: others,
  });
}

function deviceIssues(spec: LanSpec, found: DeviceState | null): Issue[] {
  const { device, driver, mtu, name, vlan } = spec;
  if (device === undefined) return [];
  const place = `device ${device}`;
  if (found === null) {
    const next = "ip link shows what there is; set lans." + `${name}.device to one of them`;
    return [{ place, message: `Device "${device}" of lan "${name}" is missing`, next }];
  }
  const issues: Issue[] = [];
  const issue = (message: string, next: string) => void issues.push({ place, message, next });
  if (found.mtu < mtu) {
    issue(
      `Device "${device}" takes packets of ${found.mtu} bytes, lan "${name}" has an mtu of ${mtu}`,
      `Set mtu: ${found.mtu} on the lan, or ip link set ${device} mtu ${mtu}`,
    );
  }
  const isWhole = vlan === undefined && driver !== "macvlan";
  // What is not ours to bring up must be up: a VLAN and a macvlan hear nothing on a device that is down.
  if (!isWhole && !found.up) {
    issue(`Device "${device}" of lan "${name}" is down`, `ip link set ${device} up`);
  }
  if (vlan === undefined && found.master !== "" && found.master !== bridgeName(name)) {
    issue(
      `Device "${device}" of lan "${name}" is a port of "${found.master}"`,
      `Take it out (ip link set ${device} nomaster), or name another device`,
    );
  }
  if (!isWhole || parseLanAlias(found.alias)?.lan === name) return issues;
  if (found.used.length > 0) {
    issue(
      `Device "${device}" of lan "${name}" is in use by this machine: ${found.used.join(", ")}`,
      "Name a device without addresses and routes, or give the lan a vlan of it, or driver: macvlan",
    );
  }
  if (found.alias !== "") {
    issue(
      `Device "${device}" of lan "${name}" bears another's mark: alias "${found.alias}"`,
      `Name another device, or ip link set ${device} alias ""`,
    );
  }
  return issues;
}

function wayIssues({ name, mtu, vxlan }: LanSpec, ways: readonly Way[]): Issue[] {
  return ways.flatMap(({ peer, device, mtu: room, own }): Issue[] => {
    const place = `lans.${name}.vxlan.peers`;
    if (own) {
      return [{ place, message: `Peer ${peer} of lan "${name}" is this host itself`, next: "Leave it out" }];
    }
    const bytes = TUNNEL_BYTES[peer.includes(":") ? "ip6" : "ip"];
    if (mtu + bytes <= room) return [];
    return [{
      place,
      message: `The way to peer ${peer} takes packets of ${room} bytes ("${device}"), lan "${name}" needs ` +
        `${mtu + bytes}: its mtu of ${mtu} and ${bytes} of the tunnel's`,
      next: `Set mtu: ${room - bytes} on the lan, on all its hosts, port ${vxlan!.port} alike`,
    }];
  });
}
