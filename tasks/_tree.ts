// Generated from the files in tasks/ by `deno task tree`. Do not edit.
// The imports are static strings, so that the bundler takes the tasks in; each is loaded only when it is run.
// deno-fmt-ignore-file
import type { Tree } from "../lib/cli/tree.ts";

export { groups } from "./_groups.ts";

/** All commands. */
export const tree: Tree = {
  "completion": {
    summary: "Print the completion script of a shell",
    load: () => import("./completion.ts"),
  },
  "run": {
    summary: "Run a script of your own",
    load: () => import("./run.ts"),
  },
  "schema": {
    summary: "Print the JSON Schema of the configuration",
    load: () => import("./schema.ts"),
  },
  "version": {
    summary: "Print the version",
    load: () => import("./version.ts"),
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
  "vnode list": {
    summary: "List vnodes with state and wiring",
    load: () => import("./vnode/list.ts"),
  },
  "vnode reboot": {
    summary: "Restart vnodes",
    load: () => import("./vnode/reboot.ts"),
  },
  "vnode show": {
    summary: "Show one vnode: spec, state, wiring",
    load: () => import("./vnode/show.ts"),
  },
  "vnode up": {
    summary: "Create, start and wire vnodes from their specs",
    load: () => import("./vnode/up.ts"),
  },
};
