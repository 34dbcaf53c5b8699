// How the watch is put together, for `berth watch` and `berth boot --foreground`.
import process from "node:process";
import type { TaskContext } from "../lib/cli/task.ts";
import { loadSomeHost } from "../lib/config/last_good.ts";
import { createDocker } from "../lib/docker/client.ts";
import { systemClock } from "../lib/docker/clock.ts";
import { engineDoor } from "../lib/docker/door.ts";
import { createHost } from "../lib/host/host.ts";
import { stderrFile } from "../lib/host/stderr.ts";
import { createLog, underJournal } from "../lib/log/logger.ts";
import { createEnsure } from "../lib/resource/ensure.ts";
import { createJournal } from "../lib/resource/journal.ts";
import { startTimeOf } from "../lib/vnode/life.ts";
import { engineCrashed } from "../lib/watch/engine_end.ts";
import { createNotifier } from "../lib/watch/notify.ts";
import { forgetHalted, WATCH_LOCK, WATCH_STATE } from "../lib/watch/presence.ts";
import { watch, type WatchState } from "../lib/watch/watch.ts";
import { hostFacts } from "./host/_facts.ts";
import { controlNetGround } from "./host/control_net.ts";
import { firewallStep } from "./host/firewall.ts";

/** Watches until the context's signal aborts. @throws {BerthError} code `locked` when another watch runs. */
export async function runWatch(context: TaskContext<unknown>, pid: number): Promise<void> {
  // Only what the watch itself needs: a slip in a vnode's file must not leave all vnodes unwatched.
  const { config, from, fault } = await loadSomeHost({
    look: context.host,
    directory: context.configDirectory,
  });
  const { signal } = context;
  // It runs for months: each line says when, unless the journal does.
  const log = createLog({
    format: underJournal(stderrFile()) ? "journal" : "file",
    level: context.verbose ? "debug" : "info",
  });
  if (fault !== null) {
    const message = from === "last good"
      ? "host.yaml is faulty: watches by the last good one"
      : "host.yaml is faulty, and no good one is kept: watches the vnodes, and leaves the host as it is";
    log.warn(message, { error: fault.message, place: fault.issues[0]?.place });
  }
  const { socket } = config.host.engine;
  const docker = createDocker({ socket });
  // Its own hands: lean ones, and not aborted with the signal, so that what is half done is finished.
  const host = createHost({ runner: "lean", log, engine: engineDoor(docker) });
  const lock = await host.lock(WATCH_LOCK, { waitMs: 0 });
  await forgetHalted(host).catch((error) =>
    log.warn("Cannot forget the last halt", { error: String(error) })
  );
  const hands = () => createEnsure({ host, mode: "apply", journal: createJournal(host), log });
  const startTime = (await startTimeOf(host, pid)) ?? "";
  const { resyncMs } = config.host.watch;
  const notifier = createNotifier({ host, log, clock: systemClock, signal, env: process.env, resyncMs });
  const onState = async (state: WatchState) => {
    const text = JSON.stringify({ pid, startTime, ...state }, null, 2) + "\n";
    // A full disk must not make systemd think that nobody lives here.
    notifier.told(state);
    await host.writeText(WATCH_STATE, text, { mode: 0o600 });
  };
  signal.addEventListener("abort", () => void notifier.stopping(), { once: true });
  notifier.start();
  try {
    await watch({
      host,
      docker,
      log,
      clock: systemClock,
      signal,
      ensureAll: (resources) => hands().ensureAll(resources),
      resyncMs,
      async engineTakesCalls() {
        // A client of its own: an engine that shuts down goes on serving the connections it has.
        const fresh = createDocker({ socket });
        try {
          return await fresh.ping({ timeoutMs: 5000 });
        } finally {
          await fresh.close();
        }
      },
      engineCrashed: () => engineCrashed(host, systemClock),
      async mendGround() {
        if (from === "defaults") return; // nobody knows what is wanted of it
        const facts = await hostFacts(host);
        for (const stage of [...firewallStep.stages, controlNetGround]) {
          const ensured = await hands().ensureAll(await stage(config, facts, host));
          for (const { changes } of ensured) {
            for (const change of changes) log.info("Mended", { resource: change.resource, why: change.why });
          }
        }
      },
      onState,
      onReady: (resync) => process.on("SIGHUP", () => resync("SIGHUP")),
    });
  } finally {
    await host.remove(WATCH_STATE).catch(() => {}); // Status tells a stale file by its pid.
    await lock.release();
    await docker.close();
  }
}
