// Who tells that a device which was moved still reaches its network: its gateways, or those that the configuration
// names. Where there is nobody to ask and something to lose, the move is refused, with whom one could ask. Pure.
import { isWithin, parseAddress, type Subnet } from "../../config/address.ts";
import { Problem } from "../../config/problem.ts";
import { BerthError } from "../../log/error.ts";
import { gatewaysOf, subnetOf } from "./batch.ts";
import type { DeviceFacts } from "./facts.ts";

/** Neighbours named in a message. */
const NAMED = 3;

/**
 * Whether the dead man's switch has somebody to ask. A device without addresses and routes carries nobody: it needs
 * none. `probe`: addresses of the configuration, in the gateways' stead; [] says that there is nobody to ask.
 *
 * @throws {BerthError} code `refused` where something hangs on the device and nobody would tell of it.
 */
export function checkProbe(device: DeviceFacts, probe: readonly string[] | undefined): void {
  const subnets = device.addresses.flatMap((one) => subnetOf(one) ?? []);
  const far = (probe ?? []).filter((address) => !isNear(address, subnets));
  if (far.length > 0) {
    throw refused(
      device,
      `controlNet.probe names ${
        far.map((one) => `"${one}"`).join(", ")
      }, which is no neighbour on "${device.name}": ` +
        `it has ${subnets.map(({ text }) => text).join(", ") || "no subnet"}`,
      `Name ${exampleOf(device)} there`,
    );
  }
  const carried = carriedBy(device);
  if (probe !== undefined || carried.length === 0 || gatewaysOf(device).length > 0) return;
  throw refused(
    device,
    `Nobody would tell whether "${device.name}" still reaches its network after the move: no route of it names a ` +
      `gateway, and it has ${carried.slice(0, NAMED).join(", ")}`,
    `Add to host.yaml, below controlNet, ${exampleOf(device)}: ${
      lineOf(device)
    }; or, where there is nobody to ask ` +
      "and you can walk to the machine: probe: []",
  );
}

/** What hangs on the device that somebody could be connected by. */
function carriedBy({ addresses, routes4, routes6 }: DeviceFacts): readonly string[] {
  const isOwn = (line: string) => /^(unicast fe80::\/64|multicast ff00::\/8) /.test(line);
  return [
    ...addresses.filter(({ scope }) => scope !== "link").map((one) => `${one.local}/${one.prefixlen}`),
    ...[...routes4, ...routes6].filter((line) => !isOwn(line)).map((line) => `route ${line}`),
  ];
}

/** Only a neighbour can be asked by ARP or neighbour solicitation. */
function isNear(address: string, subnets: readonly Subnet[]): boolean {
  const parsed = parseAddress(address);
  if (parsed instanceof Problem) return false;
  return /^fe[89ab]/.test(parsed.text) || subnets.some((subnet) => isWithin(parsed, subnet));
}

function known({ neighbours }: DeviceFacts): readonly string[] {
  const isAlive = ({ state }: DeviceFacts["neighbours"][number]) =>
    !state.some((one) => ["FAILED", "INCOMPLETE", "NOARP"].includes(one));
  return neighbours.filter(isAlive).map(({ dst }) => dst).slice(0, NAMED);
}

function exampleOf(device: DeviceFacts): string {
  return known(device).length === 0
    ? "an address that answers in its network"
    : "those of its neighbours that always answer";
}

function lineOf(device: DeviceFacts): string {
  return `probe: [${known(device).map((one) => JSON.stringify(one)).join(", ") || "ADDRESS"}]`;
}

function refused({ name }: DeviceFacts, message: string, next: string): BerthError {
  return new BerthError({ code: "refused", object: `control device ${name}`, message, next });
}
