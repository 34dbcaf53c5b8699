// The experiment of the machine tests, and how they look at it: what the kernel says, and what pings come to.
import type { Machine } from "./harness.ts";
import { hostEndName, ifbName } from "../../lib/vnode/names.ts";

/** Ends at once when told: an init that ignores SIGTERM holds a reboot back for 90 s. */
const COMMAND = `"trap 'exit 0' TERM; ip -o addr show eth1; while :; do sleep 1000 & wait; done"`;

/**
 * What left's end of `wire` does to frames each way. Slow rates: a bucket of two frames then lasts for 30 ms or more,
 * longer than an emulated processor is usually kept waiting for a real one.
 */
export const EGRESS = { rateBps: 256_000, delayMs: 20, loss: 0.1 };
export const INGRESS = { rateBps: 768_000, delayMs: 5 };

/** A link that is delayed, lossy and slow, each way differently, beside one that is none of it. */
export const EXPERIMENT = `lans:
  wire: { subnet: 10.1.0.0/24 }
  plain: { subnet: 10.2.0.0/24 }
vnodes:
  left:
    image: box
    command: [sh, -c, ${COMMAND}]
    links:
      - lan: wire
        address: 10.1.0.1
        egress: { rate: 256kbit, delay: 20ms, loss: 10% }
        ingress: { rate: 768kbit, delay: 5ms }
      - { lan: plain, address: 10.2.0.1 }
  right:
    image: box
    command: [sh, -c, ${COMMAND}]
    links:
      - { lan: wire, address: 10.1.0.2 }
      - { lan: plain, address: 10.2.0.2 }
`;

/** Host-side devices of left's link on `wire`. */
export const END = hostEndName("left", "eth1");
export const IFB = ifbName("left", "eth1");

/** A qdisc with its counters. */
export interface Qdisc {
  readonly kind: string;
  readonly dev: string;
  readonly parent?: string;
  readonly bytes: number;
  readonly drops: number;
  readonly options: Record<string, unknown>;
}

/** All shaping qdiscs of the machine. */
export async function shaping(machine: Machine): Promise<readonly Qdisc[]> {
  const all = JSON.parse(await machine.sh("tc -s -j qdisc show")) as Qdisc[];
  return all.filter((qdisc) => qdisc.kind === "netem" || qdisc.kind === "tbf");
}

/** The same as lines that can be compared between two lives: what is set, not what was counted or thrown by dice. */
export async function shapingLines(machine: Machine): Promise<readonly string[]> {
  const said = await machine.sh("tc qdisc show | grep -E ' (netem|tbf|pfifo|bfifo|ingress) '");
  // Linux 6.6 and later tell netem's seed, another one each time.
  return said.trim().split("\n").map((line) => line.replace(/ seed \d+/, "")).sort();
}

/** What a series of pings came to. */
export interface Pings {
  readonly sent: number;
  readonly received: number;
  readonly minMs: number;
}

/** Pings from inside a vnode. Every 30 ms: none is sent before the one before has had its time. */
export async function ping(machine: Machine, from: string, to: string, count: number): Promise<Pings> {
  const { stdout } = await machine.run(
    ["docker", "exec", from, "ping", "-q", "-c", String(count), "-i", "0.03", "-W", "2", to],
    { timeoutMs: 120_000 },
  );
  const counts = /(\d+) packets transmitted, (\d+) packets received/.exec(stdout);
  const times = /min\/avg\/max = ([\d.]+)/.exec(stdout);
  if (counts === null) throw new Error(`ping said: ${stdout}`);
  return { sent: Number(counts[1]), received: Number(counts[2]), minMs: Number(times?.[1] ?? NaN) };
}

/** bit/s that two queues let out while both ways are flooded, over at least six seconds. */
export async function rates(machine: Machine): Promise<{ egressBps: number; ingressBps: number }> {
  const flood = (from: string, to: string) => `docker exec -d ${from} ping -q -i 0.01 -s 1400 ${to}`;
  const sample = "cat /proc/uptime; tc -s -j qdisc show; cat /proc/uptime";
  const said = await machine.sh(
    `${flood("left", "10.1.0.2")}; ${flood("right", "10.1.0.1")}
    until tc -s qdisc show dev ${END} | grep -q 'backlog [1-9]' && tc -s qdisc show dev ${IFB} | grep -q 'backlog [1-9]'; do sleep 0.1; done
    sleep 1; ${sample}; sleep 6; ${sample}
    docker exec left killall ping; docker exec right killall ping`,
    { timeoutMs: 400_000 },
  );
  const [begun, first, next, begunThen, second, then] = said.trim().split("\n") as string[];
  const at = (one: string, other: string) => (Number(one.split(" ")[0]) + Number(other.split(" ")[0])) / 2;
  const seconds = at(begunThen!, then!) - at(begun!, next!);
  const bytes = (json: string, dev: string) =>
    (JSON.parse(json) as Qdisc[]).find((one) => one.dev === dev && one.kind === "tbf")!.bytes;
  const rate = (dev: string) => (bytes(second!, dev) - bytes(first!, dev)) * 8 / seconds;
  return { egressBps: rate(IFB), ingressBps: rate(END) };
}

/** What one transfer of `probed` carries. */
export const TRANSFER_BYTES = 65_536;

/** What went to an address over a bridge, and how much of it in packets of more than an Ethernet frame. */
export interface Probed {
  tries: number;
  /** That arrived, as the receiver counted them. */
  bytes: number;
  packets: number;
  large: number;
}

/** A ruleset that counts, per address, all packets and those of more than a frame, as bridges are given them. */
export function probeOf(addresses: readonly string[]): string {
  const rules = addresses.map((to) =>
    `ip daddr ${to} counter comment "all ${to}"
    ip daddr ${to} meta length > 1514 counter comment "large ${to}"`
  );
  return `table bridge probe {
  chain look {
    type filter hook prerouting priority 0;
    ${rules.join("\n    ")}
  }
}`;
}

/** Sends `TRANSFER_BYTES` from left to an address of right in one write, over TCP, and adds to what was counted. */
export async function probed(machine: Machine, to: string, so: Probed): Promise<void> {
  const said = await machine.sh(
    `inside() { nsenter --net="/proc/$(docker inspect -f '{{.State.Pid}}' "$1")/ns/net" -- "\${@:2}"; }
    rm -f /run/probe
    inside right busybox nc -l -p 5001 -e sh -c 'wc -c >/run/probe' &
    until inside right ss -ltnH | grep -q ':5001 '; do sleep 0.1; done
    inside left busybox nc ${to} 5001 -e dd if=/dev/zero bs=${TRANSFER_BYTES} count=1 2>/dev/null
    wait; cat /run/probe; nft -j list table bridge probe`,
    { timeoutMs: 180_000 },
  );
  const [bytes, ruleset] = said.trim().split("\n") as [string, string];
  interface Rule {
    readonly comment: string;
    readonly expr: readonly { readonly counter?: { readonly packets: number } }[];
  }
  const rules = (JSON.parse(ruleset) as { nftables: { rule?: Rule }[] }).nftables;
  const counted = (what: string) =>
    rules.find(({ rule }) => rule?.comment === `${what} ${to}`)!.rule!.expr
      .find((one) => one.counter !== undefined)!.counter!.packets;
  so.tries++;
  so.bytes += Number(bytes);
  so.packets = counted("all");
  so.large = counted("large");
}

/** The fewest and the most losses of `count` at `chance` that are not a one-in-a-million matter. */
export function lossBounds(count: number, chance: number): readonly [number, number] {
  const tail = 5e-7;
  const cumulative: number[] = [];
  let probability = (1 - chance) ** count;
  for (let lost = 0, sum = 0; lost <= count; lost++) {
    cumulative.push(sum += probability);
    probability *= (count - lost) / (lost + 1) * chance / (1 - chance);
  }
  return [cumulative.findIndex((sum) => sum > tail), cumulative.findIndex((sum) => sum > 1 - tail)];
}
