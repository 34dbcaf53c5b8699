// Fields that several parts of the vnodes' schema have: subnets, MACs, MTUs.
import { MAC_FORM, MAC_PATTERN, parseMac, parseSubnet, SUBNET_FORM } from "./address.ts";
import { field, whole } from "./problem.ts";

/** A subnet. */
export const subnet = (description: string) => field({ description, wanted: SUBNET_FORM }, parseSubnet);
/** A MAC. */
export const mac = (description: string) =>
  field({ description, wanted: MAC_FORM, pattern: MAC_PATTERN }, parseMac);
/** An MTU: 68, RFC 791's least, to 65535, the largest a veth takes. */
export const mtu = (description: string) => whole(description, 68, 65_535);
