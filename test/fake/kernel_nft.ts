// The fake kernel's `nft`: elements of berth's sets and maps, by lines, and as `nft -j list table` prints them. Takes
// any set for one that is there.
import type { FakeKernel } from "./kernel.ts";

/** Runs one line of `nft -f`. @throws {Error} with the words of nft. */
export function nftLine(kernel: FakeKernel, line: string): void {
  const [, verb, table, set, inner] = /^(add|delete) element (\w+ \w+) (\w+) \{ (.*) \}$/.exec(line) ?? [];
  if (set === undefined) throw new Error(`The fake nft does not know "${line}"`);
  const [key = "", data = ""] = inner!.replaceAll('"', "").split(" : ");
  if (set === "control_ports" || set === "control_names") {
    const into = set === "control_ports" ? kernel.allow : kernel.names;
    const element = key.replaceAll(" . ", " ");
    if (verb === "add") into.add(element);
    else if (!into.delete(element)) throw new Error("Could not process rule: No such file or directory");
    return;
  }
  const where = `${table}/${set}`;
  const found = kernel.elements.get(where) ?? new Map<string, string>();
  kernel.elements.set(where, found);
  const there = found.get(key);
  if (verb === "add") {
    if (there !== undefined && there !== data) throw new Error("Could not process rule: File exists");
    found.set(key, data);
  } else if (!found.delete(key)) throw new Error("Could not process rule: No such file or directory");
}

const parts = (text: string) => {
  const all = text.split(" . ").map((part) => /^\d{1,15}$/.test(part) ? Number(part) : part);
  return all.length === 1 ? all[0] : { concat: all };
};

function verdict(text: string): unknown {
  const [word = "", target] = text.split(" ");
  return target !== undefined && word === "jump" ? { jump: { target } } : parts(text);
}

/** As `nft -j list table` prints a table. */
export function nftTable(kernel: FakeKernel, table: string) {
  const sets = [...kernel.elements].filter(([where]) => where.startsWith(`${table}/`));
  const control = [
    { set: { name: "control_ports", elem: [...kernel.allow].map((one) => ({ concat: one.split(" ") })) } },
    { set: { name: "control_names", elem: [...kernel.names] } },
  ];
  // A host that is prepared has this set, be it empty.
  if (table === "inet berth_vnodes" && !kernel.elements.has(`${table}/known`)) {
    sets.push([`${table}/known`, new Map()]);
  }
  return {
    nftables: (table === "bridge berth" ? control as unknown[] : []).concat(sets.map(([where, elements]) => {
      const name = where.slice(table.length + 1);
      const pairs = [...elements];
      return pairs.some(([, data]) => data !== "")
        ? { map: { name, elem: pairs.map(([key, data]) => [parts(key), verdict(data)]) } }
        : { set: { name, elem: pairs.map(([key]) => parts(key)) } };
    })),
  };
}
