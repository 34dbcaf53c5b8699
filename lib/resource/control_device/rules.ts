// Others' firewall rules that name a device: once it is a port of a bridge, what comes in by it comes in by the bridge,
// and such a rule is about nothing any more. Looks, and refuses a move that would let the machine's door fall shut.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";

/** Rules of a ruleset that name the device and have no twin that names the bridge. Pure; takes nft's own listing. */
export function rulesOnDevice(listing: string, device: string, bridge: string): readonly string[] {
  const found: string[] = [];
  for (const table of listing.split(/^(?=table )/m)) {
    const [, family, name] = /^table (\S+) (\S+)/.exec(table) ?? [];
    // In the bridge and netdev families a port is still the port. Our own tables know both.
    if (family === undefined || !["ip", "ip6", "inet"].includes(family) || name!.startsWith("berth")) {
      continue;
    }
    for (const chain of table.split(/^(?=\tchain )/m)) {
      const lines = chain.split("\n").map(plain);
      const rules = lines.filter((line) => line.includes(`"${device}"`));
      const twin = (line: string) => line.replaceAll(`"${device}"`, `"${bridge}"`);
      found.push(
        ...rules.filter((line) => !lines.includes(twin(line))).map((line) => `${family} ${name}: ${line}`),
      );
    }
  }
  return found;
}

/** A rule without what counts. */
function plain(line: string): string {
  return line.trim().replace(/counter packets \d+ bytes \d+/, "counter").replace(/ # handle \d+$/, "");
}

/** @throws {BerthError} code `refused`, with the rules that would be about nothing. */
export async function checkRulesOnDevice(look: Look, device: string, bridge: string): Promise<void> {
  const listed = await look.query({ argv: ["nft", "-s", "list", "ruleset"], okExit: [0, 1] })
    .catch((error) => {
      // A fresh machine has no nft yet: its rules are seen by the next run.
      if (error instanceof BerthError && error.code === "missing") return null;
      throw error;
    });
  const rules = listed === null ? [] : rulesOnDevice(listed.stdout, device, bridge);
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
