// Generated from the files in tasks/ by `deno task tree`. Do not edit.
// The imports are static strings, so that the bundler takes the tasks in; each is loaded only when it is run.
// deno-fmt-ignore-file
import type { Tree } from "../lib/cli/tree.ts";

export { groups } from "./_groups.ts";

/** All commands. */
export const tree: Tree = {
  "boot": {
    summary: "Prepare the host, bring up all vnodes, and see that a watch runs",
    load: () => import("./boot.ts"),
  },
  "completion": {
    summary: "Print the completion script of a shell",
    load: () => import("./completion.ts"),
  },
  "graph": {
    summary: "Draw the vnodes, lans and links that are there now",
    load: () => import("./graph.ts"),
  },
  "halt": {
    summary: "Halt all vnodes for a shutdown; the next boot brings them back",
    load: () => import("./halt.ts"),
  },
  "host autostart": {
    summary: "Keep Docker and the machine's units from starting vnodes by themselves",
    load: () => import("./host/autostart.ts"),
  },
  "host check": {
    summary: "Find what differs from a prepared host; exit code 2 if anything does",
    load: () => import("./host/check.ts"),
  },
  "host control-net": {
    summary: "Make the control network",
    load: () => import("./host/control_net.ts"),
  },
  "host daemon-json": {
    summary: "Configure the engine, and start, reload or restart it as that needs",
    load: () => import("./host/daemon_json.ts"),
  },
  "host down": {
    summary: "Give the machine back as it was: undo all host tasks",
    load: () => import("./host/down.ts"),
  },
  "host firewall": {
    summary: "Set up NAT, isolation and the control network's allow-list",
    load: () => import("./host/firewall.ts"),
  },
  "host kernel": {
    summary: "Load kernel modules and set kernel parameters",
    load: () => import("./host/kernel.ts"),
  },
  "host packages": {
    summary: "Install what is missing: engine, nftables, iproute2, kmod, procps",
    load: () => import("./host/packages.ts"),
  },
  "host plan": {
    summary: "Tell what host up would change, and why",
    load: () => import("./host/plan.ts"),
  },
  "host rc": {
    summary: "Have berth started at boot, and vnodes halted in order at shutdown",
    load: () => import("./host/rc.ts"),
  },
  "host runtime": {
    summary: "Install the gate, the runtime that wires vnodes before they start",
    load: () => import("./host/runtime.ts"),
  },
  "host storage": {
    summary: "Put images and records on volumes of their own, where there are disks",
    load: () => import("./host/storage.ts"),
  },
  "host up": {
    summary: "Prepare this machine: all host tasks in order",
    load: () => import("./host/up.ts"),
  },
  "probe": {
    summary: "Measure for berth verify: a task on standard input, its answer on standard output",
    hidden: true,
    load: () => import("./probe.ts"),
  },
  "run": {
    summary: "Run a script of your own",
    load: () => import("./run.ts"),
  },
  "schema": {
    summary: "Print the JSON Schema of the configuration",
    load: () => import("./schema.ts"),
  },
  "status": {
    summary: "Show what is wrong, the watch, and all vnodes",
    load: () => import("./status.ts"),
  },
  "verify": {
    summary: "Show by packets that the network does what the specs say",
    load: () => import("./verify.ts"),
  },
  "version": {
    summary: "Print the version",
    load: () => import("./version.ts"),
  },
  "vnode apply": {
    summary: "Change running vnodes to what their specs say",
    load: () => import("./vnode/apply.ts"),
  },
  "vnode boot": {
    summary: "Start vnodes that exist",
    load: () => import("./vnode/boot.ts"),
  },
  "vnode down": {
    summary: "Halt and destroy vnodes",
    load: () => import("./vnode/down.ts"),
  },
  "vnode exec": {
    summary: "Run a command inside a vnode",
    load: () => import("./vnode/exec.ts"),
  },
  "vnode halt": {
    summary: "Stop vnodes",
    load: () => import("./vnode/halt.ts"),
  },
  "vnode link": {
    summary: "Take a link down or up, or have it flap",
    load: () => import("./vnode/link.ts"),
  },
  "vnode list": {
    summary: "List vnodes with state and wiring",
    load: () => import("./vnode/list.ts"),
  },
  "vnode reboot": {
    summary: "Restart vnodes",
    load: () => import("./vnode/reboot.ts"),
  },
  "vnode shape": {
    summary: "Show or change what a link does to frames, live",
    load: () => import("./vnode/shape.ts"),
  },
  "vnode show": {
    summary: "Show one vnode: spec, state, wiring",
    load: () => import("./vnode/show.ts"),
  },
  "vnode up": {
    summary: "Create, start and wire vnodes from their specs",
    load: () => import("./vnode/up.ts"),
  },
  "watch": {
    summary: "Keep all vnodes wired, whatever happens to them",
    load: () => import("./watch.ts"),
  },
};
