// The part of a kernel that wiring is about, in memory: interfaces in namespaces, qdiscs, redirects, elements of the
// control network's sets. Understands the batches berth writes and prints what berth reads; knows no other words.
// What each tool's lines mean stands in kernel_ip.ts, kernel_tc.ts and kernel_nft.ts.
import type { FakeCommand, FakeOutput, Machine } from "./host.ts";
import { ipLine, type Link, printed, printedAddresses, printedRoutes } from "./kernel_ip.ts";
import { nftLine, nftTable } from "./kernel_nft.ts";
import { filters, type Qdisc, tcLine } from "./kernel_tc.ts";

/** A kernel with a host namespace and one for each running container. */
export class FakeKernel {
  readonly links = new Map<string, Link>();
  readonly inside = new Map<number, Map<string, Link>>();
  readonly routes = new Map<number, string[]>();
  /** What was written below /proc/sys inside, by pid and path. */
  readonly sysctls = new Map<number, Map<string, string>>();
  qdiscs: Qdisc[] = [];
  /** Device → where its ingress leads. */
  readonly redirects = new Map<string, string>();
  /** Elements of control_ports, as "port mac address", and of control_names. */
  readonly allow = new Set<string>();
  readonly names = new Set<string>();
  /** Those of all other sets and maps: "TABLE/SET" → key → data. */
  readonly elements = new Map<string, Map<string, string>>();
  /** Commands that change something, so far. */
  changes = 0;
  /** Refuses a route of IPv4 whose next hop no interface leads to, as a real one does. */
  findsNextHops = false;
  /** Fails the next so many changing commands. */
  failing = 0;
  #untilDeath = Infinity;
  #index = 1;
  #pid = 1000;
  #ticks = 100;

  constructor(readonly machine: Machine) {
    this.add("_dockercnet", "bridge");
  }

  /** Lets so many changing commands through, and fails all that follow: whoever made them is dead. */
  failAfter(commands: number): void {
    this.#untilDeath = commands;
  }

  /** A number that no interface has had. */
  nextIndex(): number {
    return ++this.#index;
  }

  /** An interface of the host's. */
  add(name: string, kind: string, more: Partial<Link> = {}): Link {
    if (this.links.has(name)) throw new Error(`RTNETLINK answers: File exists (${name})`);
    const link: Link = {
      ifindex: this.nextIndex(),
      ifname: name,
      kind,
      mtu: 1500,
      address: "00:00:00:00:00:00",
      up: false,
      addresses: [],
      ...more,
    };
    this.links.set(name, link);
    this.machine.files.set(`/sys/class/net/${name}`, { text: "", mode: 0o755 });
    return link;
  }

  /** Another name for an interface of the host's. */
  rename(link: Link, name: string): void {
    if (this.links.has(name)) throw new Error("RTNETLINK answers: File exists");
    this.links.delete(link.ifname);
    this.machine.files.delete(`/sys/class/net/${link.ifname}`);
    link.ifname = name;
    this.links.set(name, link);
    this.machine.files.set(`/sys/class/net/${name}`, { text: "", mode: 0o755 });
  }

  /** Into another namespace: of a process, or of the host, whose first one is 1. It is down and bare then. */
  move(link: Link, from: number | null, to: number, name: string): void {
    const there = to === 1 ? this.links : this.inside.get(to);
    if (there === undefined) throw new Error("RTNETLINK answers: No such process");
    if (there.has(name)) throw new Error("RTNETLINK answers: File exists");
    (from === null ? this.links : this.inside.get(from)!).delete(link.ifname);
    if (from === null) this.machine.files.delete(`/sys/class/net/${link.ifname}`);
    Object.assign(link, { ifname: name, up: false, addresses: [], master: undefined });
    there.set(name, link);
    if (to === 1) this.machine.files.set(`/sys/class/net/${name}`, { text: "", mode: 0o755 });
  }

  remove(name: string): boolean {
    const link = this.links.get(name);
    if (link === undefined) return false;
    this.links.delete(name);
    this.machine.files.delete(`/sys/class/net/${name}`);
    this.qdiscs = this.qdiscs.filter((one) => one.dev !== name);
    this.redirects.delete(name);
    for (const one of this.links.values()) if (one.master === name) one.master = undefined;
    for (const links of this.inside.values()) {
      for (const [inner, one] of links) if (one.peer === link) links.delete(inner);
    }
    return true;
  }

  /** What dockerd does before the first instruction: a process, a namespace, eth0 and its port. */
  start(mac: string, address: string): number {
    const pid = ++this.#pid;
    const fields = ["S", ...Array.from({ length: 18 }, () => "0"), String(++this.#ticks), "0", "0"];
    this.machine.files.set(`/proc/${pid}/stat`, {
      text: `${pid} (init (x) y) ${fields.join(" ")}\n`,
      mode: 0o444,
    });
    const eth0: Link = {
      ifindex: 2,
      ifname: "eth0",
      kind: "veth",
      mtu: 1500,
      address: mac,
      up: true,
      addresses: [`${address}/12`],
    };
    const port = this.add(`veth${pid}`, "veth", { master: "_dockercnet", up: true, peer: eth0 });
    eth0.peer = port;
    this.inside.set(pid, new Map([["eth0", eth0]]));
    this.routes.set(pid, []);
    this.sysctls.set(pid, new Map());
    return pid;
  }

  /** A process dies, and its namespace with all that has an end in it. */
  die(pid: number): void {
    this.machine.files.delete(`/proc/${pid}/stat`);
    const links = this.inside.get(pid);
    for (const link of [...links?.values() ?? []]) {
      // The machine's own devices are given back, by another name where theirs is taken.
      if (link.kind === "") {
        this.move(link, pid, 1, this.links.has(link.ifname) ? `dev${link.ifindex}` : link.ifname);
      }
    }
    this.inside.delete(pid);
    this.sysctls.delete(pid);
    for (const link of links?.values() ?? []) if (link.peer !== undefined) this.remove(link.peer.ifname);
  }

  /** Everything, as text: equal text means equal worlds (but for indexes). */
  text(): string {
    const show = (link: Link) =>
      `${link.ifname} ${link.kind} ${link.mtu} ${link.master ?? "-"} ${
        link.ifalias ?? "-"
      } ${link.up} ${link.addresses}`;
    return [
      ...[...this.links.values()].map(show),
      ...[...this.inside].flatMap(([pid, links]) => [...links.values()].map((one) => `${pid}: ${show(one)}`)),
      ...[...this.sysctls].flatMap(([pid, all]) => [...all].map((one) => `${pid}: ${one.join("=")}`)),
      ...this.qdiscs.map((one) => `qdisc ${JSON.stringify(one)}`),
      ...[...this.redirects].map(([from, to]) => `redirect ${from} ${to}`),
      ...[...this.allow].map((one) => `allow ${one}`),
      ...[...this.names].map((one) => `name ${one}`),
      ...[...this.elements].flatMap(([set, all]) => [...all].map((one) => `${set} ${one.join(" : ")}`)),
    ].sort().join("\n");
  }

  /** For createFakeHost's `commands`. */
  readonly handle: FakeCommand = ({ argv, input = "", netns }) => {
    const words = argv.join(" ");
    const pid = netns === undefined ? null : Number(/\/proc\/(\d+)\/ns/.exec(netns)?.[1]);
    if (pid !== null && !this.inside.has(pid)) {
      return { exit: 1, stderr: "nsenter: No such file or directory" };
    }
    if (words === "ip -j -d link show") return json([...this.links.values()].map(printed));
    if (words === "ip -j -d addr show") {
      const links = pid === null ? this.links : this.inside.get(pid)!;
      return json([...links.values()].map(printedAddresses));
    }
    if (/^ip -j -[46] route show$/.test(words)) {
      return json(printedRoutes(this.routes.get(pid!)!, argv[2]!));
    }
    if (words.startsWith("sysctl -e ")) {
      const known = [...this.sysctls.get(pid!)!].filter(([path]) => argv.includes(path));
      // "eth1.5" is an interface: dots and slashes change places.
      const name = (path: string) => path.replace(/[./]/g, (sign) => sign === "." ? "/" : ".");
      return { stdout: known.map(([path, value]) => `${name(path)} = ${value}\n`).join("") };
    }
    if (words === "tc -j qdisc show") return json(this.qdiscs);
    if (words === "tc -j -batch -") {
      const shows = input.trim().split("\n").map((line) => filters(this, line.split(" ")[3]!));
      return { stdout: shows.map((one) => `${JSON.stringify(one)}\n`).join("") };
    }
    if (words.startsWith("nft -j list table ")) {
      return json(nftTable(this, words.slice("nft -j list table ".length)));
    }
    if (argv[0] === "pgrep" || argv[0] === "pkill") return { exit: 1 };
    const batch = words === "ip -batch -" || words === "ip -force -batch -" || words === "tc -batch -" ||
      words === "nft -f -";
    if (!batch && argv[0] !== "sh") return null;
    this.changes++;
    if (this.failing > 0 || --this.#untilDeath < 0) {
      this.failing--;
      return { exit: 1, stderr: "RTNETLINK answers: Cannot allocate memory\nCommand failed -:1" };
    }
    if (argv[0] === "sh" && argv[2]?.includes("/proc/sys/")) {
      for (let at = 4; at < argv.length; at += 2) this.sysctls.get(pid!)!.set(argv[at]!, argv[at + 1]!);
    }
    const lines = input.split("\n").filter((line) => line !== "");
    const force = argv.includes("-force");
    for (const [index, line] of lines.entries()) {
      try {
        if (argv[0] === "ip" || argv[0] === "sh") ipLine(this, line, pid);
        else if (argv[0] === "tc") tcLine(this, line);
        else nftLine(this, line);
      } catch (error) {
        if (!force) return { exit: 1, stderr: `${(error as Error).message}\nCommand failed -:${index + 1}` };
      }
    }
    return {};
  };
}

function json(value: unknown): FakeOutput {
  return { stdout: JSON.stringify(value) };
}
