// One element of a set in a table of berth's own, as a resource: for what is there as long as the host is prepared
// (an uplink's name). Elements that come and go with vnodes are the gate's and the watch's. Volatile.
import { addElementLine, dropElementLines, type Element, parseElements } from "../nft_elements.ts";
import { listTable } from "../nft_listing.ts";
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
