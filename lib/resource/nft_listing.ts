// How a table of nftables is listed. What the listing says is nft_elements.ts' (elements) and nft_table.ts' (chains).
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { nftSaid } from "./nft_elements.ts";

/**
 * What `nft -j list table` prints; null where there is no such table, or no nft yet.
 *
 * @param table family and name, parted by a blank.
 * @param options.terse Without the elements of its sets: there may be thousands. @default {false}
 * @throws {BerthError} code `command-failed` where nft cannot say.
 */
export async function listTable(
  look: Look,
  table: string,
  { terse = false }: { readonly terse?: boolean } = {},
): Promise<string | null> {
  let output;
  try {
    const argv = ["nft", "-j", ...terse ? ["-t"] : [], "list", "table", ...table.split(" ")];
    output = await look.query({ argv, okExit: [0, 1] });
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
