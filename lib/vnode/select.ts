// Which vnodes a command is about: names from the configuration, or from the records of those made before.
import { distance } from "fastest-levenshtein";
import type { Config, VnodeSpec } from "../config/types.ts";
import { BerthError } from "../log/error.ts";

const DIRECTORY = "/etc/berth/vnodes.d";

/**
 * The specs of these names; of all when none is named.
 *
 * @param directory where vnodes are declared, for messages. @default {"/etc/berth/vnodes.d"}
 * @throws {BerthError} code `usage`, one issue for each name that is not declared, with the nearest one that is.
 */
export function selectSpecs(
  config: Config,
  names: readonly string[],
  directory = DIRECTORY,
): readonly VnodeSpec[] {
  if (names.length === 0) return config.vnodes;
  const byName = new Map(config.vnodes.map((spec) => [spec.name, spec]));
  const unknown = names.filter((name) => !byName.has(name));
  if (unknown.length > 0) {
    throw unknownVnodes(
      unknown,
      [...byName.keys()],
      "There is no such vnode in the configuration",
      `Declare it in ${directory}`,
    );
  }
  return [...new Set(names)].map((name) => byName.get(name)!);
}

/** What the configuration has, where it is known: only what is declared can be brought up. */
export interface Declared {
  /** @default {none} */
  readonly names?: readonly string[];
  /** Where vnodes are declared. @default {"/etc/berth/vnodes.d"} */
  readonly directory?: string;
}

/** These names, or all of `known` when none is named. @throws {BerthError} code `usage` for names that are not known. */
export function selectNames(
  known: readonly string[],
  names: readonly string[],
  declared: Declared = {},
): readonly string[] {
  if (names.length === 0) return known;
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return [...new Set(names)];
  const { names: written = [], directory = DIRECTORY } = declared;
  const waiting = unknown.filter((name) => written.includes(name));
  throw unknownVnodes(
    unknown,
    known,
    "No such vnode has been made on this vhost",
    waiting.length > 0
      ? `berth vnode up ${waiting.join(" ")}`
      : known.length > 0
      ? "berth vnode list"
      : `Declare it in ${directory}, then berth vnode up ${unknown.join(" ")}`,
    written,
  );
}

function unknownVnodes(
  unknown: readonly string[],
  known: readonly string[],
  message: string,
  next: string,
  declared: readonly string[] = [],
): BerthError {
  const near = [...new Set([...known, ...declared])];
  return new BerthError({
    code: "usage",
    object: unknown.length === 1 ? `vnode ${unknown[0]}` : `vnodes ${unknown.join(", ")}`,
    message,
    issues: unknown.map((name) => {
      if (declared.includes(name)) {
        return { message: `"${name}" is declared, and not made yet`, next: `berth vnode up ${name}` };
      }
      const nearest = [...near].sort((a, b) => distance(a, name) - distance(b, name))[0];
      return {
        message: `No vnode "${name}"`,
        ...(nearest !== undefined && distance(nearest, name) <= 3 && { next: `Did you mean "${nearest}"?` }),
      };
    }),
    next: known.length === 0 ? next : `${next}; known are ${known.slice(0, 20).join(", ")}`,
  });
}
