// The container engine as a resource: its daemon.json and the daemon that must have read it. Whether a change of the
// file needs a start, a reload (SIGHUP) or a restart is decided here; how an init system is told, in engine_service.ts.
// What the keys are is the host tasks' business.
import { hasInit, processStart } from "../host/facts.ts";
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import type { AnyResource } from "./ensure.ts";
import { runningContainers } from "./docker_leftovers.ts";
import { clashingFlags, type InitSystem, serviceOps } from "./engine_service.ts";
import type { Change, Op, Resource } from "./types.ts";

/** Where the engine reads its configuration. */
export const DAEMON_JSON = "/etc/docker/daemon.json";
/** What the running daemon had loaded when the file was last changed and it has not been told yet. */
export const LOADED_PATH = "/run/berth/engine.json";
const CANDIDATE = "/run/berth/daemon.json.candidate";
const PID_FILE = "/var/run/docker.pid";
/** Of the containerd that dockerd runs itself where nobody else does. */
const CONTAINERD_PID_FILE = "/run/docker/containerd/containerd.pid";
const PROGRAMS = [
  "/usr/sbin/dockerd",
  "/usr/bin/dockerd",
  "/usr/local/bin/dockerd",
  "/usr/local/sbin/dockerd",
];
/** Milliseconds an engine that somebody is just starting may take until it answers. */
const ANSWER_MS = 30_000;

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

type Json = Readonly<Record<string, unknown>>;

/** What is found of an engine. Plain data. */
export interface EngineState {
  /** As the resource of the file itself sees it. */
  readonly file: unknown;
  /** The file's text. */
  readonly text: string | null;
  /** "PID.START" of the running daemon, or null. */
  readonly instance: string | null;
  /** What the running daemon has loaded, as far as can be known. */
  readonly loaded: Json;
  readonly program: string | null;
  /** True when this engine can check a file before it is used (23.0 on). */
  readonly validates: boolean;
  readonly init: InitSystem;
  /** Pid files that name no daemon, left by a crash: a new dockerd would take a stranger for its own. */
  readonly stale: readonly string[];
  /** What stands on the daemon's command line, or will: to find flags that clash with keys. */
  readonly flags: string;
  /** Names of running containers; looked up only where the engine may have to be restarted. */
  readonly running: readonly string[];
  /** Whether docker0 is there: where we started the engine first, it goes with it again. */
  readonly docker0: boolean;
}

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

const EMPTY: EngineState = {
  file: null,
  text: null,
  instance: null,
  loaded: {},
  program: null,
  validates: false,
  init: null,
  stale: [],
  flags: "",
  running: [],
  docker0: false,
};

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
    // dockerd leaves its bridge behind. It may also be gone already.
    ops.push({ run: { argv: ["ip", "link", "delete", "docker0"], okExit: [0, 1] } });
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

function parseJson(text: string | null): Json {
  if (text === null || text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // The file's own resource tells what is wrong with it.
  }
  return {};
}

async function observeEngine(look: Look, file: AnyResource): Promise<EngineState> {
  const [init, text, seen, pidText] = await Promise.all([
    hasInit(look),
    look.readText(DAEMON_JSON),
    file.observe(look),
    look.readText(PID_FILE),
  ]);
  const program = await firstThere(look, PROGRAMS);
  const pid = Number(pidText?.trim() || 0);
  const isDockerd = pid > 0 &&
    (await look.readText(`/proc/${pid}/comm`).catch(() => null))?.trim() === "dockerd";
  const instance = isDockerd ? `${pid}.${await processStart(look, pid)}` : null;
  if (instance !== null) await waitForAnswer(look, pid);
  const record = parseJson(await look.readText(LOADED_PATH));
  const loaded = record.instance === instance && instance !== null ? record.loaded as Json : parseJson(text);
  const isRight = file.diff(seen).length === 0;
  return {
    file: seen,
    text,
    instance,
    loaded,
    program,
    validates: !isRight && program !== null && await canValidate(look, program),
    init,
    stale: instance === null ? await stalePidFiles(look) : [],
    flags: await engineFlags(look, init, isDockerd ? pid : null),
    running: instance !== null && (!isRight || Object.keys(record).length > 0)
      ? await runningContainers(look)
      : [],
    docker0: await look.stat("/sys/class/net/docker0") !== null,
  };
}

async function firstThere(look: Look, paths: readonly string[]): Promise<string | null> {
  for (const path of paths) if (await look.stat(path) !== null) return path;
  return null;
}

/** The name of a process, or null where there is none. */
async function commOf(look: Look, pid: number): Promise<string | null> {
  if (!(pid > 0)) return null;
  return (await look.readText(`/proc/${pid}/comm`).catch(() => null))?.trim() ?? null; // it may end meanwhile
}

async function stalePidFiles(look: Look): Promise<readonly string[]> {
  const stale: string[] = [];
  for (const [path, comm] of [[PID_FILE, "dockerd"], [CONTAINERD_PID_FILE, "containerd"]] as const) {
    const text = await look.readText(path);
    if (text !== null && await commOf(look, Number(text.trim())) !== comm) stale.push(path);
  }
  return stale;
}

/** Waits while a daemon that is up does not answer yet: a look at a half-started engine says nothing. */
async function waitForAnswer(look: Look, pid: number): Promise<void> {
  const until = Date.now() + ANSWER_MS;
  while ((await look.engine("/_ping").catch(() => null))?.status !== 200) {
    if ((await look.stat(`/proc/${pid}`)) === null) return;
    if (Date.now() > until) {
      throw new BerthError({
        code: "docker",
        object: "engine docker",
        message: `Process ${pid} is dockerd, but nothing answers on its socket after ${ANSWER_MS / 1000} s`,
        next: "Look at /var/log/dockerd.log, or: journalctl -u docker",
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** `--validate` came with 23.0. */
async function canValidate(look: Look, program: string): Promise<boolean> {
  const { stdout } = await look.query({ argv: [program.slice(program.lastIndexOf("/") + 1), "--version"] });
  return Number(/version (\d+)\./.exec(stdout)?.[1] ?? 0) >= 23;
}

async function engineFlags(look: Look, init: InitSystem, pid: number | null): Promise<string> {
  if (pid !== null) {
    return (await look.readText(`/proc/${pid}/cmdline`) ?? "").split("\0").slice(1).join(" ");
  }
  const options =
    /^\s*DOCKER_OPTS=["']?([^"'\n]*)/m.exec(await look.readText("/etc/default/docker") ?? "")?.[1] ?? "";
  if (init !== "systemd") return options;
  const units = ["/etc/systemd/system/docker.service", "/lib/systemd/system/docker.service"];
  for (const unit of units) {
    const text = await look.readText(unit);
    if (text !== null) return `${/^ExecStart=(.*)$/m.exec(text)?.[1] ?? ""} ${options}`;
  }
  return options;
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
