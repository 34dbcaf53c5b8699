// docs/configuration.md as text, made from the JSON Schema, so that it cannot differ from what is accepted. Pure.
import { configJsonSchema, type JsonSchema } from "./json_schema.ts";

const HEAD = `<!-- deno-fmt-ignore-file -->
<!-- Made by \`deno run -A tasks/dev/docs.ts\` from lib/config/schema_*.ts: edit those. -->

# Configuration

berth reads \`/etc/berth/host.yaml\` and every \`/etc/berth/vnodes.d/*.yaml\` (also \`.yml\` and \`.json\`). Both may be
missing: an empty \`/etc/berth\` prepares the host with the defaults below. Unknown keys are refused; all problems are
told at once, each with file, line, what was found, what is wanted and what to do next, and the exit code is 3.

Examples: [pair.yaml](examples/pair.yaml), [triangle.yaml](examples/triangle.yaml), [routed.yaml](examples/routed.yaml), [host.yaml](examples/host.yaml).
\`berth schema > /etc/berth/berth.schema.json\` gives editors what they need for completion.

## Units

| kind | written | note |
|---|---|---|
| rate | \`64kbit\` \`10mbit\` \`1gbit\` | bit/s, powers of 1000; Ethernet frames without preamble and FCS |
| delay | \`500us\` \`20ms\` \`1s\` | |
| duration | \`500ms\` \`60s\` \`5m\` \`1h\` | |
| loss, share | \`1%\` \`0.1%\` | |
| size | \`512MiB\` \`20GiB\` \`4TiB\` | powers of 1024 |

Bare numbers are refused. Variables and arguments are text: write \`"8080"\` in quotes.

## What is derived when it is left out

- **Control address**: a hash of the vnode's name within \`controlNet.subnet\`. It depends on nothing else, so it stays
  the same whatever other vnodes come and go. Two names may hash to one address (about 1 in 50 for 200 vnodes in a /12,
  likely in a small subnet): that is a configuration error that names a free address for \`control.address\`.
- **Control MAC**: \`02:00\` and the four bytes of the control address.
- **MAC of a link**: \`02:\` and five bytes of a hash of the names of vnode and link.
- **Interface names**: \`eth1\`, \`eth2\`, … by the link's position. \`eth0\` is the control interface.
- **Prefix length** of an address: that of the lan's subnet it lies in. On a lan without subnets it must be written.
- **Shaping**: \`rate\`, \`delay\` and \`loss\` of a link hold in both directions, each; \`egress\` (from the vnode into the lan)
  and \`ingress\` (from the lan into the vnode) go over them, key by key.
- **Experiment**: the name of the file without its ending. Vnodes of one experiment know one another in /etc/hosts: at
  each address of a link by NODE-LAN and NODE-INDEX (the link's position from 0), and by NODE at the address that is
  nearest: on a common lan, else where the shortest path arrives, else the first. \`hosts\` goes over these.
- **Routes** with \`routing: static\`: to every subnet of the experiment that a path leads to, through the vnodes that hand
  on. The path's cost is the sum of the \`cost\` of each link that a packet leaves by; of equal ones the one with fewer
  hops, then with the next hop that comes first by name. Neighbouring subnets over one next hop are one route. A written
  route goes over a computed one; a default is never computed. Lans without a subnet count with the prefix lengths that
  their addresses have.
- **Forwarding**: on with computed routes and two links or more, and where another vnode's written route leads by an
  address of this one on a common lan or on the control network; else off. A link-local next hop does not tell whose it
  is: set \`forwarding\` there.
- **Default route**: the control network's gateway, unless an IPv4 default is written.

## Rules between keys

Names of vnodes and of lans, control addresses, MACs, addresses on one lan and interface names of one vnode are unique.
Addresses lie in their lan's subnets, and are neither the network's nor the broadcast address. Control addresses lie in
\`controlNet.subnet\` and are not the host's. Lans that are used are declared, in any file. Subnets of lans do not overlap
the control network; the same subnet on two lans is allowed, they are separate wires. The next hop of a route lies in a
subnet of one of the vnode's links or in the control network. With IPv6 the MTU is at least 1280.
`;

/** The whole page. */
export function configurationPage(): string {
  const schema = configJsonSchema();
  const defs = schema.$defs as { host: JsonSchema; vnodes: { then: JsonSchema; else: JsonSchema } };
  const experiment = defs.vnodes.else;
  const lan = definition(experiment, "lans");
  const vnode = definition(experiment, "vnodes");
  return [
    HEAD,
    "## host.yaml\n",
    tableOf(defs.host),
    "## vnodes.d: an experiment\n",
    "A map of names, or a list of things that each have a `name`, for both keys:\n",
    tableOf(experiment, false),
    "### A lan: `lans.NAME`\n",
    tableOf(lan),
    "### A vnode: `vnodes.NAME`\n",
    "A file may also hold a single vnode: these keys at the top, and its `name`.\n",
    tableOf(vnode),
  ].join("\n").trimEnd() + "\n";
}

function bare(schema: JsonSchema): JsonSchema {
  const any = schema.anyOf as JsonSchema[] | undefined;
  const real = any?.filter((one) => one.type !== "null");
  return any === undefined || real === undefined || real.length === 0 ? schema : bare(real[0]!);
}

/** What a map by name holds. */
function definition(experiment: JsonSchema, key: string): JsonSchema {
  const group = bare((experiment.properties as Record<string, JsonSchema>)[key]!);
  return bare(group.additionalProperties as JsonSchema);
}

function tableOf(schema: JsonSchema, deep = true): string {
  return ["| key | type | default | description |", "|---|---|---|---|", ...rowsOf(schema, "", deep), ""]
    .join("\n");
}

function rowsOf(schema: JsonSchema, prefix: string, deep: boolean): string[] {
  const required = (schema.required ?? []) as string[];
  return Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>).flatMap(([key, value]) => {
    const inner = bare(value);
    const path = `${prefix}${key}`;
    const initial = value.default === undefined || typeof value.default === "object"
      ? required.includes(key) ? "required" : ""
      : `\`${value.default}\``;
    const row = `| \`${path}\` | ${typeOf(inner)} | ${initial} | ${
      value.description ?? inner.description ?? ""
    } |`;
    const items = inner.items === undefined ? undefined : bare(inner.items as JsonSchema);
    const below = !deep
      ? []
      : inner.properties !== undefined
      ? rowsOf(inner, `${path}.`, deep)
      : items?.properties !== undefined
      ? rowsOf(items, `${path}[].`, deep)
      : [];
    return [row, ...below];
  });
}

function typeOf(schema: JsonSchema): string {
  if (Array.isArray(schema.enum)) return schema.enum.map((word) => `\`${word}\``).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(bare(schema.items as JsonSchema))}`;
  if (schema.type === "object") return "map";
  if (schema.type === "boolean") return "true or false";
  if (schema.type === "integer" || schema.type === "number") {
    return `number, ${schema.minimum} to ${schema.maximum}`;
  }
  return "text";
}
