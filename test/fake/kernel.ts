// The part of a kernel that wiring is about, in memory: interfaces in namespaces, qdiscs, redirects, elements of the
// control network's sets. Understands the batches berth writes and prints what berth reads; knows no other words.
import type { FakeCommand, FakeOutput, Machine } from "./host.ts";

interface Link {
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

interface Qdisc {
  kind: string;
  handle: string;
  dev: string;
  root?: boolean;
  parent?: string;
  options: Record<string, unknown>;
}

/** A kernel with a host namespace and one for each running container. */
export class FakeKernel {
  readonly links = new Map<string, Link>();
  readonly inside = new Map<number, Map<string, Link>>();
  readonly routes = new Map<number, string[]>();
  qdiscs: Qdisc[] = [];
  /** Device → where its ingress leads. */
  readonly redirects = new Map<string, string>();
  readonly allow = new Set<string>();
  readonly names = new Set<string>();
  /** Commands that change something, so far. */
  changes = 0;
  /** Fails the next so many changing commands. */
  failing = 0;
  #index = 1;
  #pid = 1000;
  #ticks = 100;

  constructor(readonly machine: Machine) {
    this.add("_dockercnet", "bridge");
  }

  /** An interface of the host's. */
  add(name: string, kind: string, more: Partial<Link> = {}): Link {
    if (this.links.has(name)) throw new Error(`RTNETLINK answers: File exists (${name})`);
    const link: Link = {
      ifindex: ++this.#index,
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
    return pid;
  }

  /** A process dies, and its namespace with all that has an end in it. */
  die(pid: number): void {
    this.machine.files.delete(`/proc/${pid}/stat`);
    const links = this.inside.get(pid);
    this.inside.delete(pid);
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
      ...this.qdiscs.map((one) => `qdisc ${JSON.stringify(one)}`),
      ...[...this.redirects].map(([from, to]) => `redirect ${from} ${to}`),
      ...[...this.allow].map((one) => `allow ${one}`),
      ...[...this.names].map((one) => `name ${one}`),
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
      return json([...this.inside.get(pid!)!.values()].map(printedAddresses));
    }
    if (words === "tc -j qdisc show") return json(this.qdiscs);
    if (words === "tc -j -batch -") {
      const shows = input.trim().split("\n").map((line) => this.#filters(line.split(" ")[3]!));
      return { stdout: shows.map((one) => `${JSON.stringify(one)}\n`).join("") };
    }
    if (words.startsWith("nft -j list table ")) return json(this.#table());
    if (argv[0] === "pgrep" || argv[0] === "pkill") return { exit: 1 };
    const batch = words === "ip -batch -" || words === "ip -force -batch -" || words === "tc -batch -" ||
      words === "nft -f -";
    if (!batch && argv[0] !== "sh") return null;
    this.changes++;
    if (this.failing > 0) {
      this.failing--;
      return { exit: 1, stderr: "RTNETLINK answers: Cannot allocate memory\nCommand failed -:1" };
    }
    const lines = input.split("\n").filter((line) => line !== "");
    const force = argv.includes("-force");
    for (const [index, line] of lines.entries()) {
      try {
        if (argv[0] === "ip" || argv[0] === "sh") this.#ip(line, pid);
        else if (argv[0] === "tc") this.#tc(line);
        else this.#nft(line);
      } catch (error) {
        if (!force) return { exit: 1, stderr: `${(error as Error).message}\nCommand failed -:${index + 1}` };
      }
    }
    return {};
  };

  #ip(line: string, pid: number | null): void {
    const links = pid === null ? this.links : this.inside.get(pid)!;
    const find = (name: string): Link => {
      const link = links.get(name);
      if (link === undefined) throw new Error(`Cannot find device "${name}"`);
      return link;
    };
    const words = line.split(" ");
    const after = (word: string) => words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
    if (line.startsWith("link add ") && words.includes("veth")) {
      const inside = this.inside.get(Number(after("netns")));
      const master = after("master")!;
      if (inside === undefined) throw new Error("RTNETLINK answers: No such process");
      if (!this.links.has(master)) throw new Error(`argument "${master}" is wrong: Device does not exist`);
      const name = words[words.indexOf("name") + 1]!;
      if (inside.has(name)) throw new Error("RTNETLINK answers: File exists");
      const mtu = Number(after("mtu"));
      const end = this.add(words[2]!, "veth", { mtu, master });
      const inner: Link = {
        ifindex: ++this.#index,
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
    } else if (line.startsWith("link add ")) this.add(words[2]!, after("type")!);
    else if (line.startsWith("link set dev ")) find(words[3]!).group = words[5]!;
    else if (line.startsWith("link del group ")) {
      for (const link of [...links.values()]) if (link.group === words[3]) this.remove(link.ifname);
    } else if (line.startsWith("link del ")) {
      if (!this.remove(words[2]!)) throw new Error(`Cannot find device "${words[2]}"`);
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
    else if (line.startsWith("route replace ")) this.routes.get(pid!)!.push(words.slice(2).join(" "));
    else throw new Error(`The fake ip does not know "${line}"`);
  }

  #tc(line: string): void {
    const words = line.split(" ");
    const after = (word: string) => words[words.indexOf(word) + 1]!;
    const dev = after("dev");
    if (!this.links.has(dev)) throw new Error(`Cannot find device "${dev}"`);
    const same = (one: Qdisc) =>
      one.dev === dev &&
      (words.includes("ingress")
        ? one.kind === "ingress"
        : words.includes("root")
        ? one.root
        : one.parent === "1:1");
    if (words[0] === "filter") {
      this.redirects.set(dev, words.at(-1)!);
    } else if (words[1] === "del") {
      if (!this.qdiscs.some(same)) throw new Error("Error: Cannot delete qdisc with handle of zero.");
      this.qdiscs = this.qdiscs.filter((one) =>
        !same(one) && !(words.includes("root") && one.dev === dev && one.parent === "1:1")
      );
      if (words.includes("ingress")) this.redirects.delete(dev);
    } else {
      if (words[1] === "add" && this.qdiscs.some(same)) throw new Error("Error: Exclusivity flag on");
      this.qdiscs = this.qdiscs.filter((one) => !same(one));
      this.qdiscs.push(qdiscOf(words, dev));
    }
  }

  #nft(line: string): void {
    const [, verb, set, elements] = /^(add|delete) element bridge berth (\w+) \{ (.*) \}$/.exec(line) ?? [];
    if (set === undefined) throw new Error(`The fake nft does not know "${line}"`);
    const into = set === "control_ports" ? this.allow : this.names;
    const element = elements!.replaceAll('"', "").split(" . ").join(" ");
    if (verb === "add") into.add(element);
    else if (!into.delete(element)) throw new Error("Could not process rule: No such file or directory");
  }

  #filters(dev: string) {
    const to = this.redirects.get(dev);
    return to === undefined
      ? []
      : [{ protocol: "all", options: { actions: [{ kind: "mirred", to_dev: to }] } }];
  }

  #table() {
    return {
      nftables: [
        { set: { name: "control_ports", elem: [...this.allow].map((one) => ({ concat: one.split(" ") })) } },
        { set: { name: "control_names", elem: [...this.names] } },
      ],
    };
  }
}

function json(value: unknown): FakeOutput {
  return { stdout: JSON.stringify(value) };
}

function printed(link: Link) {
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

function printedAddresses(link: Link) {
  const info = link.addresses.map((one) => ({
    local: one.split("/")[0],
    prefixlen: Number(one.split("/")[1]),
    scope: "global",
  }));
  return { ...printed(link), addr_info: info };
}

/** As `tc -j` prints it: rates in bytes a second, delays in seconds, losses as fractions. */
function qdiscOf(words: readonly string[], dev: string): Qdisc {
  const number = (word: string) => Number.parseFloat(words[words.indexOf(word) + 1] ?? "0");
  const place = words.includes("root") ? { root: true } : { parent: words[words.indexOf("parent") + 1]! };
  const handle = words.includes("handle") ? words[words.indexOf("handle") + 1]! : "ffff:";
  if (words.includes("tbf")) {
    const options = { rate: number("rate") / 8, burst: number("burst"), limit: number("limit") };
    return { kind: "tbf", handle, dev, ...place, options };
  }
  if (words.includes("netem")) {
    const options = {
      limit: number("limit"),
      delay: { delay: number("delay") / 1e6 },
      "loss-random": { loss: words.includes("loss") ? number("loss") / 100 : 0 },
    };
    return { kind: "netem", handle, dev, ...place, options };
  }
  return { kind: "ingress", handle: "ffff:", dev, parent: "ffff:fff1", options: {} };
}
