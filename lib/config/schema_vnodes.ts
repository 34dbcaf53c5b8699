// The shape of a vnodes.d file: one vnode, or an experiment of lans and vnodes. Keys, defaults, descriptions;
// the reference and the JSON Schema are made from it. Owns no rules between keys (check_*.ts).
import * as v from "valibot";
import {
  ADDRESS_FORM,
  IPV4_FORM,
  MAC_FORM,
  MAC_PATTERN,
  parseAddress,
  parseInterfaceAddress,
  parseMac,
  parseSubnet,
  SUBNET_FORM,
  subnetAround,
} from "./address.ts";
import { field, list, map, Problem, table, whole } from "./problem.ts";
import { FORMS, parseDelay, parsePercent, parseRate, PATTERNS } from "./units.ts";
import * as words from "./words.ts";

const subnet = (description: string) => field({ description, wanted: SUBNET_FORM }, parseSubnet);
const mac = (description: string) => field({ description, wanted: MAC_FORM, pattern: MAC_PATTERN }, parseMac);
// 68: RFC 791's least; 65535: the largest a veth takes.
const mtu = (description: string) => whole(description, 68, 65_535);

const LINK_ADDRESS_FORM = 'an address with or without prefix length, such as "10.0.0.1" or "fd00::1/64"';
const linkAddress = (description: string) =>
  field({ description, wanted: LINK_ADDRESS_FORM }, parseInterfaceAddress);

function limited(parse: (text: string) => number | Problem, least: number, most: number, wanted: string) {
  return (text: string): number | Problem => {
    const value = parse(text);
    if (value instanceof Problem || (value >= least && value <= most)) return value;
    return new Problem(value < least ? "Is too low" : "Is too high", wanted);
  };
}

const shape = {
  rate: v.optional(field({
    description: "Bandwidth, 8kbit to 10gbit: Ethernet frames without preamble and FCS.",
    wanted: FORMS.rate,
    unit: "mbit",
    pattern: PATTERNS.rate,
    examples: ["10mbit", "64kbit"],
  }, limited(parseRate, 8000, 10e9, "a rate from 8kbit to 10gbit"))),
  delay: v.optional(field({
    description: "Added delay, at most 60s. Needs netem in the vhost's kernel.",
    wanted: FORMS.delay,
    unit: "ms",
    pattern: PATTERNS.delay,
    examples: ["20ms", "500us"],
  }, limited(parseDelay, 0, 60e6, "a delay of at most 60s"))),
  loss: v.optional(field({
    description: "Share of frames lost. Needs netem in the vhost's kernel.",
    wanted: FORMS.percent,
    unit: "%",
    pattern: PATTERNS.percent,
    examples: ["1%", "0.1%"],
  }, parsePercent)),
};

const direction = map("A direction", shape);

const lanKeys = {
  subnet: v.optional(subnet("Subnet its addresses must lie in. None: pure layer 2.")),
  subnets: v.optional(list("Several subnets, such as one of IPv4 and one of IPv6.", subnet("A subnet."), 1)),
  mtu: v.optional(mtu("Largest packet, 68 to 65535; at least 1280 with IPv6."), 1500),
};

const link = map("A link", {
  lan: field(
    { description: "Name of the lan it leads to.", wanted: words.NAME_FORM, pattern: words.NAME_PATTERN },
    words.parseName,
  ),
  address: v.optional(linkAddress("Address; the prefix length of the lan's subnet is filled in.")),
  addresses: v.optional(list("Several addresses.", linkAddress("An address."), 1)),
  mac: v.optional(mac("MAC. Default: 02:… derived from the names of vnode and link, always the same.")),
  name: v.optional(field({
    description: "Interface name inside the vnode. Default: eth1, eth2, … in order.",
    wanted: words.LINK_FORM,
    pattern: words.LINK_PATTERN,
  }, words.parseLinkName)),
  mtu: v.optional(mtu("MTU of the interface, at most the lan's. Default: the lan's.")),
  ...shape,
  egress: v.optional(
    v.pipe(direction, v.description("From the vnode into the lan, over what is said for both ways.")),
  ),
  ingress: v.optional(
    v.pipe(direction, v.description("From the lan into the vnode, over what is said for both ways.")),
  ),
});

function parseTo(text: string) {
  if (text === "default") return "default" as const;
  const parsed = parseSubnet(text);
  if (!(parsed instanceof Problem) || text.includes("/")) return parsed;
  const address = parseAddress(text);
  return address instanceof Problem ? parsed : subnetAround(address, address.family === 4 ? 32 : 128);
}

const route = map("A route", {
  to: field({
    description: 'Destination: "default", a subnet or an address.',
    wanted: `"default" or ${SUBNET_FORM}`,
  }, parseTo),
  via: field({
    description: "Next hop, in a subnet of one of the vnode's links or the control network.",
    wanted: ADDRESS_FORM,
  }, parseAddress),
});

function controlAddress(text: string) {
  const parsed = parseAddress(text);
  if (parsed instanceof Problem) return new Problem(parsed.message, IPV4_FORM, parsed.next);
  return parsed.family === 4 ? parsed : new Problem("Is an IPv6 address", IPV4_FORM);
}

const control = map("The control interface", {
  address: v.optional(field({
    description: "Address on the control network. Default: derived from the vnode's name, always the same.",
    wanted: IPV4_FORM,
  }, controlAddress)),
  mac: v.optional(mac("MAC of eth0. Default: 02:00 and the four bytes of the address.")),
});

const vnodeKeys = {
  image: field(
    { description: "Image reference.", wanted: words.IMAGE_FORM, examples: ["debian:bookworm"] },
    words.parseImage,
  ),
  command: v.optional(
    list(
      "Command and arguments instead of the image's own.",
      field({ description: "An argument.", wanted: "text" }, words.parseData),
      1,
    ),
  ),
  env: v.pipe(
    v.nullish(
      table(
        "a map of variables",
        field(
          { description: "Name.", wanted: words.ENV_FORM, pattern: words.ENV_PATTERN },
          words.parseEnvKey,
        ),
        field({ description: "Value.", wanted: "text" }, words.parseData),
      ),
      {},
    ),
    v.description("Environment variables of the vnode's first process."),
  ),
  control: v.pipe(v.nullish(control, {}), v.description("The interface on the control network, eth0.")),
  links: v.pipe(v.nullish(list("Links", link), []), v.description("Interfaces on lans, eth1 onwards.")),
  routes: v.pipe(v.nullish(list("Routes", route), []), v.description("Routes inside the vnode.")),
  hosts: v.pipe(
    v.nullish(
      table(
        "a map of host names and addresses",
        field({ description: "Host name.", wanted: words.HOST_FORM }, words.parseHostName),
        field({ description: "Its address.", wanted: ADDRESS_FORM }, parseAddress),
      ),
      {},
    ),
    v.description("Further lines of /etc/hosts: name to address."),
  ),
};

const lanName = field({
  description: `Name of the lan, unique on the vhost: ${words.NAME_FORM}.`,
  wanted: words.NAME_FORM,
  pattern: words.NAME_PATTERN,
}, words.parseName);
const vnodeName = field({
  description: `Name of the vnode, unique on the vhost: ${words.VNODE_FORM}.`,
  wanted: words.VNODE_FORM,
  pattern: words.VNODE_PATTERN,
}, words.parseVnodeName);

export const lanSchema = map("A lan", lanKeys);
export const vnodeSchema = map("A vnode", vnodeKeys);
/** A file that holds one vnode. */
export const singleSchema = map("A vnode", { name: vnodeName, ...vnodeKeys });

const lanMap = table("a map of lans by name", lanName, v.nullable(lanSchema, {}));
const lanList = list("Lans", map("A lan", { name: lanName, ...lanKeys }));
const vnodeMap = table("a map of vnodes by name", vnodeName, vnodeSchema);
const vnodeList = list("Vnodes", singleSchema);

const LANS = "Layer-2 networks of the vhost, by name (or a list, each with its name). Unique over all files.";
const VNODES = "The vnodes, by name (or a list, each with its name).";

/** An experiment, its schema chosen by the forms at hand: so that messages never speak of alternatives. */
export function experimentSchema(form: { readonly lans: "map" | "list"; readonly vnodes: "map" | "list" }) {
  return map("An experiment", {
    lans: v.nullish(form.lans === "list" ? lanList : lanMap),
    vnodes: v.nullish(form.vnodes === "list" ? vnodeList : vnodeMap),
  });
}

/** An experiment with both forms, for the JSON Schema and the reference. */
export const eitherSchema = map("An experiment", {
  lans: v.pipe(v.nullish(v.union([lanMap, lanList])), v.description(LANS)),
  vnodes: v.pipe(v.nullish(v.union([vnodeMap, vnodeList])), v.description(VNODES)),
});

export type LanDraft = v.InferOutput<typeof lanSchema>;
export type VnodeDraft = v.InferOutput<typeof vnodeSchema>;
