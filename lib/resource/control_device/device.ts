// The control device as a resource: a device of the machine that is a port of the control bridge, with everything that
// hung on it on the bridge; or given back. Volatile: who makes it so at each boot is the manager's (manager.ts) or
// berth's own next run. How it is moved stands in move.ts.
import { isWithin, parseInterfaceAddress } from "../../config/address.ts";
import { Problem } from "../../config/problem.ts";
import { ipBatch } from "../../host/batch.ts";
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { Change, Op, Resource } from "../types.ts";
import { gatewaysOf, subnetOf } from "./batch.ts";
import { type DeviceFacts, deviceFacts, deviceParameters } from "./facts.ts";
import { DEVICE_ID, DEVICE_MARK, type Move, moveOps, settleOp } from "./move.ts";
import { checkProbe } from "./probe.ts";
import { MOVE_DIRECTORY } from "./switch.ts";

/** What the control device should be. */
export interface ControlDeviceOptions {
  readonly bridge: string;
  /** The host's own address on the control network, with prefix length, which stays on the bridge. */
  readonly address: string;
  /** The bridge's MAC without a device. */
  readonly mac: string;
  /** Milliseconds until everything goes back. */
  readonly timeoutMs: number;
  /** Neighbours that are asked in the gateways' stead; [] asks nobody. Absent: the gateways. */
  readonly probe?: readonly string[];
  /** `port`: of the bridge; `free`: given back. @default {"port"} */
  readonly wanted?: "port" | "free";
  /** A port without our mark is given it: its manager has made it one at boot by what berth wrote. @default {false} */
  readonly mark?: boolean;
}

/** What is found. */
export interface ControlDeviceState {
  readonly device: DeviceFacts | null;
  readonly bridge: DeviceFacts | null;
  /** Parameters of either, by path with "@" for the name. */
  readonly parameters: {
    readonly device: Readonly<Record<string, string>>;
    readonly bridge: Readonly<Record<string, string>>;
  };
}

/** What the device was before us. */
export interface ControlDevicePrior {
  readonly port: boolean;
  readonly alias: string;
  readonly addrgenmode: string;
}

/** What `ip -batch` and the script can name without quoting. */
const PLAIN_NAME = /^[A-Za-z0-9_.-]{1,15}$/;

/**
 * A device of the machine on the control bridge.
 *
 * @throws {BerthError} code `missing` where there is no such device, `refused` where it cannot be a port.
 */
export function controlDevice(
  name: string,
  options: ControlDeviceOptions,
): Resource<ControlDeviceState, ControlDevicePrior> {
  const { bridge } = options;
  const id = `${DEVICE_ID}${name}`;
  const isPort = (found: ControlDeviceState | null) => found?.device?.master === bridge;
  const change = (why: string, move: Move): Change => ({
    resource: id,
    verb: "update",
    why,
    risk: "disruptive",
    do: moveOps(move),
    undo: [settleOp()],
  });
  const alias = (text: string): Op => ({ run: ipBatch([`link set dev ${name} alias "${text}"`]) });
  const marked: Change = {
    resource: id,
    verb: "update",
    why: "not marked as berth's",
    risk: "safe",
    do: [alias(DEVICE_MARK)],
    undo: [alias("")],
  };
  const out = (why: string, found: ControlDeviceState, before: ControlDevicePrior): readonly Change[] => {
    const { device, bridge: on } = found;
    if (device === null || on === null || !isPort(found)) return [];
    return [change(why, {
      facts: withoutOwn(on, options.address),
      device: name,
      bridge,
      way: "out",
      isPort: false,
      mac: device.mac,
      mtu: device.mtu,
      alone: { mac: options.mac, mtu: 1500 },
      before,
      parameters: {},
      timeoutMs: options.timeoutMs,
      probe: options.probe,
    })];
  };
  return {
    id,
    desired: { device: null, bridge: null, parameters: { device: {}, bridge: {} } },
    volatile: true,
    observe: (look) => observe(look, name, bridge),
    diff(found) {
      if (options.wanted === "free") {
        return found === null ? [] : out("not in the configuration any more", found, {
          port: false,
          alias: "",
          addrgenmode: "eui64",
        });
      }
      const device = found?.device ?? null;
      if (device === null) throw missing(id, name);
      const reasons = refusals(device, bridge);
      if (reasons.length > 0) throw refused(id, name, reasons);
      const on = found!.bridge;
      const why = difference(device, on, bridge);
      if (why === null) return options.mark === true && device.alias === "" ? [marked] : [];
      if (!isPort(found)) checkProbe(device, options.probe);
      return [change(why, {
        facts: device,
        device: name,
        bridge,
        way: "in",
        isPort: isPort(found),
        mac: device.mac,
        mtu: device.mtu,
        alone: { mac: on === null || on.mac === device.mac ? options.mac : on.mac, mtu: on?.mtu ?? 1500 },
        before: { alias: device.alias, addrgenmode: device.addrgenmode },
        gateways: isPort(found) && on !== null ? gatewaysOf(on) : [],
        parameters: parametersFor(found!, bridge),
        timeoutMs: options.timeoutMs,
        probe: options.probe,
      })];
    },
    prior: (found) => ({
      port: isPort(found),
      alias: found?.device?.alias === DEVICE_MARK ? "" : found?.device?.alias ?? "",
      addrgenmode: found?.device?.addrgenmode ?? "eui64",
    }),
    revert: (prior, found) => found === null || prior.port ? [] : out("moved by berth", found, prior),
  };
}

async function observe(look: Look, name: string, bridge: string): Promise<ControlDeviceState> {
  const [device, on, ofDevice, ofBridge] = await Promise.all([
    deviceFacts(look, name),
    deviceFacts(look, bridge),
    deviceParameters(look, name),
    deviceParameters(look, bridge),
  ]);
  return { device, bridge: on, parameters: { device: ofDevice, bridge: ofBridge } };
}

/** Why the device and what hangs on it must be moved, or null where all is on the bridge. Pure. */
function difference(device: DeviceFacts, on: DeviceFacts | null, bridge: string): string | null {
  if (device.master !== bridge) return `not on bridge ${bridge}`;
  const left = [
    ...device.addresses.map((one) => `${one.local}/${one.prefixlen}`),
    ...[...device.routes4, ...device.routes6].map((line) => `route ${line}`),
    ...[...device.rules4, ...device.rules6].map((line) => `rule ${line}`),
  ];
  if (left.length > 0) return `still has ${left.join(", ")}`;
  if (on?.mac !== device.mac) return `bridge ${bridge} has MAC ${on?.mac}, wanted the device's ${device.mac}`;
  return on.mtu === device.mtu ? null : `bridge ${bridge} has mtu ${on.mtu}, wanted ${device.mtu}`;
}

/** Why a device cannot be moved; [] where it can. Pure. */
export function refusals(device: DeviceFacts, bridge: string): readonly string[] {
  const routes = [...device.routes4, ...device.routes6];
  return [
    ...(PLAIN_NAME.test(device.name) ? [] : ["its name has odd characters"]),
    ...(device.type === "ether" ? [] : [`it is of type "${device.type}", wanted Ethernet`]),
    ...(device.kind === "bridge" ? ["it is a bridge itself, and a bridge cannot be a port"] : []),
    ...(device.master === null || device.master === bridge ? [] : [`it is a port of "${device.master}"`]),
    ...(device.up ? [] : ["it is down"]),
    ...(device.riders.length === 0
      ? []
      : [`${device.riders.join(", ")} take its frames before a bridge could`]),
    ...(routes.some((line) => /\bnhid\b/.test(line)) ? ["routes use nexthop objects"] : []),
  ];
}

/** The bridge's facts without the host's alias and what comes with it. Pure. */
export function withoutOwn(on: DeviceFacts, address: string): DeviceFacts {
  const [own] = address.split("/");
  const alias = on.addresses.find(({ local }) => local === own);
  const around = alias === undefined ? null : subnetOf(alias);
  const subnet = around?.text;
  const isVnodes = (dst: string) => {
    const parsed = parseInterfaceAddress(dst);
    return around !== null && !(parsed instanceof Problem) && isWithin(parsed.address, around);
  };
  const others = (line: string) =>
    !line.includes(` src ${own}`) && (subnet === undefined || !line.startsWith(`unicast ${subnet} `));
  return {
    ...on,
    addresses: on.addresses.filter((one) => one !== alias),
    routes4: on.routes4.filter(others),
    neighbours: on.neighbours.filter(({ dst }) => !isVnodes(dst)),
  };
}

function parametersFor({ parameters }: ControlDeviceState, bridge: string): Record<string, string> {
  const differing = Object.entries(parameters.device)
    .filter(([key, value]) => parameters.bridge[key] !== undefined && parameters.bridge[key] !== value)
    .map(([key, value]) => [`net/${key.replace("@", bridge)}`, value]);
  // Vnodes know the bridge by another MAC: the kernel tells them the new one.
  return { ...Object.fromEntries(differing), [`net/ipv4/conf/${bridge}/arp_notify`]: "1" };
}

function missing(id: string, name: string): BerthError {
  return new BerthError({
    code: "missing",
    object: id,
    message: `Network device "${name}" of the control network is not there`,
    next: 'Set controlNet.device to one of "ip -br link", or to auto',
  });
}

function refused(id: string, name: string, reasons: readonly string[]): BerthError {
  return new BerthError({
    code: "refused",
    object: id,
    message: `Device "${name}" cannot be put on the control bridge: ${reasons.join("; ")}`,
    next: "Name another device in controlNet.device, or remove what stands in its way",
  });
}

/** Whether a move is not settled: its run was killed, and the switch has not gone back yet (or was killed, too). */
export interface SwitchState {
  readonly armed: boolean;
}

/** No move of an earlier run that was neither confirmed nor put back. */
export function settledMove(): Resource<SwitchState> {
  const id = "control device switch";
  return {
    id,
    desired: { armed: false },
    volatile: true,
    async observe(look) {
      const names = await look.list(MOVE_DIRECTORY) ?? [];
      return { armed: names.includes("armed") || (names.includes("fired") && !names.includes("result")) };
    },
    diff(found) {
      if (!found?.armed) return [];
      const why = "a move of an earlier run was not brought to its end";
      return [{ resource: id, verb: "update", why, risk: "disruptive", do: [settleOp()], undo: [] }];
    },
    prior: () => null,
    revert: () => [],
  };
}
