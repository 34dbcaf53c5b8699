// What speaks against a control network without a device of the machine's: the rules for it shut the bridge to all but
// vnodes, and a device on it goes back to whoever manages it. Only looks; asked before either is done.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { addressNumber, overlap, parseSubnet } from "../ipv4.ts";
import { gatewaysOf } from "./batch.ts";
import { deviceFacts } from "./facts.ts";
import { isOperatorsPort, managedDevice } from "./manager.ts";
import type { ControlDevice } from "./manager_types.ts";

/** The control network as far as it matters here. */
export interface IsolatedPlace {
  readonly bridge: string;
  /** Its subnet, with prefix length: gateways in it are vnodes. */
  readonly subnet: string;
}

/**
 * Whether the bridge can be shut: not where this machine's way to others leads over it, by whatever port.
 *
 * @throws {BerthError} code `refused`, with the gateways.
 */
export async function checkIsolated(look: Look, { bridge, subnet }: IsolatedPlace): Promise<void> {
  const facts = await deviceFacts(look, bridge);
  const own = parseSubnet(subnet);
  const isVnodes = (gateway: string) =>
    own !== null && addressNumber(gateway) !== null && overlap(parseSubnet(gateway)!, own);
  const gateways = facts === null ? [] : gatewaysOf(facts).filter((one) => !isVnodes(one));
  if (gateways.length === 0) return;
  throw new BerthError({
    code: "refused",
    object: `bridge ${bridge}`,
    message: `Routes of this machine lead over "${bridge}" by ${
      gateways.join(", ")
    }, and the configuration names no device of it: an isolated control network would cut them off`,
    next: `Name the device in controlNet.device, or take these routes off "${bridge}"`,
  });
}

/**
 * Whether a port of the bridge can be given back: not where the operator's own files make it one, and would again.
 *
 * @throws {BerthError} code `refused`, with who holds it.
 */
export async function checkGivenBack(look: Look, control: ControlDevice): Promise<void> {
  const { device, bridge } = control;
  const found = await managedDevice(look, control);
  if (found.master !== bridge || !await isOperatorsPort(look, found)) return;
  throw new BerthError({
    code: "refused",
    object: `device ${device}`,
    message:
      `Device "${device}" is on bridge "${bridge}" by files of ${found.kind} that are not berth's, and the ` +
      "configuration does not name it",
    next:
      `Give "${device}" its addresses again there and take the bridge away, or name it in controlNet.device`,
  });
}
