// The texts of berth's init scripts for machines without systemd. Pure; rc.ts writes and registers them. Two, since
// one comes before the engine's own script and the other after it; the boot's order follows their LSB headers.
import { MARK } from "./mark.ts";
import { HALT_SECONDS, UNSET } from "./systemd_units.ts";

/** Where init scripts stand. */
export const SCRIPT_FOLDER = "/etc/init.d";

/** Where a watch that was started without systemd writes its log. */
export const WATCH_LOG = "/var/log/berth-watch.log";
/** Held by the watch as long as it lives; not there before the first watch of a boot. */
export const WATCH_LOCK = "/run/berth/lock/watch";
/** There from a halt of all vnodes until a watch is wanted again (watch/presence.ts); a reboot takes it away. */
export const HALTED_NOTE = "/run/berth/halted";

interface Header {
  readonly provides: string;
  readonly requiredStart: string;
  readonly requiredStop: string;
  readonly more: readonly (readonly [string, string])[];
  readonly stops: string;
  readonly short: string;
}

/** Text of each script by its name. `berth`: how berth is started, an absolute path and maybe more words. */
export function sysvScripts(berth: readonly string[]): Readonly<Record<string, string>> {
  return {
    "berth-prepare": script(
      {
        provides: "berth-prepare",
        requiredStart: "$local_fs $remote_fs",
        requiredStop: "",
        more: [
          ["Should-Start", "$network $named $syslog udev cgroupfs-mount"],
          ["X-Start-Before", "containerd docker"],
        ],
        stops: "",
        short: "Prepare this machine for vnodes, before the engine starts",
      },
      berth,
      `case \${1-} in
  start | restart | force-reload)
    # Disks that are just being found would be missing from what storage chooses from.
    udevadm settle --timeout=60 2>/dev/null
    berth boot --stage prepare
    ;;
  stop | status) ;;
  *) usage "start|stop|restart|force-reload|status" ;;
esac
`,
    ),
    "berth": script(
      {
        provides: "berth",
        requiredStart: "$local_fs $remote_fs",
        requiredStop: "$local_fs $remote_fs",
        more: [
          ["Should-Start", "berth-prepare containerd docker $network $named $syslog"],
          ["Should-Stop", "containerd docker $network $syslog"],
        ],
        stops: "0 1 6",
        short: "Bring up all vnodes, and halt them before the engine ends",
      },
      berth,
      `watched() {
  [ -e ${WATCH_LOCK} ] && ! flock -n ${WATCH_LOCK} true
}

# Run by init, by its line in /etc/inittab. Before berth boot has started a watch there is none to guard. A watch lives
# in a session of its own: it goes on when the guard is ended. One that dies at once is tried less and less often.
guard() {
  until [ -e ${WATCH_LOCK} ]; do sleep 10; done
  pause=5
  while flock ${WATCH_LOCK} true; do
    sleep $pause
    watched && continue
    # After berth halt a watch would boot what was halted. Asked as late as can be: the halt may have begun meanwhile.
    [ -e ${HALTED_NOTE} ] && continue
    setsid -f ${berth.map(shellWord).join(" ")} watch >>${WATCH_LOG} 2>&1 </dev/null
    sleep 30
    if watched; then pause=5; elif [ $pause -lt 300 ]; then pause=$((pause * 2)); fi
  done
}

case \${1-} in
  start) berth boot --stage boot ;;
  stop) berth halt --within ${HALT_SECONDS} ;;
  restart | force-reload)
    berth halt --within ${HALT_SECONDS}
    berth boot
    ;;
  status)
    berth status
    # LSB: 3 when what it starts does not run, whatever else berth has to say.
    watched || exit 3
    ;;
  guard) guard ;;
  *) usage "start|stop|restart|force-reload|status" ;;
esac
`,
    ),
  };
}

function script(header: Header, berth: readonly string[], body: string): string {
  const line = (name: string, value: string) => `# ${`${name}:`.padEnd(18)} ${value}`.trimEnd();
  const fields = [
    line("Provides", header.provides),
    line("Required-Start", header.requiredStart),
    line("Required-Stop", header.requiredStop),
    ...header.more.map(([name, value]) => line(name, value)),
    line("Default-Start", "2 3 4 5"),
    line("Default-Stop", header.stops),
    line("Short-Description", header.short),
  ];
  return `#!/bin/sh
### BEGIN INIT INFO
${fields.join("\n")}
### END INIT INFO
${MARK}

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
# By these, and by files in the current directory, a stranger's code would be loaded.
unset ${UNSET.join(" ")}
cd / || exit 1

berth() {
  ${berth.map(shellWord).join(" ")} "$@"
}

usage() {
  echo "Usage: \${0##*/} {$1}" >&2
  exit 2
}

${body}`;
}

function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
