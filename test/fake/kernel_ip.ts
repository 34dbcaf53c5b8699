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
  else if (line.startsWith("link del group ")) {
    for (const link of [...links.values()]) if (link.group === words[3]) kernel.remove(link.ifname);
  } else if (line.startsWith("link del ")) {
    if (!kernel.remove(words[2]!)) throw new Error(`Cannot find device "${words[2]}"`);
  } else if (line.startsWith("link set ")) {
    const link = find(words[2] === "dev" ? words[3]! : words[2]!);
    if (after("netns") !== undefined) return kernel.move(link, pid, Number(after("netns")), after("name")!);
    if (after("name") !== undefined) kernel.rename(link, after("name")!);
    if (after("group") !== undefined) link.group = after("group");
    if (words.includes("up")) link.up = true;
    if (words.includes("down")) link.up = false;
    if (after("alias") !== undefined) link.ifalias = after("alias") === '""' ? undefined : after("alias");
    if (after("address") !== undefined) link.address = after("address")!;
    if (after("mtu") !== undefined) setMtu(link, Number(after("mtu")));
    if (after("master") !== undefined) {
      find(after("master")!);
      link.master = after("master");
    }
  } else if (line.startsWith("addr add ") || line.startsWith("addr replace ")) {
    const link = find(after("dev")!);
    const address = words[2]!;
    const isThere = link.addresses.includes(address);
    if (isThere && words[1] === "add") throw new Error("RTNETLINK answers: File exists");
    if (link.mtu < 1280 && address.includes(":")) throw new Error("RTNETLINK answers: Invalid argument");
    if (!isThere) link.addresses.push(address);
  } else if (line.startsWith("addr flush ")) flush(find(after("dev")!), after("to")!);
  else if (line.startsWith("route ")) {
    if (kernel.findsNextHops && words[1] === "replace" && after("via")?.includes(".") === true) {
      requireNear(links, after("via")!);
    }
    routeLine(kernel.routes.get(pid!)!, words);
  } else throw new Error(`The fake ip does not know "${line}"`);
}

/** The kernel has no IPv6 on less than 1280 bytes: its addresses go, and do not come back. */
function setMtu(link: Link, mtu: number): void {
  link.mtu = mtu;
  if (mtu < 1280) link.addresses = link.addresses.filter((one) => !one.includes(":"));
}

/** With the first address of an IPv4 subnet the others of it go (promote_secondaries is 0). */
function flush(link: Link, to: string): void {
  const [wanted = ""] = to.split("/");
  const found = link.addresses.find((one) => one.startsWith(`${wanted}/`));
  if (found === undefined) return;
  const subnet = (one: string) =>
    one.includes(":") ? null : `${one.split(".").slice(0, 3)}${one.split("/")[1]}`;
  const mates = link.addresses.filter((one) => subnet(one) !== null && subnet(one) === subnet(found));
  link.addresses = link.addresses.filter((one) =>
    one !== found && (mates[0] !== found || !mates.includes(one))
  );
}

/** A next hop must lie in a subnet of an interface. */
function requireNear(links: ReadonlyMap<string, Link>, via: string): void {
  const bits = (address: string) =>
    address.split(".").map((byte) => Number(byte).toString(2).padStart(8, "0")).join("");
  const isNear = (one: string) => {
    const [address = "", prefix] = one.split("/");
    return !address.includes(":") &&
      bits(address).slice(0, Number(prefix)) === bits(via).slice(0, Number(prefix));
  };
  if ([...links.values()].some(({ addresses }) => addresses.some(isNear))) return;
  throw new Error("Error: Nexthop has invalid gateway.");
}

/** A route of each destination and metric; those of IPv6 by a blackhole in their place, as berth takes them away. */
function routeLine(routes: string[], [, verb = "", ...rest]: readonly string[]): void {
  const drop = (wanted: (route: string) => boolean) => {
    for (let at = routes.length - 1; at >= 0; at--) if (wanted(routes[at]!)) routes.splice(at, 1);
  };
  const to = rest.find((word) => !["exact", "blackhole"].includes(word))!;
  if (verb !== "flush") drop((route) => route.split(" ").includes(to));
  if (verb === "replace") routes.push(rest.join(" "));
  const flushed = rest.slice(1).join(" ");
  if (verb === "flush") drop((route) => route === flushed || route.startsWith(`${flushed} dev `));
}

/** As `ip -j -4 route show` prints them, or -6. */
export function printedRoutes(routes: readonly string[], family: string) {
  const found = routes.map((route) => {
    const [to = "", ...words] = route.split(" ");
    const after = (word: string) => words.includes(word) ? { [word]: words[words.indexOf(word) + 1] } : {};
    const { via, ...rest } = { ...after("via"), ...after("dev") } as Record<string, string>;
    return { dst: to.replace("::/0", "default").replace(/\/(32|128)$/, ""), gateway: via, ...rest };
  });
  return found.filter(({ gateway = "" }) => gateway.includes(":") === (family === "-6"));
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
    // A machine's own device has none.
    ...(link.kind !== "" && { linkinfo: { info_kind: link.kind } }),
  };
}

/** As `ip -j -d addr show` prints it: those of IPv6 last, the newest of them first. */
export function printedAddresses(link: Link) {
  const isSix = (address: string) => address.includes(":");
  const ordered = [...link.addresses.filter((one) => !isSix(one)), ...link.addresses.filter(isSix).reverse()];
  const info = ordered.map((one) => ({
    local: one.split("/")[0],
    prefixlen: Number(one.split("/")[1]),
    scope: one.startsWith("fe80:") ? "link" : "global",
  }));
  return { ...printed(link), addr_info: info };
}
