// The container engine as a resource: its daemon.json and the daemon that must have read it. Whether a change of the
// file needs a start, a reload (SIGHUP) or a restart is decided here; how an init system is told, in engine_service.ts.
// What the keys are is the host tasks' business.
import { BerthError } from "../log/error.ts";
import type { AnyResource } from "./ensure.ts";
import {
  DAEMON_JSON,
  EMPTY,
  type EngineState,
  type Json,
  LOADED_PATH,
  observeEngine,
  parseJson,
  PROGRAMS,
} from "./engine_look.ts";
import { clashingFlags, serviceOps } from "./engine_service.ts";
import type { Change, Op, Resource } from "./types.ts";

export { DAEMON_JSON, type EngineState } from "./engine_look.ts";

const CANDIDATE = "/run/berth/daemon.json.candidate";

/** Keys that dockerd takes over on SIGHUP (moby: daemon/reload.go and its unix part). */
const RELOADABLE: ReadonlySet<string> = new Set([
  "allow-nondistributable-artifacts",
  "authorization-plugins",
  "debug",
  "default-runtime",
  "features",
  "insecure-registries",
  "labels",
  "live-restore",
  "max-concurrent-downloads",
  "max-concurrent-uploads",
  "max-download-attempts",
  "registry-mirrors",
  "runtimes",
  "shutdown-timeout",
]);

/**
 * Keys of docker0 and of Docker's rules. With live-restore on and containers running a new daemon passes over them
 * (moby: "the network config will not take affect"), so the containers must be stopped.
 */
const NETWORK_KEYS: ReadonlySet<string> = new Set([
  "bip",
  "bridge",
  "default-address-pools",
  "default-gateway",
  "fixed-cidr",
  "ip-masq",
  "ip6tables",
  "iptables",
  "ipv6",
  "mtu",
]);

/** What the journal keeps. */
export interface EnginePrior {
  readonly file: unknown;
  readonly running: boolean;
  readonly docker0: boolean;
}

/** What is wanted of the engine. */
export interface EngineWish {
  /** The resource of daemon.json (a merge by key). */
  readonly file: AnyResource;
  /** The keys berth sets, to find clashing flags. */
  readonly keys: readonly string[];
}

/** It may also be gone already. */
const DELETE_DOCKER0: Op = { run: { argv: ["ip", "link", "delete", "docker0"], okExit: [0, 1] } };

/**
 * The engine runs, and runs with the file as wanted.
 *
 * Where the file is right and the daemon runs nothing is done, whoever started it. dockerd's own view of its
 * configuration cannot be asked for, so what it had loaded is written down before the file changes (LOADED_PATH)
 * and forgotten once the daemon was told: a crash in between is healed by the next run.
 */
export function engine(wish: EngineWish): Resource<EngineState, EnginePrior> {
  const { file } = wish;
  return {
    id: "engine docker",
    desired: { ...EMPTY, file: file.desired, instance: "running" },
    observe: (look) => observeEngine(look, file),
    diff(found) {
      const state = found ?? EMPTY;
      const changes = file.diff(state.file);
      const clash = clashingFlags(state.flags, wish.keys);
      if (clash.length > 0) throw clashError(clash);
      return [...fileChanges(state, changes), ...serviceChange(state, changes)];
    },
    prior: (found) => ({
      file: file.prior(found?.file ?? null),
      running: found?.instance != null,
      docker0: found?.docker0 ?? false,
    }),
    mergePriors: (first, later) => ({
      ...first,
      file: file.mergePriors?.(first.file, later.file) ?? first.file,
    }),
    revert(prior, found) {
      const state = found ?? EMPTY;
      const changes = file.revert(prior.file, state.file);
      if (prior.running) return [...fileChanges(state, changes), ...serviceChange(state, changes)];
      return [...stopChange(state, prior), ...changes];
    },
  };
}

/** The file's own changes, with a record of what is loaded now and a trial of the new text before them. */
function fileChanges(state: EngineState, changes: readonly Change[]): readonly Change[] {
  const [first, ...rest] = changes;
  if (first === undefined) return [];
  const before: Op[] = [];
  if (state.instance !== null) {
    const record = { instance: state.instance, loaded: state.loaded };
    before.push({ directory: "/run/berth", mode: 0o700 });
    before.push({ write: LOADED_PATH, text: `${JSON.stringify(record)}\n`, mode: 0o600 });
  }
  const text = writtenText(changes);
  if (state.validates && text !== null) {
    before.push({ directory: "/run/berth", mode: 0o700 });
    before.push({ write: CANDIDATE, text, mode: 0o600 });
    before.push({ run: { argv: [state.program ?? "dockerd", "--validate", "--config-file", CANDIDATE] } });
    before.push({ remove: CANDIDATE });
  }
  return [{ ...first, do: [...before, ...first.do], undo: [{ remove: CANDIDATE }, ...first.undo] }, ...rest];
}

/** The text that changes will leave in the file, or null where they write none (no change, or removed). */
function writtenText(changes: readonly Change[]): string | null {
  const ops = changes.flatMap((change) => change.do);
  const last = ops.findLast((op) => "write" in op && op.write === DAEMON_JSON);
  return last !== undefined && "write" in last ? last.text : null;
}

function serviceChange(state: EngineState, changes: readonly Change[]): readonly Change[] {
  const program = state.program ?? PROGRAMS[0]!;
  const service = serviceOps(state.init, program, state.flags);
  const one = (verb: Change["verb"], why: string, risk: Change["risk"], ops: readonly Op[]): Change[] => [{
    resource: "engine docker",
    verb,
    why,
    risk,
    do: [...ops, { remove: LOADED_PATH }],
    undo: [],
  }];
  if (state.instance === null) {
    const stale: Op[] = state.stale.map((path) => ({ remove: path }));
    return one("create", "not running", "safe", [...stale, ...service.start]);
  }
  const wanted = changes.length > 0 ? parseJson(writtenText(changes)) : parseJson(state.text);
  const need = engineNeed(state.loaded, wanted);
  if (need.how === "none") return [];
  const keys = need.keys.map((key) => `"${key}"`).join(", ");
  // Without live-restore they end with the old daemon. Whose policy starts them again answers 304.
  const endByThemselves = state.loaded["live-restore"] !== true;
  const stopped = endByThemselves || need.keys.some((key) => NETWORK_KEYS.has(key)) ? state.running : [];
  const each = (verb: "start" | "stop") =>
    stopped.map((name): Op => ({
      engine: {
        method: "POST",
        path: `/containers/${name}/${verb}`,
        okStatus: [204, 304, 404],
        timeoutMs: 60_000,
      },
    }));
  const notice = stopped.length === 0 ? "" : `; stops and starts again: ${stopped.join(", ")}`;
  return need.how === "reload"
    ? one("update", `has not loaded ${keys}`, "safe", service.reload)
    : one("update", `runs without the changed ${keys}, which needs a restart${notice}`, "disruptive", [
      ...(endByThemselves ? [] : each("stop")),
      ...service.restart,
      ...each("start"),
    ]);
}

function stopChange(state: EngineState, prior: EnginePrior): readonly Change[] {
  const ops: Op[] = [];
  if (state.instance !== null) {
    ops.push(...serviceOps(state.init, PROGRAMS[0]!, "").stop, { remove: LOADED_PATH });
  }
  if (state.docker0 && !prior.docker0) {
    // dockerd leaves its bridge behind.
    ops.push(DELETE_DOCKER0);
  }
  if (ops.length === 0) return [];
  const why = state.instance === null ? "docker0 was made by the engine" : "was not running before berth";
  return [{ resource: "engine docker", verb: "delete", why, risk: "disruptive", do: ops, undo: [] }];
}

/** How a daemon that has loaded one configuration gets to another. Pure. */
export function engineNeed(
  loaded: Json,
  wanted: Json,
): { readonly how: "none" | "reload" | "restart"; readonly keys: readonly string[] } {
  const keys = [...new Set([...Object.keys(loaded), ...Object.keys(wanted)])]
    .filter((key) => canonical(loaded[key]) !== canonical(wanted[key]));
  if (keys.length === 0) return { how: "none", keys };
  const hard = keys.filter((key) =>
    !RELOADABLE.has(key) || (key === "runtimes" && losesRuntime(loaded, wanted))
  );
  return hard.length === 0 ? { how: "reload", keys } : { how: "restart", keys: hard };
}

/** A reload only adds runtimes: one that was removed stays known until a restart (20.10). */
function losesRuntime(loaded: Json, wanted: Json): boolean {
  const left = Object.keys((wanted.runtimes ?? {}) as Json);
  return Object.keys((loaded.runtimes ?? {}) as Json).some((name) => !left.includes(name));
}

/** JSON with sorted keys; absent is "". */
function canonical(value: unknown): string {
  if (value === undefined) return "";
  return JSON.stringify(
    value,
    (_key, part) =>
      typeof part === "object" && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1))
        : part,
  );
}

function clashError(clash: readonly { flag: string; key: string }[]): BerthError {
  const { flag, key } = clash[0]!;
  return new BerthError({
    code: "config",
    object: "engine docker",
    message: `Flag "${flag}" on dockerd's command line clashes with key "${key}" of ${DAEMON_JSON}`,
    next: "Take the flag out of the unit or of /etc/default/docker: dockerd refuses to start with both",
    issues: clash.map((one) => ({ place: one.flag, message: `Also set by key "${one.key}"` })),
  });
}
