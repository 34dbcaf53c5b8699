// The keys that say how a vnode's packets find their way: routes, routing, forwarding, costs, and whose topology it is.
// Owns no rules between them (check_routes.ts, forwarding.ts).
import * as v from "valibot";
import { ADDRESS_FORM, parseAddress, parseSubnet, SUBNET_FORM, subnetAround } from "./address.ts";
import { field, flag, map, Problem, whole } from "./problem.ts";
import { word } from "./schema_fields.ts";
import * as words from "./words.ts";

function parseTo(text: string) {
  if (text === "default") return "default" as const;
  const parsed = parseSubnet(text);
  if (!(parsed instanceof Problem) || text.includes("/")) return parsed;
  const address = parseAddress(text);
  return address instanceof Problem ? parsed : subnetAround(address, address.family === 4 ? 32 : 128);
}

/** A route of a vnode. */
export const route = map("A route", {
  to: field({
    description: 'Destination: "default", a subnet or an address.',
    wanted: `"default" or ${SUBNET_FORM}`,
  }, parseTo),
  via: field({
    description: "Next hop, in a subnet of one of the vnode's links or the control network.",
    wanted: ADDRESS_FORM,
  }, parseAddress),
  dev: v.optional(field({
    description:
      "Interface it leaves by: the name of a link, or eth0. Needed where via is a link-local address.",
    wanted: words.LINK_FORM,
    pattern: words.LINK_PATTERN,
  }, (text) => text === "eth0" ? text : words.parseLinkName(text))),
});

const ROUTINGS = ["manual", "static"] as const;

/** Where a vnode's routes come from. */
export const routing = v.optional(word(
  "routing",
  ROUTINGS,
  "static: routes to every subnet of the experiment are computed, by the least cost through the vnodes that hand on; " +
    "written ones go over them. manual: the written ones alone. Default: the file's, else manual.",
));

/** The same for all vnodes of a file. */
export const fileRouting = v.optional(word(
  "routing",
  ROUTINGS,
  "What holds for each vnode of the file that says nothing of its own.",
));

/** Whether a vnode hands on. */
export const forwarding = v.optional(flag(
  "Whether packets for others are handed on, IPv4 and IPv6. Default: true with routing static and two links or more, " +
    "and where another vnode's route leads by it; else false.",
));

/** What it costs to leave by a link. */
export const cost = v.optional(whole("Cost of leaving by it, for routing static. Default: 1.", 1, 65_535));

/** Whose topology the vnodes of a file are. */
export const experiment = v.optional(field({
  description:
    "Name of the experiment: its vnodes know one another by name and have routes to one another. Several files " +
    "may be of one. Default: the file's name without its ending; for a file of one vnode, the one that all such are of.",
  wanted: words.NAME_FORM,
  pattern: words.NAME_PATTERN,
}, words.parseName));
