#!/bin/bash
# Pid 1 of a throw-away vhost. Owns: the clone's mounts, cgroups, network and hostname, and the reaping of
# orphans. Does not own: the clone's directory (keeper.sh), what is installed in it (layers.ts).
# Started three times by exec: `mounts` in the machine's root, `root` in a cgroup namespace of its own,
# `live` in the clone's root. Lives as long as its standard input is open: whoever holds the other end of
# that pipe owns the clone, and the kernel closes it however the owner dies.
#
# Environment: BOX (directory), BOX_NAME, LOWER (root to clone), LAYER and LAYER_WORK (prepared upper, or
# empty), UPPER, WORK, CHECKOUT, CHECKOUT_MODE (ro|rw), NETWORK (own|host), BINDS ("from to" a line).
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

each_cgroup() { # FUNCTION: called with mount point, type, options of every cgroup mount of the machine
  local point options rest type super line
  while read -r _ _ _ _ point options rest; do
    line=${rest#*- }
    read -r type _ super <<<"$line"
    case $type in cgroup | cgroup2) "$1" "$point" "$type" "${super#rw,}" ;; esac
  done <"${MOUNTS:-/proc/self/mountinfo}"
}

own_cgroup() { # the directory of this process in one hierarchy
  local key=$1 type=$2 id names path
  while IFS=: read -r id names path; do
    if [ "$type" = cgroup2 ]; then [ "$id" = 0 ] && echo "$path" && return
    else case ",$names," in *",${key%%,*},"*) echo "$path" && return ;; esac fi
  done </proc/self/cgroup
}

# The clone's cgroups hang below those of its owner, so no accounting or limit of the machine is escaped.
enter_cgroup() {
  local point=$1 type=$2 options=$3 path from
  path=$(own_cgroup "$options" "$type")
  from=$point${path%/}
  [ -d "$from" ] || from=$point
  mkdir -p "$from/$BOX_NAME"
  echo "$from/$BOX_NAME" >>"$BOX/cgroups"
  if [ -e "$from/cpuset.cpus" ] && [ "$type" = cgroup ]; then # empty in a new directory, and then no task may enter
    cat "$from/cpuset.cpus" >"$from/$BOX_NAME/cpuset.cpus"
    cat "$from/cpuset.mems" >"$from/$BOX_NAME/cpuset.mems"
    echo 1 >"$from/$BOX_NAME/cgroup.clone_children"
  fi
  echo 0 >"$from/$BOX_NAME/cgroup.procs"
}

mount_cgroup() { # the same hierarchy, seen from the clone's own directory
  local point=$1 type=$2 options=$3 to=$NEW$1
  mkdir -p "$to"
  mount -t "$type" -o "$([ "$type" = cgroup2 ] && echo rw || echo "$options")" "$type" "$to"
}

make_devices() { # a /dev of its own: nodes made in the machine's devtmpfs would be seen by all
  local dev=$NEW/dev name major minor
  mount -t tmpfs -o mode=755,nosuid tmpfs "$dev"
  while read -r name major minor; do
    mknod -m 666 "$dev/$name" c "$major" "$minor"
  done <<<"null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
fuse 10 229"
  mkdir "$dev/pts" "$dev/shm" "$dev/mqueue" "$dev/net"
  mknod -m 666 "$dev/net/tun" c 10 200
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$dev/pts"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$dev/shm"
  ln -s pts/ptmx "$dev/ptmx"
  ln -s /proc/self/fd "$dev/fd"
  ln -s fd/0 "$dev/stdin"
  ln -s fd/1 "$dev/stdout"
  ln -s fd/2 "$dev/stderr"
}

case $1 in
mounts)
  read -r HOST_PID _ </proc/self/stat # the machine's /proc is still mounted: our pid as the machine sees it
  export HOST_PID
  mkdir -p "$BOX/base" "$BOX/new"
  : >"$BOX/cgroups"
  each_cgroup enter_cgroup
  exec unshare --cgroup /bin/bash "$0" root
  ;;
root)
  NEW=$BOX/new
  base=$LOWER
  if [ -n "$LAYER" ]; then
    # Two lower directories may not lie inside one another, and the cache lies inside `/`: so the prepared
    # layer is the upper directory of a read-only overlay, which is then the one lower of ours.
    mount -t overlay -o "ro,index=off,lowerdir=$LOWER,upperdir=$LAYER,workdir=$LAYER_WORK" overlay "$BOX/base"
    base=$BOX/base
  fi
  mount -t overlay -o "index=off,lowerdir=$base,upperdir=$UPPER,workdir=$WORK" overlay "$NEW"
  for path in docker containerd; do # overlay2 does not work on an overlay
    mkdir -p "$NEW/var/lib/$path" "$BOX/$path"
    mount --bind "$BOX/$path" "$NEW/var/lib/$path"
  done
  mkdir -p "$NEW/proc" "$NEW/sys" "$NEW/dev" "$NEW/run" "$NEW/tmp"
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$NEW/run"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$NEW/tmp"
  # The checkout is bound, not seen through the overlay: an overlay does not show what is built below it later.
  mkdir -p "$NEW$CHECKOUT"
  mount --bind "$CHECKOUT" "$NEW$CHECKOUT"
  if [ "$CHECKOUT_MODE" = ro ]; then mount -o remount,bind,ro "$NEW$CHECKOUT"; fi
  if [ -n "$BINDS" ]; then
    while read -r from to; do
      mkdir -p "$NEW$to"
      mount --bind "$from" "$NEW$to"
    done <<<"$BINDS"
  fi
  make_devices
  mount -t proc -o nosuid,nodev,noexec proc "$NEW/proc"
  mount --bind "$NEW/proc/sys" "$NEW/proc/sys" # only /proc/sys/net is per namespace; the rest is the machine's
  mount -o remount,bind,ro "$NEW/proc/sys"
  mount --bind "$NEW/proc/sys/net" "$NEW/proc/sys/net"
  mount -o remount,bind,rw "$NEW/proc/sys/net"
  if [ -e "$NEW/proc/sysrq-trigger" ]; then mount --bind "$NEW/dev/null" "$NEW/proc/sysrq-trigger"; fi
  if [ "$NETWORK" = own ]; then
    mount -t sysfs -o nosuid,nodev,noexec sysfs "$NEW/sys"
    mount --bind "$NEW/sys/devices/virtual/net" "$NEW/sys/devices/virtual/net"
    mount -o remount,bind,ro "$NEW/sys"
    mount -o remount,bind,rw "$NEW/sys/devices/virtual/net"
    cat /proc/self/mountinfo >"$BOX/mounts"
    if ! grep -q ' /sys/fs/cgroup rw.* - cgroup2 ' "$BOX/mounts"; then
      mount -t tmpfs -o mode=755 tmpfs "$NEW/sys/fs/cgroup"
    fi
    grep ' /sys/fs/cgroup' "$BOX/mounts" >"$BOX/cgroup-mounts"
    MOUNTS=$BOX/cgroup-mounts each_cgroup mount_cgroup
    for link in /sys/fs/cgroup/*; do
      if [ -L "$link" ]; then ln -s "$(readlink "$link")" "$NEW$link"; fi
    done
  else
    mount --rbind /sys "$NEW/sys"
    rm -f "$NEW/etc/resolv.conf"
    cat /etc/resolv.conf >"$NEW/etc/resolv.conf"
  fi
  mkdir -p "$NEW/run/sandbox" "$NEW/run/lock" "$NEW/run/old"
  cp "$0" "$NEW/run/sandbox/init.sh"
  cd "$NEW"
  pivot_root . run/old
  cd /
  umount -l /run/old
  rmdir /run/old
  exec /bin/bash /run/sandbox/init.sh live
  ;;
live)
  router=0
  if [ "$NETWORK" = own ]; then
    hostname vhost 2>/dev/null || echo vhost >/proc/sys/kernel/hostname
    echo vhost >/etc/hostname
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 vhost\n' >/etc/hosts
    rm -f /etc/resolv.conf
    echo 'nameserver 203.0.113.1' >/etc/resolv.conf
    unshare --net sleep infinity </dev/null >/dev/null 2>&1 &
    router=$!
    # Ours until the child is in a namespace of its own: an inode number that differs from ours.
    until [ "$(readlink /proc/$router/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
    ip -batch - <<END
link set lo up
link add eth0 type veth peer name vhost netns $router
addr add 198.51.100.2/24 dev eth0
addr add 2001:db8::2/64 dev eth0 nodad
link set eth0 up
route add default via 198.51.100.1
END
    nsenter --net=/proc/$router/ns/net ip -batch - <<END
link set lo up
addr add 203.0.113.1/32 dev lo
addr add 2001:db8:ffff::1/128 dev lo
addr add 198.51.100.1/24 dev vhost
addr add 2001:db8::1/64 dev vhost nodad
link set vhost up
END
    ip -6 route add default via 2001:db8::1
    if [ -e /sys/fs/cgroup/cgroup.subtree_control ]; then # cgroup2 only: none may stand beside its children
      mkdir -p /sys/fs/cgroup/init
      echo 0 >/sys/fs/cgroup/init/cgroup.procs
      echo $router >/sys/fs/cgroup/init/cgroup.procs
      for name in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$name" >/sys/fs/cgroup/cgroup.subtree_control || true
      done
    fi
  fi
  echo $router >/run/sandbox/router.pid
  echo "ready $HOST_PID $router"
  unset BOX LOWER LAYER LAYER_WORK UPPER WORK BINDS HOST_PID
  exec >/dev/null 2>&1
  set +e
  # A blocked `read` lets bash reap orphans from its SIGCHLD handler.
  while read -r _; do :; done
  ;;
esac
