// A containerd that runs beside the engine: found by looks, stopped and started by systemd where that runs, else as
// it was started. The one that dockerd runs itself is none of this: it goes and comes with dockerd.
import { hasInit } from "../host/facts.ts";
import type { Look } from "../host/types.ts";
import type { AlsoPaused } from "./engine_pause.ts";
import type { InitSystem } from "./engine_service.ts";
import type { Op } from "./types.ts";

/** Of a containerd of its own; dockerd takes it where it is there. */
const SOCKET = "/run/containerd/containerd.sock";
/** Of one that berth starts itself. */
const PID_FILE = "/run/berth/containerd.pid";
const LOG = "/var/log/containerd.log";
const UNIT = "containerd.service";
/** Its unit, from Debian's package and from Docker's. */
const UNIT_FILES = ["/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system"];

/** What is found. Plain data. */
export interface ContainerdState {
  readonly init: InitSystem;
  /** There is one of its own: it runs, or its unit is there. */
  readonly isThere: boolean;
  readonly runs: boolean;
  /** Where nobody but its starter knows how it was started: its process, program and arguments. */
  readonly pid: number;
  readonly argv: readonly string[];
}

/** Looks for a containerd of its own. */
export async function observeContainerd(look: Look): Promise<ContainerdState> {
  const init = await hasInit(look);
  if (init === "systemd") {
    const files = await Promise.all(UNIT_FILES.map((directory) => look.stat(`${directory}/${UNIT}`)));
    const isThere = files.some((file) => file !== null);
    const runs = isThere &&
      (await look.query({ argv: ["systemctl", "is-active", UNIT], okExit: [0, 3, 4] })).stdout.trim() ===
        "active";
    return { init, isThere, runs, pid: 0, argv: [] };
  }
  if (await look.stat(SOCKET) === null) return { init, isThere: false, runs: false, pid: 0, argv: [] };
  for (const name of await look.list("/proc") ?? []) {
    if (!/^\d+$/.test(name)) continue;
    // It may end between the looks.
    const comm = await look.readText(`/proc/${name}/comm`).catch(() => null);
    if (comm?.trim() !== "containerd") continue;
    const words = (await look.readText(`/proc/${name}/cmdline`).catch(() => null) ?? "").split("\0").filter(
      Boolean,
    );
    // dockerd's own has its configuration below /run/docker.
    if (words.length === 0 || words.some((word) => word.includes("/run/docker/"))) continue;
    const program = await look.readLink(`/proc/${name}/exe`).catch(() => null) ?? words[0]!;
    return { init, isThere: true, runs: true, pid: Number(name), argv: [program, ...words.slice(1)] };
  }
  return { init, isThere: true, runs: false, pid: 0, argv: [] };
}

/** How it is paused. `noted`: the argv that an earlier run has stopped; [] under systemd, null for none. */
export function containerdPause(
  { init, runs, pid, argv }: ContainerdState,
  noted: readonly string[] | null,
): AlsoPaused | undefined {
  if (!runs && noted === null) return undefined;
  if (init === "systemd") {
    const systemctl = (verb: string): Op => ({
      run: { argv: ["systemctl", verb, UNIT], timeoutMs: 180_000 },
    });
    return { stop: runs ? [systemctl("stop")] : [], halt: [systemctl("stop")], start: [systemctl("start")] };
  }
  const end = (...which: string[]): Op => ({
    run: {
      argv: [
        ...["start-stop-daemon", "--stop", "--oknodo", ...which],
        ...["--name", "containerd", "--retry", "TERM/60/KILL/5"],
      ],
      timeoutMs: 120_000,
    },
  });
  const [program = "", ...args] = runs ? argv : noted ?? [];
  return {
    stop: runs ? [end("--pid", String(pid))] : [],
    halt: [end("--pidfile", PID_FILE)],
    start: program === "" ? [] : [
      { remove: PID_FILE },
      {
        daemon: {
          start: {
            argv: [
              ...["start-stop-daemon", "--start", "--oknodo", "--background"],
              ...["--notify-await", "--notify-timeout", "45"],
              ...["--make-pidfile", "--pidfile", PID_FILE, "--output", LOG],
              ...["--exec", program, "--", ...args],
            ],
            timeoutMs: 120_000,
          },
          pidFile: PID_FILE,
          log: { argv: ["tail", "-n", "20", LOG] },
          next: `Correct what it complains about; its whole log: ${LOG}`,
        },
      },
    ],
  };
}
