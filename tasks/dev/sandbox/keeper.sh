#!/bin/bash
# Starts a throw-away vhost and removes its directory and cgroups when it has ended. Outlives its owner, so
# that even SIGKILL of that leaves nothing; what is left when this process itself is killed, the next start
# collects (leftovers.ts calls it with `clean`). Owns no mounts: those die with the clone's namespace.
# Arguments: run|clean BOX NAME KEEP [LAYER_WORK]
set -u
mode=$1 box=$2 name=$3 keep=$4 layer_work=${5:-}

clean() {
  local dir tries left=no
  if [ -e "$box/cgroups" ]; then
    while read -r dir; do
      # The last tasks leave a cgroup a moment after they are gone from /proc.
      for ((tries = 0; tries < 100; tries++)); do
        [ -d "$dir" ] || break
        find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null
        [ -d "$dir" ] && sleep 0.02
      done
      [ -d "$dir" ] && left=yes
    done <"$box/cgroups"
  fi
  [ -n "$layer_work" ] && rm -rf --one-file-system "$layer_work"
  [ "$keep" = yes ] && return
  [ $left = yes ] && return # the directory says where they are: the next start tries again
  # Something in the clone may have made files immutable.
  rm -rf --one-file-system "$box" 2>/dev/null || { chattr -R -i "$box" 2>/dev/null; rm -rf --one-file-system "$box"; }
}

if [ "$mode" = clean ]; then clean; exit 0; fi
trap : INT TERM HUP # not ignored: the clone would inherit that
net=(); [ "$NETWORK" = own ] && net=(--net)
unshare --mount --pid --ipc --uts "${net[@]}" --propagation private --fork --kill-child /bin/bash "$(dirname "$0")/init.sh" mounts
code=$?
clean </dev/null >/dev/null 2>&1
exit $code
