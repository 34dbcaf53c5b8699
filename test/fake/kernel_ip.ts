// The fake kernel's `ip`: interfaces and addresses in namespaces, by the lines of a batch, and as `ip -j` prints them.
import type { FakeKernel } from "./kernel.ts";

/** An interface of the fake kernel. */
export interface Link {
  readonly ifindex: number;
  ifname: string;
  kind: string;
  mtu: number;
  master?: string;
  ifalias?: string;
  address: string;
  up: boolean;
  group?: string;
  addresses: string[];
  /** The other end of a veth pair. */
  peer?: Link;
}

/** Runs one line of `ip -batch`, on the host or inside. @throws {Error} with the words of ip. */
export function ipLine(kernel: FakeKernel, line: string, pid: number | null): void {
  const links = pid === null ? kernel.links : kernel.inside.get(pid)!;
  const find = (name: string): Link => {
    const link = links.get(name);
    if (link === undefined) throw new Error(`Cannot find device "${name}"`);
    return link;
  };
  const words = line.split(" ");
  const after = (word: string) => words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
  if (line.startsWith("link add ") && words.includes("veth")) {
    const inside = kernel.inside.get(Number(after("netns")));
    const master = after("master")!;
    if (inside === undefined) throw new Error("RTNETLINK answers: No such process");
    if (!kernel.links.has(master)) throw new Error(`argument "${master}" is wrong: Device does not exist`);
    const name = words[words.indexOf("name") + 1]!;
    if (inside.has(name)) throw new Error("RTNETLINK answers: File exists");
    const mtu = Number(after("mtu"));
    const end = kernel.add(words[2]!, "veth", { mtu, master });
    const inner: Link = {
      ifindex: kernel.nextIndex(),
      ifname: name,
      kind: "veth",
      mtu,
      address: after("address")!,
      up: false,
      addresses: [],
      peer: end,
    };
    end.peer = inner;
    inside.set(name, inner);
  } else if (line.startsWith("link add ")) kernel.add(words[2]!, after("type")!);
  else if (line.startsWith("link set dev ")) find(words[3]!).group = words[5]!;
  else if (line.startsWith("link del group ")) {
    for (const link of [...links.values()]) if (link.group === words[3]) kernel.remove(link.ifname);
  } else if (line.startsWith("link del ")) {
    if (!kernel.remove(words[2]!)) throw new Error(`Cannot find device "${words[2]}"`);
  } else if (line.startsWith("link set ")) {
    const link = find(words[2]!);
    if (words.includes("up")) link.up = true;
    if (after("alias") !== undefined) link.ifalias = after("alias");
    if (after("mtu") !== undefined) link.mtu = Number(after("mtu"));
    if (after("master") !== undefined) {
      find(after("master")!);
      link.master = after("master");
    }
  } else if (line.startsWith("addr add ")) find(after("dev")!).addresses.push(words[2]!);
  else if (line.startsWith("route replace ")) kernel.routes.get(pid!)!.push(words.slice(2).join(" "));
  else throw new Error(`The fake ip does not know "${line}"`);
}

/** As `ip -j -d link show` prints it. */
export function printed(link: Link) {
  return {
    ifindex: link.ifindex,
    ifname: link.ifname,
    ...(link.peer && { link_index: link.peer.ifindex }),
    mtu: link.mtu,
    ...(link.master && { master: link.master }),
    address: link.address,
    flags: link.up ? ["UP"] : [],
    ...(link.ifalias && { ifalias: link.ifalias }),
    linkinfo: { info_kind: link.kind },
  };
}

/** As `ip -j -d addr show` prints it. */
export function printedAddresses(link: Link) {
  const info = link.addresses.map((one) => ({
    local: one.split("/")[0],
    prefixlen: Number(one.split("/")[1]),
    scope: "global",
  }));
  return { ...printed(link), addr_info: info };
}
