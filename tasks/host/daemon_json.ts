// `berth host daemon-json`: the engine's configuration, merged key by key, and an engine that runs with it.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import { GATE_PATH } from "../../lib/gate/script.ts";
import { BerthError } from "../../lib/log/error.ts";
import { DAEMON_JSON, engine } from "../../lib/resource/engine.ts";
import { USUAL_SOCKET } from "../../lib/resource/engine_flags.ts";
import { RAN_PATH } from "../../lib/resource/engine_backup.ts";
import type { JsonObject } from "../../lib/resource/kinds/json.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";
import { runStep, type Step } from "./_step.ts";

/** The name under which the engine knows the gate: `HostConfig.Runtime` of each vnode. */
export const RUNTIME_NAME = "berth";

/** The keys of daemon.json that are berth's: docker0 out of the way, filtering and NAT left to us, the gate known. */
export function engineOptions(config: Config): JsonObject {
  const { engine } = config.host;
  return {
    ...engine.options as JsonObject,
    "bip": engine.bip,
    "iptables": engine.iptables,
    // On by default from 27.0 on, where it goes with "iptables". 20.10 does not start with true (experimental).
    ...(engine.iptables ? {} : { "ip6tables": false }),
    "ip-masq": engine.iptables,
    "live-restore": engine.liveRestore,
    ...(engine.socket === USUAL_SOCKET ? {} : { hosts: [`unix://${engine.socket}`] }),
    "runtimes": {
      ...engine.options.runtimes as JsonObject | undefined,
      [RUNTIME_NAME]: { path: GATE_PATH },
    },
  };
}

/** File and daemon are one thing: the file means nothing until the daemon has read it. */
export function daemonJsonResources(config: Config, start: "now" | "later" = "now") {
  const keys = engineOptions(config);
  const file = jsonFile(DAEMON_JSON, keys, { good: RAN_PATH });
  return [
    engine({
      file,
      keys: Object.keys(keys),
      bip: config.host.engine.bip,
      socket: config.host.engine.socket,
      start,
    }),
  ];
}

export const daemonJsonStep: Step = {
  name: "daemon-json",
  needs: ["packages", "storage", "runtime"],
  // After a kill -9 the engine's own containerd may be too slow once ("timeout waiting for containerd to start").
  again: (error) =>
    error instanceof BerthError &&
    /timeout waiting for containerd|containerd\.sock.*deadline exceeded/i.test(error.message),
  stages: [(config) => daemonJsonResources(config)],
};

/** The file without the daemon: for what runs before the init system starts the engine. */
export const daemonJsonLaterStep: Step = {
  ...daemonJsonStep,
  stages: [(config) => daemonJsonResources(config, "later")],
};

export default task({
  summary: "Configure the engine, and start, reload or restart it as that needs",
  description:
    "Merges berth's keys into /etc/docker/daemon.json and keeps all others. The engine is reloaded where\n" +
    "the changed keys allow it and restarted where they do not. Without an init system berth starts it itself.",
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, daemonJsonStep),
});
