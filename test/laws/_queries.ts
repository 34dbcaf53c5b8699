// What a look may and may not run, as lists: each allowed form at least once, and 60 and more ways in which a query
// could change something if the allow-list had a hole.
import type { Command } from "../../lib/host/types.ts";

const q = (line: string, more: Partial<Command> = {}): Command => ({ argv: line.split(" "), ...more });
const APT_CACHE = ["apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "policy"];

/** Queries of every program of the allow-list; `{disk}` and the like are not needed: all run on any machine. */
export const ALLOWED: readonly Command[] = [
  ...[
    "ip -j link show",
    "ip -j -d -s addr",
    "ip route",
    "ip -6 -j route show",
    "ip -j rule list",
    "ip -j neigh show",
  ],
  ...[
    "ip netns list",
    "ip -j -d link show type bridge",
    "ip -br addr show dev lo",
    "ip -4 route get 127.0.0.1",
  ],
  ...["ip -o address list", "ip -N rule", "ip neighbour ls", "ip -n ../../proc/self/ns/net link show"],
  ...[
    "tc -j qdisc show",
    "tc -s -j qdisc show dev lo",
    "tc class show dev lo",
    "tc filter show dev lo parent ffff:",
  ],
  ...["bridge -j link show", "bridge fdb", "bridge -j -d vlan show"],
  ...["nft -j list tables", "nft -a list ruleset", "nft --version", "nft -s list table inet filter"],
  ...["nft -j list table bridge berth", "nft -j list map ip berth_nat forwards"],
  ...["iptables-save", "iptables-save -t filter", "ip6tables-save -t nat"],
  ...["iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save"],
  ...["ss -H -l -t -n", "ss -l -x", "ethtool -k lo", "ethtool --json -k lo", "ethtool -i lo"],
  ...["sysctl -n net.ipv4.ip_forward", "sysctl -a", "sysctl net/ipv4/conf/lo/rp_filter"],
  ...[
    "lvs --reportformat json --units b --nosuffix -o lv_name,lv_size,lv_tags -a",
    "vgs --reportformat json",
  ],
  ...["pvs --noheadings -o pv_name,vg_name", "blkid -p -o export /dev/null", "wipefs -n -J /dev/null"],
  ...[
    "findmnt --json -o TARGET,SOURCE,FSTYPE",
    "findmnt -n -T /tmp",
    "lsblk --json -b -o NAME,SIZE",
    "df -B1 --output=avail /",
    "du -s -x -B1 /etc/apt",
    "dumpe2fs -h /dev/null",
    "xfs_info /nonesuch",
  ],
  ...["dpkg-query -W -f=${Package} bash", "dpkg-query --show --showformat=${Version} bash nonesuch"],
  ...["systemctl is-active docker", "systemctl is-enabled docker", "systemctl show -p ActiveState docker"],
  ...["systemctl --no-pager cat docker", "systemctl is-system-running"],
  ...["dockerd --version", "dockerd --validate --config-file /etc/docker/daemon.json", "docker --version"],
  ...["dockerd --validate --config-file=/etc/docker/daemon.json", "containerd --version", "runc --version"],
  ...["uname -r", "uname -a", "modinfo -n bridge", "modinfo -F filename bridge"],
].map((line) => q(line)).concat(
  { argv: [...APT_CACHE, "bash", "docker.io"] },
  q("ip -j addr show", { netns: "/proc/self/ns/net" }),
  q("sysctl -n net.ipv4.ip_forward", { netns: "/proc/self/ns/net" }),
);

/** Commands no look may run. */
export const FORBIDDEN: readonly Command[] = [
  // ip: verbs, batches and their abbreviations, running a program in a namespace
  ...["ip link add x type dummy", "ip link set lo down", "ip link del x", "ip addr add 10.0.0.1/8 dev lo"],
  ...[
    "ip addr flush dev lo",
    "ip route add default via 10.0.0.1",
    "ip route flush all",
    "ip route del default",
  ],
  ...[
    "ip route save",
    "ip rule add from all",
    "ip neigh flush all",
    "ip netns add x",
    "ip netns exec x reboot",
  ],
  ...[
    "ip netns del x",
    "ip netns attach x 1",
    "ip -batch -",
    "ip -b /tmp/x",
    "ip -force -batch -",
    "ip -ba /tmp/x",
  ],
  ...[
    "ip -all netns exec reboot",
    "ip -a netns exec reboot",
    "ip tunnel add x",
    "ip xfrm state flush",
    "ip l s lo down",
  ],
  ...["ip vrf exec x reboot", "ip monitor", "ip link show -batch /tmp/x", "ip netns list exec x reboot"],
  ...[
    "ip -j -d -batch /tmp/x link show",
    "ip -n -batch link show",
    "ip tuntap add mode tap",
    "ip -rc 1 link",
  ],
  // tc, bridge; a batch needs its input: test/host/allow.test.ts
  ...["tc qdisc add dev lo root tbf", "tc qdisc del dev lo root", "tc -b /tmp/x", "tc -batch -", "tc qdisc"],
  ...["tc filter replace dev lo", "tc exec bpf", "tc actions flush action gact", "tc -force qdisc show"],
  ...["bridge fdb add 02:00:00:00:00:01 dev lo", "bridge vlan del vid 1 dev lo", "bridge -b /tmp/x"],
  // nft, iptables
  ...[
    "nft -f -",
    "nft --file /tmp/x",
    "nft -f/tmp/x",
    "nft flush ruleset",
    "nft list ruleset ; flush ruleset",
  ],
  ...[
    "nft add table x",
    "nft -i",
    "nft --define=a=b list ruleset",
    "nft -c -f /tmp/x",
    "nft -I /tmp list ruleset",
  ],
  ...["nft list ruleset -f /tmp/x", "iptables-save -f /etc/x", "iptables-save --file /etc/x", "iptables -F"],
  ...["iptables-legacy-save -M /tmp/evil", "iptables-nft-save -f /etc/x", "iptables-nft-restore"],
  ...["iptables-save -M /tmp/evil", "iptables-restore", "ip6tables -P INPUT DROP"],
  // sockets, offloads
  ...["ss -K", "ss --kill", "ss -D /tmp/x", "ethtool -K lo tso off", "ethtool lo", "ethtool -s lo speed 10"],
  // sysctl
  ...["sysctl -w net.ipv4.ip_forward=1", "sysctl net.ipv4.ip_forward=1", "sysctl -p", "sysctl -p /tmp/x"],
  ...["sysctl --system", "sysctl --load=/tmp/x", "sysctl -n -w net.ipv4.ip_forward=1", "sysctl -f /tmp/x"],
  // disks
  ...[
    "lvs --config devices{}",
    "lvs --commandprofile x",
    "vgs --profile x",
    "pvs --driverloaded n",
    "lvcreate -n x docker",
  ],
  ...[
    "lvchange -ay x",
    "vgremove docker",
    "blkid -g",
    "blkid /dev/null",
    "blkid -p -c /tmp/x /dev/null",
    "blkid -p -g",
  ],
  ...[
    "wipefs /dev/null",
    "wipefs -a /dev/null",
    "wipefs -n -a /dev/null",
    "wipefs -n --backup=/tmp/x /dev/null",
  ],
  ...[
    "wipefs -n /etc/passwd",
    "dumpe2fs /dev/null",
    "dumpe2fs -h /etc/passwd",
    "dumpe2fs -h -i /dev/null",
    "xfs_info -t /tmp/x /",
    "du -s --files0-from=/tmp/x",
    "du -X /tmp/x /",
    "findmnt --poll",
    "findmnt -F /tmp/x",
    "mount -a",
    "umount /",
    "mkfs.ext4 /dev/null",
  ],
  // packages
  ...[
    "dpkg-query --admindir=/tmp -W",
    "dpkg-query --load-avail -W",
    "dpkg-query --root=/tmp -W bash",
    "dpkg -i x",
  ],
  ...[
    "dpkg-query bash",
    "apt-get install x",
    "apt-cache policy bash",
    "apt-cache -o Dir::Bin=/tmp/x policy bash",
  ],
  ...["apt-cache gencaches", "apt-get update"],
  // services
  ...[
    "systemctl --now",
    "systemctl enable --now docker",
    "systemctl restart docker",
    "systemctl daemon-reload",
  ],
  ...[
    "systemctl --now is-enabled docker",
    "systemctl -H host show docker",
    "systemctl --root=/tmp cat docker",
  ],
  ...[
    "systemctl set-property docker CPUQuota=1%",
    "systemctl edit docker",
    "systemctl kill docker",
    "systemctl",
  ],
  // the engine, modules, anything else
  ...[
    "dockerd",
    "dockerd --validate",
    "dockerd --config-file /tmp/x",
    "dockerd --validate=false --config-file /tmp/x",
  ],
  ...[
    "docker rm -f x",
    "docker ps",
    "runc kill x",
    "runc",
    "uname --x",
    "modinfo -b /tmp bridge",
    "modprobe bridge",
  ],
  ...["rmmod bridge", "sh -c reboot", "bash", "reboot", "cat /etc/shadow", "env ip link del x", "rm -rf /"],
  ...[
    "nsenter --net=/proc/1/ns/net ip link show",
    "/usr/sbin/ip link show",
    "./ip link show",
    "busybox ip link show",
  ],
  ...["constructor", "__proto__", "ip constructor show", "ip __proto__ show"],
].map((line) => q(line)).concat(
  { argv: [] },
  { argv: [""] },
  { argv: ["nft", "list", "tables;flush ruleset"] },
  { argv: ["nft", "list", "tables\nflush ruleset"] },
  { argv: [...APT_CACHE, "-o", "x"] },
  q("ip link show", { input: "link del x" }),
  q("ip link show", { env: { LD_PRELOAD: "/tmp/x.so" } }),
  q("lvs", { env: { LVM_SYSTEM_DIR: "/tmp" } }),
  q("ip link show", { netns: "/tmp/ns" }),
  q("ip link show", { netns: "/proc/1/ns/net --mount=/proc/1/ns/mnt" }),
  q("ip link show", { netns: "/run/netns/../../tmp/x" }),
);
