// Consent to the loss of content: bound to what was found, so that it is void when anything else stands there. What
// berth tells of content (its fingerprint), the lines that consent, and how both are compared. Pure.
import { createHash } from "node:crypto";
import type { HostConfig } from "../config/types.ts";
import type { Change } from "./types.ts";

/** Given, not given, or given for what is not there any more: the fingerprint that it names. */
export type ConsentGiven = boolean | { readonly for: string };

/**
 * What is somewhere, short enough to be copied: the kinds of what was found ("data" where nothing is known of it), and
 * twelve digits of a digest over `whole`.
 */
export function fingerprintOf(kinds: readonly string[], whole: unknown): string {
  const word = (kind: string) => kind.replaceAll(/[^A-Za-z0-9_.+-]/g, "_");
  const said = kinds.length === 0 ? ["data"] : [...new Set(kinds.map(word))].slice(0, 8);
  const digest = createHash("sha256").update(JSON.stringify(whole)).digest("hex");
  return [...said, digest.slice(0, 12)].join(" ");
}

/** What the configuration says to a destructive change. */
export function consentTo(consent: HostConfig["consent"], { resource, found }: Change): ConsentGiven {
  if (found !== undefined) {
    const named = consent.replace.find(({ object }) => object === resource);
    return named === undefined ? false : named.found === found || { for: named.found };
  }
  // What is on a disk was compared with the consent when it was looked at.
  return consent.objects.includes(resource) || consent.wipe.some(({ disk }) => resource === `disk ${disk}`);
}

/** A change that may not be made, and what there is of consent. */
export interface Unconsented {
  readonly change: Change;
  readonly given: Exclude<ConsentGiven, true>;
}

/** The changes that lack consent. */
export async function unconsented(
  changes: readonly Change[],
  given: (change: Change) => Promise<ConsentGiven>,
): Promise<readonly Unconsented[]> {
  const answers = await Promise.all(changes.map(given));
  return changes.flatMap((change, index) => {
    const answer = answers[index]!;
    return answer === true ? [] : [{ change, given: answer }];
  });
}

/** What an operator is told of a change that lacks consent: what would be lost, and the lines that would consent. */
export function refusal({ change, given }: Unconsented): { readonly message: string; readonly next: string } {
  const { resource, verb, why, found } = change;
  if (found === undefined) {
    return {
      message: `Cannot ${verb} it without consent: ${why}`,
      next: `Move away what stands there, or add "${resource}" to consent.objects in host.yaml`,
    };
  }
  const line = `consent: { replace: [{ object: "${resource}", found: "${found}" }] }`;
  return given === false
    ? {
      message: `Cannot ${verb} it without consent: ${why}`,
      next: `Move away what stands there, or, if it may be lost, add to host.yaml: ${line}`,
    }
    : {
      message: `Cannot ${verb} it: consent is void, something else is there: ${why}; ` +
        `found "${found}", consented to the loss of "${given.for}"`,
      next: `Look again; if it may be lost, change host.yaml to: ${line}`,
    };
}
