// Generated from the files in tasks/ by `deno task tree`. Do not edit.
// The imports are static strings, so that the bundler takes the tasks in; each is loaded only when it is run.
// deno-fmt-ignore-file
import type { Tree } from "../lib/cli/tree.ts";

export { groups } from "./_groups.ts";

/** All commands. */
export const tree: Tree = {
  "run": {
    summary: "Run a script of your own",
    load: () => import("./run.ts"),
  },
  "version": {
    summary: "Print the version",
    load: () => import("./version.ts"),
  },
};
