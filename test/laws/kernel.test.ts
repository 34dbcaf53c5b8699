// deadline: 120s
// The laws over the generic kinds on the real kernel, in namespaces of their own. Runs inside a throw-away vhost too,
// where the kinds that need nft, modules or packages find them.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { test } from "uvu";
import { findProgram } from "../../lib/host/command.ts";
import { createHost } from "../../lib/host/host.ts";
import type { Host } from "../../lib/host/types.ts";
import { bridgeOption } from "../../lib/resource/kinds/bridge_option.ts";
import { bridge } from "../../lib/resource/kinds/link.ts";
import { macvlan } from "../../lib/resource/kinds/macvlan.ts";
import { kernelModule } from "../../lib/resource/kinds/kernel_module.ts";
import { sysctl } from "../../lib/resource/kinds/sysctl.ts";
import { lan } from "../../lib/vnode/lan.ts";
import { lanUplink } from "../../lib/vnode/lan_uplink.ts";
import { bridgeName, tunnelName } from "../../lib/vnode/names.ts";
import { nftTable } from "../../lib/resource/nft_table.ts";
import { skip } from "../skip.ts";
import { isApart, privateDirectories, runApart, sh } from "./apart.ts";
import { laws, type Subject, type World } from "./laws.ts";
import { elementsSubject, filesSubject, jsonSubject, linksSubject } from "./subjects.ts";

const BASE = "/tmp/laws";
const SYSCTLS = [
  "net/ipv4/ip_forward",
  "net/ipv4/ip_local_port_range",
  "net/ipv4/conf/all/arp_ignore",
] as const;

const openWorld = (runner: "zx" | "lean") => async (): Promise<World> => {
  const host = createHost({ runner });
  mkdirSync(BASE);
  const before = await Promise.all(SYSCTLS.map((name) => host.readText(`/proc/sys/${name}`)));
  return {
    host,
    journal: "/tmp/journal/journal",
    dump: () => dump(host),
    async close() {
      rmSync(BASE, { recursive: true });
      rmSync("/tmp/journal", { recursive: true, force: true });
      // Newest first: with a device goes what sits on it.
      for (const link of JSON.parse(sh("ip", "-j", "link")).reverse()) {
        if (link.ifname !== "lo") sh("ip", "link", "del", link.ifname);
      }
      if (findProgram("nft") !== null) sh("nft", "flush", "ruleset");
      for (const [at, name] of SYSCTLS.entries()) await host.writeText(`/proc/sys/${name}`, before[at]!);
    },
  };
};

interface Link {
  readonly [key: string]: unknown;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly linkinfo?: { info_kind?: string; info_data?: Record<string, unknown> };
  readonly addr_info: readonly { local: string; prefixlen: number; scope: string }[];
}

/** Links, addresses, parameters, files and rules, without what the kernel numbers or settles by itself. */
async function dump(host: Host): Promise<string> {
  const links = (JSON.parse(sh("ip", "-j", "-d", "addr", "show")) as Link[]).map((link) => ({
    name: link.ifname,
    kind: link.linkinfo?.info_kind,
    bridge: ["stp_state", "mcast_snooping", "group_fwd_mask", "nf_call_ip6tables"].map((key) =>
      link.linkinfo?.info_data?.[key]
    ),
    alias: link.ifalias,
    mtu: link.mtu,
    master: link.master,
    mode: link.inet6_addr_gen_mode,
    up: link.flags.includes("UP"),
    addresses: link.addr_info.filter(({ scope }) => scope !== "link")
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  }));
  const sysctls = await Promise.all(
    SYSCTLS.map(async (name) => `${name} = ${await host.readText(`/proc/sys/${name}`)}`),
  );
  const files = sh("find", BASE, "-printf", "%p %y %m\n").trim().split("\n").sort();
  const texts = await Promise.all(
    files.filter((line) => line.includes(" f ")).map((line) => host.readText(line.split(" ")[0]!)),
  );
  const rules = findProgram("nft") === null ? "" : sh("nft", "-s", "list", "ruleset");
  return JSON.stringify({ links, sysctls, files, texts, rules }, null, 1);
}

function sysctlSubject(): Subject {
  const set = (value: string) => (host: Host) => host.writeText("/proc/sys/net/ipv4/ip_forward", value);
  return {
    resources: [
      sysctl("net.ipv4.ip_forward", "1"),
      sysctl("net.ipv4.ip_local_port_range", "1024 65000"),
      sysctl("net/ipv4/conf/all/arp_ignore", "1"),
      sysctl("net.berth.none", "1", { optional: true }),
    ],
    plant: set("0"),
    drift: { of: "sysctl net.ipv4.ip_forward", by: set("0") },
  };
}

function tableSubject(): Subject {
  const table = nftTable({
    family: "inet",
    name: "berth_laws",
    sets: [{ name: "ports", type: ["ifname", "ether_addr"] }],
    chains: [
      { name: "inner", rules: ["ip saddr 10.0.0.0/8 counter accept"] },
      {
        name: "input",
        hook: { type: "filter", at: "input", priority: 0 },
        rules: ["ct state established accept", "jump inner"],
      },
    ],
  });
  const nft = (text: string) => (host: Host) =>
    host.exec({ argv: ["nft", "-f", "-"], input: `${text}\n` }).then(() => {});
  return {
    resources: [table],
    plant: nft("table inet foreign { chain c { tcp dport 22 accept; }; }"),
    drift: { of: table.id, by: nft("flush chain inet berth_laws inner") },
    edit: {
      by: nft("add rule inet foreign c tcp dport 23 accept"),
      survives: async (host) =>
        (await host.query({ argv: ["nft", "list", "table", "inet", "foreign"] })).stdout.includes("dport 23"),
    },
    gone: nft("delete table inet berth_laws"),
  };
}

function lansSubject(): Subject {
  const specs = [{ name: "left", subnets: [], mtu: 1500 }, { name: "right", subnets: [], mtu: 1400 }];
  const ip = (...argv: string[]) => (host: Host) => host.exec({ argv: ["ip", ...argv] }).then(() => {});
  return {
    resources: specs.map(lan),
    plant: ip("link", "add", "bbr-0123456789a", "type", "bridge"),
    drift: {
      of: "lan right",
      by: ip("link", "set", bridgeName("right"), "type", "bridge", "mcast_snooping", "1"),
    },
    edit: {
      by: ip("link", "set", "bbr-0123456789a", "mtu", "1300"),
      survives: async (host) =>
        (await host.query({ argv: ["ip", "-j", "link", "show"] })).stdout.includes("bbr-0123456789a"),
    },
    async gone(host) {
      for (const { name } of specs) await ip("link", "del", bridgeName(name))(host);
    },
  };
}

/** A lan with a tunnel, and one that a foreign device is lent to. */
function uplinksSubject(): Subject {
  const vxlan = { id: 4242, peers: ["192.0.2.2"], port: 4789 };
  const specs = [
    { name: "wide", subnets: [], mtu: 1450, vxlan },
    { name: "world", subnets: [], mtu: 1400, device: "foreign3" },
  ];
  const ip = (...argv: string[]) => (host: Host) => host.exec({ argv: ["ip", ...argv] }).then(() => {});
  return {
    resources: specs.flatMap((spec) => [lan(spec), lanUplink(spec)]),
    async plant(host) {
      await ip("link", "add", "foreign3", "type", "ifb")(host);
      await ip("link", "add", "foreign4", "type", "bridge")(host);
    },
    drift: { of: "uplink of lan wide", by: ip("link", "set", tunnelName("wide"), "nomaster") },
    edit: {
      by: ip("link", "set", "foreign4", "mtu", "1300"),
      survives: async (host) =>
        (await host.query({ argv: ["ip", "-j", "link", "show"] })).stdout.includes('"mtu":1300'),
    },
    async gone(host) {
      await ip("link", "del", tunnelName("wide"))(host);
      for (const { name } of specs) await ip("link", "del", bridgeName(name))(host);
      // A machine's own device is there again, as it was.
      await ip("link", "del", "foreign3")(host);
      await ip("link", "add", "foreign3", "type", "ifb")(host);
    },
  };
}

/** A macvlan on a foreign device, and an option of a foreign bridge. */
function legsSubject(): Subject {
  const option = bridgeOption(
    "foreign0",
    "nf_call_ip6tables",
    1,
    bridge("foreign0", { alias: "berth none" }),
  );
  const leg = macvlan("leg0", { parent: "foreign1", mac: "02:00:00:00:00:77", alias: "berth leg" });
  const ip = (...argv: string[]) => (host: Host) => host.exec({ argv: ["ip", ...argv] }).then(() => {});
  return {
    resources: [option, leg],
    async plant(host) {
      await ip("link", "add", "name", "foreign0", "type", "bridge", "nf_call_ip6tables", "0")(host);
      await ip("link", "add", "name", "foreign1", "type", "bridge")(host);
    },
    drift: { of: leg.id, by: ip("link", "set", "dev", "leg0", "down") },
    edit: {
      by: ip("link", "set", "dev", "foreign1", "mtu", "1400"),
      survives: async (host) =>
        (await host.query({ argv: ["ip", "-j", "link", "show"] })).stdout.includes("foreign1"),
    },
    gone: ip("link", "del", "dev", "leg0"),
  };
}

function modulesSubject(): Subject {
  return {
    resources: [kernelModule("ifb")],
    gone: (host) => host.exec({ argv: ["modprobe", "-r", "ifb"] }).then(() => {}),
  };
}

function declare(): void {
  privateDirectories("/tmp");
  laws("files", () => filesSubject(BASE), openWorld("lean"));
  laws("shared JSON", () => jsonSubject(BASE, ["test", "-s"]), openWorld("zx"));
  laws("links", () => linksSubject(), openWorld("lean"));
  laws("lans", lansSubject, openWorld("lean"));
  laws("bridge option and macvlan", legsSubject, openWorld("lean"));
  laws("sysctls", sysctlSubject, openWorld("lean"));
  if (findProgram("nft") === null) {
    const why = "nft is not on this machine; test/sandbox/laws.test.ts runs them where it is";
    skip(test, "nftables table, and lans' uplinks behind their walls: all laws", why);
  } else {
    laws("nftables table", tableSubject, openWorld("lean"));
    laws("nftables elements", elementsSubject, openWorld("lean"));
    laws("lans' uplinks", uplinksSubject, openWorld("lean"));
  }
  if (!existsSync("/proc/modules")) skip(test, "modules: all laws", "this kernel loads no modules");
  else laws("modules", modulesSubject, openWorld("lean"));
}

const why = isApart() ? null : runApart(new URL(import.meta.url).pathname);
if (isApart()) declare();
else if (why !== null) skip(test, "the laws on the real kernel", why);
if (isApart() || why !== null) test.run();
