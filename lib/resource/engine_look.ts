// What is found of the engine: its file, its daemon, what that has loaded. Only looks; engine.ts compares.
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hasInit, processStart } from "../host/facts.ts";
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { type Docker0, observeDocker0 } from "./docker0.ts";
import { runningContainers } from "./docker_leftovers.ts";
import { type Kept, observeKept } from "./engine_backup.ts";
import { defaultOptions, type FlagLine, flagLines } from "./engine_flags.ts";
import { type InitSystem, SSD_PID_FILE } from "./engine_service.ts";
import type { JsonFilePrior, JsonFileState } from "./kinds/json_file.ts";
import type { Resource } from "./types.ts";

/** Where the engine reads its configuration. */
export const DAEMON_JSON = "/etc/docker/daemon.json";
/** What the running daemon had loaded when the file was last changed and it has not been told yet. */
export const LOADED_PATH = "/run/berth/engine.json";
/** Names of the containers that a restart under way has stopped, until they are started again. */
export const STOPPED_PATH = "/run/berth/stopped.json";
/** dockerd's own. */
const PID_FILE = "/var/run/docker.pid";
/** Of the containerd that dockerd runs itself where nobody else does. */
const CONTAINERD_PID_FILE = "/run/docker/containerd/containerd.pid";
/** Where dockerd may be; the first is where Debian puts it. */
export const PROGRAMS = [
  "/usr/sbin/dockerd",
  "/usr/bin/dockerd",
  "/usr/local/bin/dockerd",
  "/usr/local/sbin/dockerd",
];
/**
 * Milliseconds an engine that somebody is just starting may take until it answers, or one that is on its way out until
 * it is gone: it gives its containers 15 s to end (moby: shutdown-timeout), each its own stop timeout before that.
 */
const ANSWER_MS = 120_000;

/** A JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** What is found of an engine. Plain data. */
export interface EngineState {
  /** As the resource of the file itself sees it. */
  readonly file: JsonFileState | null;
  /** The file's text. */
  readonly text: string | null;
  /** The file, or a link on the way to it, was changed after the running daemon's start. */
  readonly edited: boolean;
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
  /** More arguments for a dockerd that berth starts itself. */
  readonly flags: string;
  /** What stands on its command line at its next start, by file: to find flags that clash with keys. */
  readonly lines: readonly FlagLine[];
  /** Former texts of the file, and the one that no daemon has come up with yet. */
  readonly kept: Kept;
  /** Names of running containers: a restart may have to stop them. */
  readonly running: readonly string[];
  /** Names of containers that a restart stopped and, since it was cut short, never started again. */
  readonly stopped: readonly string[];
  /** Addresses of docker0; null where it is not there. */
  readonly docker0: Docker0;
}

/** Nothing found. */
export const EMPTY: EngineState = {
  file: null,
  text: null,
  edited: false,
  instance: null,
  loaded: {},
  program: null,
  validates: false,
  init: null,
  stale: [],
  flags: "",
  lines: [],
  kept: { backups: [], trial: null, ran: null },
  running: [],
  stopped: [],
  docker0: null,
};

/** Looks at file and daemon. `waits`: while a daemon that is up does not answer yet. */
export async function observeEngine(
  look: Look,
  file: Resource<JsonFileState, JsonFilePrior>,
  { waits }: { readonly waits: boolean },
): Promise<EngineState> {
  const [init, text, seen, pid] = await Promise.all([
    hasInit(look),
    look.readText(DAEMON_JSON),
    file.observe(look),
    dockerdPid(look),
  ]);
  const program = await firstThere(look, PROGRAMS);
  const isUp = pid > 0 && (!waits || await answers(look, pid));
  const instance = isUp ? `${pid}.${await processStart(look, pid)}` : null;
  const record = parseJson(await look.readText(LOADED_PATH));
  const loaded = record.instance === instance && instance !== null ? record.loaded as Json : parseJson(text);
  const commandLine = isUp
    ? (await look.readText(`/proc/${pid}/cmdline`) ?? "").split("\0").slice(1).join(" ").trim()
    : "";
  const isRight = file.diff(seen).length === 0;
  const edited = isUp && await isNewer(look, DAEMON_JSON, PID_FILE);
  const kept = await observeKept(look);
  return {
    file: seen,
    text,
    edited,
    instance,
    loaded,
    program,
    validates: (!isRight || edited) && program !== null && await canValidate(look, program),
    init,
    stale: instance === null ? await stalePidFiles(look) : [],
    flags: isUp ? commandLine : await defaultOptions(look),
    lines: await flagLines(look, init, commandLine),
    // What an earlier daemon had only reloaded, this one has come up with.
    kept: isUp && !edited && kept.trial?.reloaded ? { ...kept, trial: null } : kept,
    running: instance === null || !waits ? [] : await runningContainers(look),
    stopped: Object.keys(parseJson(await look.readText(STOPPED_PATH))),
    docker0: await observeDocker0(look),
  };
}

async function firstThere(look: Look, paths: readonly string[]): Promise<string | null> {
  for (const path of paths) if (await look.stat(path) !== null) return path;
  return null;
}

/** dockerd's pid, also while it is so new that it has not written it itself: a second start would spoil it. 0: none. */
async function dockerdPid(look: Look): Promise<number> {
  for (const path of [PID_FILE, SSD_PID_FILE]) {
    const pid = Number((await look.readText(path))?.trim() || 0);
    if (await commOf(look, pid) === "dockerd") return pid;
  }
  return 0;
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

/** Waits while a daemon that is up does not answer: true when it does, false when it has ended instead. */
async function answers(remembering: Look, pid: number): Promise<boolean> {
  const look = remembering.anew ?? remembering;
  const until = performance.now() + ANSWER_MS;
  while ((await look.engine("/_ping").catch(() => null))?.status !== 200) {
    if (await isOver(look, pid)) return false;
    if (performance.now() > until) {
      throw new BerthError({
        code: "docker",
        object: "engine docker",
        message: `Process ${pid} is dockerd, but nothing answers on its socket after ${ANSWER_MS / 1000} s`,
        next: "Look at /var/log/dockerd.log, or: journalctl -u docker",
      });
    }
    if (look.signal?.aborted) {
      throw new BerthError({
        code: "interrupted",
        object: "engine docker",
        message: `Stopped while waiting for process ${pid}, which is dockerd and does not answer`,
      });
    }
    await sleep(50);
  }
  return true;
}

/** Gone, or a zombie that nobody has waited for. */
async function isOver(look: Look, pid: number): Promise<boolean> {
  const stat = await look.readText(`/proc/${pid}/stat`).catch(() => null); // it ended while it was read
  return stat === null || /^\S+ \(.*\) [ZX] /s.test(stat);
}

/** `--validate` came with 23.0. */
async function canValidate(look: Look, program: string): Promise<boolean> {
  const { stdout } = await look.query({ argv: [program.slice(program.lastIndexOf("/") + 1), "--version"] });
  return Number(/version (\d+)\./.exec(stdout)?.[1] ?? 0) >= 23;
}

/** How many links the kernel follows (MAXSYMLINKS, path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * True where what a path leads to, or a link on the way, was changed after another path. dockerd writes its pid file
 * once it has read its configuration.
 */
async function isNewer(look: Look, path: string, than: string): Promise<boolean> {
  const since = (await look.stat(than))?.changedMs ?? Infinity;
  let newest = 0;
  for (let at = path, left = MOST_LINKS; left >= 0; left--) {
    const found = await look.stat(at);
    newest = Math.max(newest, found?.changedMs ?? 0);
    if (found?.kind !== "link") return newest > since;
    at = resolve(dirname(at), await look.readLink(at) ?? "");
  }
  return false; // a link that leads to itself: nothing can be read there
}

/** A JSON object from text; {} where it is none. */
export function parseJson(text: string | null): Json {
  if (text === null || text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    // The file's own resource tells what is wrong with it.
  }
  return {};
}
