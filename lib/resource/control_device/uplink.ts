// Which device of the machine the control network is on: as configured, and as found. Only looks. The firewall and the
// control network's own task ask this; neither moves anything by it.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { readJournal } from "../journal.ts";
import { ipList } from "../kinds/ip_list.ts";
import { askIp } from "../kinds/link.ts";
import { subnetOf } from "./batch.ts";
import type { DeviceAddress } from "./facts.ts";
import { DEVICE_ID, DEVICE_MARK } from "./move.ts";

/** The control network as far as it matters here. */
export interface ControlPlace {
  /** `controlNet.device`: a name, "auto", or undefined for none. */
  readonly device: string | undefined;
  readonly bridge: string;
  /** The host's own address on the control network, without prefix length. */
  readonly address: string;
}

/** A device that the control network is on, or is to be. */
export interface Uplink {
  readonly name: string;
  readonly mtu: number;
  /** IPv4 subnets that are reached by it without a router, the control network's not among them. */
  readonly subnets: readonly string[];
}

/** What the machine has, and what it should have. */
export interface Uplinks {
  /** As configured; null: isolated. */
  readonly wanted: Uplink | null;
  /** Name of the device of the machine that is a port of the bridge, or null. */
  readonly moved: string | null;
}

interface LinkJson {
  readonly ifname: string;
  readonly master?: string;
  readonly mtu?: number;
  readonly ifalias?: string;
  readonly link_type?: string;
  /** Absent where the device is one of the machine's hardware. */
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info?: readonly Partial<DeviceAddress>[];
}

/**
 * Finds them.
 *
 * @throws {BerthError} code `config` where the device is `auto` and there is no default route.
 */
export async function findUplinks(look: Look, place: ControlPlace): Promise<Uplinks> {
  const output = await askIp(look, ["-j", "-d", "addr", "show"]);
  const links = ipList<LinkJson>(output.stdout);
  const ports = links.filter((one) => one.master === place.bridge);
  const moved = devicePort(ports, links.find((one) => one.ifname === place.bridge), place)?.ifname ?? null;
  if (place.device === undefined) return { wanted: null, moved };
  const port = moved ?? ports.find(isNotDockers)?.ifname ?? null;
  // A marked device that is no port has fallen out of the bridge, which still bears its addresses and routes.
  const fallen = links.find((one) => one.ifalias === DEVICE_MARK)?.ifname;
  const name = place.device === "auto"
    ? port ?? fallen ?? await defaultDevice(look, place.bridge, links)
    : place.device;
  const link = links.find((one) => one.ifname === name);
  const holders = links.filter((one) => one.ifname === name || one.ifname === place.bridge);
  const addresses = holders.flatMap((one) => one.addr_info ?? []).filter((one): one is DeviceAddress =>
    one.family === "inet" && one.scope !== "host" && one.local !== place.address
  );
  const subnets = addresses.flatMap((one) => subnetOf(one)?.text ?? []);
  return { wanted: { name, mtu: link?.mtu ?? 1500, subnets: [...new Set(subnets)].sort() }, moved };
}

/** Docker's own ports are named so. */
function isNotDockers({ ifname }: LinkJson): boolean {
  return !ifname.startsWith("veth");
}

/** Kinds that guests are plugged in by: a machine's own device is of one only where it bears the machine's addresses. */
const GUESTS = ["veth", "tun", "dummy", "vxlan", "macvtap"];

/**
 * The port that is a device of the machine's. The mark is lost with a reboot, and one that its manager has put there
 * never had it: then any that is not a guest's, for all that comes in by the bridge is shut out by mistake otherwise.
 */
function devicePort(
  ports: readonly LinkJson[],
  bridge: LinkJson | undefined,
  { address }: ControlPlace,
): LinkJson | undefined {
  const isBearing = bridge?.addr_info?.some(({ local, scope }) => scope === "global" && local !== address);
  const isGuests = ({ linkinfo }: LinkJson) => GUESTS.includes(linkinfo?.info_kind ?? "");
  const others = ports.filter(isNotDockers);
  return ports.find((one) => one.ifalias === DEVICE_MARK) ?? others.find((one) => !isGuests(one)) ??
    (isBearing ? others[0] : undefined);
}

async function defaultDevice(look: Look, bridge: string, links: readonly LinkJson[]): Promise<string> {
  let isOverBridge = false;
  for (const family of ["-4", "-6"]) {
    const output = await askIp(look, ["-j", family, "route", "show", "default"]);
    const routes = ipList<{ readonly dev?: string }>(output.stdout);
    isOverBridge ||= routes.some(({ dev }) => dev === bridge);
    const device = routes.find(({ dev }) => dev !== undefined && dev !== bridge)?.dev;
    if (device !== undefined) return device;
  }
  throw new BerthError({
    code: "config",
    object: "control network",
    message: isOverBridge
      ? `No device for the control network: controlNet.device is auto, the default route goes over "${bridge}", which has no device of the machine as a port, and none bears berth's mark`
      : "No device for the control network: controlNet.device is auto, and there is no default route",
    next: `${await whichDevice(look, links)}, then run: berth host up${
      isOverBridge ? " (after that auto will do again)" : ""
    }`,
  });
}

/** Which one to name instead of auto: what berth had moved before, else what may be the one. */
async function whichDevice(look: Look, links: readonly LinkJson[]): Promise<string> {
  const moved = [...(await readJournal(look)).keys()]
    .flatMap((id) => id.startsWith(DEVICE_ID) ? [id.slice(DEVICE_ID.length)] : [])
    .findLast((name) => links.some(({ ifname }) => ifname === name));
  if (moved !== undefined) {
    return `Write "controlNet: { device: ${moved} }" into host.yaml, which berth had moved there before`;
  }
  const some = links.filter((one) =>
    one.link_type === "ether" && one.linkinfo?.info_kind === undefined && one.master === undefined
  );
  const found = some.length === 0 ? 'see "ip -br link"' : some.map(({ ifname }) => ifname).join(", ");
  return `Write "controlNet: { device: NAME }" into host.yaml, with the device that leads out of this machine (${found})`;
}
