// The nftables table of one lan that has a tunnel or that the host is on: whose frames the tunnel takes, and that the
// host is no router there. A table of its own for each such lan, so that it goes with it. As a resource.
import type { LanSpec } from "../config/types.ts";
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { type NftChain, type NftState, nftTable } from "../resource/nft_table.ts";
import type { Resource } from "../resource/types.ts";
import { bridgeName, lanTableName } from "./names.ts";

/** The table of a lan; where it needs none, one that is left of another time is taken away. */
export function lanTable(spec: LanSpec): Resource<NftState> {
  const name = lanTableName(spec.name);
  const table = nftTable({ family: "inet", name, sets: [], chains: hasTable(spec) ? chainsOf(spec) : [] });
  if (hasTable(spec)) return table;
  return {
    ...table,
    desired: { sets: {}, chains: {} },
    observe: async (look) => (await lanTables(look)).includes(name) ? await table.observe(look) : null,
    diff: (found) =>
      table.revert({ sets: {}, chains: {} }, found).map((change) => ({
        ...change,
        why: `lan ${spec.name} needs none`,
      })),
    revert: () => [],
  };
}

/** Whether a lan has a table. */
export function hasTable(spec: LanSpec): boolean {
  return spec.vxlan !== undefined || spec.host !== undefined;
}

function chainsOf(spec: LanSpec): readonly NftChain[] {
  const input = [...tunnelRules(spec), ...hostRules(spec)];
  const bridge = `"${bridgeName(spec.name)}"`;
  return [
    { name: "input", hook: { type: "filter", at: "input", priority: -5 }, rules: input },
    ...(spec.host === undefined ? [] : [{
      name: "forward",
      hook: { type: "filter", at: "forward", priority: -5 } as const,
      // A frame that only crosses the bridge comes by here where br_netfilter hands it up: in and out by the same.
      rules: [
        `iifname ${bridge} oifname != ${bridge} counter drop`,
        `oifname ${bridge} iifname != ${bridge} counter drop`,
      ],
    }]),
  ];
}

/**
 * The kernel takes a tunnel's frames from anybody who can reach the machine, vnodes on the control network among them:
 * only the peers' pass, by the network's number in the VXLAN header (RFC 7348: bits 96 to 119 after UDP's begin).
 */
function tunnelRules({ vxlan }: LanSpec): readonly string[] {
  if (vxlan === undefined) return [];
  const { id, port, peers } = vxlan;
  const family = peers.some((peer) => peer.includes(":")) ? "ip6" : "ip";
  const ours = `udp dport ${port} @th,96,24 ${id}`;
  return [`${family} saddr { ${peers.join(", ")} } ${ours} accept`, `${ours} counter drop`];
}

/** The host is spoken to by the addresses that it has on this lan, not by its others. */
function hostRules({ name, host }: LanSpec): readonly string[] {
  if (host === undefined) return [];
  return [
    `iifname "${
      bridgeName(name)
    }" fib daddr . iif type != { local, broadcast, multicast, anycast } counter drop`,
  ];
}

/** Names of the tables of family inet; none where there is no nft. */
export async function lanTables(look: Look): Promise<readonly string[]> {
  try {
    const { stdout } = await look.query({ argv: ["nft", "-j", "list", "tables"], okExit: [0, 1] });
    const { nftables } = JSON.parse(stdout.trim() || '{"nftables":[]}') as {
      readonly nftables: readonly { readonly table?: { readonly family: string; readonly name: string } }[];
    };
    return nftables.flatMap(({ table }) => table?.family === "inet" ? [table.name] : []);
  } catch (error) {
    if (error instanceof BerthError && error.code === "missing") return [];
    throw error;
  }
}
