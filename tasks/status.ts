// `berth status`: what is wrong on top, then engine, watch and vnodes.
import { renderTable } from "../lib/cli/table.ts";
import { task } from "../lib/cli/task.ts";
import { readStatus, type VnodeStatus } from "../lib/vnode/status.ts";
import { readWatch, type WatchPresence } from "../lib/watch/presence.ts";

/** What is not as wanted, one line each, with the next step. */
function troubles(watch: WatchPresence | null, vnodes: readonly VnodeStatus[]): string[] {
  return [
    ...(watch === null ? ["No watch runs: berth boot starts one"] : []),
    ...(watch !== null && !watch.connected ? ["The watch has no connection to the engine"] : []),
    ...(watch?.degraded ?? []).map((one) =>
      `vnode ${one.key} degraded after ${one.tries} tries: ${one.reason}; next try ${
        new Date(one.nextTry).toISOString()
      }`
    ),
    ...vnodes.filter((one) => one.wanted === "up" && one.state !== "up")
      .map((one) => `vnode ${one.name} is ${one.state}, wanted up: berth vnode boot ${one.name}`),
    ...vnodes.filter((one) => one.state === "up" && one.wiring !== "wired")
      .map((one) => `vnode ${one.name} is ${one.wiring}: berth vnode up ${one.name}`),
  ];
}

/** Shows how the vhost is. Changes nothing; exit code 2 when something is not as wanted. */
export default task({
  summary: "Show what is wrong, the watch, and all vnodes",
  async run(context) {
    const docker = await context.docker();
    const [engine, watch, vnodes] = await Promise.all([
      docker.version(),
      readWatch(context.host),
      readStatus(context.host, docker),
    ]);
    const wrong = troubles(watch, vnodes);
    const rows = vnodes.map((
      one,
    ) => [one.name, one.state, one.wanted ?? "-", one.wiring, one.control, one.links.join(", ") || "-"]);
    const text = [
      ...(wrong.length === 0 ? ["All is as wanted"] : wrong.map((line) => `! ${line}`)),
      `engine ${engine.version}, API ${engine.api}`,
      watch === null
        ? "watch: none"
        : `watch: pid ${watch.pid}, last full look ${watch.lastResync ?? "never"} (${
          watch.resyncReason ?? "-"
        })`,
      vnodes.length === 0
        ? "no vnodes"
        : renderTable(["VNODE", "STATE", "WANTED", "WIRING", "CONTROL", "LINKS"], rows),
    ].join("\n");
    context.output({ wrong, engine, watch, vnodes }, text);
    if (wrong.length > 0) context.exit(2);
  },
});
