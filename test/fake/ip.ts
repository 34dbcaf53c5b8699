// The fake machine's `ip`: links and addresses, by batches, and read back as JSON.
import type { FakeCommand, FakeOutput, Machine } from "./host.ts";

export interface FakeLink {
  readonly kind: string;
  readonly alias: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly addresses: readonly string[];
}

/** `ip -batch -`, `ip -force -batch -`, `ip -j … link|addr show [dev X]`. */
export const ipCommands: FakeCommand = (command, machine) => {
  const [program, ...args] = command.argv;
  if (program !== "ip") return null;
  const line = args.join(" ");
  if (line === "-batch -" || line === "-force -batch -") {
    return batch(command.input ?? "", machine, line.startsWith("-force"));
  }
  const asked = /^-j (?:-d )?(?:link|addr) show(?: dev (\S+))?$/.exec(line);
  if (asked === null) return null;
  const device = asked[1];
  if (device === undefined) return { stdout: JSON.stringify([...machine.links].map(shown)) };
  const link = machine.links.get(device);
  if (link === undefined) return { exit: 1, stderr: `Device "${device}" does not exist.\n` };
  return { stdout: JSON.stringify([shown([device, link])]) };
};

function shown([device, link]: [string, FakeLink]): unknown {
  return {
    ifname: device,
    mtu: link.mtu,
    flags: link.up ? ["BROADCAST", "UP"] : ["BROADCAST"],
    ...(link.alias === "" ? {} : { ifalias: link.alias }),
    ...(link.kind === "none" ? {} : { linkinfo: { info_kind: link.kind } }),
    addr_info: link.addresses.map((address) => {
      const [local, length] = address.split("/");
      return { family: local!.includes(":") ? "inet6" : "inet", local, prefixlen: Number(length) };
    }),
  };
}

function batch(input: string, machine: Machine, force: boolean): FakeOutput {
  let exit = 0;
  let stderr = "";
  input.trimEnd().split("\n").forEach((line, at) => {
    if (exit !== 0 && !force) return;
    const wrong = ipLine(line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', "")) ?? [], machine);
    if (wrong === null) return;
    exit = 1;
    stderr += `${wrong}\nCommand failed -:${at + 1}\n`;
  });
  return { exit, stderr };
}

/** Runs one line; answers with what ip would complain about, or null. */
function ipLine(words: readonly string[], { links }: Machine): string | null {
  const [object, verb, ...rest] = words;
  const after = (word: string) => rest[rest.indexOf(word) + 1] ?? "";
  const name = object === "link" && verb === "add" ? after("name") : after("dev");
  const link = links.get(name);
  if (object === "link" && verb === "add") {
    if (link !== undefined) return "RTNETLINK answers: File exists";
    links.set(name, { kind: after("type"), alias: "", mtu: 1500, up: false, addresses: [] });
    return null;
  }
  if (link === undefined) return `Cannot find device "${name}"`;
  const address = rest[0]!;
  switch (`${object} ${verb}`) {
    case "link del":
      links.delete(name);
      return null;
    case "link set":
      links.set(name, {
        ...link,
        ...(rest.includes("alias") ? { alias: after("alias") } : {}),
        ...(rest.includes("mtu") ? { mtu: Number(after("mtu")) } : {}),
        ...(rest.includes("up") ? { up: true } : rest.includes("down") ? { up: false } : {}),
      });
      return null;
    case "addr add":
      if (link.addresses.includes(address)) return "RTNETLINK answers: File exists";
      links.set(name, { ...link, addresses: [...link.addresses, address].sort() });
      return null;
    case "addr del":
      if (!link.addresses.includes(address)) return "RTNETLINK answers: Cannot assign requested address";
      links.set(name, { ...link, addresses: link.addresses.filter((other) => other !== address) });
      return null;
  }
  return `The fake ip does not know: ${words.join(" ")}`;
}
