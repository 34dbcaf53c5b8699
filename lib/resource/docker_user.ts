// berth's rules in DOCKER-USER, the chain that Docker leaves to operators, where Docker's own iptables management is on.
// An accept in a table of berth's does not override what Docker drops: it must be said there. Marked by a comment;
// others' rules in that chain stay, and come first. What berth itself forbids stands in its own tables (firewall.ts).
import { BerthError } from "../log/error.ts";
import type { Look } from "../host/types.ts";
import { dockerFamilies, isBerthsRule } from "./docker_leftovers.ts";
import type { Change, Resource } from "./types.ts";

/** What dockerd jumps to before all of its own rules. It keeps what stands there. */
export const USER_CHAIN = "DOCKER-USER";

/** How iptables-save prints our mark. */
const MARK = "-m comment --comment berth";

/** The chain in one family's filter table. */
export interface UserChain {
  /** Its rules as iptables-save prints them after the chain's name. Null: there is no such chain. */
  readonly rules: readonly string[] | null;
  /** Whether FORWARD leads to it. */
  readonly jump: boolean;
  /** Whether Docker has other chains there: it manages this family. */
  readonly managed: boolean;
}

/** By family. Null: Docker has nothing in it. */
export interface FoundUserChains {
  readonly ip: UserChain | null;
  readonly ip6: UserChain | null;
}

type Family = keyof FoundUserChains;
const FAMILIES: readonly Family[] = ["ip", "ip6"];

/** What the rules are made from. */
export interface AcceptFacts {
  readonly controlBridge: string;
  /** What names of lans' bridges begin with. */
  readonly lanPrefix: string;
}

/**
 * What Docker must let pass: frames of lans and of the control network that only cross their bridge, which
 * br_netfilter hands up; and connections to the host's ports that lead to vnodes, both ways. Docker lets vnodes out
 * by itself, and keeps the world from ports that are not forwarded.
 */
function acceptRules({ controlBridge, lanPrefix }: AcceptFacts, family: Family): readonly string[] {
  const accept = (match: string) => `${match} ${MARK} -j ACCEPT`;
  const lans = accept(`-i ${lanPrefix}+ -o ${lanPrefix}+`);
  // The control network speaks IPv4 only.
  if (family === "ip6") return [lans];
  return [
    lans,
    accept(`-i ${controlBridge} -o ${controlBridge}`),
    accept(`-i ${controlBridge} -m conntrack --ctstate DNAT`),
    accept(`-o ${controlBridge} -m conntrack --ctstate DNAT`),
  ];
}

/**
 * Our rules in Docker's chain for operators; with null none. IPv6 where Docker manages that, too. Where there is no
 * chain yet it is made, with the jump to it: an engine that starts later keeps it.
 */
export function dockerUser(facts: AcceptFacts | null): Resource<FoundUserChains> {
  const id = "rules of berth in DOCKER-USER";
  const wanted = (family: Family) => facts === null ? [] : acceptRules(facts, family);
  const change = (family: Family, verb: Change["verb"], why: string, lines: readonly string[]): Change => ({
    resource: id,
    verb,
    why: family === "ip" ? why : `IPv6: ${why}`,
    risk: "safe",
    do: [restoreOp(family, lines)],
    undo: [], // one transaction, and a second run finds what is left
  });
  return {
    id,
    desired: { ip: null, ip6: null },
    volatile: true,
    observe: observeChains,
    diff(found) {
      return FAMILIES.flatMap((family): Change[] => {
        const chain = found?.[family] ?? null;
        if (facts === null) {
          const lines = removalLines(chain);
          return lines.length === 0 ? [] : [change(family, "delete", "not wanted", lines)];
        }
        if (family === "ip6" && chain?.managed !== true) return [];
        const rules = chain?.rules ?? null;
        const all = wanted(family);
        const lacks = rules === null ? all : missing(rules, all);
        const reasons = [
          ...(rules === null ? ["chain missing"] : lacks.length === 0 ? [] : [`lacks ${lacks.join("; ")}`]),
          ...(rules !== null && lacks.length === 0 && !isInOrder(rules, all) ? ["others than ours"] : []),
          ...(chain?.jump === true ? [] : ["FORWARD does not lead there"]),
        ];
        if (reasons.length === 0) return [];
        const lines = [
          ...(rules === null ? [`:${USER_CHAIN} - [0:0]`] : []),
          ...(isInOrder(rules ?? [], all) ? [] : rulesAnew(rules ?? [], all)),
          ...(chain?.jump === true ? [] : [`-I FORWARD -j ${USER_CHAIN}`]),
        ];
        return [change(family, rules === null ? "create" : "update", reasons.join("; "), lines)];
      });
    },
    prior: (found) => found,
    revert(prior, found) {
      return FAMILIES.flatMap((family) => {
        const chain = found?.[family] ?? null;
        const lines = removalLines(chain);
        // Made by us, and never taken up by an engine.
        const isLone = chain !== null && chain.rules !== null && !chain.managed &&
          (prior?.[family]?.rules ?? null) === null && chain.rules.every(isBerthsRule);
        const gone = [...(chain?.jump ? [`-D FORWARD -j ${USER_CHAIN}`] : []), `-X ${USER_CHAIN}`];
        const all = [...lines, ...(isLone ? gone : [])];
        return all.length === 0 ? [] : [change(family, "delete", "made by berth", all)];
      });
    },
  };
}

function missing(rules: readonly string[], all: readonly string[]): readonly string[] {
  return all.filter((rule) => !rules.includes(rule));
}

/** Ours are all of those, each once, and none of them after a rule that ends the chain. */
function isInOrder(rules: readonly string[], all: readonly string[]): boolean {
  const end = rules.indexOf("-j RETURN");
  const heard = end < 0 ? rules : rules.slice(0, end);
  return rules.filter(isBerthsRule).join("\n") === all.join("\n") &&
    heard.filter(isBerthsRule).length === all.length;
}

/** After the operator's rules, who may forbid what he likes; before the "return" that older engines end it with. */
function rulesAnew(rules: readonly string[], all: readonly string[]): readonly string[] {
  const lastIsReturn = rules.filter((rule) => !isBerthsRule(rule)).at(-1) === "-j RETURN";
  const ends = lastIsReturn ? ["-j RETURN"] : [];
  return [
    ...removalLines({ rules }),
    ...ends.map((rule) => `-D ${USER_CHAIN} ${rule}`),
    ...[...all, ...ends].map((rule) => `-A ${USER_CHAIN} ${rule}`),
  ];
}

/** Lines that take our rules away. */
function removalLines(chain: Pick<UserChain, "rules"> | null): readonly string[] {
  return (chain?.rules ?? []).filter(isBerthsRule).map((rule) => `-D ${USER_CHAIN} ${rule}`);
}

function restoreOp(family: Family, lines: readonly string[]): Change["do"][number] {
  const input = `*filter\n${lines.join("\n")}\nCOMMIT\n`;
  return { run: { argv: [`${family}tables-restore`, "--noflush", "-w", "10"], input } };
}

async function observeChains(look: Look): Promise<FoundUserChains> {
  const inUse = await dockerFamilies(look);
  const [ip, ip6] = await Promise.all(
    FAMILIES.map((family) => inUse[family] ? observeChain(look, family) : null),
  );
  return { ip: ip ?? null, ip6: ip6 ?? null };
}

/** What the plain program says: the one that dockerd calls, too. */
async function observeChain(look: Look, family: Family): Promise<UserChain | null> {
  try {
    const { stdout } = await look.query({ argv: [`${family}tables-save`, "-t", "filter"] });
    return parseUserChain(stdout);
  } catch (error) {
    if (error instanceof BerthError && error.code === "missing") return null;
    throw error;
  }
}

/** Reads what `iptables-save -t filter` says. Pure. */
export function parseUserChain(saved: string): UserChain {
  const lines = saved.split("\n");
  const isThere = lines.some((line) => line.startsWith(`:${USER_CHAIN} `));
  const start = `-A ${USER_CHAIN} `;
  return {
    rules: isThere
      ? lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length).trimEnd())
      : null,
    jump: lines.some((line) => line.trimEnd() === `-A FORWARD -j ${USER_CHAIN}`),
    managed: lines.some((line) => /^:DOCKER(?!-USER)\S* /.test(line)),
  };
}
