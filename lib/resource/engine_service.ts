// How dockerd is started, reloaded, restarted and stopped: by systemd where that runs, else by ourselves with
// start-stop-daemon, over the same pid files as Debian's init script, so that either can stop what the other started.
// Pure: ops as data.
import type { Op } from "./types.ts";

/** Which init system runs the machine. */
export type InitSystem = "systemd" | "sysvinit" | null;

/** Where a dockerd that berth starts itself writes its log. */
export const DOCKERD_LOG = "/var/log/dockerd.log";
/** dockerd's own pid file. */
const PID_FILE = "/var/run/docker.pid";
/** Debian's init script and berth have it written as soon as dockerd is started, which writes its own a while later. */
export const SSD_PID_FILE = "/var/run/docker-ssd.pid";
/** Of the containerd that dockerd runs itself where nobody else does. */
const CONTAINERD_PID_FILE = "/run/docker/containerd/containerd.pid";
/** The step after a start that failed. */
const CORRECT =
  "Correct what it complains about (engine.options in host.yaml, or /etc/docker/daemon.json); its whole log";

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
  // Whoever took a clashing flag out of a unit need not know that systemd keeps the old one until it is told.
  const read: Op = { run: { argv: ["systemctl", "daemon-reload"], timeoutMs: 90_000 } };
  // Quick restarts run into the unit's start limit, which would fail the next one for no reason of its own.
  const reset: Op = { run: { argv: ["systemctl", "reset-failed", "docker.service"], okExit: [0, 1, 5] } };
  const ready = (verb: string): Op => ({
    daemon: {
      start: { argv: ["systemctl", verb, "docker.service"], timeoutMs: 180_000 },
      log: { argv: ["journalctl", "-u", "docker.service", "-n", "20", "--no-pager", "-o", "cat"] },
      next: `${CORRECT}: journalctl -u docker`,
    },
  });
  const start = [read, reset, ready("start")];
  // The socket would start it again at the first call. An engine from elsewhere has none (exit 5).
  const stop: readonly Op[] = [
    { run: { argv: ["systemctl", "stop", "docker.socket"], okExit: [0, 5] } },
    systemctl("stop", "docker.service"),
  ];
  return {
    start,
    reload: [systemctl("reload", "docker.service")],
    restart: [read, reset, ready("restart")],
    stop,
  };
}

function ownOps(program: string, flags: readonly string[]): ServiceOps {
  const daemon = (args: readonly string[]): Op => ({
    run: { argv: ["start-stop-daemon", ...args], timeoutMs: 120_000 },
  });
  // A running daemon's own command line repeats what we add.
  const more = flags.filter((flag, index) => flag !== "-p" && flags[index - 1] !== "-p");
  const start: readonly Op[] = [
    { remove: SSD_PID_FILE }, // what stands there from now on is the pid of this start
    {
      daemon: {
        start: {
          argv: [
            ...["start-stop-daemon", "--start", "--oknodo", "--background"],
            // dockerd tells when it is ready, as it would tell systemd.
            ...["--notify-await", "--notify-timeout", "45"],
            ...["--make-pidfile", "--pidfile", SSD_PID_FILE, "--output", DOCKERD_LOG],
            ...["--exec", program, "--", "-p", PID_FILE, ...more],
          ],
          timeoutMs: 120_000,
        },
        pidFile: SSD_PID_FILE,
        log: { argv: ["tail", "-n", "20", DOCKERD_LOG] },
        next: `${CORRECT}: ${DOCKERD_LOG}`,
      },
    },
  ];
  // By name too: a pid file that a crash left may bear a stranger's pid by now.
  const theDaemon = ["--pidfile", PID_FILE, "--name", "dockerd"];
  // dockerd waits ten seconds for the containerd it has started, then leaves it to end alone: it would still write
  // into a root that is being moved. Where containerd runs by itself there is no such pid file.
  const itsContainerd = ["--pidfile", CONTAINERD_PID_FILE, "--name", "containerd"];
  const stop: readonly Op[] = [
    daemon(["--stop", "--oknodo", ...theDaemon, "--retry", "TERM/60/KILL/5"]),
    daemon(["--stop", "--oknodo", ...itsContainerd, "--retry", "TERM/30/KILL/5"]),
    { remove: PID_FILE },
    { remove: SSD_PID_FILE },
  ];
  return {
    start,
    reload: [daemon(["--stop", "--signal", "HUP", ...theDaemon])],
    restart: [...stop, ...start],
    stop,
  };
}
