// `berth status`: what is wrong on top, then engine, watch and vnodes.
import { renderTable } from "../lib/cli/table.ts";
import { task } from "../lib/cli/task.ts";
import { loadSomeHost } from "../lib/config/last_good.ts";
import { loadUsable, type Usable } from "../lib/config/load.ts";
import type { Look } from "../lib/host/types.ts";
import type { BerthError, Issue } from "../lib/log/error.ts";
import { DAEMON_JSON } from "../lib/resource/engine_look.ts";
import { namedRoot } from "../lib/resource/engine_root_look.ts";
import { GROUP } from "../lib/resource/lvm/types.ts";
import { fillings, warnings } from "../lib/resource/storage_health.ts";
import { STATE_DIRECTORY, VNODES_DIRECTORY } from "../lib/vnode/paths.ts";
import { readStatus, type VnodeStatus } from "../lib/vnode/status.ts";
import { readWatch, type WatchPresence } from "../lib/watch/presence.ts";

/** What is not as wanted, one line each, with the next step. */
function troubles(
  engineFault: string | null,
  watch: WatchPresence | null,
  vnodes: readonly VnodeStatus[],
  { config }: Usable,
  faults: readonly BerthError[],
  full: readonly string[],
): string[] {
  const made = new Set(vnodes.map(({ name }) => name));
  const declared = new Set(config.vnodes.map(({ name }) => name));
  const issues = faults.flatMap(({ issues, object, message, next }): readonly Issue[] =>
    issues.length > 0 ? issues : [{ place: object, message, ...(next !== undefined && { next }) }]
  );
  return [
    ...issues.map(({ place, message, next }) =>
      ["configuration", place, message, next].filter((part) => part !== undefined).join(": ")
    ),
    ...(engineFault === null ? [] : [`The engine does not answer: ${engineFault}: berth host up`]),
    ...(watch === null ? ["No watch runs: berth boot starts one"] : []),
    ...(watch !== null && !watch.connected
      ? ["The watch has no connection to the engine: see /var/log/berth-watch.log"]
      : []),
    ...(watch?.degraded ?? []).map((one) =>
      `${
        one.key.startsWith("full look") ? one.key : `vnode ${one.key}`
      } degraded after ${one.tries} tries: ${one.reason}; next try ${new Date(one.nextTry).toISOString()}`
    ),
    ...full,
    ...config.vnodes.filter(({ name }) => !made.has(name))
      .map(({ name }) => `vnode ${name} is declared and was never made: berth vnode up ${name}`),
    // Whatever is wanted of it: "vnode boot" cannot give it its container back.
    ...vnodes.filter((one) => one.wanted !== null && one.state === "gone")
      .map((one) =>
        `vnode ${one.name} is gone, wanted ${one.wanted}: ${
          declared.has(one.name) ? `berth vnode up ${one.name}, or ` : ""
        }berth vnode down ${one.name}`
      ),
    ...vnodes.filter((one) => one.wanted === null && one.state !== "up")
      .map((one) => `vnode ${one.name} is ${one.state}, ${one.wiring}: berth vnode up ${one.name}`),
    ...vnodes.filter((one) => one.wanted === "up" && one.state !== "up" && one.state !== "gone")
      .map((one) => `vnode ${one.name} is ${one.state}, wanted up: berth vnode boot ${one.name}`),
    ...vnodes.filter((one) => one.state === "up" && one.wiring !== "wired")
      .map((one) => `vnode ${one.name} is ${one.wiring}: berth vnode up ${one.name}`),
  ];
}

/** What is about to run full, of all that berth and the engine write to. */
async function storageTroubles(look: Look): Promise<readonly string[]> {
  const root = namedRoot(await look.readText(DAEMON_JSON));
  const paths = [STATE_DIRECTORY, VNODES_DIRECTORY, root, "/vms", "/var/log"];
  return warnings(await fillings(look, paths, GROUP));
}

/** The usable configuration, as `berth boot` takes it: the last good host.yaml stands in for a faulty one. */
async function someUsable(
  look: Look,
  directory: string,
): Promise<Usable & { faults: readonly BerthError[] }> {
  const some = await loadSomeHost({ look, directory });
  // Against defaults the vnodes' files would be blamed for what is none of theirs.
  const usable = some.from === "defaults"
    ? { config: some.config, fault: null }
    : await loadUsable({ look: some.look, directory });
  return { ...usable, faults: [some.fault, usable.fault].filter((fault) => fault !== null) };
}

/** Milliseconds for the engine: without it the rest is told all the same. */
const ENGINE_MS = 5000;

/** Shows how the vhost is. Changes nothing; exit code 2 when something is not as wanted. */
export default task({
  summary: "Show what is wrong, the watch, and all vnodes",
  async run(context) {
    const docker = await context.docker();
    const fault = (error: unknown) => error instanceof Error ? error.message : String(error);
    const asked = await docker.version({ timeoutMs: ENGINE_MS }).then(
      (engine) => ({ engine, engineFault: null }),
      (error) => ({ engine: null, engineFault: fault(error) }),
    );
    const [usable, full, watch, vnodes] = await Promise.all([
      someUsable(context.host, context.configDirectory),
      storageTroubles(context.host),
      readWatch(context.host),
      readStatus(context.host, asked.engine === null ? null : docker),
    ]);
    const { engine, engineFault } = asked;
    const wrong = troubles(engineFault, watch, vnodes, usable, usable.faults, full);
    const rows = vnodes.map((
      one,
    ) => [one.name, one.state, one.wanted ?? "-", one.wiring, one.control, one.links.join(", ") || "-"]);
    const text = [
      ...(wrong.length === 0 ? ["All is as wanted"] : wrong.map((line) => `! ${line}`)),
      engine === null ? "engine: no answer" : `engine ${engine.version}, API ${engine.api}`,
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
