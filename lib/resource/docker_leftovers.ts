// What Docker's own iptables management leaves behind when it is switched off: a FORWARD policy of DROP, which no
// accept in another table can override, and its chains. Works on iptables' own text, since the rules are iptables'.
import { BerthError } from "../log/error.ts";
import type { Look } from "../host/types.ts";
import type { Change, Resource } from "./types.ts";

type Family = "ip" | "ip6";
const SAVE: Readonly<Record<Family, string>> = { ip: "iptables-save", ip6: "ip6tables-save" };
const RESTORE: Readonly<Record<Family, string>> = { ip: "iptables-restore", ip6: "ip6tables-restore" };

/** What is left in one family. */
export interface Leftovers {
  /** Whether the policy of FORWARD is DROP. */
  readonly drops: boolean;
  /** Chains of Docker's, "filter/DOCKER". */
  readonly chains: readonly string[];
  /** Input for iptables-restore --noflush that removes it all; "" when nothing is left. */
  readonly removal: string;
}

/** Both families, and the foreign containers that run and may notice. */
export interface FoundLeftovers {
  readonly ip: Leftovers | null;
  readonly ip6: Leftovers | null;
  readonly running: readonly string[];
}

/**
 * Nothing is left of Docker's iptables management.
 *
 * Only where chains of Docker's are found is the policy touched: a DROP that somebody else has set stays. The
 * chain DOCKER-USER stays with its jump while it holds rules, which are the operator's. Masquerading rules stay:
 * foreign networks live on them.
 */
export function noDockerLeftovers(): Resource<FoundLeftovers> {
  return {
    id: "iptables rules of docker",
    desired: { ip: null, ip6: null, running: [] },
    volatile: true,
    observe: observeLeftovers,
    diff(found) {
      return (["ip", "ip6"] as const).flatMap((family) => {
        const left = found?.[family];
        if (!left || left.removal === "") return [];
        const running = found?.running ?? [];
        const names = running.length === 0 ? "" : `; running containers: ${running.join(", ")}`;
        const policy = left.drops ? "FORWARD drops, wanted accept; " : "";
        return [change(family, "delete", `${policy}left: ${left.chains.join(", ")}${names}`, left.removal)];
      });
    },
    prior: (found) => found,
    revert(prior, found) {
      return (["ip", "ip6"] as const).flatMap((family) => {
        if (!prior?.[family]?.drops || found?.[family]?.drops) return [];
        // The chains come back with the engine's own management; the policy only where Docker set it at its start.
        const text = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n";
        return [change(family, "update", "FORWARD dropped before berth", text)];
      });
    },
  };
}

function change(family: Family, verb: Change["verb"], why: string, input: string): Change {
  const argv = [RESTORE[family], "--noflush", "-w", "10"];
  return {
    resource: `${family === "ip" ? "iptables" : "ip6tables"} rules of docker`,
    verb,
    why,
    risk: "disruptive",
    do: [{ run: { argv, input } }],
    undo: [], // one transaction a table, and a second run finds what is left
  };
}

/** Reads what `iptables-save` says. Pure. */
export function parseLeftovers(saved: string): Leftovers {
  const chains: string[] = [];
  const removal: string[] = [];
  let drops = false;
  for (const { table, lines } of savedTables(saved)) {
    const rules = lines.filter((line) => line.startsWith("-A "));
    const mine = lines.map((line) => /^:(DOCKER\S*) -/.exec(line)?.[1])
      .filter((chain): chain is string => chain !== undefined && !isUsed(chain, rules));
    if (table === "filter") drops = lines.some((line) => line.startsWith(":FORWARD DROP"));
    if (mine.length === 0) continue;
    chains.push(...mine.map((chain) => `${table}/${chain}`));
    const isMine = (chain: string | undefined) => chain !== undefined && mine.includes(chain);
    const jumps = rules.filter((rule) =>
      !isMine(rule.split(" ")[1]) && isMine(/ -[jg] (\S+)/.exec(rule)?.[1])
    );
    removal.push(`*${table}`);
    if (table === "filter" && drops) removal.push(":FORWARD ACCEPT [0:0]");
    removal.push(...jumps.map((rule) => `-D ${rule.slice(3)}`));
    removal.push(...mine.map((chain) => `-F ${chain}`), ...mine.map((chain) => `-X ${chain}`), "COMMIT");
  }
  return { drops, chains, removal: removal.length === 0 ? "" : `${removal.join("\n")}\n` };
}

/** DOCKER-USER belongs to the operator as soon as it says more than "return". */
function isUsed(chain: string, rules: readonly string[]): boolean {
  return chain === "DOCKER-USER" &&
    rules.some((rule) => rule.startsWith("-A DOCKER-USER ") && rule !== "-A DOCKER-USER -j RETURN");
}

function savedTables(saved: string): readonly { table: string; lines: readonly string[] }[] {
  const tables: { table: string; lines: string[] }[] = [];
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) tables.push({ table: line.slice(1).trim(), lines: [] });
    else if (line !== "" && !line.startsWith("#") && line !== "COMMIT") tables.at(-1)?.lines.push(line);
  }
  return tables;
}

async function observeLeftovers(look: Look): Promise<FoundLeftovers | null> {
  const there = await forwardChains(look);
  const [ip, ip6] = await Promise.all((["ip", "ip6"] as const).map(async (family) => {
    const { docker, drops } = there[family];
    // iptables-save is only asked where Docker has been: it may load modules of the old iptables.
    return docker ? await saved(look, family) : { drops, chains: [], removal: "" };
  }));
  const isLeft = [ip, ip6].some((one) => one?.removal !== "");
  return { ip: ip!, ip6: ip6!, running: isLeft ? await runningContainers(look) : [] };
}

interface Forward {
  docker: boolean;
  drops: boolean;
}

interface ListedChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly policy?: string;
}

async function forwardChains(look: Look): Promise<Record<Family, Forward>> {
  const found = { ip: { docker: false, drops: false }, ip6: { docker: false, drops: false } };
  try {
    const { stdout } = await look.query({ argv: ["nft", "-j", "-t", "list", "chains"] });
    const { nftables } = JSON.parse(stdout) as { nftables: readonly { readonly chain?: ListedChain }[] };
    for (const { chain } of nftables) {
      if (chain?.family !== "ip" && chain?.family !== "ip6") continue;
      if (chain.name.startsWith("DOCKER")) found[chain.family].docker = true;
      if (chain.table === "filter" && chain.name === "FORWARD" && chain.policy === "drop") {
        found[chain.family].drops = true;
      }
    }
  } catch (error) {
    // A fresh machine has no nft, and no engine that could have left anything.
    if (!(error instanceof BerthError) || error.code !== "missing") throw error;
  }
  // The old iptables are invisible to nft, and these files have lines only once they are in use.
  if (await look.readText("/proc/net/ip_tables_names")) found.ip.docker = true;
  if (await look.readText("/proc/net/ip6_tables_names")) found.ip6.docker = true;
  return found;
}

async function saved(look: Look, family: Family): Promise<Leftovers> {
  const { stdout } = await look.query({ argv: [SAVE[family]] });
  return parseLeftovers(stdout);
}

/** Names of all running containers, sorted; [] where no engine answers. */
export async function runningContainers(look: Look): Promise<readonly string[]> {
  const answer = await look.engine("/containers/json");
  if (answer?.status !== 200) return [];
  return (answer.body as readonly { readonly Names: readonly string[] }[])
    .map(({ Names }) => (Names[0] ?? "").replace(/^\//, "")).sort();
}
