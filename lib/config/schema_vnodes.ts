// The shape of a vnodes.d file: one vnode, or an experiment of lans and vnodes. Keys, defaults, descriptions;
// the reference and the JSON Schema are made from it. Puts together schema_lan.ts, schema_link.ts and
// schema_routes.ts. Owns no rules between keys (check_*.ts).
import * as v from "valibot";
import { ADDRESS_FORM, IPV4_FORM, parseAddress, parseIpv4Address } from "./address.ts";
import { field, list, map, table } from "./problem.ts";
import { mac } from "./schema_fields.ts";
import { firewall, forward } from "./schema_firewall.ts";
import { lanKeys } from "./schema_lan.ts";
import { link } from "./schema_link.ts";
import { experiment, fileRouting, forwarding, route, routing } from "./schema_routes.ts";
import { vnodeSysctls } from "./schema_sysctls.ts";
import * as words from "./words.ts";

const control = map("The control interface", {
  address: v.optional(field({
    description: "Address on the control network. Default: derived from the vnode's name, always the same.",
    wanted: IPV4_FORM,
  }, parseIpv4Address)),
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
  sysctls: v.optional(vnodeSysctls),
  routes: v.pipe(v.nullish(list("Routes", route), []), v.description("Routes inside the vnode.")),
  routing,
  forwarding,
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
  firewall: v.pipe(
    v.nullish(firewall),
    v.description("What may pass between the vnode and others by the control network. Default: all."),
  ),
  forward: v.pipe(v.nullish(forward), v.description("Ports of the host that lead to the vnode.")),
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
export const singleSchema = map("A vnode", { name: vnodeName, experiment, ...vnodeKeys });

const lanMap = table("a map of lans by name", lanName, v.nullable(lanSchema, {}));
const lanList = list("Lans", map("A lan", { name: lanName, ...lanKeys }));
const vnodeMap = table("a map of vnodes by name", vnodeName, vnodeSchema);
/** A vnode of a list. */
export const listedVnodeSchema = map("A vnode", { name: vnodeName, ...vnodeKeys });
const vnodeList = list("Vnodes", listedVnodeSchema);

const LANS = "Layer-2 networks of the vhost, by name (or a list, each with its name). Unique over all files.";
const VNODES = "The vnodes, by name (or a list, each with its name).";

/** An experiment, its schema chosen by the forms at hand: so that messages never speak of alternatives. */
export function experimentSchema(form: { readonly lans: "map" | "list"; readonly vnodes: "map" | "list" }) {
  return map("An experiment", {
    experiment,
    routing: fileRouting,
    lans: v.nullish(form.lans === "list" ? lanList : lanMap),
    vnodes: v.nullish(form.vnodes === "list" ? vnodeList : vnodeMap),
  });
}

/** An experiment with both forms, for the JSON Schema and the reference. */
export const eitherSchema = map("An experiment", {
  experiment,
  routing: fileRouting,
  lans: v.pipe(v.nullish(v.union([lanMap, lanList])), v.description(LANS)),
  vnodes: v.pipe(v.nullish(v.union([vnodeMap, vnodeList])), v.description(VNODES)),
});

export type LanDraft = v.InferOutput<typeof lanSchema>;
export type VnodeDraft = v.InferOutput<typeof vnodeSchema>;
