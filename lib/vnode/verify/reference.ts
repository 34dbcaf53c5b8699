// An unshaped link of the same machine, made by the recipe of a lan, to compare latencies with: two namespaces and a
// bridge in a third, all of which end with the one process that made them. Nothing is made in the host's own.
import type { AgentAnswer, Echoed, EchoTask } from "./types.ts";
import { drawFlow, drawPort, idleTask, startWaitMs, type VerifyGround } from "./ground.ts";

const [NEAR, FAR] = ["192.0.2.1", "192.0.2.2"];

/**
 * `sh -c` with the far task, the near task and berth's own words. /run is covered, so that the namespaces' names
 * stand nowhere else.
 */
const SCRIPT = `set -e
far=$1 near=$2; shift 2
mount -t tmpfs none /run
ip netns add near; ip netns add far
ip -batch - <<END
link add reference type bridge stp_state 0 mcast_snooping 0
link set reference addrgenmode none up
link add ref-near master reference type veth peer name eth1 netns near
link add ref-far master reference type veth peer name eth1 netns far
link set ref-near addrgenmode none up
link set ref-far addrgenmode none up
END
for one in near:${NEAR} far:${FAR}; do
  ip -n "\${one%%:*}" addr add "\${one#*:}/24" dev eth1
  ip -n "\${one%%:*}" link set eth1 up
done
printf %s "$far" | nsenter --net=/run/netns/far "$@" probe >/dev/null &
printf %s "$near" | nsenter --net=/run/netns/near "$@" probe
wait
`;

/** Measures it by that many echoes, each so many microseconds apart, beside so many other probes; null where it cannot be made. */
export async function measureReference(
  ground: VerifyGround,
  agents: number,
  [count, everyUs]: readonly [count: number, everyUs: number],
): Promise<Echoed | null> {
  const [port, flow, waitMs] = [drawPort(), drawFlow(), startWaitMs(ground, agents + 2)];
  const echo: EchoTask = { flow, to: FAR, port, bytes: 24, count, everyUs, waitMs };
  const untilMs = waitMs + count * everyUs / 1000 + 3000;
  const tasks = [{ ...idleTask(port, untilMs), expect: [flow] }, {
    ...idleTask(port, untilMs),
    echoes: [echo],
  }];
  try {
    const { stdout } = await ground.host.exec({
      argv: [
        ...["unshare", "--net", "--mount", "sh", "-c", SCRIPT, "reference"],
        ...[...tasks.map((task) => JSON.stringify(task)), ...ground.berth],
      ],
      title: "measure an unshaped link",
      timeoutMs: untilMs + 30_000,
    }, ground.signal === undefined ? {} : { signal: ground.signal });
    return (JSON.parse(stdout) as AgentAnswer).echoed[flow] ?? null;
  } catch (error) {
    if (ground.signal?.aborted) throw error;
    return null; // Latencies are "unknown" then: whoever reads them is told so.
  }
}
