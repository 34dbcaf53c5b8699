// Fields that several parts of the schemas have: subnets, MACs, MTUs, words.
import * as v from "valibot";
import { MAC_FORM, MAC_PATTERN, parseMac, parseSubnet, SUBNET_FORM } from "./address.ts";
import { field, oneOf, Problem, told, whole } from "./problem.ts";

/** A subnet. */
export const subnet = (description: string) => field({ description, wanted: SUBNET_FORM }, parseSubnet);
/** A MAC. */
export const mac = (description: string) =>
  field({ description, wanted: MAC_FORM, pattern: MAC_PATTERN }, parseMac);
/** An MTU: 68, RFC 791's least, to 65535, the largest a veth takes. */
export const mtu = (description: string) => whole(description, 68, 65_535);
/** A word of a few. `next`: what whoever wrote another is told to do. */
export function word<const Word extends string>(
  what: string,
  words: readonly Word[],
  description: string,
  next?: string,
) {
  const refused = (issue: { readonly input: unknown }) =>
    told([new Problem(`Is not a known ${what}`, oneOf(words), next, undefined, issue.input === null)]);
  return v.pipe(v.picklist(words, refused), v.description(description));
}
