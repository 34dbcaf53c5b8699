// The keys of a vnode's link. Owns no rules between them (check_links.ts).
import * as v from "valibot";
import { parseInterfaceAddress } from "./address.ts";
import { field, list, map } from "./problem.ts";
import { stateKeys } from "./schema_flap.ts";
import { mac, mtu } from "./schema_fields.ts";
import { DEVICE_FORM, parseDevice } from "./schema_lan.ts";
import { cost } from "./schema_routes.ts";
import { direction, shapeKeys } from "./schema_shape.ts";
import { linkSysctls } from "./schema_sysctls.ts";
import * as words from "./words.ts";

const LINK_ADDRESS_FORM = 'an address with or without prefix length, such as "10.0.0.1" or "fd00::1/64"';
const linkAddress = (description: string) =>
  field({ description, wanted: LINK_ADDRESS_FORM }, parseInterfaceAddress);

/** A link of a vnode. */
export const link = map("A link", {
  lan: v.optional(field(
    { description: "Name of the lan it leads to.", wanted: words.NAME_FORM, pattern: words.NAME_PATTERN },
    words.parseName,
  )),
  device: v.optional(field({
    description:
      "Instead of a lan: a device of the machine's own, which is handed into the vnode for as long as it " +
      "runs. One with addresses, or that anything else uses, is refused.",
    wanted: DEVICE_FORM,
    pattern: words.LINK_PATTERN,
  }, parseDevice)),
  address: v.optional(linkAddress("Address; the prefix length of the lan's subnet is filled in.")),
  addresses: v.optional(list("Several addresses.", linkAddress("An address."), 1)),
  mac: v.optional(
    mac(
      "MAC. Default: 02:… derived from the names of vnode and link, always the same; a device keeps its own.",
    ),
  ),
  name: v.optional(field({
    description: "Interface name inside the vnode. Default: eth1, eth2, … in order.",
    wanted: words.LINK_FORM,
    pattern: words.LINK_PATTERN,
  }, words.parseLinkName)),
  mtu: v.optional(
    mtu("MTU of the interface, at most the lan's. Default: the lan's; a device keeps its own."),
  ),
  cost,
  sysctls: v.optional(linkSysctls),
  ...stateKeys,
  ...shapeKeys,
  egress: v.optional(
    v.pipe(direction, v.description("From the vnode into the lan, over what is said for both ways.")),
  ),
  ingress: v.optional(
    v.pipe(direction, v.description("From the lan into the vnode, over what is said for both ways.")),
  ),
});
