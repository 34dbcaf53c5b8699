// Which device of the machine the control network is on: as configured, and as found. Only looks. The firewall and the
// control network's own task ask this; neither moves anything by it.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { ipList } from "../kinds/ip_list.ts";
import { askIp } from "../kinds/link.ts";
import { subnetOf } from "./batch.ts";
import type { DeviceAddress } from "./facts.ts";
import { DEVICE_MARK } from "./move.ts";

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
  /** Name of the device that berth has made a port of the bridge, or null. */
  readonly moved: string | null;
}

interface LinkJson {
  readonly ifname: string;
  readonly master?: string;
  readonly mtu?: number;
  readonly ifalias?: string;
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
  const moved = ports.find((one) => one.ifalias === DEVICE_MARK)?.ifname ?? null;
  if (place.device === undefined) return { wanted: null, moved };
  // One that its manager has put there bears no mark. Docker's own ports are named so.
  const port = moved ?? ports.find((one) => !one.ifname.startsWith("veth"))?.ifname ?? null;
  // A marked device that is no port has fallen out of the bridge, which still bears its addresses and routes.
  const fallen = links.find((one) => one.ifalias === DEVICE_MARK)?.ifname;
  const name = place.device === "auto"
    ? port ?? fallen ?? await defaultDevice(look, place.bridge)
    : place.device;
  const link = links.find((one) => one.ifname === name);
  const holders = links.filter((one) => one.ifname === name || one.ifname === place.bridge);
  const addresses = holders.flatMap((one) => one.addr_info ?? []).filter((one): one is DeviceAddress =>
    one.family === "inet" && one.scope !== "host" && one.local !== place.address
  );
  const subnets = addresses.flatMap((one) => subnetOf(one)?.text ?? []);
  return { wanted: { name, mtu: link?.mtu ?? 1500, subnets: [...new Set(subnets)].sort() }, moved };
}

async function defaultDevice(look: Look, bridge: string): Promise<string> {
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
      ? `No device for the control network: controlNet.device is auto, and the default route goes over "${bridge}", which has no device of the machine as a port`
      : "No device for the control network: controlNet.device is auto, and there is no default route",
    next: "Name the device in controlNet.device",
  });
}
