// The keys of a lan. Owns no rules between them (check_lans.ts).
import * as v from "valibot";
import { flag, list } from "./problem.ts";
import { mtu, subnet } from "./schema_fields.ts";

/** Keys of a lan, without its name. */
export const lanKeys = {
  subnet: v.optional(subnet("Subnet its addresses must lie in. None: pure layer 2.")),
  subnets: v.optional(list("Several subnets, such as one of IPv4 and one of IPv6.", subnet("A subnet."), 1)),
  mtu: v.optional(mtu("Largest packet, 68 to 65535; at least 1280 with IPv6."), 1500),
  antiSpoof: v.optional(
    flag(
      "A vnode says nothing on it with another's MAC or address: IPv4, IPv6, ARP and neighbour messages are held " +
        "against what its link was given, VLAN tags and other protocols are dropped. One that routes for others " +
        "cannot do so onto it.",
    ),
    false,
  ),
};
