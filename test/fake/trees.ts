// The fake machine's trees: what lib/resource/tree_ops.ts has scripts for, du and df. By the scripts' names.
import { COPY_MARK, isContent } from "../../lib/resource/tree_ops.ts";
import type { FakeCommand, Machine } from "./host.ts";

/** Bytes free wherever one asks; a test may set it. */
export const DISK = { free: 1_000_000_000 };

/** Paths of content below a path, deepest last. */
function content(machine: Machine, path: string): readonly string[] {
  return [...machine.directories.keys(), ...machine.files.keys()]
    .filter((name) => name.startsWith(`${path}/`) && isContent(name.slice(path.length + 1).split("/")[0]!))
    .sort();
}

function place(machine: Machine, from: string, to: string): void {
  const file = machine.files.get(from);
  if (file !== undefined) machine.files.set(to, file);
  else machine.directories.set(to, machine.directories.get(from)!);
}

function drop(machine: Machine, path: string): void {
  machine.files.delete(path);
  machine.directories.delete(path);
}

/** Renames a whole tree, marks and all. */
function rename(machine: Machine, from: string, to: string): void {
  const all = [...machine.directories.keys(), ...machine.files.keys()]
    .filter((name) => name === from || name.startsWith(`${from}/`));
  for (const name of all) {
    place(machine, name, to + name.slice(from.length));
    drop(machine, name);
  }
}

function told(machine: Machine, path: string): string {
  return content(machine, path).map((name) =>
    `${name.slice(path.length)} ${JSON.stringify(machine.files.get(name) ?? machine.directories.get(name))}`
  ).join("\n");
}

export const treeCommands: FakeCommand = ({ argv }, machine) => {
  const [program, flag, , name, one = "", two = ""] = argv;
  if (program === "du") {
    const size = content(machine, argv.at(-1)!).map((path) => machine.files.get(path)?.text.length ?? 0);
    return { stdout: `${size.reduce((sum, each) => sum + each, 0)}\t${argv.at(-1)}\n` };
  }
  if (program === "df" && argv.includes("--output=avail")) return { stdout: `Avail\n${DISK.free}\n` };
  if (program === "sync") return {};
  if (argv.slice(0, 3).join(" ") === "ln -s -T") {
    if (machine.symlinks.has(argv[4]!) || machine.directories.has(argv[4]!)) return { exit: 1 };
    machine.symlinks.set(argv[4]!, argv[3]!);
    return {};
  }
  if (program !== "sh" || flag !== "-c") return null;
  switch (name) {
    case "berth-copy-tree":
      machine.directories.set(two, machine.directories.get(one)!);
      for (const path of content(machine, one)) place(machine, path, two + path.slice(one.length));
      return {};
    case "berth-verify-tree":
      return told(machine, one) === told(machine, two) ? {} : { exit: 1, stderr: "The copy differs\n" };
    case "berth-clear-tree":
      if (!machine.files.has(`${one}/${COPY_MARK}`)) return { exit: 1 };
      for (const path of content(machine, one)) drop(machine, path);
      return {};
    case "berth-unmark":
      for (const path of [...machine.files.keys()]) {
        if (path === `${one}/${COPY_MARK}` || path.startsWith(`${one}/.${COPY_MARK}.`)) drop(machine, path);
      }
      return {};
    case "berth-set-aside":
      if (machine.directories.has(one) && !machine.directories.has(two)) rename(machine, one, two);
      return {};
    case "berth-leave-link":
      if (!machine.directories.has(one) && !machine.symlinks.has(one)) machine.symlinks.set(one, two);
      return {};
    case "berth-rebase":
      for (const path of content(machine, one).filter((name) => name.endsWith("/config.v2.json"))) {
        const file = machine.files.get(path)!;
        const text = file.text.replaceAll(`"${two.replaceAll("\\", "")}/`, `"${one}/`);
        machine.files.set(path, { ...file, text });
      }
      return {};
    case "berth-take-back":
      if (machine.directories.has(two)) machine.symlinks.delete(one);
      if (machine.directories.has(two) && !machine.directories.has(one)) rename(machine, two, one);
      return {};
    case "berth-move-records":
      for (const path of content(machine, one)) place(machine, path, two + path.slice(one.length));
      return {};
    case "berth-bring-back-records":
      machine.symlinks.delete(one);
      machine.directories.set(one, machine.directories.get(two)!);
      for (const path of content(machine, two)) place(machine, path, one + path.slice(two.length));
      return {};
    case "berth-unmounted":
      return {};
    default:
      return null;
  }
};
