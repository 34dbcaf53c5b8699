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
 * Modules of bridges, links, shaping and firewall. br_netfilter is among them so that its parameters stand at 0
 * before anybody else loads it: it starts with all of them at 1, and pulls bridged frames through iptables.
 */
export const MODULES = [
  "bridge",
  "veth",
  "ifb",
  "sch_tbf",
  "sch_netem",
  "act_mirred",
  "cls_u32",
  "nf_tables",
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

/** Modules first: parameters of a module appear with it. A kernel without modules has what it has built in. */
export function moduleResources(config: Config, facts: HostFacts) {
  const names = [...new Set([...MODULES, ...config.host.kernel.modules])];
  const file = textFile(MODULES_FILE, `${NOTE}${names.join("\n")}\n`);
  return [
    ...(facts.modules ? names.map((name) => kernelModule(name, { optional: true })) : []),
    ...(facts.modules ? [file] : []),
  ];
}

/** Parameters now, and in a file for the next boot. "-" lets systemd-sysctl pass over what a kernel lacks. */
export function kernelResources(config: Config, facts: HostFacts) {
  const parameters = Object.entries(kernelParameters(config));
  const lines = parameters.map(([name, value]) => `-${name} = ${value}\n`);
  return [
    textFile(SYSCTL_FILE, NOTE + lines.join("")),
    ...parameters.map(([name, value]) =>
      sysctl(name, value, name.startsWith("net.bridge.") ? ofBridge(facts) : {})
    ),
  ];
}

/** A kernel without br_netfilter never pulls bridged frames through iptables. */
function ofBridge({ modules }: HostFacts): SysctlOptions {
  const comesWith = modules ? { comesWith: kernelModule("br_netfilter", { optional: true }) } : {};
  return { optional: true, ...comesWith };
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
