// Who drops by default what the machine forwards: a firewall of others (ufw, say), whose policy no accept in a table of
// berth's overrides. Only told: what it is meant to keep out is not berth's to know. Docker's own is docker_leftovers.ts'.
import { BerthError } from "../log/error.ts";
import type { Look } from "../host/types.ts";
import { listTable } from "./nft_listing.ts";

/** Families of tables that IPv4 passes: the control network speaks nothing else. */
const FAMILIES = new Set(["ip", "inet"]);

/**
 * A sentence for each chain that drops what is forwarded unless a rule accepts it, and whose rules do not name the
 * control network's bridge. [] where nothing does. An accept that names another thing is not understood.
 */
export async function forwardDrops(look: Look, bridge: string): Promise<readonly string[]> {
  const chains = await droppingChains(look);
  const listed = await Promise.all(
    chains.map(async ({ family, table }) =>
      await listTable(look, `${family} ${table}`, { terse: true }) ?? ""
    ),
  );
  const places = chains.filter((_, at) => !listed[at]!.includes(bridge))
    .map(({ name, family, table }) => `Chain ${name} of nft table ${family} ${table}`);
  if (await oldDrops(look, bridge)) places.push("Chain FORWARD of iptables-legacy");
  // Frames that only cross the bridge pass there, too: their connections' state is known nowhere else.
  return places.map((place) =>
    `${place} drops what no rule there accepts, and so what vnodes send over the control network and beyond, unless ` +
    `one accepts "${bridge}" (ufw route allow in on ${bridge}; ufw route allow out on ${bridge})`
  );
}

interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

async function droppingChains(look: Look): Promise<readonly BaseChain[]> {
  const { stdout } = await look.query({ argv: ["nft", "-j", "-t", "list", "chains"] }).catch((error) => {
    // A fresh machine has no nft.
    if (error instanceof BerthError && error.code === "missing") return { stdout: '{"nftables":[]}' };
    throw error;
  });
  const { nftables } = JSON.parse(stdout) as { readonly nftables: readonly { readonly chain?: BaseChain }[] };
  return nftables.flatMap(({ chain }) => chain ?? []).filter(({ family, table, hook, policy }) =>
    hook === "forward" && policy === "drop" && FAMILIES.has(family) && !table.startsWith("berth")
  );
}

/** The old iptables are invisible to nft, and asked only where they are in use: asking may load their modules. */
async function oldDrops(look: Look, bridge: string): Promise<boolean> {
  if (!await look.readText("/proc/net/ip_tables_names")) return false;
  try {
    const { stdout } = await look.query({ argv: ["iptables-legacy-save"] });
    return /^:FORWARD DROP/m.test(stdout) && !stdout.includes(bridge);
  } catch (error) {
    if (error instanceof BerthError && error.code === "missing") return false;
    throw error;
  }
}
