// The container engine as a resource: its daemon.json and the daemon that must have read it. What to do is decided
// here; whether a reload will do, in engine_need.ts; how an init system is told, in engine_service.ts; what is kept for
// a start that fails, in engine_backup.ts; what such a start goes back to, in engine_former.ts. What the keys are is the host tasks' business.
import { docker0Back, docker0Differs, docker0Former, type Docker0Prior } from "./docker0.ts";
import {
  failedOps,
  FORGET_TRIAL,
  ranOps,
  refuseFailed,
  reloadedOps,
  standingTrial,
  trialOps,
} from "./engine_backup.ts";
import { refuseClashes } from "./engine_flags.ts";
import {
  FORGET_CANDIDATE,
  formerOf,
  isUntried,
  keepStanding,
  knownText,
  refuseUntried,
  tellingOps,
  untriedWhy,
  validateOps,
} from "./engine_former.ts";
import {
  DAEMON_JSON,
  EMPTY,
  type EngineState,
  type Json,
  LOADED_PATH,
  observeEngine,
  parseJson,
  PROGRAMS,
  STOPPED_PATH,
} from "./engine_look.ts";
import { engineNeed, NETWORK_KEYS } from "./engine_need.ts";
import { serviceOps } from "./engine_service.ts";
import type { JsonFilePrior, JsonFileState } from "./kinds/json_file.ts";
import type { Change, Op, Resource } from "./types.ts";

export { DAEMON_JSON, type EngineState } from "./engine_look.ts";

const FORGET_LOADED: Op = { remove: LOADED_PATH };

/** What the journal keeps. */
export interface EnginePrior {
  readonly file: JsonFilePrior;
  readonly running: boolean;
  readonly docker0: Docker0Prior;
}

/** What is wanted of the engine. */
export interface EngineWish {
  /** The resource of daemon.json (a merge by key). */
  readonly file: Resource<JsonFileState, JsonFilePrior>;
  /** The keys berth sets, to find clashing flags. */
  readonly keys: readonly string[];
  /** The address that berth gives docker0, if any. */
  readonly bip?: string;
  /** Where berth asks it. @default {"/var/run/docker.sock"} */
  readonly socket?: string;
  /**
   * `later`: only the file, for what runs before the init system starts the engine, and would wait for itself if it
   * started one. Whatever the daemon needs is then done by the next run without it. @default {"now"}
   */
  readonly start?: "now" | "later";
}

/**
 * The engine runs, and runs with the file as wanted.
 *
 * Where the file is right and the daemon runs nothing is done, whoever started it. dockerd's own view of its
 * configuration cannot be asked for, so what it had loaded is written down before the file changes (LOADED_PATH)
 * and forgotten once the daemon was told: a crash in between is healed by the next run.
 */
export function engine(wish: EngineWish): Resource<EngineState, EnginePrior> {
  const { file } = wish;
  const later = wish.start === "later";
  return {
    id: "engine docker",
    desired: { ...EMPTY, file: file.desired, instance: "running" },
    observe: (look) => observeEngine(look, file, { waits: !later }),
    diff(found) {
      const state = found ?? EMPTY;
      const changes = file.diff(state.file);
      const text = changes.length > 0 ? writtenText(changes) : state.text;
      const wanted = parseJson(text);
      const moved = later || state.instance === null ? null : docker0Differs(state.docker0, wanted.bip);
      // What the daemon is to read anew it must not die of, whoever set it. One that runs is left to run.
      const isRead = changes.length > 0 || moved !== null ||
        (!later && (state.instance === null || engineNeed(state.loaded, wanted).how !== "none"));
      refuseClashes(state.lines, isRead ? Object.keys(wanted) : wish.keys, wanted, wish.socket);
      if (later) {
        if (changes.length > 0) {
          refuseFailed(state.kept, text);
          refuseUntried(state, state.validates);
        }
        return fileChanges(state, changes, "a start");
      }
      const service = serviceChange(state, changes, { wanted, moved });
      return [...fileChanges(state, changes, service.length > 0 ? "a start" : "nothing"), ...service];
    },
    prior: (found) => ({
      file: file.prior(found?.file ?? null),
      // Before the engine's own start: one that is installed will run without us, too.
      running: found?.instance != null || (later && found?.program != null),
      docker0: { addresses: found?.docker0 ?? null, ours: wish.bip === undefined ? [] : [wish.bip] },
    }),
    mergePriors: (first, later) => ({
      ...first,
      file: file.mergePriors?.(first.file, later.file) ?? first.file,
      docker0: { ...first.docker0, ours: [...first.docker0.ours, ...later.docker0.ours] },
    }),
    revert(prior, found) {
      const state = found ?? EMPTY;
      const changes = file.revert(passingIsOurs(prior), state.file);
      if (!prior.running) return [...stopChange(state, prior), ...changes];
      const wanted = changes.length > 0 ? parseJson(writtenText(changes)) : parseJson(state.text);
      // Where the file says it, the daemon moves docker0 by itself.
      const bip = wanted.bip === undefined ? docker0Former(prior.docker0, state.docker0) : null;
      const service = bip === null ? { wanted, moved: null } : {
        wanted,
        moved: "docker0 was moved by berth",
        passing: passingFile(state, changes, { ...wanted, bip }),
      };
      const told = serviceChange(state, changes, service);
      return [...fileChanges(state, changes, told.length > 0 ? "a way back" : "nothing"), ...told];
    },
  };
}

/** A "bip" with docker0's former address is a passing one of our own undo, left by a crash. */
function passingIsOurs({ file, docker0 }: EnginePrior): JsonFilePrior {
  const former = docker0.addresses?.[0];
  if (former === undefined) return file;
  const keys = file.keys.map((key) =>
    key.path.join() === "bip" && key.value === undefined ? { ...key, ours: [...key.ours, former] } : key
  );
  return { ...file, keys };
}

/** The file with which the daemon is restarted once, to move docker0 back; then the file as it shall stay. */
function passingFile(state: EngineState, changes: readonly Change[], once: Json): readonly [Op, Op] {
  const last = changes.flatMap((change) => change.do)
    .findLast((op) => "write" in op ? op.write === DAEMON_JSON : "remove" in op && op.remove === DAEMON_JSON);
  const asFound: Op = state.text === null
    ? { remove: DAEMON_JSON }
    : { write: DAEMON_JSON, text: state.text, mode: state.file?.file?.mode ?? 0o644 };
  return [{ write: DAEMON_JSON, text: `${JSON.stringify(once, null, 2)}\n` }, last ?? asFound];
}

/**
 * The file's own changes, with a record of what is loaded now, a copy of the former text, and a validation of the new
 * one before them. `follows`: what a daemon does with it; at "a start" it is yet to come up with it.
 */
function fileChanges(
  state: EngineState,
  changes: readonly Change[],
  follows: "a start" | "a way back" | "nothing",
): readonly Change[] {
  const [first, ...rest] = changes;
  if (first === undefined) return [];
  const before: Op[] = [];
  if (state.instance !== null) {
    const record = { instance: state.instance, loaded: state.loaded };
    before.push({ directory: "/run/berth", mode: 0o700 });
    before.push({ write: LOADED_PATH, text: `${JSON.stringify(record)}\n`, mode: 0o600 });
  }
  const text = writtenText(changes);
  before.push(...keepStanding(state));
  if (follows === "a start") before.push(...trialOps(state.kept, knownText(state) ?? state.text, text));
  if (state.validates && text !== null) {
    before.push(...validateOps(state, text));
  }
  // A daemon that runs has no need of it: nobody else has made the file newer than it.
  const after = follows === "nothing" ? takenOver(state, changes, text) : [];
  const all = [{ ...first, do: [...before, ...first.do], undo: [FORGET_CANDIDATE, ...first.undo] }, ...rest];
  return all.map((one, at) => at < all.length - 1 ? one : { ...one, do: [...one.do, ...after] });
}

/** What is noted of a text that a running daemon has taken over without a start. [] where others had a hand in it. */
function takenOver(state: EngineState, changes: readonly Change[], text: string | null): readonly Op[] {
  const { trial } = formerOf(state, changes, text);
  if (state.instance === null || isUntried(state) || trial === null) return [];
  return reloadedOps(trial, { judged: state.validates });
}

/** The text that changes will leave in the file, or null where they write none (no change, or removed). */
function writtenText(changes: readonly Change[]): string | null {
  const ops = changes.flatMap((change) => change.do);
  const last = ops.findLast((op) => "write" in op && op.write === DAEMON_JSON);
  return last !== undefined && "write" in last ? last.text : null;
}

/** What the daemon shall have loaded; why docker0 has to move; the files before and after a restart that moves it. */
interface ServiceWish {
  readonly wanted: Json;
  readonly moved: string | null;
  readonly passing?: readonly [Op, Op];
}

function serviceChange(
  state: EngineState,
  changes: readonly Change[],
  { wanted, moved, passing }: ServiceWish,
): readonly Change[] {
  const service = serviceOps(state.init, state.program ?? PROGRAMS[0]!, state.flags);
  // What does not start, or not with the new file, must not cost the operator the file he had, nor his engine.
  const text = changes.length > 0 ? writtenText(changes) : state.text;
  const { former: formerFile, trial } = formerOf(state, changes, text);
  const failed = failedOps(trial);
  const one = (
    verb: Change["verb"],
    why: string,
    risk: Change["risk"],
    ops: readonly Op[],
    undo: readonly Op[],
    trialOver: readonly Op[] = [FORGET_TRIAL],
  ): Change[] => [{
    resource: "engine docker",
    verb,
    why,
    risk,
    do: [...ops, FORGET_LOADED, ...trialOver],
    undo,
  }];
  const back = (names: readonly string[]): readonly Op[] =>
    names.length === 0 ? [] : [...calls(names, "start"), { remove: STOPPED_PATH }];
  if (state.instance === null) {
    const stale: Op[] = state.stale.map((path) => ({ remove: path }));
    // Where an earlier run wrote the file, the engine ran with the former one.
    const again = standingTrial(state.kept, state.text) === null ? [] : service.start;
    const undo = [...service.stop, ...formerFile, ...failed, ...again];
    const ops = [...stale, ...around(passing, service.start), ...ranOps(text), ...back(state.stopped)];
    return one("create", "not running", "safe", ops, undo);
  }
  // Without "bip" docker0 is right wherever it is.
  const isThere = wanted.bip === undefined && state.docker0?.includes(String(state.loaded.bip));
  const need = engineNeed(isThere ? { ...state.loaded, bip: undefined } : state.loaded, wanted);
  const keys = need.keys.map((key) => `"${key}"`).join(", ");
  if (need.how !== "restart" && moved === null) {
    const reloads = need.how === "reload";
    const standing = standingTrial(state.kept, state.text);
    const isNew = changes.length === 0 && standing !== null && standing.reloaded !== true;
    if (!reloads && state.stopped.length === 0 && !isNew) return [];
    const reasons = [
      ...(isNew && !reloads ? ["has come up with the new file"] : []),
      ...(reloads ? [`has not loaded ${keys}`] : []),
      ...(state.stopped.length > 0 ? [`stopped and not started again: ${state.stopped.join(", ")}`] : []),
    ];
    const reload = reloads ? service.reload : [];
    return one(
      "update",
      reasons.join("; "),
      "safe",
      [...reload, ...back(state.stopped)],
      [...formerFile, ...reload],
      // The file is newer than the daemon from now on, and yet nobody else has changed it.
      reloads ? [FORGET_TRIAL, ...takenOver(state, changes, text)] : [FORGET_TRIAL],
    );
  }
  refuseUntried(state, state.validates && changes.length > 0);
  // Without live-restore they end with the old daemon. Whose policy starts them again answers 304.
  const endByThemselves = state.loaded["live-restore"] !== true;
  const isOfNetworks = moved !== null || need.keys.some((key) => NETWORK_KEYS.has(key));
  const stopped = endByThemselves || isOfNetworks ? state.running : [];
  const ended = [...new Set([...state.stopped, ...stopped])];
  const unfiltered = need.keys.includes("iptables") && wanted.iptables === false ? state.running : [];
  const reasons = [
    ...(need.how === "restart" ? [`runs without the changed ${keys}, which needs a restart`] : []),
    ...(moved === null ? [] : [moved]),
    ...untriedWhy(state),
    ...(unfiltered.length === 0
      ? []
      : [`Docker's own filtering, NAT and published ports end for: ${unfiltered.join(", ")}`]),
    ...(ended.length === 0 ? [] : [`stops and starts again: ${ended.join(", ")}`]),
  ];
  const note: readonly Op[] = ended.length === 0 ? [] : [
    { directory: "/run/berth", mode: 0o700 },
    {
      write: STOPPED_PATH,
      text: `${JSON.stringify(Object.fromEntries(ended.map((name) => [name, true])))}\n`,
    },
  ];
  return one(
    "update",
    reasons.join("; "),
    "disruptive",
    [
      ...(changes.length === 0 ? keepStanding(state) : []), // otherwise kept with the file's own changes
      ...note,
      ...(endByThemselves ? [] : calls(stopped, "stop")),
      ...around(passing, tellingOps(state, service.restart)),
      ...ranOps(text),
      ...back(ended),
    ],
    [...service.stop, ...formerFile, ...failed, ...service.start, FORGET_LOADED, ...back(ended)],
  );
}

function calls(names: readonly string[], verb: "start" | "stop"): readonly Op[] {
  return names.map((name): Op => ({
    engine: {
      method: "POST",
      path: `/containers/${name}/${verb}`,
      okStatus: [204, 304, 404],
      timeoutMs: 60_000,
    },
  }));
}

function around(passing: readonly [Op, Op] | undefined, ops: readonly Op[]): readonly Op[] {
  return passing === undefined ? ops : [passing[0], ...ops, passing[1]];
}

function stopChange(state: EngineState, prior: EnginePrior): readonly Change[] {
  const runs = state.instance !== null;
  const docker0 = docker0Back(prior.docker0, state.docker0);
  const stop = runs ? [...serviceOps(state.init, PROGRAMS[0]!, "").stop, FORGET_LOADED] : [];
  const ops: readonly Op[] = [...stop, ...docker0];
  if (ops.length === 0) return [];
  const why = runs ? "was not running before berth" : "docker0 was made by the engine";
  return [{ resource: "engine docker", verb: "delete", why, risk: "disruptive", do: ops, undo: [] }];
}
