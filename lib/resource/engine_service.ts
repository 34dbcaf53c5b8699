// How dockerd is started, reloaded, restarted and stopped: by systemd where that runs, else by ourselves with
// start-stop-daemon, over the same pid files as Debian's init script, so that either can stop what the other started.
// Pure: ops as data.
import type { Op } from "./types.ts";

/** Which init system runs the machine. */
export type InitSystem = "systemd" | "sysvinit" | null;

/** Where a dockerd that berth starts itself writes its log. */
export const DOCKERD_LOG = "/var/log/dockerd.log";
/** dockerd's own pid file, and the one of Debian's init script. */
const PID_FILE = "/var/run/docker.pid";
const SSD_PID_FILE = "/var/run/docker-ssd.pid";

export interface ServiceOps {
  readonly start: readonly Op[];
  readonly reload: readonly Op[];
  readonly restart: readonly Op[];
  readonly stop: readonly Op[];
}

/** The ops for an init system. `flags`: more arguments for dockerd where berth starts it. */
export function serviceOps(init: InitSystem, program: string, flags: string): ServiceOps {
  return init === "systemd"
    ? systemdOps()
    : ownOps(program, flags.split(/\s+/).filter((flag) => flag !== ""));
}

function systemdOps(): ServiceOps {
  const systemctl = (verb: string, ...units: string[]): Op => ({
    run: { argv: ["systemctl", verb, ...units], timeoutMs: 180_000 },
  });
  // Quick restarts run into the unit's start limit, which would fail the next one for no reason of its own.
  const reset: Op = { run: { argv: ["systemctl", "reset-failed", "docker.service"], okExit: [0, 1, 5] } };
  return {
    start: [reset, systemctl("start", "docker.service")],
    reload: [systemctl("reload", "docker.service")],
    restart: [reset, systemctl("restart", "docker.service")],
    // The socket would start it again at the first call. An engine from elsewhere has none (exit 5).
    stop: [
      { run: { argv: ["systemctl", "stop", "docker.socket"], okExit: [0, 5] } },
      systemctl("stop", "docker.service"),
    ],
  };
}

function ownOps(program: string, flags: readonly string[]): ServiceOps {
  const daemon = (args: readonly string[], okExit: readonly number[] = [0]): Op => ({
    run: { argv: ["start-stop-daemon", ...args], okExit, timeoutMs: 120_000 },
  });
  // A running daemon's own command line repeats what we add.
  const more = flags.filter((flag, index) => flag !== "-p" && flags[index - 1] !== "-p");
  const start = daemon([
    "--start",
    "--oknodo",
    "--background",
    // dockerd tells when it is ready, as it would tell systemd. One that dies is only noticed by the time-out.
    "--notify-await",
    "--notify-timeout",
    "45",
    "--make-pidfile",
    "--pidfile",
    SSD_PID_FILE,
    "--output",
    DOCKERD_LOG,
    "--exec",
    program,
    "--",
    "-p",
    PID_FILE,
    ...more,
  ]);
  const stop: readonly Op[] = [
    daemon(["--stop", "--oknodo", "--pidfile", PID_FILE, "--retry", "TERM/60/KILL/5"]),
    { remove: PID_FILE },
    { remove: SSD_PID_FILE },
  ];
  return {
    start: [start],
    reload: [daemon(["--stop", "--signal", "HUP", "--pidfile", PID_FILE])],
    restart: [...stop, start],
    stop,
  };
}

/** Flags whose names are not "--" and the key. */
const OTHER_FLAGS: Readonly<Record<string, readonly string[]>> = {
  "hosts": ["-H", "--host"],
  "labels": ["--label"],
  "runtimes": ["--add-runtime"],
  "data-root": ["--data-root", "-g", "--graph"],
  "storage-opts": ["--storage-opt"],
  "registry-mirrors": ["--registry-mirror"],
  "insecure-registries": ["--insecure-registry"],
  "log-opts": ["--log-opt"],
  "exec-opts": ["--exec-opt"],
};

/** Flags of a command line that set what keys of daemon.json set too: dockerd refuses to start with both. Pure. */
export function clashingFlags(
  commandLine: string,
  keys: readonly string[],
): readonly { readonly flag: string; readonly key: string }[] {
  const words = commandLine.split(/\s+/).map((word) => word.split("=")[0]!);
  return keys.flatMap((key) =>
    (OTHER_FLAGS[key] ?? [`--${key}`]).filter((flag) => words.includes(flag)).map((flag) => ({ flag, key }))
  );
}
