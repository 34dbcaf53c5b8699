// `berth watch`: stands watch over all vnodes until it is told to stop.
import process from "node:process";
import * as v from "valibot";
import { task } from "../lib/cli/task.ts";
import { runWatch } from "./_watch.ts";

/** Follows the engine's events and keeps every vnode wired. Ends on SIGTERM without touching any vnode. */
export default task({
  summary: "Keep all vnodes wired, whatever happens to them",
  description: `
Follows the engine's event stream. A vnode that starts is wired (normally the gate has done it), one that ends is
unwired, one that is wanted up and does not run is booted. A full look is made at the start, after every
reconnection, on SIGHUP, and every watch.resync of host.yaml. Only one watch runs on a machine.
`,
  options: v.object({}),
  async run(context) {
    await runWatch(context, process.pid);
  },
});
