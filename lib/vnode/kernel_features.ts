// What the kernel and tc must have for links to be shaped and for lans to be made: tried in a network namespace that is gone with the trying.
// Nothing else tells for sure: a kernel may have it built in and say so nowhere, or load it only when it is asked for.
import { needsNetem } from "../config/segments.ts";
import type { LanSpec, Shape, VnodeSpec } from "../config/types.ts";
import type { Host } from "../host/types.ts";
import { BerthError, type Issue } from "../log/error.ts";

/** Parts of a kernel that may be missing, by the module's name; and tc's tables of distributions, by "table NAME". */
export type Feature =
  | "sch_netem"
  | "sch_tbf"
  | "sch_ingress"
  | "cls_u32"
  | "act_mirred"
  | "ifb"
  | "vxlan"
  | "8021q"
  | "macvlan"
  | `table ${NonNullable<Shape["distribution"]>}`;

/** Each feature comes as an argument; those that do not work are printed. `lo` and `berth0` are of no use to anybody. */
const TRY = `ip link add berth0 type veth peer name berth1
works() {
  case "$1" in
    sch_netem) tc qdisc add dev lo root netem delay 1ms;;
    "table "*) tc qdisc add dev lo root netem delay 2ms 1ms distribution "\${1#table }";;
    sch_tbf) tc qdisc add dev lo root tbf rate 1mbit burst 3036b limit 75900b;;
    sch_ingress) tc qdisc add dev lo ingress;;
    cls_u32) tc qdisc add dev lo ingress && tc filter add dev lo parent ffff: protocol all u32 match u32 0 0;;
    act_mirred) tc actions add action mirred egress redirect dev lo;;
    ifb) ip link add berth2 type ifb;;
    vxlan) ip link add berth2 type vxlan id 1 dstport 4789;;
    8021q) ip link add link berth0 name berth2 type vlan id 2;;
    macvlan) ip link add link berth0 name berth2 type macvlan mode bridge;;
  esac
}
for feature in "$@"; do
  works "$feature" >&2 || echo "$feature"
  for gone in "tc qdisc del dev lo root" "tc qdisc del dev lo ingress" "ip link del berth2"; do $gone 2>/dev/null; done
done
:`;

/** Those of some features that do not work here. Loads modules where there are any. */
export async function missingFeatures(host: Host, wanted: readonly Feature[]): Promise<readonly Feature[]> {
  if (wanted.length === 0) return [];
  const { stdout } = await host.exec({
    argv: ["unshare", "--net", "sh", "-c", TRY, "sh", ...new Set(wanted)],
  });
  const missing = stdout.split("\n");
  return [...new Set(wanted)].filter((feature) => missing.includes(feature));
}

/** What one direction of a link takes. What the vnode sends is shaped on an ifb. */
function featuresOf(shape: Shape, way: "egress" | "ingress"): readonly Feature[] {
  const netem = needsNetem(shape);
  if (!netem && shape.rateBps === undefined) return [];
  return [
    ...(shape.rateBps === undefined ? [] : ["sch_tbf" as const]),
    ...(netem ? ["sch_netem" as const] : []),
    ...(shape.distribution === undefined ? [] : [`table ${shape.distribution}` as const]),
    ...(way === "egress" ? ["ifb", "sch_ingress", "cls_u32", "act_mirred"] as const : []),
  ];
}

/** By feature; anything else is of what a vnode sends. */
const MESSAGES: Readonly<Record<string, string>> = {
  sch_netem: "Delay, loss and the like need the kernel's sch_netem, which it does not have",
  sch_tbf: "A rate needs the kernel's sch_tbf, which it does not have",
};

/** What is missing for the links of these specs, by vnode: an issue for each direction and feature. */
export async function lackingFeatures(
  host: Host,
  specs: readonly VnodeSpec[],
): Promise<ReadonlyMap<string, readonly Issue[]>> {
  const wanted = specs.flatMap((spec) =>
    spec.links.flatMap((link) =>
      (["egress", "ingress"] as const).flatMap((way) =>
        featuresOf(link[way], way).map((feature) => ({ spec, link: link.name, way, feature }))
      )
    )
  );
  const missing = new Set(await missingFeatures(host, wanted.map((one) => one.feature)));
  // A table cannot be tried where netem itself is missing: told once.
  const lacks = wanted.filter(({ feature }) =>
    missing.has(feature) && !(feature.startsWith("table ") && missing.has("sch_netem"))
  );
  const byVnode = new Map<string, Issue[]>();
  for (const { spec, link, way, feature } of lacks) {
    const issue = {
      place: spec.source,
      path: `vnodes.${spec.name}.links.${link}.${way}`,
      ...lackOf(feature),
    };
    byVnode.set(spec.name, [...byVnode.get(spec.name) ?? [], issue]);
  }
  return byVnode;
}

function lackOf(feature: Feature): Omit<Issue, "place" | "path"> {
  if (feature.startsWith("table ")) {
    const name = feature.slice("table ".length);
    return {
      message: `tc has no table of the distribution ${name}`,
      wanted: `${name}.dist in tc's library, as Debian's iproute2 brings it`,
      next: "apt-get install --reinstall iproute2, or leave the distribution out",
    };
  }
  return {
    message: MESSAGES[feature] ??
      `What it sends is shaped with the kernel's ${feature}, which it does not have`,
    found: `no module ${feature}`,
    wanted: feature,
    next: `modprobe ${feature}, or leave this shaping out`,
  };
}

/** What a lan takes beyond a bridge, by the key that asks for it. */
const LAN_FEATURES: readonly (readonly [key: "vxlan" | "vlan" | "driver", feature: Feature, what: string])[] =
  [
    ["vxlan", "vxlan", "Its tunnel needs"],
    ["vlan", "8021q", "Its VLAN needs"],
    ["driver", "macvlan", "Links without an end on the host need"],
  ];

/**
 * Refuses lans that this kernel cannot make, before anything of them is made.
 *
 * @throws {BerthError} code `missing`, with an issue for each lan and feature.
 */
export async function refuseLackingLans(host: Host, lans: readonly LanSpec[]): Promise<void> {
  const wanted = lans.flatMap((lan) =>
    LAN_FEATURES.filter(([key]) => lan[key] !== undefined)
      .map(([key, feature, what]) => ({ lan: lan.name, key, feature, what }))
  );
  const missing = await missingFeatures(host, wanted.map(({ feature }) => feature));
  const issues = wanted.filter(({ feature }) => missing.includes(feature)).map((one): Issue => ({
    place: `lan ${one.lan}`,
    path: `lans.${one.lan}.${one.key}`,
    message: `${one.what} the kernel's ${one.feature}, which it does not have`,
    found: `no module ${one.feature}`,
    wanted: one.feature,
    next: `modprobe ${one.feature}, or leave "${one.key}" out`,
  }));
  if (issues.length === 0) return;
  throw new BerthError({
    code: "missing",
    object: "this vhost",
    message: "The kernel cannot make lans as they are asked for",
    issues,
    next: "berth host kernel, or leave out what is named",
  });
}

/** @throws {BerthError} code `missing` where something is. */
export function refuseLacking(
  vnode: string,
  issues: readonly Issue[] | undefined,
  message = "The kernel cannot shape its links as its spec says",
): void {
  if (issues === undefined || issues.length === 0) return;
  throw new BerthError({
    code: "missing",
    object: `vnode ${vnode}`,
    message,
    issues,
    next: "berth host kernel, or leave out what is named",
  });
}
