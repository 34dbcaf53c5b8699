// Tools that are not ours, in a machine and inside its vnodes' networks: ping of iputils and iperf3, as Debian has them,
// and what they tell, read. Asserts nothing.
import type { Machine } from "./harness.ts";

/** Runs a program of the machine's own in a vnode's network: `inside VNODE ARGV`. */
const INSIDE =
  `inside() { nsenter --net="/proc/$(docker inspect -f '{{.State.Pid}}' "$1")/ns/net" -- "\${@:2}"; }`;

/** A script in the machine that may say `inside VNODE ARGV`. */
export function inside(machine: Machine, script: string, timeoutMs = 60_000): Promise<string> {
  return machine.sh(`${INSIDE}\n${script}`, { timeoutMs });
}

/** What ping tells of one series. */
export interface Replies {
  readonly sent: number;
  /** Each echo once. */
  readonly received: number;
  readonly duplicates: number;
  /** Milliseconds, of each reply but duplicates, in the order of arrival. */
  readonly times: readonly number[];
  /** Replies after one to a later echo. */
  readonly late: number;
}

/** Pings from inside a vnode. @param everyMs 2 at least. */
export async function pings(
  machine: Machine,
  from: string,
  to: string,
  count: number,
  everyMs: number,
): Promise<Replies> {
  const said = await inside(
    machine,
    `inside ${from} ping -n -c ${count} -i ${everyMs / 1000} -W 5 ${to} || true`,
    60_000 + 10 * count * everyMs,
  );
  const counts = /^(\d+) packets transmitted, (\d+) received/m.exec(said);
  if (counts === null) throw new Error(`ping said: ${said.slice(-500)}`);
  const [sent, received] = [Number(counts[1]), Number(counts[2])];
  const duplicates = Number(/\+(\d+) duplicates/.exec(said)?.[1] ?? 0);
  const replies = [...said.matchAll(/icmp_seq=(\d+) .*?time=([\d.]+) ms( \(DUP!\))?/g)]
    .filter(([, , , twice]) => twice === undefined);
  let [late, highest] = [0, 0];
  for (const [, sequence] of replies) {
    if (Number(sequence) < highest) late++;
    highest = Math.max(highest, Number(sequence));
  }
  return { sent, received, duplicates, late, times: replies.map(([, , ms]) => Number(ms)) };
}

/**
 * Milliseconds there and back on their own, of each echo: by the timestamps (RFC 791) that both ends' kernels write into
 * it, by the one clock of the machine. IPv4 only.
 */
export async function oneWays(
  machine: Machine,
  from: string,
  to: string,
  count: number,
): Promise<{ readonly there: readonly number[]; readonly back: readonly number[] }> {
  const said = await inside(machine, `inside ${from} ping -n -c ${count} -i 0.1 -T tsandaddr ${to}`, 120_000);
  // Each stamp but the first is told as what it is later than the one before.
  const stamps = /TS: \t\S+\t\d+ absolute\n\t\S+\t(-?\d+)\n\t\S+\t(-?\d+)\n\t\S+\t(-?\d+)\n/g;
  const found = [...said.matchAll(stamps)].map(([, out, turn, home]) => [out, turn, home].map(Number));
  if (found.length === 0) throw new Error(`ping told no timestamps: ${said.slice(0, 500)}`);
  return { there: found.map(([out]) => out!), back: found.map(([, , home]) => home!) };
}

/** What iperf3's receiver tells of a flow of UDP. */
export interface Received {
  /** Datagrams that were to come, by their numbers. */
  readonly packets: number;
  readonly lost: number;
  readonly outOfOrder: number;
  /** bit/s of payload, after the first three seconds, without the last interval, which is no whole one. */
  readonly bps: number;
  /** That arrived, and that the machine had no room or time to read. */
  readonly unread: number;
}

/** Its own numbers of datagrams in the receiver's network that were dropped for want of room. */
const unread = (vnode: string) =>
  `inside ${vnode} awk '/^Udp: [0-9]/ { n += $6 } /^Udp6RcvbufErrors/ { n += $2 } END { print n }' ` +
  "/proc/net/snmp /proc/net/snmp6";

/** After that a bucket has let its burst out, and a queue stands. */
const FILLED_SECONDS = 3;
/** How often a flow is tried: its greeting is a datagram, which a lossy link may lose. */
const TRIES = 8;

/** A flow of UDP by iperf3, one way. @param args such as "-b 400k -l 500 -t 10". */
export async function flow(
  machine: Machine,
  [from, to]: readonly [from: string, to: string],
  address: string,
  args: string,
): Promise<Received> {
  const said = await inside(
    machine,
    `sysctl -qw net.core.rmem_max=8388608 net.core.wmem_max=8388608
    before=$(${unread(to)})
    for try in $(seq ${TRIES}); do
      inside ${to} timeout 150 iperf3 -s -1 -J >/run/heard.json & server=$!
      until inside ${to} ss -ltnH | grep -q ':5201 '; do sleep 0.1; done
      if inside ${from} timeout 120 iperf3 -c ${address} -u -w 4M ${args} -J >/run/said.json; then wait $server; break; fi
      kill $server; wait $server || true
    done
    echo $(( $(${unread(to)}) - before )); cat /run/heard.json`,
    600_000,
  );
  const [missed = "", ...json] = said.split("\n");
  const { intervals, end, error } = JSON.parse(json.join("\n"));
  if (end?.sum === undefined) throw new Error(`iperf3 said: ${error ?? said.slice(0, 500)}`);
  const full = (intervals as { sum: { start: number; seconds: number; bytes: number } }[])
    .map(({ sum }) => sum).slice(0, -1).filter(({ start }) => start > FILLED_SECONDS);
  const total = (key: "bytes" | "seconds") => full.reduce((all, one) => all + one[key], 0);
  return {
    packets: end.sum.packets,
    lost: end.sum.lost_packets,
    outOfOrder: end.streams[0].udp.out_of_order ?? 0,
    bps: total("bytes") * 8 / total("seconds"),
    unread: Number(missed),
  };
}
