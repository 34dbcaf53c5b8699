// Others' firewall rules that name a device: once it is a port of a bridge, what comes in by it comes in by the bridge,
// and such a rule is about nothing any more. Looks, and refuses a move that would let the machine's door fall shut.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";

/** Whether a name in a rule is the device's: whole, or as a beginning with `wild` after it. */
type Names = (word: string) => boolean;

/** What names the device and not the bridge too; of "*" alone, or of a beginning that both have, nothing is lost. */
function namesOnly(device: string, bridge: string, wild: "*" | "+"): Names {
  const isOf = (word: string, name: string) =>
    word === name || (word.endsWith(wild) && name.startsWith(word.slice(0, -1)));
  return (word) => isOf(word, device) && !isOf(word, bridge);
}

/** Rules of a ruleset that name the device and have no twin that names the bridge. Pure; takes nft's own listing. */
export function rulesOnDevice(listing: string, device: string, bridge: string): readonly string[] {
  const names = namesOnly(device, bridge, "*");
  const named = (line: string) =>
    line.replaceAll(/"([^"]*)"/g, (all, word) => names(word) ? `"${bridge}"` : all);
  const found: string[] = [];
  for (const table of oneLineEach(listing).split(/^(?=table )/m)) {
    const [, family, name] = /^table (\S+) (\S+)/.exec(table) ?? [];
    // In the bridge and netdev families a port is still the port. Our own tables know both.
    if (family === undefined || !["ip", "ip6", "inet"].includes(family) || name!.startsWith("berth")) {
      continue;
    }
    for (const chain of table.split(/^(?=\tchain )/m)) {
      const lines = chain.split("\n").map(plain).filter((line) => !AT_PORT.test(line));
      const rules = lines.filter((line) => {
        const rest = line.replaceAll(/\{[^{}]*\}/g, (set) => hasTwins(set, named) ? "{}" : set);
        return named(rest) !== rest && !lines.includes(named(line));
      });
      found.push(...rules.map((line) => `${family} ${name}: ${line}`));
    }
  }
  return found;
}

/** What stands at the device itself, below a bridge: an ingress hook, a flow table's devices. */
const AT_PORT = /^(type \S+ hook (ingress|egress) |devices = )/;

/** A set's elements are told on as many lines as nft likes. */
function oneLineEach(listing: string): string {
  return listing.replaceAll(/elements = \{[^}]*\}/g, (elements) => elements.replaceAll(/\s+/g, " "));
}

/** Whether each element of a set or map that names the device has one beside it that names the bridge. */
function hasTwins(set: string, named: (text: string) => string): boolean {
  // What a map leads to may differ: "eth0 : jump a, _dockercnet : jump b".
  const keys = set.slice(1, -1).split(",").map((element) => element.split(" : ")[0]!.trim());
  return keys.every((key) => keys.includes(named(key)));
}

/** A rule without what counts. */
function plain(line: string): string {
  return line.trim().replace(/counter packets \d+ bytes \d+/, "counter").replace(/ # handle \d+$/, "");
}

/** The same of old iptables' rules, which nft does not list. Pure; takes what iptables-save says. */
export function savedRulesOnDevice(
  saved: string,
  tool: string,
  device: string,
  bridge: string,
): readonly string[] {
  const names = namesOnly(device, bridge, "+");
  const named = (line: string) =>
    line.replaceAll(/( -[io] )(\S+)/g, (all, option, word) => names(word) ? option + bridge : all);
  return saved.split(/^(?=\*)/m).flatMap((table) => {
    const lines = table.split("\n").map((line) => line.trim());
    return lines.filter((line) => named(line) !== line && !lines.includes(named(line)))
      .map((line) => `${tool} ${lines[0]!.slice(1)}: ${line}`);
  });
}

/** @throws {BerthError} code `refused`, with the rules that would be about nothing. */
export async function checkRulesOnDevice(look: Look, device: string, bridge: string): Promise<void> {
  const listed = await said(look, ["nft", "-s", "list", "ruleset"]);
  const rules = [...rulesOnDevice(listed ?? "", device, bridge)];
  for (const [tool, file] of OLD_TABLES) {
    // Only where they are in use: iptables-save may load their modules.
    if (!await look.readText(`/proc/net/${file}`)) continue;
    // Older machines have one iptables only.
    const saved = await said(look, [`${tool}-legacy-save`]) ?? await said(look, [`${tool}-save`]);
    rules.push(...savedRulesOnDevice(saved ?? "", tool, device, bridge));
  }
  if (rules.length === 0) return;
  throw new BerthError({
    code: "refused",
    object: `control device ${device}`,
    message: `Firewall rules name "${device}", which what comes in by it will not bear any more: ${
      rules.slice(0, 3).join("; ")
    }${rules.length > 3 ? `; and ${rules.length - 3} more` : ""}`,
    next: `Write the same rules for "${bridge}" beside them, in the same chains`,
  });
}

/** By the tool whose they are: the kernel's files, which have lines once such tables are in use. */
const OLD_TABLES = [["iptables", "ip_tables_names"], ["ip6tables", "ip6_tables_names"]] as const;

/** null where there is no such program: a fresh machine has no nft yet, and its rules are seen by the next run. */
async function said(look: Look, argv: readonly string[]): Promise<string | null> {
  try {
    return (await look.query({ argv, okExit: [0, 1] })).stdout;
  } catch (error) {
    if (error instanceof BerthError && error.code === "missing") return null;
    throw error;
  }
}
