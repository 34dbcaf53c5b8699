// One element of a set in a table of berth's own, as a resource: for what is there as long as the host is prepared
// (an uplink's name). Elements that come and go with vnodes are the gate's and the watch's. Volatile.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { addElementLine, dropElementLines, type Element, nftSaid, parseElements } from "../nft_elements.ts";
import type { Op, Resource } from "../types.ts";

/** Whether the element is there. */
export interface NftElementState {
  readonly present: boolean;
}

/**
 * An element of a plain set. The set itself comes with its table (nft_table.ts).
 *
 * @param key in canonical form, see Element.
 * @param present false: there must be none such. @default {true}
 */
export function nftElement(
  table: "bridge berth",
  set: string,
  key: string,
  present = true,
): Resource<NftElementState> {
  const id = `element ${key} of ${table} ${set}`;
  const element: Element = { table, set, key };
  const add: Op = { run: { argv: ["nft", "-f", "-"], input: `${addElementLine(element)}\n` } };
  const remove: Op = {
    run: { argv: ["nft", "-f", "-"], input: `${dropElementLines(element).join("\n")}\n` },
  };
  return {
    id,
    desired: { present },
    volatile: true,
    async observe(look) {
      const listing = await listTable(look, table);
      const found = listing === null ? undefined : parseElements(listing).get(set);
      return found === undefined ? null : { present: found.has(key) };
    },
    diff(found) {
      if ((found?.present ?? false) === present) return [];
      if (!present) {
        return [{ resource: id, verb: "delete", why: "not wanted", risk: "safe", do: [remove], undo: [add] }];
      }
      const why = found === null ? "missing, as is its set" : "missing";
      return [{ resource: id, verb: "create", why, risk: "safe", do: [add], undo: [remove] }];
    },
    prior: (found) => found,
    revert(prior, found) {
      if (!found?.present || prior?.present) return [];
      return [{
        resource: id,
        verb: "delete",
        why: "made by berth",
        risk: "safe",
        do: [remove],
        undo: [add],
      }];
    },
  };
}

/** What `nft -j list table` prints, elements and all; null where there is no such table, or no nft yet. */
export async function listTable(look: Look, table: string): Promise<string | null> {
  let output;
  try {
    output = await look.query({ argv: ["nft", "-j", "list", "table", ...table.split(" ")], okExit: [0, 1] });
  } catch (error) {
    // A fresh machine has no nft yet, and so no table either.
    if (error instanceof BerthError && error.code === "missing") return null;
    throw error;
  }
  if (output.exit === 0) return output.stdout;
  if (output.stderr.includes("No such file or directory")) return null;
  throw new BerthError({
    code: "command-failed",
    object: `nft table ${table}`,
    message: `Cannot list nft table "${table}": ${nftSaid(output.stderr)}`,
    next: "Check that the kernel has nf_tables: nft list tables",
  });
}
