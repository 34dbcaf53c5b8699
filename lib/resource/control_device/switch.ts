// The dead man's switch: a POSIX shell script that carries the device's addresses over in a session of its own, and
// carries them back unless berth disarms it in time. Owns the script's text and its files in /run/berth/move; what is
// carried stands in batch files beside it (move.ts). It works without berth: berth may be killed at any moment.

/** Where the script and its files stand; forgotten with a reboot, as is what it moved. */
export const MOVE_DIRECTORY = "/run/berth/move";
/** The script. */
export const SWITCH_PATH = `${MOVE_DIRECTORY}/switch`;

/** What the script is made for. */
export interface SwitchOptions {
  readonly from: string;
  readonly to: string;
  /** Gateways that are asked before and after, by address. */
  readonly gateways: readonly string[];
  /** Whole seconds from arming to going back. */
  readonly seconds: number;
  /** The file whose first line is the pid of the berth that guards the move. */
  readonly holder: string;
  /** Whether all that hangs on `from` is carried, so that the rehearsal can compare with what is there. */
  readonly whole: boolean;
}

/** Seconds that gateways are given to answer before anything is moved: the kernel asks three times in three. */
const BEFORE_SECONDS = 6;
/** Seconds after the deadline until `confirm` goes back by itself, because the switch must have been killed. */
const GRACE_SECONDS = 5;

/**
 * The script's text. Its verbs:
 *
 * - `rehearse`: does it all, forth and back, in a network namespace that ends with it, and compares.
 * - `probe`: asks the gateways; fails when all are silent; notes those that answered.
 * - `arm`: starts `run` in a session of its own and waits until the move is made.
 * - `run`: the switch itself. It alone moves, forth and back, under a lock of the kernel's.
 * - `confirm`: waits until the gateways answer on the other side, then disarms by one rename.
 * - `settle`: makes an armed switch go back now; does so itself where nobody is left to. Nothing armed: nothing to do.
 */
export function switchScript(options: SwitchOptions): string {
  return `#!/bin/sh
# Written by berth (host control-net): the dead man's switch of moving ${options.from} to ${options.to}.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
umask 077
cd ${MOVE_DIRECTORY} || exit 1
from=${options.from} to=${options.to} gateways="${options.gateways.join(" ")}" seconds=${options.seconds}
holder=${options.holder} whole=${options.whole ? "yes" : "no"}

die() { echo "$*" >&2; exit 1; }
# A clock that nobody sets.
clock() { read -r up idle </proc/uptime; now=\${up%.*}; }
# Whether process $1 lives that began at $2: a pid alone may be another's by now, and a zombie is dead.
alive() {
  read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  set -- "$2" \${stat##*) }
  [ "$2" != Z ] && [ "\${21}" = "$1" ]
}
began() { read -r stat <"/proc/$1/stat" && set -- \${stat##*) } && echo "\${20}"; }
# All of batch $1; with -force as $2 it goes on after what fails.
batch() {
  [ ! -s "$1.ip" ] || ip $2 -batch "$1.ip" || [ -n "$2" ] || return 1
  [ ! -s "$1.six" ] || ip -6 $2 -batch "$1.six"
}

# Makes the kernel ask neighbour $1 on $2 now: by unicast where it is known, else by ARP or neighbour solicitation.
ask() {
  line=$(ip neigh show to "$1" dev "$2" 2>/dev/null)
  case $line in
    *PERMANENT*) ;;
    *lladdr*) mac=\${line#*lladdr }; ip neigh change "$1" lladdr "\${mac%% *}" dev "$2" nud probe ;;
    *) ip neigh replace "$1" dev "$2" use || ping -c 1 -W 1 -I "$2" "$1" ;;
  esac >/dev/null 2>&1
}
# Whether it has answered since: the kernel calls only that reachable which was heard of after it was asked.
answered() {
  line=$(ip neigh show to "$1" dev "$2" 2>/dev/null)
  case $line in
    *PERMANENT*) ! command -v ping >/dev/null || ping -c 1 -W 1 -I "$2" "$1" >/dev/null 2>&1 ;;
    *REACHABLE*) ;;
    *PROBE*|*INCOMPLETE*) return 1 ;;
    *) ask "$1" "$2"; return 1 ;;
  esac
}
# Those of the words $2… that are silent on $1.
silent() { dev=$1; shift; quiet=; for one do answered "$one" "$dev" || quiet="$quiet $one"; done; }

# Sends signal $1 to the DHCP clients of $from. They sleep from before the move until their manager's form ends them: a
# renewal in between would put the address back where it was.
clients() {
  for client in $(pidof dhclient udhcpc); do
    [ "$(readlink "/proc/$client/ns/net")" = "$(readlink /proc/self/ns/net)" ] || continue
    tr '\\0' '\\n' <"/proc/$client/cmdline" | grep -qxF "$from" && kill "-$1" "$client"
  done 2>/dev/null
}

back() {
  mv armed fired 2>/dev/null || return 0 # the one rename: whoever makes it decides
  batch back -force >back.log 2>&1
  clients CONT
  # Neighbours hear of the addresses' place at once.
  echo "$why" >result.new
  mv result.new result
}

# What hangs on $1, with @ for its name, in a form that is the same before and after.
dump() {
  {
    ip -o addr show dev "$1" | sed -E 's/^[0-9]+: *[^ ]+ +//; s/\\\\.*//' |
      sed -E 's/ (temporary|dynamic|tentative|dadfailed|deprecated|optimistic|nodad|secondary|mngtmpaddr|stable-privacy)//g; s/ proto [a-z_]+//'
    { ip -d -o -4 route show table all; ip -d -o -6 route show table all; } | grep -E "(^| )dev $1( |\\$)" |
      grep -Ev '^(local|broadcast|anycast|multicast) .*proto kernel' |
      sed -E 's/ (linkdown|dead|offload|rt_offload|trap|rt_trap|rt_offload_failed|\\\\)( |$)/ /g; s/ expires -?[0-9]+sec//; s/ error -?[0-9]+//'
    { ip -4 rule show; ip -6 rule show; } | grep -E " [io]if $1( |\\$)" | sed 's/ \\[detached\\]//'
  } | sed -E "s/(^| )$1(\\$|[ :])/\\1@\\2/g; s/[ \\t]+/ /g; s/ \\$//" | sort
}
unlabelled() { sed -E 's/ @:[^ ]*$/ @/'; }
same() { diff "$1" "$2" >difference || die "Rehearsal: $3: $(grep '^[<>]' difference | head -n 3 | tr '\\n' ';')"; }

case $1 in
rehearse)
  dump "$from" >real
  exec unshare --net sh "$0" inner ;;
inner)
  ip -batch setup.ip || die "Rehearsal: cannot make a device like it"
  batch give "" || die "Rehearsal: cannot make what hangs on $from"
  dump "$from" >made
  [ $whole = no ] || same real made "what hangs on $from cannot be made again as it is"
  batch forward "" || die "Rehearsal: cannot carry it to $to"
  unlabelled <made >made.plain
  dump "$to" | unlabelled >carried
  same made.plain carried "what arrives on $to is not what hangs on $from"
  batch back -force >back.log 2>&1
  dump "$from" >returned
  same made returned "what comes back to $from is not what was there" ;;
probe)
  : >answered
  for one in $gateways; do ask "$one" "$from"; done
  clock; end=$((now + ${BEFORE_SECONDS}))
  while silent "$from" $gateways; [ -n "$quiet" ] && clock && [ "$now" -lt "$end" ]; do sleep 0.1; done
  for one in $gateways; do case " $quiet " in *" $one "*) ;; *) echo "$one" >>answered ;; esac; done
  [ -z "$gateways" ] || [ -s answered ] || die "Gateway$quiet is silent on $from already now" ;;
arm)
  [ ! -e armed ] || die "An earlier move is not settled yet"
  rm -f fired disarmed moved result result.new stop
  read -r pid <"$holder" && start=$(began "$pid") && [ -n "$start" ] || die "Nobody holds $holder"
  echo "$pid $start" >armed.new && mv armed.new armed || exit 1
  setsid sh "$0" run </dev/null >/dev/null 2>&1 &
  clock; end=$((now + 60))
  until [ -e moved ] || [ -e result ]; do
    clock; [ "$now" -lt "$end" ] || die "The switch does not start"
    sleep 0.02
  done
  [ ! -e result ] || die "$(cat result)" ;;
run)
  exec 9>lock
  flock -n 9 || exit 1
  trap '' HUP
  # Out of the cgroup of the service or session that started berth, which ends with all that is in it.
  for group in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ ! -e "$group/cgroup.procs" ] || echo $$ >"$group/cgroup.procs"
  done 2>/dev/null
  read -r pid start <armed || exit 1
  clock; end=$((now + seconds))
  why="berth ended in the middle: everything was put back"
  clients STOP
  if ! alive "$pid" "$start"; then :
  elif batch forward "" 2>error; then
    : >moved
    while [ -e armed ]; do
      alive "$pid" "$start" || break
      [ ! -e stop ] || { why="stopped: everything was put back"; break; }
      clock; [ "$now" -lt "$end" ] || { why="no answer within $seconds s: everything was put back"; break; }
      sleep 0.1
    done
  else
    why="cannot carry it: $(head -n 2 error | tr '\\n' ' '): everything was put back"
  fi
  back ;;
confirm)
  read -r pid start <armed 2>/dev/null || die "$(cat result 2>/dev/null || echo The switch is not armed)"
  wanted=$(cat answered)
  for one in $wanted; do ask "$one" "$to"; done
  clock; end=$((now + seconds + ${GRACE_SECONDS}))
  while [ ! -e result ]; do
    silent "$to" $wanted
    if [ -z "$quiet" ]; then
      # Whoever would go on is to be there.
      if alive "$pid" "$start" && mv armed disarmed 2>/dev/null; then exit 0; fi
    fi
    clock
    [ "$now" -lt "$end" ] || exec sh "$0" settle
    sleep 0.1
  done
  die "Gateway$quiet on $to: $(cat result)" ;;
settle)
  : >stop
  exec 9>lock
  flock -w 90 9 || die "The switch hangs: see ${MOVE_DIRECTORY}"
  why="settled: everything was put back"
  [ ! -e armed ] || back
  rm -f stop ;;
*) die "Not a verb of the switch: $1" ;;
esac
`;
}
