// The canonical dump of a vhost's world, as one bash script: the same world gives the same text.
// Owns what is left out because it differs without anyone's doing: indexes, counters, life times, random keys.

/** Prints sections of sorted lines: links, addresses, routes, rules, qdiscs, firewall, sysctls, files, containers. */
export const DUMP = `
section() { local name=$1; shift; echo "== $name"; "$@" 2>/dev/null | sed 's/[[:space:]]*$//' | grep -v '^$' | sort | sed "s/^/$name: /"; }
links() { ip -d -o link | sed -E 's/^[0-9]+: //; s/@if[0-9]+/@peer/; s/link-netnsid [0-9]+//; s/(tcn|topology_change|hello|gc|hold|message_age|forward_delay)_timer +[0-9.]+//g; s/fdb_n_learned [0-9]+//'; }
addresses() { ip -o addr | sed -E 's/^[0-9]+: //; s/valid_lft.*//; s/ (tentative|dynamic)//g'; }
routes() { # a link-local address' own route comes a second or two after it, when it is known to be no one else's
  ip -4 route show table all | sed 's/^/4 /'
  ip -6 route show table all | grep -Ev '^(local|anycast) fe80:' | sed -E 's/ expires [0-9]+sec//; s/^/6 /'
}
rules() { ip rule; ip -6 rule; }
qdiscs() {
  tc qdisc show | sed -E 's/qdisc ([a-z_]+) [0-9a-f]+:/qdisc \\1/'
  ip -o link | sed -E 's/^[0-9]+: ([^:@]+).*/\\1/' | while read -r dev; do
    tc class show dev "$dev" | sed "s/^/$dev /"
    { tc filter show dev "$dev"; tc filter show dev "$dev" ingress; } | sed "s/^/$dev /"
  done
}
legacy() { iptables-save; ip6tables-save; }
chains() { legacy | grep -v '^#' | sed -E 's/\\[[0-9]+:[0-9]+\\]//'; }
sysctls() {
  find /proc/sys/net -type f -perm -u+r ! -name 'nf_conntrack_count' ! -name '*random*' ! -name '*_key' ! -name stable_secret ! -name 'flush' \\
    ! -path '*/neigh/*' -exec grep -H '' {} + | sed 's|^/proc/sys/||'
}
files() {
  for tree in /etc /var/lib/berth /vminfo /usr/lib/berth; do
    [ -e "$tree" ] || continue
    find "$tree" -printf '%p %y %m %U:%G %l\\n'
    find "$tree" -type f -exec sha256sum {} + | sed -E 's/^([0-9a-f]{16})[0-9a-f]* +(.*)/\\2 sha256 \\1/'
  done
}
containers() { timeout 10 docker ps -a --no-trunc --format '{{.Names}} {{.State}} {{.Image}}'; timeout 10 docker network ls --format 'network {{.Name}} {{.Driver}}'; }
section link links
section addr addresses
section route routes
section rule rules
section tc qdiscs
section iptables chains
section sysctl sysctls
section file files
section docker containers
# The order of rules has a meaning: not sorted.
echo "== nft"
nft -s list ruleset 2>/dev/null | sed 's/^/nft: /'
exit 0
`;
