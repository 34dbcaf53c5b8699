// The fake kernel's `nft`: elements of the control network's sets, by lines, and as `nft -j list table` prints them.
import type { FakeKernel } from "./kernel.ts";

/** Runs one line of `nft -f`. @throws {Error} with the words of nft. */
export function nftLine(kernel: FakeKernel, line: string): void {
  const [, verb, set, elements] = /^(add|delete) element bridge berth (\w+) \{ (.*) \}$/.exec(line) ?? [];
  if (set === undefined) throw new Error(`The fake nft does not know "${line}"`);
  const into = set === "control_ports" ? kernel.allow : kernel.names;
  const element = elements!.replaceAll('"', "").split(" . ").join(" ");
  if (verb === "add") into.add(element);
  else if (!into.delete(element)) throw new Error("Could not process rule: No such file or directory");
}

/** As `nft -j list table bridge berth` prints it. */
export function nftTable(kernel: FakeKernel) {
  return {
    nftables: [
      { set: { name: "control_ports", elem: [...kernel.allow].map((one) => ({ concat: one.split(" ") })) } },
      { set: { name: "control_names", elem: [...kernel.names] } },
    ],
  };
}
