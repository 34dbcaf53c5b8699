// The keys of a lan. Owns no rules between them (check_lans.ts, check_lan_uplinks.ts).
import * as v from "valibot";
import { type Address, ADDRESS_FORM, parseAddress, parseInterfaceAddress } from "./address.ts";
import { field, flag, list, map, Problem, told, whole } from "./problem.ts";
import { mtu, subnet, word } from "./schema_fields.ts";
import { LINK_FORM, LINK_PATTERN, parseLinkName } from "./words.ts";

/** Registered for VXLAN (RFC 7348). */
const VXLAN_PORT = 4789;
/** Entries of a tunnel's list of peers: each frame for all goes out once for each of them. */
const MOST_PEERS = 256;

const DRIVERS = ["bridge", "macvlan"] as const;

/** What a device's name must be, in words. */
export const DEVICE_FORM = `the name of a network device: ${LINK_FORM}`;

/** The name of a device; not those that are berth's own, or lead nowhere. */
export function parseDevice(text: string): string | Problem {
  // Reserved inside a vnode only; on a machine it is the most usual one.
  const name = text === "eth0" ? text : parseLinkName(text);
  if (name instanceof Problem) return new Problem("Is not the name of a device", DEVICE_FORM);
  return text === "docker0" || text === "_dockercnet" || /^(veth|br-|bve-|bif-|bbr-|bvx-|bvl-)/.test(text)
    ? new Problem("Is not a device of the machine's own", DEVICE_FORM)
    : name;
}

const PEER_FORM = ADDRESS_FORM.replace("an address", "a peer's address");

function parsePeer(text: string): Address | Problem {
  const address = parseAddress(text);
  return address instanceof Problem || !/^fe[89ab]/.test(address.text) || address.family === 4
    ? address
    : new Problem("Is a link-local address, which no tunnel can lead to", PEER_FORM);
}

const vxlan = map("The tunnel", {
  id: whole("Number of the network (VNI), 1 to 16777215; the same on all hosts of the lan.", 1, 16_777_215),
  peers: v.pipe(
    list(
      "Addresses of the other hosts, 1 to 256, all IPv4 or all IPv6. Frames from anybody else are dropped.",
      field({ description: "A peer's address.", wanted: PEER_FORM }, parsePeer),
      1,
    ),
    v.maxLength(
      MOST_PEERS,
      () => told([new Problem(`Has more than ${MOST_PEERS} peers`, `at most ${MOST_PEERS} of them`)]),
    ),
  ),
  local: v.optional(
    field({
      description: "This host's own address for it; needed with IPv6. Default: the kernel's choice.",
      wanted: ADDRESS_FORM,
    }, parsePeer),
  ),
  port: v.optional(whole("UDP port of the tunnel, 1 to 65535.", 1, 65_535), VXLAN_PORT),
});

const HOST_FORM = 'an address with or without prefix length, such as "10.0.0.254" or "fd00::fe/64"';
const hostAddress = field(
  { description: "An address of the host's own.", wanted: HOST_FORM },
  parseInterfaceAddress,
);

/** Keys of a lan, without its name. */
export const lanKeys = {
  subnet: v.optional(subnet("Subnet its addresses must lie in. None: pure layer 2.")),
  subnets: v.optional(list("Several subnets, such as one of IPv4 and one of IPv6.", subnet("A subnet."), 1)),
  mtu: v.optional(mtu("Largest packet, 68 to 65535; at least 1280 with IPv6."), 1500),
  driver: v.optional(
    word(
      "driver",
      DRIVERS,
      "What links are. bridge: each has an end on the host. macvlan: none has, so nothing of the host's is between " +
        "them, and nothing can be shaped.",
      'Write "bridge"',
    ),
    "bridge",
  ),
  device: v.optional(
    field({
      description:
        "Device of the machine that the lan is on, with driver bridge as a port of its own: it must have no addresses " +
        "and routes, unless vlan is given. Default: none, the lan is local.",
      wanted: DEVICE_FORM,
      pattern: LINK_PATTERN,
    }, parseDevice),
  ),
  vlan: v.optional(
    whole("VLAN of the device that the lan is, 1 to 4094; the device itself stays as it is.", 1, 4094),
  ),
  vxlan: v.optional(
    v.pipe(vxlan, v.description("A tunnel that joins the lan to the lan of the same number on other hosts.")),
  ),
  host: v.optional(
    list(
      "Addresses that the host itself has on the lan; the prefix length of the lan's subnet is filled in. Default: " +
        "none, and the host is not reachable on it.",
      hostAddress,
      1,
    ),
  ),
  learning: v.optional(
    flag(
      "false: the lan is a hub, each link hears all frames of all others. Default: true, a learning switch.",
    ),
  ),
  antiSpoof: v.optional(
    flag(
      "A vnode says nothing on it with another's MAC or address: IPv4, IPv6, ARP and neighbour messages are held " +
        "against what its link was given, VLAN tags and other protocols are dropped. One that routes for others " +
        "cannot do so onto it.",
    ),
    false,
  ),
};
