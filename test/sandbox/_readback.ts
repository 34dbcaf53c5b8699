// What a kernel says of a whole experiment, host and insides, in one look; what of it is not as the specs say; and what
// differs from an earlier look that should not. Asks the kernel and the engine alone, never berth.
import type { LanSpec, LinkSpec, Shape, VnodeSpec } from "../../lib/config/types.ts";
import { bridgeName, hostEndName, ifbName, lanTableName, tunnelName } from "../../lib/vnode/names.ts";
import type { Sandbox } from "./harness.ts";

/** Vnodes, complete with what follows from the others, and the lans declared. */
export interface Wanted {
  readonly vnodes: readonly VnodeSpec[];
  readonly lans: readonly LanSpec[];
}

interface Interface {
  readonly ifname: string;
  readonly ifindex: number;
  readonly link_index?: number;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly gso_max_segs?: number;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_slave_data?: { readonly learning?: boolean };
  };
  readonly addr_info?: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
  }[];
}

interface Queue {
  readonly kind: string;
  readonly handle: string;
  readonly dev: string;
  readonly parent?: string;
  readonly root?: boolean;
  readonly packets: number;
  readonly options?: { readonly rate?: number; readonly limit?: number };
}

interface Rule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly expr: readonly unknown[];
}

interface Inside {
  readonly id: string;
  readonly pid: number;
  readonly links: readonly Interface[];
  readonly routes: readonly { readonly dst: string; readonly gateway?: string; readonly dev?: string }[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly hosts: string;
}

/** One look. */
export interface Seen {
  readonly links: ReadonlyMap<string, Interface>;
  readonly queues: readonly Queue[];
  readonly rules: readonly Rule[];
  /** "TABLE/SET" and an element of it, as JSON. */
  readonly elements: ReadonlySet<string>;
  readonly tables: readonly string[];
  readonly vnodes: ReadonlyMap<string, Inside>;
}

// Frames first, of a protocol nobody has, so that every queue has counted some: one that is made anew shows then.
const LOOK = `
one() { "$@" 2>/dev/null | tr -d '\\n' | sed 's/^$/null/' || true; }
frames='while (<>) { m{^(\\d+): (?!lo|eth0)} or next; socket(S, 17, 3, 0) or die $!;
  send(S, "\\xff" x 6 . "\\x02\\xbe\\0\\0\\0\\1\\x88\\xb5" . "\\0" x 50, 0, pack("SnlSCCa8", 17, 0x88b5, $1, 0, 0, 6, "\\xff" x 6)) for 1 .. 8 }'
inspected=$(docker ps -q --no-trunc --filter label=berth.vnode | xargs -r docker inspect -f '{{.Name}} {{.Id}} {{.State.Pid}} {{.HostsPath}}')
printf '%s\\n' "$inspected" | while read -r name id pid hosts; do
  [ -n "$name" ] && nsenter -t "$pid" -n sh -c 'ip -o link | perl -e "$1"' sh "$frames"
done
printf '{"vnodes":{"":null'
printf '%s\\n' "$inspected" | while read -r name id pid hosts; do
  [ -n "$name" ] || continue
  printf ',"%s":{"id":"%s","pid":%s' "\${name#/}" "$id" "$pid"
  nsenter -t "$pid" -n sh -c 'printf ",\\"links\\":"; ip -j -d addr; printf ",\\"four\\":"; ip -j route; printf ",\\"six\\":"; ip -j -6 route'
  printf ',"sysctls":"'; nsenter -t "$pid" -n sysctl -e $1 2>/dev/null | tr '\\n' ';'
  printf '","hosts":"'; base64 -w0 "$hosts"; printf '"}'
done
printf '},"links":'; ip -j -d link
printf ',"queues":'; tc -s -j qdisc show
printf ',"nft":'; nft -j -a list ruleset
printf '}'
`;

const sysctlPath = (link: string, key: string) => {
  const [family, name] = key.split(".");
  // As sysctl(8) has it: a dot in an interface's name is a slash.
  return `net.${family}.conf.${link.replaceAll(".", "/")}.${name}`;
};

/** All sysctls that specs speak of, by vnode. */
function sysctlsOf(spec: VnodeSpec): [string, string][] {
  return [
    ...Object.entries(spec.sysctls ?? {}),
    ...spec.links.flatMap((link) =>
      Object.entries(link.sysctls ?? {}).map((
        [key, value],
      ): [string, string] => [sysctlPath(link.name, key), value])
    ),
    ["net.ipv4.ip_forward", spec.forwarding === true ? "1" : "0"],
  ];
}

/** Looks at everything. */
export async function readBack(box: Sandbox, { vnodes }: Wanted): Promise<Seen> {
  const paths = [...new Set(vnodes.flatMap((spec) => sysctlsOf(spec).map(([path]) => path)))];
  const text = await box.sh(
    LOOK.replace("sysctl -e $1", `sysctl -e ${paths.map((one) => `'${one}'`).join(" ")}`),
    {
      timeoutMs: 120_000,
    },
  );
  const all = JSON.parse(text) as {
    readonly vnodes: Record<
      string,
      | { id: string; pid: number; links: Interface[]; four: []; six: []; sysctls: string; hosts: string }
      | null
    >;
    readonly links: Interface[];
    readonly queues: Queue[];
    readonly nft: {
      readonly nftables: readonly Readonly<Record<string, Readonly<Record<string, unknown>>>>[];
    };
  };
  const { nftables } = all.nft;
  const sets = nftables.flatMap((one): Readonly<Record<string, unknown>>[] => {
    const set = one["set"] ?? one["map"];
    return set === undefined ? [] : [set];
  });
  return {
    links: new Map(all.links.map((one) => [one.ifname, one])),
    queues: all.queues,
    rules: nftables.flatMap(({ rule }) => rule === undefined ? [] : [rule as unknown as Rule]),
    elements: new Set(
      sets.flatMap((set) =>
        ((set["elem"] ?? []) as unknown[]).map((one) =>
          `${set["family"]} ${set["table"]}/${set["name"]} ${JSON.stringify(one)}`
        )
      ),
    ),
    tables: nftables.flatMap(({ table }) =>
      table === undefined ? [] : [`${table["family"]} ${table["name"]}`]
    ),
    vnodes: new Map(
      Object.entries(all.vnodes).flatMap(([name, one]): [string, Inside][] => {
        if (one === null) return [];
        const { four, six, sysctls, hosts, ...rest } = one;
        const values = sysctls.split(";").filter(Boolean).map((line) =>
          line.split(" = ") as [string, string]
        );
        return [[name, {
          ...rest,
          routes: [...four, ...six],
          sysctls: Object.fromEntries(values),
          hosts: atob(hosts),
        }]];
      }),
    ),
  };
}

const shapes = ({ rateBps }: Shape) => rateBps !== undefined;
const isVeth = (link: LinkSpec) => link.driver === undefined;
const usedLans = ({ vnodes, lans }: Wanted) =>
  lans.filter(({ name }) => vnodes.some(({ links }) => links.some(({ lan }) => lan === name)));
const rootOf = (seen: Seen, dev: string) => seen.queues.find((one) => one.dev === dev && one.root === true);

/** What is not as the specs say, one line each. */
export function faults(seen: Seen, wanted: Wanted): string[] {
  const told: string[] = [];
  const hold = (where: string, found: unknown, should: unknown) => {
    const [is, be] = [found, should].map((one) => JSON.stringify(one));
    if (is !== be) told.push(`${where}: ${is}, wanted ${be}`);
  };
  const ours = [...seen.links.keys()].filter((name) => /^b(ve|if)-/.test(name)).sort();
  const ends = wanted.vnodes.flatMap(({ name, links }) =>
    links.filter(isVeth).flatMap((link) => [
      hostEndName(name, link.name),
      ...(shapes(link.egress) ? [ifbName(name, link.name)] : []),
    ])
  );
  hold("interfaces of links", ours, ends.sort());
  const used = usedLans(wanted);
  const bridges = used.filter((lan) => lan.driver === undefined).map((lan) => bridgeName(lan.name));
  const found = [...seen.links.keys()];
  for (const name of bridges) if (!found.includes(name)) told.push(`bridge ${name} is missing`);
  hold("bridges", found.filter((name) => name.startsWith("bbr-")).length, used.length);
  const tunnels = used.filter((lan) => lan.vxlan !== undefined).map((lan) => tunnelName(lan.name));
  hold("tunnels", found.filter((name) => name.startsWith("bvx-")).sort(), tunnels.sort());
  const tables = used.filter((lan) => lan.vxlan !== undefined || lan.host !== undefined)
    .map((lan) => `inet ${lanTableName(lan.name)}`);
  hold("tables of lans", seen.tables.filter((name) => name.includes("berth_lan_")).sort(), tables.sort());
  hold("vnodes that run", [...seen.vnodes.keys()].sort(), wanted.vnodes.map(({ name }) => name).sort());
  for (const spec of wanted.vnodes) {
    const inside = seen.vnodes.get(spec.name);
    if (inside !== undefined) told.push(...vnodeFaults(seen, spec, inside));
  }
  return told;
}

function vnodeFaults(seen: Seen, spec: VnodeSpec, inside: Inside): string[] {
  const told: string[] = [];
  const hold = (where: string, found: unknown, should: unknown) => {
    const [is, be] = [found, should].map((one) => JSON.stringify(one));
    if (is !== be) told.push(`${spec.name} ${where}: ${is}, wanted ${be}`);
  };
  const names = inside.links.map(({ ifname }) => ifname).filter((name) => name !== "lo" && name !== "eth0");
  hold("links inside", names.sort(), spec.links.map(({ name }) => name).sort());
  for (const link of spec.links) {
    const inner = inside.links.find(({ ifname }) => ifname === link.name);
    if (inner === undefined) continue;
    hold(`${link.name} mac`, inner.address, link.mac);
    hold(`${link.name} mtu`, inner.mtu, link.mtu);
    hold(`${link.name} state`, inner.flags.includes("UP"), true);
    const addresses = (inner.addr_info ?? []).filter(({ scope }) => scope === "global")
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    hold(`${link.name} addresses`, addresses.sort(), [...link.addresses].sort());
    if (!isVeth(link)) continue;
    const end = seen.links.get(hostEndName(spec.name, link.name));
    hold(`${link.name} peers`, [end?.ifindex, end?.link_index], [inner.link_index, inner.ifindex]);
    hold(`${link.name} carrier`, inner.flags.includes("LOWER_UP"), link.up !== false);
    hold(`${link.name} bridge`, end?.master, bridgeName(link.lan));
    hold(`${link.name} learning`, end?.linkinfo?.info_slave_data?.learning, link.learning !== false);
    hold(`${link.name} segments`, end?.gso_max_segs === 1, link.oneSegment === true);
    for (
      const [dev, shape] of [[end!.ifname, link.ingress], [
        ifbName(spec.name, link.name),
        link.egress,
      ]] as const
    ) {
      const root = rootOf(seen, dev);
      const rate = root?.kind === "tbf" ? root.options!.rate! * 8 : undefined;
      hold(`${link.name} ${dev} rate`, rate, shape.rateBps);
    }
  }
  for (const { to, via, dev } of spec.routes) {
    const dst = to.replace(/\/(32|128)$/, "");
    const found = inside.routes.filter((one) => one.dst === dst && one.gateway === via);
    if (!found.some((one) => dev === undefined || one.dev === dev)) {
      told.push(`${spec.name} lacks the route to ${to} via ${via}`);
    }
  }
  const gateways = inside.routes.filter((one) => one.gateway !== undefined).length;
  const isWritten = spec.routes.some(({ to, via }) => to === "default" && !via.includes(":"));
  hold("routes by a gateway", gateways, spec.routes.length + (isWritten ? 0 : 1));
  for (const [path, value] of sysctlsOf(spec)) hold(path, inside.sysctls[path], value);
  return told;
}
