// What Docker's own iptables management leaves behind when it is switched off: a FORWARD policy of DROP, which no
// accept in another table can override, and its chains. Works on iptables' own text, since the rules are iptables'.
import { BerthError } from "../log/error.ts";
import type { Look } from "../host/types.ts";
import type { Change, Resource } from "./types.ts";

/** The four sets of rules that a kernel may hold, by the tool whose rules they are. */
const TOOLS = ["iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"] as const;
type Tool = typeof TOOLS[number];

/** What is left in one set of rules. */
export interface Leftovers {
  /** Whether the policy of FORWARD is DROP. */
  readonly drops: boolean;
  /** Others' rules in FORWARD let something pass: its DROP may be theirs, and what it keeps out is not known. */
  readonly shared: boolean;
  /** Chains of Docker's, "filter/DOCKER". */
  readonly chains: readonly string[];
  /** Input for iptables-restore --noflush that removes it all; "" when nothing is left. */
  readonly removal: string;
  /** Input for iptables-restore --noflush that brings it all back; "" when nothing is left. */
  readonly restoral: string;
}

/** One set of rules, and the programs that read and write it. */
export interface FoundSet extends Leftovers {
  readonly tool: Tool;
  readonly restore: string;
}

/** All sets that are in use, and the containers that run and may notice. */
export interface FoundLeftovers {
  readonly sets: readonly FoundSet[];
  readonly running: readonly string[];
}

/**
 * Nothing is left of Docker's iptables management.
 *
 * Only where chains of Docker's are found is the policy touched, and only where no rule of others in FORWARD lets
 * something pass: a DROP that somebody else has set stays (forward_policy.ts tells it). The chain DOCKER-USER stays with its jump while it holds rules, which are the operator's. Masquerading rules stay:
 * foreign networks live on them. Undo brings chains and policy back: an engine that manages iptables again makes them
 * anew at its start, and one that does not run must find them.
 */
export function noDockerLeftovers(): Resource<FoundLeftovers> {
  return {
    id: "iptables rules of docker",
    desired: { sets: [], running: [] },
    volatile: true,
    observe: observeLeftovers,
    diff(found) {
      return (found?.sets ?? []).filter((set) => set.removal !== "").map((set) => {
        const running = found?.running ?? [];
        const names = running.length === 0 ? "" : `; running containers: ${running.join(", ")}`;
        const policy = !set.drops
          ? ""
          : set.shared
          ? "FORWARD's DROP stays, since rules of others let something pass there; "
          : "FORWARD drops, wanted accept; ";
        return change(set, "delete", `${policy}left: ${set.chains.join(", ")}${names}`, set.removal);
      });
    },
    prior: (found) => found,
    revert(prior, found) {
      return (prior?.sets ?? []).filter((set) => set.removal !== "").flatMap((set) => {
        const now = found?.sets.find(({ tool }) => tool === set.tool);
        if (now === undefined || now.chains.length === 0) {
          return [
            change(set, "update", `left by the engine before berth: ${set.chains.join(", ")}`, set.restoral),
          ];
        }
        if (!set.drops || set.shared || now.drops) return [];
        const text = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n";
        return [change(set, "update", "FORWARD dropped before berth", text)];
      });
    },
  };
}

function change({ tool, restore }: FoundSet, verb: Change["verb"], why: string, input: string): Change {
  return {
    resource: `${tool} rules of docker`,
    verb,
    why,
    risk: "disruptive",
    do: [{ run: { argv: [restore, "--noflush", "-w", "10"], input } }],
    undo: [], // one transaction a table, and a second run finds what is left
  };
}

/** Reads what `iptables-save` says. Pure. */
export function parseLeftovers(saved: string): Leftovers {
  const chains: string[] = [];
  const removal: string[] = [];
  const restoral: string[] = [];
  let drops = false;
  let shared = false;
  for (const { table, lines } of savedTables(saved)) {
    const rules = lines.filter((line) => line.startsWith("-A "));
    const mine = lines.map((line) => /^:(DOCKER\S*) -/.exec(line)?.[1])
      .filter((chain): chain is string => chain !== undefined && !isUsed(chain, rules));
    const policy = lines.some((line) => line.startsWith(":FORWARD DROP"));
    if (table === "filter") {
      drops = policy;
      shared = isShared(rules);
    }
    if (mine.length === 0) continue;
    chains.push(...mine.map((chain) => `${table}/${chain}`));
    const isMine = (chain: string | undefined) => chain !== undefined && mine.includes(chain);
    const jumps = rules.filter((rule) =>
      !isMine(rule.split(" ")[1]) && isMine(/ -[jg] (\S+)/.exec(rule)?.[1])
    );
    const sets = (to: string) => table === "filter" && policy && !shared ? [`:FORWARD ${to} [0:0]`] : [];
    removal.push(`*${table}`, ...sets("ACCEPT"));
    removal.push(...jumps.map((rule) => `-D ${rule.slice(3)}`));
    removal.push(...mine.map((chain) => `-F ${chain}`), ...mine.map((chain) => `-X ${chain}`), "COMMIT");
    restoral.push(`*${table}`, ...sets("DROP"), ...mine.map((chain) => `:${chain} - [0:0]`));
    restoral.push(
      ...rules.filter((rule) => isMine(rule.split(" ")[1]) && !isBerthsRule(rule)),
      ...jumpsBack(rules, jumps),
      "COMMIT",
    );
  }
  const text = (lines: readonly string[]) => lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  return { drops, shared, chains, removal: text(removal), restoral: text(restoral) };
}

/** What only ends a frame's way, or notes it, needs no DROP behind it. */
const ENDS = new Set(["DROP", "REJECT", "LOG", "NFLOG", "RETURN"]);

/** Whether rules in FORWARD that are not Docker's let something pass, or may: jumps to chains of others. */
function isShared(rules: readonly string[]): boolean {
  const targetOf = (rule: string) => / -[jg] (\S+)/.exec(rule)?.[1] ?? "RETURN";
  const isDockers = (chain: string | undefined) => /^DOCKER/.test(chain ?? "");
  const bridges = new Set(
    rules.filter((rule) => isDockers(rule.split(" ")[1]) || isDockers(targetOf(rule)))
      .flatMap((rule) => [...rule.matchAll(/ -[io] (\S+)/g)].map(([, name]) => name)),
  );
  return rules.some((rule) => {
    if (rule.split(" ")[1] !== "FORWARD" || isDockers(targetOf(rule)) || ENDS.has(targetOf(rule))) {
      return false;
    }
    if (rule.includes("--match-set docker-")) return false; // 27.x and 28.0
    // "-i docker0 ! -o docker0", and what is established.
    const names = [...rule.matchAll(/ -[io] (\S+)/g)].map(([, name]) => name);
    return !names.some((name) => bridges.has(name));
  });
}

/** Jumps at a chain's head go back there; others to its end, since what stands between may have changed. */
function jumpsBack(rules: readonly string[], jumps: readonly string[]): readonly string[] {
  const head: string[] = [];
  const tail: string[] = [];
  for (const chain of new Set(jumps.map((rule) => rule.split(" ")[1]))) {
    const inChain = rules.filter((rule) => rule.split(" ")[1] === chain);
    let atHead = true;
    for (const rule of inChain) {
      const isJump = jumps.includes(rule);
      atHead &&= isJump;
      if (isJump) (atHead ? head : tail).push(rule);
    }
  }
  return [...head.reverse().map((rule) => `-I ${rule.slice(3)}`), ...tail];
}

/** DOCKER-USER belongs to the operator as soon as it says more than "return", and than berth says (docker_user.ts). */
function isUsed(chain: string, rules: readonly string[]): boolean {
  return chain === "DOCKER-USER" &&
    rules.some((rule) =>
      rule.startsWith("-A DOCKER-USER ") && rule !== "-A DOCKER-USER -j RETURN" && !isBerthsRule(rule)
    );
}

/** Whether a rule as iptables-save prints it bears berth's mark. */
export function isBerthsRule(rule: string): boolean {
  return / --comment "?berth"? /.test(rule);
}

function savedTables(saved: string): readonly { table: string; lines: readonly string[] }[] {
  const tables: { table: string; lines: string[] }[] = [];
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) tables.push({ table: line.slice(1).trim(), lines: [] });
    else if (line !== "" && !line.startsWith("#") && line !== "COMMIT") tables.at(-1)?.lines.push(line);
  }
  return tables;
}

/** The old iptables are invisible to nft, and these files have lines only once they are in use. */
function oldTables(look: Look): Promise<(string | null)[]> {
  return Promise.all(
    ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"].map((path) => look.readText(path)),
  );
}

/**
 * The families that rules of Docker's may stand in, in new or old iptables: only there iptables-save is to be asked,
 * which may load modules of the old ones.
 */
export async function dockerFamilies(look: Look): Promise<{ readonly ip: boolean; readonly ip6: boolean }> {
  const [{ iptables, ip6tables }, [old, old6]] = await Promise.all([forwardChains(look), oldTables(look)]);
  return { ip: iptables || Boolean(old), ip6: ip6tables || Boolean(old6) };
}

async function observeLeftovers(look: Look): Promise<FoundLeftovers> {
  const [nft, [old, old6]] = await Promise.all([forwardChains(look), oldTables(look)]);
  // iptables-save is only asked where rules are: it may load modules of the old iptables.
  const sets = (await Promise.all(TOOLS.map(async (tool): Promise<FoundSet | null> => {
    const isOld = tool.endsWith("-legacy");
    if (isOld ? !(tool.startsWith("ip6") ? old6 : old) : !nft[tool as keyof typeof nft]) return null;
    const plain = tool.replace("-legacy", "");
    return await foundSet(look, tool, [`${plain}-${isOld ? "legacy" : "nft"}`, plain]);
  }))).filter((set) => set !== null);
  const isLeft = sets.some(({ removal }) => removal !== "");
  return { sets, running: isLeft ? await runningContainers(look) : [] };
}

/** What the first of these programs says that is there. Older machines have one iptables only. */
async function foundSet(look: Look, tool: Tool, programs: readonly string[]): Promise<FoundSet | null> {
  for (const program of programs) {
    try {
      const { stdout } = await look.query({ argv: [`${program}-save`] });
      return { tool, restore: `${program}-restore`, ...parseLeftovers(stdout) };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return null;
}

interface ListedChain {
  readonly family: string;
  readonly name: string;
}

/** For which of the new tools Docker has chains. */
async function forwardChains(look: Look): Promise<{ iptables: boolean; ip6tables: boolean }> {
  const found = { iptables: false, ip6tables: false };
  try {
    const { stdout } = await look.query({ argv: ["nft", "-j", "-t", "list", "chains"] });
    const { nftables } = JSON.parse(stdout) as { nftables: readonly { readonly chain?: ListedChain }[] };
    for (const { chain } of nftables) {
      if (!chain?.name.startsWith("DOCKER")) continue;
      if (chain.family === "ip") found.iptables = true;
      if (chain.family === "ip6") found.ip6tables = true;
    }
  } catch (error) {
    // A fresh machine has no nft, and no engine that could have left anything.
    if (!isMissing(error)) throw error;
  }
  return found;
}

function isMissing(error: unknown): boolean {
  return error instanceof BerthError && error.code === "missing";
}

/** Names of all running containers, sorted; [] where no engine answers. */
export async function runningContainers(look: Look): Promise<readonly string[]> {
  const answer = await look.engine("/containers/json");
  if (answer?.status !== 200) return [];
  return (answer.body as readonly { readonly Names: readonly string[] }[])
    .map(({ Names }) => (Names[0] ?? "").replace(/^\//, "")).sort();
}
