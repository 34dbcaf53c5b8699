// The gate's script: the OCI runtime that daemon.json names. It execs the real runtime for everything; before
// `start` of a vnode it runs that vnode's batches. POSIX sh, no berth on the good path; berth only when there
// is something to explain or to mend. facts: dockerd calls `runc --root R --log L … start ID` when Docker's own
// interface stands in the container's namespace and its process still waits.
import { CONTROL_SETS, CONTROL_TABLE } from "../resource/firewall.ts";
import { CONTROL_NETWORK, DOOMED_GROUP, LABEL_VNODE } from "../vnode/names.ts";
import { GATE_DIRECTORY, RUN_DIRECTORY } from "../vnode/paths.ts";
import { HOSTS_BEGIN } from "../vnode/wiring.ts";

/** Where the script is installed. */
export const GATE_PATH = "/usr/lib/berth/runtime";

/** Seconds that the gate waits for the vnode's lock before it fails the start. */
export const LOCK_SECONDS = 10;
/** Seconds berth itself is given before the script takes it for hung. */
export const BERTH_SECONDS = 20;
/** Exit code of `berth gate`: the start is failed, the reason told, all cleaned up. Any other than 0: it crashed. */
export const GATE_FAILED = 3;

/** What the script is told when it is written. All are absolute paths. */
export interface GateScriptOptions {
  /** The engine's own default runtime. */
  readonly runc: string;
  /** The berth executable. */
  readonly berth: string;
  /** The engine's data root, where a container's labels stand. */
  readonly dataRoot: string;
  /** @default {20} */
  readonly berthSeconds?: number;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The text of the gate's script. */
export function gateScript(options: GateScriptOptions): string {
  const table = `${CONTROL_TABLE.family} ${CONTROL_TABLE.name}`;
  return `#!/bin/sh
# The runtime of berth's vnodes: the real runtime, with the vnode's wiring made before its first instruction.
# Written by berth (host runtime); replaced only by rename. Anything but "start" of a vnode passes through.
real=${quoted(options.runc)} berth=${quoted(options.berth)} data=${quoted(options.dataRoot)}
gates=${GATE_DIRECTORY} run=${RUN_DIRECTORY}

sub= id= root= log= value= pid=
for word do
  case $value in
    root) root=$word value=; continue ;;
    log) log=$word value=; continue ;;
    skip) value=; continue ;;
  esac
  case $word in
    --root) value=root ;;
    --root=*) root=\${word#*=} ;;
    --log) value=log ;;
    --log=*) log=\${word#*=} ;;
    --log-format|--criu|--rootless) value=skip ;;
    -*) ;;
    *)
      if [ -z "$sub" ]; then
        sub=$word
        case $sub in start|restore) ;; *) break ;; esac
      else
        id=$word
      fi ;;
  esac
done
case $sub in start|restore) ;; *) exec "$real" "$@" ;; esac
case $id in ''|*[!0-9a-zA-Z_.-]*|.*) exec "$real" "$@" ;; esac

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
umask 077
dir=$gates/$id

# The reason reaches the user through the file that containerd reads after a failed call.
tell() {
  [ -z "$log" ] || printf '{"level":"error","msg":"berth: %s","time":"%s"}\\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$log"
  printf 'berth: %s\\n' "$1" >&2
}

# The pid of the created init. containerd notes it beside the log; the runtime's state costs a process to read.
init() {
  pid=
  case $log in */"$id"/*) read -r pid 2>/dev/null <"\${log%/*}/init.pid" || : ;; esac
  case $pid in ''|*[!0-9]*) ;; *) return ;; esac
  pid=$(sed -n 's/.*"init_process_pid":\\([0-9]*\\).*/\\1/p' "$root/$id/state.json" 2>/dev/null)
}

# A created init that is left would brick the container: the engine deletes it only when it is dead.
fail() {
  tell "$1"
  [ -n "$pid" ] || init
  "$real" --root "$root" kill "$id" KILL >/dev/null 2>&1 </dev/null
  bury
  exit 1
}

# Engine 20.10 deletes a failed start at once or never, and only a task whose shim has taken note of its death.
# The shim does so under the lock that it holds while we run: it must have reaped the init and have waited for
# that lock for over 1 ms, from when on Go hands a lock over to the one that waits.
bury() {
  tries=0
  while [ -n "$pid" ] && [ -e "/proc/$pid" ] && [ $tries -lt 100 ]; do sleep 0.02; tries=$((tries + 1)); done
  sleep 0.05
}

# Takes away what this start made, without berth: only interfaces that carry the mark of this life, and its port.
sweep() {
  {
    while read -r end; do
      alias=
      [ ! -e "/sys/class/net/$end" ] || read -r alias <"/sys/class/net/$end/ifalias" || :
      case $alias in berth:*:g=$generation) printf 'link set dev %s group ${DOOMED_GROUP}\\n' "$end" ;; esac
    done <"$dir/ends"
    echo "link del group ${DOOMED_GROUP}"
  } | ip -force -batch - >/dev/null 2>&1
  [ -z "$port" ] || {
    elements=
    element add "$port"
    element delete "$port"
    printf '%s' "$elements" | nft -f - >/dev/null 2>&1
  }
}

if ! read -r vnode 2>/dev/null <"$dir/vnode"; then
  if grep -q '"${LABEL_VNODE}":' "$data/containers/$id/config.v2.json" 2>/dev/null; then
    fail "the record of this vnode is lost: berth vnode up NAME makes it again"
  fi
  exec "$real" "$@"
fi
[ "$sub" = start ] || fail "vnode $vnode cannot be restored from a checkpoint: its wiring belongs to one life; start it instead"

case $vnode in ''|*[!a-z0-9-]*) fail "the name in $dir/vnode is none of a vnode: berth vnode up NAME writes it again" ;; esac
[ -d "$run/life" ] && [ -d "$run/lock" ] || mkdir -p "$run/life" "$run/lock"
# A shell ends at once when "exec" cannot open a file, and the created init would be left.
true >>"$run/lock/vnode-$vnode" || fail "cannot open $run/lock/vnode-$vnode: look at df and mount, then start again"
exec 9>>"$run/lock/vnode-$vnode"
flock -w ${LOCK_SECONDS} 9 || fail "vnode $vnode is locked by another command for more than ${LOCK_SECONDS} s: look at it with berth status, then start again"

field20() { start=\${20}; }
init
read -r stat 2>/dev/null <"/proc/\${pid:-0}/stat" || stat=
field20 \${stat##*) }
read -r boot </proc/sys/kernel/random/boot_id
generation=\${id%"\${id#????????????}"}.$pid.$start.\${boot%"\${boot#????????}"}
netns=/proc/$pid/ns/net

# The elements of a control port: $1 is add or delete, $2 the port.
element() {
  elements="$elements$1 element ${table} ${CONTROL_SETS.ports} { \\"$2\\" . $mac . $address }
$1 element ${table} ${CONTROL_SETS.names} { \\"$2\\" }
"
}

# The good path: nothing but the batches, two at a time. Any doubt ends it, and berth itself looks at the matter.
quick() {
  [ -n "$pid" ] && [ -n "$start" ] && [ -r "$dir/host.ip" ] && [ -r "$dir/sysctls" ] || return 1
  read -r mac address <"$dir/control" && read -r hosts <"$dir/hosts.path" || return 1
  if [ -s "$dir/hosts" ]; then
    while read -r line; do [ "$line" != "${HOSTS_BEGIN}" ] || return 1; done <"$hosts" || return 1
  fi
  # What an earlier life left goes first. All at once: one by one, the kernel waits some 20 ms for each.
  stale=
  while read -r end; do
    [ -e "/sys/class/net/$end" ] || continue
    read -r alias <"/sys/class/net/$end/ifalias" || return 1
    case $alias in berth:v=$vnode:*) stale="\${stale}link set dev $end group ${DOOMED_GROUP}
" ;; *) return 1 ;; esac
  done <"$dir/ends"
  # What could not be deleted fails the next batch.
  [ -z "$stale" ] || printf '%slink del group ${DOOMED_GROUP}\\n' "$stale" | ip -force -batch - || :
  sed "s/@PID@/$pid/g; s/@GEN@/$generation/g" "$dir/host.ip" | ip -batch - &
  links=$!
  # Docker's own interface: its MAC, and by its peer's index the control port, which is let through the firewall.
  eth0=$(nsenter --net="$netns" ip -o link show dev eth0) || return 1
  case $eth0 in *"link/ether $mac "*) ;; *) return 1 ;; esac
  index=\${eth0#*@if} index=\${index%%:*}
  for end in /sys/class/net/${CONTROL_NETWORK}/brif/*; do
    read -r found <"/sys/class/net/\${end##*/}/ifindex" || continue
    [ "$found" != "$index" ] || { port=\${end##*/}; break; }
  done
  [ -n "$port" ] || return 1
  read -r past old half 2>/dev/null <"$run/life/$vnode" || old=
  elements=
  # What an earlier life left: added first, so that deleting it cannot fail.
  [ -z "$old" ] || [ "$old" = "$port" ] || { element add "$old"; element delete "$old"; }
  element add "$port"
  [ ! -s "$dir/nft" ] || elements="\${elements}include \\"$dir/nft\\""
  nft -f - <<NFT || return 1
$elements
NFT
  wait "$links" || return 1
  # Beside the rest: line by line, the names of a large experiment take this shell long.
  [ ! -s "$dir/hosts" ] || { cat "$dir/hosts" >>"$hosts" & names=$!; }
  [ ! -s "$dir/tc" ] || { tc -batch "$dir/tc" & tc=$!; }
  if [ -s "$dir/sysctls" ]; then
    nsenter --net="$netns" sh -c '
      while read -r path value; do
        case $path in *..*) exit 1 ;; net/*) ;; *) exit 1 ;; esac
        printf "%s\\n" "$value" >"/proc/sys/$path" || exit 1
      done <"$1/sysctls"
      [ ! -s "$1/inside.ip" ] || exec ip -batch "$1/inside.ip"' sh "$dir" || return 1
  elif [ -s "$dir/inside.ip" ]; then
    nsenter --net="$netns" ip -batch "$dir/inside.ip" || return 1
  fi
  [ -z "$names" ] || wait "$names" || return 1
  [ -z "$tc" ] || wait "$tc" || return 1
  printf '%s %s\\n' "$generation" "$port" >"$run/life/$vnode"
}

tc= names= port= old=
if ! quick >/dev/null 2>&1 </dev/null; then
  # What still runs must not change anything once berth looks.
  wait
  (cd / && exec env -i PATH="$PATH" LC_ALL=C timeout -s KILL ${options.berthSeconds ?? BERTH_SECONDS} \\
    "$berth" gate --id "$id" --root "$root" --log "$log" --real "$real" --vnode "$vnode" --pid "\${pid:-0}") </dev/null >/dev/null 2>&1
  code=$?
  case $code in
    0) ;;
    ${GATE_FAILED}) bury; exit 1 ;;
    *)
      sweep
      if [ $code = 137 ]; then why="gave no answer in time"; else why="ended with $code"; fi
      fail "vnode $vnode could not be wired and the berth executable $why: run berth vnode show $vnode for the reason, then start again" ;;
  esac
fi
exec 9>&-
exec "$real" "$@"
`;
}
