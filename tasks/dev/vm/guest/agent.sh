#!/bin/bash
# The hand of test/vm/harness.ts inside a test machine: runs commands that come over a virtio-serial port, several at
# once, and sends back what they said. Binary-safe: a header line, then as many bytes as it names.
#   to us:    run ID SECONDS ARGV-BYTES INPUT-BYTES \n argv, each ended by NUL \n-less input
#   from us:  ready BOOT-ID \n          booted \n          done ID EXIT STDOUT-BYTES STDERR-BYTES \n stdout stderr
# Owns /run/vm. The port can be opened once only, so no command inherits it.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
port=/dev/virtio-ports/berth.test
mkdir -p /run/vm
until [ -c "$port" ] && exec 3<>"$port"; do sleep 0.2; done

answer() { # ID SECONDS DIR
  local exit argv
  mapfile -d '' -t argv <"$3/argv"
  (cd /root && exec timeout --kill-after=1 "$2" "${argv[@]}" <"$3/in" >"$3/out" 2>"$3/err" 3>&-)
  exit=$?
  # Only one answer at a time on the port; what the files get later (a daemon left behind) is not told.
  cp "$3/out" "$3/out.end"
  cp "$3/err" "$3/err.end"
  (
    flock 4
    printf 'done %s %s %s %s\n' "$1" "$exit" "$(stat -c %s "$3/out.end")" "$(stat -c %s "$3/err.end")"
    cat "$3/out.end" "$3/err.end"
  ) 4>/run/vm/lock >&3
  rm -rf "$3"
}

echo "ready $(cat /proc/sys/kernel/random/boot_id)" >&3
(
  # A wait without a process: each costs too much here.
  mkfifo /run/vm/never && exec 5<>/run/vm/never
  until [ -e /run/vm-booted ]; do read -r -t 0.5 -u 5; done
  flock 4
  echo booted >&3
) 4>/run/vm/lock &
while read -r verb id seconds argv_bytes input_bytes <&3; do
  [ "$verb" = run ] || continue
  dir=/run/vm/$id
  mkdir -p "$dir"
  head -c "$argv_bytes" <&3 >"$dir/argv"
  head -c "$input_bytes" <&3 >"$dir/in"
  answer "$id" "$seconds" "$dir" &
done
