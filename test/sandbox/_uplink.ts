// A vhost whose uplink has everything a real machine's may have, what hangs on it as comparable text, and a TCP
// connection from the router that lives or does not.
import * as assert from "uvu/assert";
import type { Background, Sandbox } from "./harness.ts";

/** Gives eth0 addresses of all kinds, routes in several tables, rules, neighbours and an MTU of its own. */
export async function furnishUplink(box: Sandbox): Promise<void> {
  await box.router(["ip", "link", "set", "vhost", "mtu", "1400"]);
  await box.sh(`
    ip link set eth0 mtu 1400
    ip addr add 198.51.100.7/24 brd + dev eth0 label eth0:web
    ip addr add 192.0.2.9/28 dev eth0 metric 42
    ip addr add 10.77.0.1 peer 10.77.0.2/32 dev eth0
    ip addr add 10.78.0.1/24 dev eth0 noprefixroute
    ip addr add 2001:db8::7/64 dev eth0 nodad valid_lft 7200 preferred_lft 3600
    ip route add 10.50.0.0/16 via 198.51.100.1 proto static mtu 1300 advmss 1200
    ip route add 10.60.0.0/16 via 198.51.100.1 src 198.51.100.7 metric 7
    ip route add 10.61.0.0/16 via 203.0.113.77 dev eth0 onlink
    ip route add 10.70.0.0/16 nexthop via 198.51.100.1 weight 2 nexthop via 198.51.100.3
    ip route add default via 198.51.100.1 metric 900
    ip route add default via 198.51.100.1 table 100 proto 33
    ip route add 10.62.0.0/16 dev eth0 table 100
    ip -6 route add 2001:db8:5::/48 via 2001:db8::1 metric 99
    ip -6 route add default via 2001:db8::1 table 101
    ip rule add pref 500 iif eth0 lookup 100
    ip rule add pref 501 from 198.51.100.7 lookup 100
    ip -6 rule add pref 600 oif eth0 lookup 101
    ip neigh replace 198.51.100.9 lladdr 02:00:00:00:99:09 dev eth0 nud permanent
    sysctl -qw net.ipv4.conf.eth0.rp_filter=2 net.ipv4.conf.eth0.accept_source_route=1 \\
      net.ipv6.conf.eth0.accept_ra=0 net.ipv4.neigh.eth0.gc_stale_time=77
    # Nothing is to change by itself while two looks are compared.
    sysctl -qw net.ipv6.conf.all.forwarding=0`);
  await box.until(
    "eth0 to have its link-local address",
    () => box.sh("ip -6 addr show dev eth0 scope link -tentative | grep fe80").catch(() => null),
  );
}

/** Both ways between the router and the vhost, and beyond the router. */
export async function reaches(box: Sandbox): Promise<void> {
  const said = await box.router(["ping", "-c", "1", "-W", "3", "198.51.100.2"]);
  assert.is(said.exit, 0, said.stdout + said.stderr);
  assert.is((await box.run(["ping", "-c", "1", "-W", "3", "203.0.113.1"])).exit, 0);
  assert.is((await box.run(["ping", "-6", "-c", "1", "-W", "3", "2001:db8:ffff::1"])).exit, 0);
}

/** What hangs on a device, as sorted text with "@" for its name; `own` is a pattern of lines to leave out. */
export async function hangingOn(box: Sandbox, device: string, own = "^$"): Promise<string> {
  return await box.sh(`
    {
      ip -o addr show dev ${device} | sed -E 's/^[0-9]+: //; s/\\\\.*//; s/ (dynamic|nodad|deprecated|permanent|secondary)//g; s/ proto [a-z_]+//'
      { ip -o -4 route show table all; ip -o -6 route show table all; } | { grep -E "dev ${device}( |$)" || true; } |
        { grep -Ev '^(multicast|anycast) ' || true; } | sed -E 's/ expires [0-9]+sec//; s/\\\\//g'
      { ip -4 rule; ip -6 rule; } | grep -E " [io]if ${device}( |$)" || true
      ip neigh show dev ${device} nud permanent | sed 's/^/neighbour /'
      echo "MAC $(cat /sys/class/net/${device}/address) MTU $(cat /sys/class/net/${device}/mtu)"
      cd /proc/sys/net; grep -r . ipv4/conf/${device} ipv6/conf/${device} ipv4/neigh/${device} ipv6/neigh/${device} 2>/dev/null |
        grep -Ev 'arp_notify|addr_gen_mode|stable_secret|base_reachable_time:|retrans_time:|retransmit_time:' || true
    } | sed -E 's#(^|[ /])${device}($|[ :/])#\\1@\\2#g; s/[ \\t]+/ /g; s/ $//' | { grep -Ev '${own}' || true; } | sort`);
}

const SERVER = `use IO::Socket::INET; $SIG{CHLD} = "IGNORE";
my $s = IO::Socket::INET->new(LocalPort => 7000, Listen => 5, ReuseAddr => 1) or die $!;
while (my $c = $s->accept) { next if fork; while (<$c>) { print $c $_ } exit }`;

const CLIENT = `use IO::Socket::INET; $| = 1;
my $s = IO::Socket::INET->new(PeerAddr => "198.51.100.2", PeerPort => 7000, Timeout => 5) or die $!;
for (1..1e6) { print $s "$_\\n"; defined(my $l = <$s>) or die "closed"; print $l; select undef, undef, undef, 0.02 }`;

/** A TCP connection from the router's network to the vhost, over which something is said all the time. */
export interface Talk {
  /** How often an answer came so far. @throws {Error} where the connection has ended. */
  answers(): number;
  /** Waits until it has had some more answers. */
  more(): Promise<void>;
  close(): void;
}

/** Opens one. */
export async function talk(box: Sandbox): Promise<Talk> {
  const server = box.spawn(["perl", "-e", SERVER]);
  await box.until("the server to listen", () => box.sh("ss -Hltn sport = :7000").then((said) => said !== ""));
  const client: Background = box.spawn(["perl", "-e", CLIENT], { network: "router" });
  const answers = () => {
    if (client.exit !== null) throw new Error(`The connection ended: ${client.stderr}`);
    return client.stdout.split("\n").length - 1;
  };
  const more = async () => {
    const now = answers();
    await box.until(`more than ${now} answers`, (seen) => {
      seen(answers());
      return answers() > now + 3;
    }, { deadlineMs: 30_000 });
  };
  await more();
  return {
    answers,
    more,
    close() {
      client.kill("SIGKILL");
      server.kill("SIGKILL");
    },
  };
}
