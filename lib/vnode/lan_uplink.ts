// What joins a lan to the world beyond this host: a device of the machine, a VLAN of one, or a tunnel (VXLAN) to the
// same lan on other hosts. As one resource a lan, so that what another spec had made is found and taken away. Made
// interfaces and a lent device bear the lan's mark; a lent device is given back as it was, never deleted. What stands
// in the way is said by lan_ground.ts.
import type { LanSpec } from "../config/types.ts";
import { ipBatch, nftBatch } from "../host/batch.ts";
import type { Look } from "../host/types.ts";
import { LAN_SETS } from "../resource/firewall_lans.ts";
import { dropElementLines } from "../resource/nft_elements.ts";
import type { Change, Op, Resource } from "../resource/types.ts";
import { BRIDGE_TABLE } from "./elements.ts";
import { type Ground, observeGround, refuseGround } from "./lan_ground.ts";
import { type LanLink, lanLinks } from "./lan_links.ts";
import {
  bridgeName,
  lanAlias,
  type LentDevice,
  macvlanBridgeName,
  parseLanAlias,
  tunnelName,
  vlanName,
} from "./names.ts";
import { speaksIpv6 } from "./wiring.ts";

/** An interface of a lan's beside its bridge. */
export interface PortState {
  readonly kind: string;
  /** What can only be had by making it anew. */
  readonly facts: string;
  readonly alias: string;
  readonly mtu: number;
  readonly master: string;
  readonly up: boolean;
  readonly addrgenmode: string;
  readonly learning: boolean;
  /** Where a tunnel leads to, sorted. */
  readonly peers: readonly string[];
}

/** All that joins a lan to the world, by name of interface. */
export interface UplinkState {
  readonly ports: Readonly<Record<string, PortState>>;
  /** What it stands on; looked at only where something is to be made. */
  readonly ground: Ground | null;
}

/** The port that a lan should have. */
interface Port {
  readonly name: string;
  readonly kind: "vxlan" | "vlan" | "device";
  readonly facts: string;
  /** The `ip` line that makes it; null for a device, which is there. */
  readonly make: string | null;
  readonly peers: readonly string[];
}

/** Name of a lan's bridge; null where its macvlans sit on a device itself. */
export function lanBridge({ name, driver, device }: LanSpec): string | null {
  return driver === undefined ? bridgeName(name) : device === undefined ? macvlanBridgeName(name) : null;
}

/** Name of the interface that joins a lan to the world; null for a local one. */
export function portName(spec: LanSpec): string | null {
  if (spec.vxlan !== undefined) return tunnelName(spec.name);
  return spec.vlan === undefined ? spec.device ?? null : vlanName(spec.name);
}

/** The device of the machine itself that macvlans sit on is left as it is: no port of ours. */
function portOf(spec: LanSpec): Port | null {
  const name = portName(spec);
  if (name === null) return null;
  if (spec.vxlan !== undefined) {
    const { id, port, local, peers } = spec.vxlan;
    // A hub hears everything: a tunnel that knew where each MAC is would send it to one peer only.
    const learning = spec.learning === false ? "nolearning" : "learning";
    const facts = `id ${id}${local === undefined ? "" : ` local ${local}`} dstport ${port} ${learning}`;
    return {
      name,
      kind: "vxlan",
      facts,
      make: `link add ${name} type vxlan ${facts}`,
      peers: [...peers].sort(),
    };
  }
  if (spec.vlan !== undefined) {
    const facts = `id ${spec.vlan}`;
    const make = `link add link ${spec.device} name ${name} type vlan ${facts}`;
    return { name, kind: "vlan", facts: `${facts} on ${spec.device}`, make, peers: [] };
  }
  return spec.driver === "macvlan" ? null : { name, kind: "device", facts: "", make: null, peers: [] };
}

/** What joins a lan to the world, as a resource. */
export function lanUplink(spec: LanSpec): Resource<UplinkState> {
  const id = `uplink of lan ${spec.name}`;
  const port = portOf(spec);
  const isOurs = (state: PortState | undefined) => parseLanAlias(state?.alias)?.lan === spec.name;
  return {
    id,
    desired: { ports: port === null ? {} : { [port.name]: stateOf(spec, port) }, ground: null },
    volatile: true,
    async observe(look) {
      const links = await lanLinks(look);
      const names = [...links.values()].filter((one) => parseLanAlias(one.ifalias)?.lan === spec.name)
        .map((one) => one.ifname).filter((name) => name !== lanBridge(spec));
      if (port !== null && links.has(port.name)) names.push(port.name);
      const ports: Record<string, PortState> = {};
      for (const name of new Set(names)) ports[name] = await observePort(look, links.get(name)!);
      const found = port === null ? undefined : ports[port.name];
      const stands = port === null ? spec.device === undefined : isOurs(found) && found!.mtu === spec.mtu;
      return { ports, ground: stands ? null : await observeGround(look, spec, links) };
    },
    diff(state): readonly Change[] {
      const found = state ?? { ports: {}, ground: null };
      const strays = Object.entries(found.ports)
        .filter(([name, one]) => isOurs(one) && name !== port?.name)
        .map(([name, one]) => removal(id, name, one, "not in the spec"));
      if (found.ground !== null) refuseGround(id, spec, found.ground);
      return port === null ? strays : [...strays, ...portChanges(id, spec, port, found.ports[port.name])];
    },
    prior: () => null,
    revert(_prior, found): readonly Change[] {
      return Object.entries(found?.ports ?? {}).filter(([, one]) => isOurs(one))
        .map(([name, one]) => removal(id, name, one, "no vnode is on its lan"));
    },
  };
}

function stateOf(spec: LanSpec, port: Port, found?: PortState): PortState {
  // What a device can do is its own matter.
  const lent = port.kind === "device" && found !== undefined;
  const speaks = lent ? found.addrgenmode !== "" : speaksIpv6(spec.mtu);
  return {
    kind: port.kind,
    facts: port.facts,
    alias: lanAlias(spec.name),
    mtu: lent ? found.mtu : spec.mtu,
    master: spec.driver === "macvlan" ? "" : bridgeName(spec.name),
    up: true,
    addrgenmode: speaks ? "none" : "",
    learning: spec.learning !== false,
    peers: port.peers,
  };
}

/** What makes a port so: all of it where it is to be made, else what differs. */
function portChanges(id: string, spec: LanSpec, port: Port, found: PortState | undefined): readonly Change[] {
  const { name, make } = port;
  const isOurs = parseLanAlias(found?.alias)?.lan === spec.name;
  const wanted = stateOf(spec, port, found);
  const change = { resource: id, risk: "safe" } as const;
  const fresh = (first: readonly string[], alias: string): Op[] => [
    // The mark first: whatever ends berth from here on, the interface is found.
    ipOp([...first, `link set ${name} alias ${alias}`, ...settings(name, wanted, null)]),
    ...peerOps(name, [], port.peers),
  ];
  if (make === null) {
    if (found === undefined) throw new TypeError(`No device ${name}`); // refused before
    if (!isOurs) {
      const lent = { addrgenmode: found.addrgenmode, up: found.up };
      // Up, it would keep its link-local address and speak for the host.
      const ops = fresh(found.up ? [`link set ${name} down`] : [], lanAlias(spec.name, lent));
      const why = `"${name}" is not a port of it`;
      const undo = [ipOp(releaseLines(name, lent)), dropOp(name)];
      return [{ ...change, verb: "create", why, do: ops, undo }];
    }
  } else if (found === undefined) {
    const undo = [ipOp([`link del ${name}`]), dropOp(name)];
    return [{ ...change, verb: "create", why: "missing", do: fresh([make], wanted.alias), undo }];
  } else if (!isOurs || found.kind !== port.kind || found.facts !== port.facts) {
    const why = isOurs
      ? `${found.kind} ${found.facts}, wanted ${port.kind} ${port.facts}`
      : "without its mark: made, and then berth was ended";
    const ops = fresh([`link del ${name}`, make], wanted.alias);
    return [{ ...change, verb: "replace", why, do: ops, undo: [] }];
  }
  const lines = settings(name, wanted, found);
  const ops = [...(lines.length === 0 ? [] : [ipOp(lines)]), ...peerOps(name, found.peers, port.peers)];
  if (ops.length === 0) return [];
  const why = (["mtu", "master", "up", "addrgenmode", "learning", "peers"] as const)
    .filter((key) => String(found[key]) !== String(wanted[key]))
    .map((key) => `${key} ${found[key]}, wanted ${wanted[key]}`).join("; ");
  return [{ ...change, verb: "update", why, do: ops, undo: [] }];
}

/** `ip` lines that make an interface such a port; where it is found, only those that differ. */
function settings(name: string, wanted: PortState, found: PortState | null): readonly string[] {
  const differs = (key: keyof PortState) => found === null ? true : found[key] !== wanted[key];
  const set = (what: string) => `link set ${name} ${what}`;
  const quiet = wanted.addrgenmode !== "" && differs("addrgenmode");
  const isPort = wanted.master !== "";
  return [
    ...(wanted.kind !== "device" && differs("mtu") ? [set(`mtu ${wanted.mtu}`)] : []),
    ...(quiet && found?.up === true ? [set("down")] : []),
    ...(quiet ? [set("addrgenmode none")] : []),
    ...(differs("master")
      ? (isPort ? [set(`master ${wanted.master}`)] : found === null ? [] : [set("nomaster")])
      : []),
    // What was learned before is forgotten with it.
    ...(isPort && (differs("learning") || differs("master"))
      ? [set(`type bridge_slave learning ${wanted.learning ? "on" : "off"} fdb_flush`)]
      : []),
    ...(differs("up") || (quiet && found?.up === true) ? [set("up")] : []),
  ];
}

/** `ip` lines that give a device back as it was; its mark goes last. */
export function releaseLines(name: string, lent: LentDevice): readonly string[] {
  return [
    `link set ${name} nomaster`,
    `link set ${name} down`,
    ...(lent.addrgenmode === "" ? [] : [`link set ${name} addrgenmode ${lent.addrgenmode}`]),
    ...(lent.up ? [`link set ${name} up`] : []),
    `link set ${name} alias ""`,
  ];
}

function removal(resource: string, name: string, { alias }: PortState, why: string): Change {
  const lent = parseLanAlias(alias)?.device;
  const lines = lent === undefined ? [`link del ${name}`] : releaseLines(name, lent);
  return { resource, verb: "delete", why, risk: "safe", do: [ipOp(lines), dropOp(name)], undo: [] };
}

/** Lines for `nft -f` that take from the wall what it says of a port: a device may be another bridge's later. */
export function wallDropLines(name: string): readonly string[] {
  return [LAN_SETS.uplinks, LAN_SETS.hostPorts].flatMap((set) =>
    dropElementLines({ table: BRIDGE_TABLE, set, key: name })
  );
}

/** Where the firewall is gone, so are its elements. */
function dropOp(name: string): Op {
  return { run: nftBatch(`${wallDropLines(name).join("\n")}\n`, { okExit: [0, 1] }) };
}

function ipOp(lines: readonly string[]): Op {
  return { run: ipBatch(lines) };
}

/** Frames for nobody known yet go to each peer: one entry for the null MAC each. */
function peerOps(name: string, found: readonly string[], wanted: readonly string[]): readonly Op[] {
  const entry = (verb: string, peer: string) => `fdb ${verb} 00:00:00:00:00:00 dev ${name} dst ${peer}`;
  const gone = found.filter((one) => !wanted.includes(one));
  const lines = [
    ...wanted.filter((one) => !found.includes(one)).map((one) => entry("append", one)),
    ...gone.map((one) => entry("del", one)),
  ];
  if (lines.length === 0) return [];
  const input = lines.map((line) => `${line}\n`).join("");
  return [
    { run: { argv: ["bridge", "-batch", "-"], input } },
    // What was learned of a peer that is none any more would be sent there for minutes: it goes as the device does.
    ...(gone.length === 0 ? [] : [ipOp([`link set ${name} down`, `link set ${name} up`])]),
  ];
}

interface FdbEntry {
  readonly mac: string;
  readonly ifname: string;
  readonly dst?: string;
}

async function observePort(look: Look, link: LanLink): Promise<PortState> {
  const { info_kind: kind = "device", info_data: data = {}, info_slave_data: slave } = link.linkinfo ?? {};
  const isTunnel = kind === "vxlan";
  const peers = isTunnel ? await peersOf(look, link.ifname) : [];
  return {
    // A veth or whatever else is lent is a device.
    kind: isTunnel || kind === "vlan" ? kind : "device",
    facts: isTunnel ? tunnelFacts(data) : kind === "vlan" ? `id ${data["id"]} on ${link.link}` : "",
    alias: link.ifalias ?? "",
    mtu: link.mtu,
    master: link.master ?? "",
    up: link.flags.includes("UP"),
    addrgenmode: link.inet6_addr_gen_mode ?? "",
    learning: slave?.learning !== false,
    peers,
  };
}

function tunnelFacts(data: Readonly<Record<string, unknown>>): string {
  const local = data["local"] ?? data["local6"];
  return `id ${data["id"]}${local === undefined ? "" : ` local ${local}`} dstport ${data["port"]} ` +
    (data["learning"] === true ? "learning" : "nolearning");
}

async function peersOf(look: Look, name: string): Promise<readonly string[]> {
  const { stdout } = await look.query({ argv: ["bridge", "-j", "fdb", "show"] });
  const entries = JSON.parse(stdout.trim() || "[]") as FdbEntry[];
  return entries.filter((one) => one.ifname === name && one.mac === "00:00:00:00:00:00")
    .flatMap(({ dst }) => dst === undefined ? [] : [dst]).sort();
}
