// The keys of a vnode's firewall and of the ports that the host forwards to it. Owns no rules between them
// (check_firewall.ts).
import * as v from "valibot";
import { parseAddress, parseSubnet, subnetAround } from "./address.ts";
import { field, flag, list, map, Problem, whole } from "./problem.ts";
import { word } from "./schema_fields.ts";

const PEER_FORM = 'an IPv4 subnet or address, such as "192.0.2.0/24"';

function peerOf(text: string) {
  const address = text.includes("/") ? null : parseAddress(text);
  if (address instanceof Problem) return address;
  const subnet = address === null
    ? parseSubnet(text)
    : subnetAround(address, address.family === 4 ? 32 : 128);
  if (subnet instanceof Problem || subnet.family === 4) return subnet;
  return new Problem("Is an IPv6 address", PEER_FORM, "Leave it out: the control network has no IPv6");
}

const RANGE = /^([1-9][0-9]{0,4})-([1-9][0-9]{0,4})$/;
const RANGE_FORM = 'a range of ports, such as "8000-8010"';

function rangeOf(text: string): readonly [number, number] | Problem {
  const [, low, high] = RANGE.exec(text) ?? [];
  if (low === undefined) return new Problem("Is not a range of ports", RANGE_FORM);
  const [first, last] = [Number(low), Number(high)];
  if (last > 65_535) return new Problem("Is no port", "ports from 1 to 65535");
  return first <= last
    ? [first, last]
    : new Problem("Ends before it begins", RANGE_FORM, `Write "${last}-${first}"`);
}

const VERDICTS = ["accept", "drop", "reject"] as const;
const peer = (description: string) => v.optional(field({ description, wanted: PEER_FORM }, peerOf));
const port = (description: string) => whole(description, 1, 65_535);

const rule = map("A rule", {
  in: v.optional(word("verdict", VERDICTS, "What becomes of what others begin: accept, drop or reject.")),
  out: v.optional(word("verdict", VERDICTS, "What becomes of what it begins itself, to other hosts.")),
  protocol: v.optional(word("protocol", ["tcp", "udp", "icmp"], "Protocol. Default: any.")),
  port: v.optional(port("Port that it is for, with tcp or udp. Default: any.")),
  ports: v.optional(field(
    { description: "Ports from and to, instead of port.", wanted: RANGE_FORM, pattern: RANGE.source },
    rangeOf,
  )),
  from: peer("Who it comes from, with in. Default: anybody."),
  to: peer("Who it goes to, with out. Default: anybody."),
  log: v.optional(flag("What it takes is logged, 10 lines a minute."), false),
});

const STYLES = ["open", "basic", "closed"] as const;

/** `firewall` of a vnode. */
export const firewall = map("The firewall", {
  style: v.optional(
    word(
      "style",
      STYLES,
      "What no rule speaks of. open: passes. basic: it begins what it likes; others reach its ssh (tcp 22) and get " +
        "their pings answered. closed: only the host's address on the control network, DNS, and ssh by a forwarded port.",
    ),
    "open",
  ),
  log: v.optional(
    flag(
      'What the style drops is logged by the kernel, 10 lines a minute for each way: "berth in NAME: ", "berth out NAME: ".',
    ),
    false,
  ),
  rules: v.pipe(
    v.nullish(list("Rules", rule), []),
    v.description("Rules before the style, for new connections; the first that fits decides."),
  ),
});

/** `forward` of a vnode. */
export const forward = list(
  "Forwarded ports",
  map("A forwarded port", {
    port: port("Port of the host, on all of its addresses but 127.0.0.1. Unique over all files."),
    to: port("Port of the vnode, on its control address."),
    protocol: v.optional(word("protocol", ["tcp", "udp"], "tcp or udp."), "tcp"),
  }),
);
