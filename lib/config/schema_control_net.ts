// The shape of controlNet in host.yaml: its subnet, the machine's device it is on, how long a move may take to prove
// itself. Owns no rules between keys (check_host.ts). Stands beside schema_host.ts, which takes it in.
import * as v from "valibot";
import {
  ADDRESS_FORM,
  IPV4_FORM,
  parseAddress,
  parseIpv4Address,
  parseSubnet,
  SUBNET_FORM,
} from "./address.ts";
import { field, flag, list, map, Problem } from "./problem.ts";
import { FORMS, limited, parseDuration, PATTERNS } from "./units.ts";
import { word } from "./schema_fields.ts";
import { parseDevice } from "./schema_lan.ts";
import { LINK_PATTERN } from "./words.ts";

/** Shortest and longest time that a moved device's gateway is waited for, in milliseconds. */
const GATEWAY_MS = { least: 2000, most: 300_000 } as const;

const DEVICE_FORM = '"auto" (the default route\'s device), "none" or the name of a network device';

const DRIVERS = ["bridge", "macvlan"] as const;

function ipv4Subnet(text: string) {
  const subnet = parseSubnet(text);
  return subnet instanceof Problem || subnet.family === 4
    ? subnet
    : new Problem("Is an IPv6 subnet", 'an IPv4 subnet, such as "172.16.0.0/12"');
}

/** A device of the machine's own; the words for it are more here. */
function parseControlDevice(text: string) {
  const name = parseDevice(text);
  return name instanceof Problem ? new Problem(name.message, DEVICE_FORM, 'Write "auto"') : name;
}

const parseGatewayTimeout = limited(parseDuration, GATEWAY_MS, "a duration from 2s to 5m", ["short", "long"]);

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
    }, parseIpv4Address),
  ),
  device: v.optional(
    field({
      description:
        "Device of the machine that the control network is on: auto (the default route's) or its name. none: the " +
        "control network is isolated, and no device is touched.",
      wanted: DEVICE_FORM,
      pattern: LINK_PATTERN,
    }, parseControlDevice),
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
