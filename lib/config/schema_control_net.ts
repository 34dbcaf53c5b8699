// The shape of controlNet in host.yaml: its subnet, the machine's device it is on, how long a move may take to prove
// itself. Owns no rules between keys (check_host.ts). Stands beside schema_host.ts, which takes it in.
import * as v from "valibot";
import { ADDRESS_FORM, IPV4_FORM, parseAddress, parseSubnet, SUBNET_FORM } from "./address.ts";
import { field, flag, list, map, Problem } from "./problem.ts";
import { FORMS, parseDuration, PATTERNS } from "./units.ts";
import { word } from "./schema_fields.ts";
import { LINK_PATTERN, parseLinkName } from "./words.ts";

/** Shortest and longest time that a moved device's gateway is waited for, in milliseconds. */
const GATEWAY_MS = { least: 2000, most: 300_000 } as const;

const DEVICE_FORM = '"auto" (the default route\'s device), "none" or the name of a network device';

const DRIVERS = ["bridge", "macvlan"] as const;

function ipv4(text: string) {
  const address = parseAddress(text);
  return address instanceof Problem || address.family === 4
    ? address
    : new Problem("Is an IPv6 address", IPV4_FORM);
}

function ipv4Subnet(text: string) {
  const subnet = parseSubnet(text);
  return subnet instanceof Problem || subnet.family === 4
    ? subnet
    : new Problem("Is an IPv6 subnet", 'an IPv4 subnet, such as "172.16.0.0/12"');
}

/** Names that are berth's or no device of a machine's own. */
function parseDevice(text: string) {
  // Reserved inside a vnode only; on a machine it is the most usual one.
  const name = text === "eth0" ? text : parseLinkName(text);
  if (name instanceof Problem) return new Problem("Is not the name of a device", DEVICE_FORM);
  if (
    text === "lo" || text === "docker0" || text === "_dockercnet" || /^(veth|br-|b[vbi][erf]-)/.test(text)
  ) {
    return new Problem("Leads to no network of the machine's", DEVICE_FORM, 'Write "auto"');
  }
  return name;
}

function parseGatewayTimeout(text: string) {
  const ms = parseDuration(text);
  if (ms instanceof Problem || (ms >= GATEWAY_MS.least && ms <= GATEWAY_MS.most)) return ms;
  return new Problem(ms < GATEWAY_MS.least ? "Is too short" : "Is too long", "a duration from 2s to 5m");
}

/** `controlNet` of host.yaml. */
export const controlNetSchema = map("The control network", {
  subnet: v.optional(
    field({ description: "Subnet of the control network (IPv4).", wanted: SUBNET_FORM }, ipv4Subnet),
    "172.16.0.0/12",
  ),
  address: v.optional(
    field({
      description:
        "The host's own address on it, the gateway of the vnodes. Default: the first address of the subnet (172.16.0.1).",
      wanted: IPV4_FORM,
    }, ipv4),
  ),
  device: v.optional(
    field({
      description:
        "Device of the machine that the control network is on: auto (the default route's) or its name. none: the " +
        "control network is isolated, and no device is touched.",
      wanted: DEVICE_FORM,
      pattern: LINK_PATTERN,
    }, parseDevice),
    "none",
  ),
  driver: v.optional(
    word(
      "driver",
      DRIVERS,
      "How vnodes are put on the device. bridge: the device becomes a port of the control bridge, with an " +
        "allow-list of vnodes' ports. macvlan: nothing is moved, but no allow-list either, so vnodes can " +
        "invent addresses; needs a device.",
      'Write "bridge"',
    ),
    "bridge",
  ),
  isolation: v.optional(
    word(
      "isolation",
      ["experiments", "vnodes", "none"],
      "Who does not reach whom on the control network. experiments: vnodes of one experiment not those of another. " +
        "vnodes: each reaches the host and what lies beyond it, no other vnode. none: all reach all.",
    ),
    "experiments",
  ),
  gatewayTimeout: v.optional(
    field({
      description:
        "How long the device's gateway is waited for after the device was moved, 2s to 5m: if it stays silent, or " +
        "berth dies, everything is put back as it was.",
      wanted: FORMS.duration,
      unit: "s",
      pattern: PATTERNS.duration,
    }, parseGatewayTimeout),
    "20s",
  ),
  probe: v.pipe(
    v.nullish(
      list(
        "Addresses",
        field({ description: "Neighbour on the device.", wanted: ADDRESS_FORM }, parseAddress),
      ),
    ),
    v.description(
      "Who is asked, before and after the device was moved, whether it reaches its network: addresses of " +
        "neighbours. Needed where no route of the device names a gateway; []: nobody is asked. Default: its gateways.",
    ),
  ),
  nat: v.optional(flag("What leaves the control network is masqueraded."), true),
  routable: v.pipe(
    v.nullish(
      list(
        "Destinations",
        field(
          { description: "Subnet that is routable from control addresses.", wanted: SUBNET_FORM },
          ipv4Subnet,
        ),
      ),
      [],
    ),
    v.description("Destinations that control addresses are routed to as they are, without masquerading."),
  ),
});
