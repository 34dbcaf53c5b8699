// `berth host kernel`: modules and parameters that links, shaping and the firewall need.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import { textFile } from "../../lib/resource/kinds/file.ts";
import { kernelModule } from "../../lib/resource/kinds/kernel_module.ts";
import { sysctl, type SysctlOptions } from "../../lib/resource/kinds/sysctl.ts";
import type { HostFacts } from "./_facts.ts";
import { runStep, type Step } from "./_step.ts";

/**
 * Modules of bridges, links, shaping and firewall, and of what experiments do inside vnodes, where nothing can load a
 * module. br_netfilter is among them so that its parameters stand at 0 before anybody else loads it: it starts with all
 * of them at 1, and pulls bridged frames through iptables.
 */
export const MODULES = [
  "bridge",
  "veth",
  "ifb",
  "macvlan", // lans with that driver
  "8021q", // lans on a VLAN, and tags that are set inside a vnode
  "vxlan", // lans that reach other hosts
  "ip_gre", // tunnels between vnodes
  "sch_tbf",
  "sch_netem",
  "sch_htb", // shaping that experiments do themselves
  "act_mirred",
  "cls_u32",
  "nf_tables",
  "nf_conntrack", // NAT of the control network, and the parameters below
  "br_netfilter",
] as const;

/** Where the boot reads what we want to find again after it. */
const MODULES_FILE = "/etc/modules-load.d/berth.conf";
const SYSCTL_FILE = "/etc/sysctl.d/60-berth.conf";
const NOTE = "# Written by berth (host kernel); changes here are lost\n";

/** Parameters by name. With Docker's own iptables on, bridged frames must go through them: it expects that. */
export function kernelParameters(config: Config): Readonly<Record<string, string>> {
  const bridged: Readonly<Record<string, string>> = config.host.engine.iptables ? {} : {
    "net.bridge.bridge-nf-call-arptables": "0",
    "net.bridge.bridge-nf-call-ip6tables": "0",
    "net.bridge.bridge-nf-call-iptables": "0",
  };
  return { "net.ipv4.ip_forward": "1", ...bridged, ...config.host.kernel.sysctls };
}

/**
 * Bounds, for many vnodes behind one machine's NAT, with the figures of Emulab's hosts: a connection table that is
 * large enough (the kernel's own size goes by memory), in which connections of vnodes that are gone do not stay for
 * days; and socket buffers that programs inside may ask for, since vnodes cannot raise them themselves.
 */
const BOUNDS: readonly (readonly [name: string, bound: "least" | "most", value: string])[] = [
  ["net.core.rmem_max", "least", "1048576"],
  ["net.core.wmem_max", "least", "1048576"],
  ["net.netfilter.nf_conntrack_buckets", "least", "16384"],
  ["net.netfilter.nf_conntrack_max", "least", "131071"],
  ["net.netfilter.nf_conntrack_generic_timeout", "most", "120"],
  ["net.netfilter.nf_conntrack_tcp_timeout_established", "most", "54000"],
];

/** Modules first: parameters of a module appear with it. A kernel without modules has what it has built in. */
export function moduleResources(config: Config, facts: HostFacts) {
  const names = [...new Set([...MODULES, ...config.host.kernel.modules])];
  const file = textFile(MODULES_FILE, `${NOTE}${names.join("\n")}\n`);
  return [
    ...(facts.modules ? names.map((name) => kernelModule(name, { optional: true })) : []),
    ...(facts.modules ? [file] : []),
  ];
}

/**
 * Parameters now, and in a file for the next boot. "-" lets systemd-sysctl pass over what a kernel lacks. Bounds are not
 * in the file, where they would lower what is higher: berth boot looks at them at each boot.
 */
export function kernelResources(config: Config, facts: HostFacts) {
  const parameters = Object.entries(kernelParameters(config));
  const lines = parameters.map(([name, value]) => `-${name} = ${value}\n`);
  return [
    textFile(SYSCTL_FILE, NOTE + lines.join("")),
    ...parameters.map(([name, value]) => sysctl(name, value, optionsOf(name, facts))),
    ...BOUNDS.filter(([name]) => config.host.kernel.sysctls[name] === undefined)
      .map(([name, bound, value]) =>
        sysctl(name, value, { optional: true, ...optionsOf(name, facts), bound })
      ),
  ];
}

/** A kernel without br_netfilter never pulls bridged frames through iptables; one without conntrack does no NAT. */
function optionsOf(name: string, { modules }: HostFacts): SysctlOptions {
  const brings = name.startsWith("net.bridge.")
    ? "br_netfilter"
    : name.startsWith("net.netfilter.nf_conntrack_")
    ? "nf_conntrack"
    : null;
  if (brings === null) return {};
  return { optional: true, ...(modules ? { comesWith: kernelModule(brings, { optional: true }) } : {}) };
}

export const kernelStep: Step = {
  name: "kernel",
  needs: ["packages"],
  stages: [moduleResources, kernelResources],
};

export default task({
  summary: "Load kernel modules and set kernel parameters",
  description: "Now, and for each boot by /etc/modules-load.d/berth.conf and /etc/sysctl.d/60-berth.conf.\n" +
    "A feature this kernel lacks is reported when a vnode needs it.",
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, kernelStep),
});
