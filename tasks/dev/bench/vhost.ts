// What is measured on a whole throw-away vhost with an engine: a `host up` that has nothing to do, the idle watch,
// and what the gate adds to `docker start`.
import { readFileSync } from "node:fs";
import { request } from "node:http";
import type { Sandbox } from "../../../test/sandbox/harness.ts";
import { openVhost } from "../../../test/sandbox/vhost.ts";
import { WATCH_STATE } from "../../../lib/watch/presence.ts";
import { CAPABILITIES } from "../../../lib/vnode/container.ts";
import { CONTROL_NETWORK } from "../../../lib/vnode/names.ts";
import { GATE_DIRECTORY, lifePath } from "../../../lib/vnode/paths.ts";
import { REALTIME, STOPWATCH } from "./gate.ts";
import type { Runs } from "./measure.ts";

const LANS = ["one", "two", "three", "four"];
const links = (host: number, rate?: string) =>
  LANS.map((lan, at) => ({ lan, address: `10.${at + 1}.0.${host}`, ...(rate !== undefined && { rate }) }));

/** Two vnodes of 4 links: one shaped both ways, one not at all. */
const EXPERIMENT = {
  lans: Object.fromEntries(LANS.map((lan, at) => [lan, { subnet: `10.${at + 1}.0.0/24` }])),
  vnodes: {
    shaped: { image: "box", command: ["sleep", "100000"], links: links(1, "10mbit") },
    plain: { image: "box", command: ["sleep", "100000"], links: links(2) },
  },
};

/** A container like them, without berth. */
const BARE = [
  ...[
    "docker",
    "create",
    "--name",
    "bare",
    "--runtime",
    "runc",
    "--network",
    CONTROL_NETWORK,
    "--ip",
    "172.16.9.9",
  ],
  ...CAPABILITIES.flatMap((one) => ["--cap-add", one]),
  ...["box", "sleep", "100000"],
];

/**
 * A hundred times the CPU time of any other group that wants it. Real-time priority will not do: a container's own
 * group, of cgroup v1, takes no such process.
 */
const MORE_SHARES = `
  for file in /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu,cpuacct/cpu.shares; do
    [ ! -w $file ] || echo 102400 >$file
  done`;

/** How often. */
export interface VhostRounds {
  readonly hostUp: number;
  readonly watch: number;
  readonly starts: number;
  /** The vhost gets CPU time before all other programs of the machine. */
  readonly realtime: boolean;
}

/** Measures on a vhost of its own with engine 20.10. */
export async function onVhost(rounds: VhostRounds, tell: (line: string) => void): Promise<Runs> {
  const box = await openVhost("20.10", EXPERIMENT);
  try {
    if (rounds.realtime) await box.sh(MORE_SHARES);
    tell("host up with nothing to do");
    const hostUp = await hostUpRuns(box, rounds);
    tell("idle watch");
    const watch = await watchRuns(box, rounds.watch);
    tell("docker start with and without the gate");
    const starts = await startRuns(box, rounds.starts);
    return { hostUp, ...watch, ...starts };
  } finally {
    await box.close();
  }
}

async function hostUpRuns(box: Sandbox, rounds: VhostRounds): Promise<readonly number[]> {
  const before = rounds.realtime ? REALTIME.join(" ") : "";
  const said = await box.sh(`${before} perl ${STOPWATCH} ${rounds.hostUp} /usr/local/bin/berth host up`, {
    timeoutMs: 120_000,
  });
  return said.trim().split("\n").map((line) => {
    const [wall, , , exit] = line.split(" ").map(Number);
    if (exit !== 0) throw new Error(`berth host up ended with ${exit}`);
    return wall! / 1000;
  });
}

async function watchRuns(box: Sandbox, rounds: number): Promise<Runs> {
  const watch = box.spawn(["berth", "watch"]);
  try {
    await box.until("the watch to have looked at everything", async (seen) => {
      const state = JSON.parse(await box.read(WATCH_STATE));
      seen(state);
      return state.connected && state.lastResync !== null && state.vnodes === 2;
    }, { deadlineMs: 30_000 });
    const watchRss: number[] = [];
    const watchPss: number[] = [];
    for (let round = 0; round < rounds; round++) {
      // Idle is what is measured: no condition to wait for.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const text = readFileSync(`/proc/${watch.pid()}/smaps_rollup`, "utf8");
      const mib = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)![1]) / 1024;
      watchRss.push(mib("Rss"));
      watchPss.push(mib("Pss"));
    }
    return { watchRss, watchPss };
  } finally {
    watch.kill();
    await watch.ended;
  }
}

/** POST on the engine's socket. @returns milliseconds. @throws {Error} with the engine's words where it refuses. */
function post(box: Sandbox, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const socketPath = box.clone.outside("/run/docker.sock");
    const asked = request({ socketPath, path, method: "POST", timeout: 60_000 }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => text += chunk);
      answer.once("end", () => {
        const ms = performance.now() - began;
        if ((answer.statusCode ?? 500) < 300) resolve(ms);
        else reject(new Error(`POST ${path} was answered with ${answer.statusCode}: ${text}`));
      });
    });
    asked.once("timeout", () => asked.destroy(new Error(`POST ${path} was not answered`)));
    asked.once("error", reject);
    asked.end();
  });
}

async function startRuns(box: Sandbox, rounds: number): Promise<Runs> {
  await box.sh(BARE.map((word) => `'${word}'`).join(" "));
  const id = (await box.sh("docker inspect -f '{{.Id}}' shaped")).trim();
  const control = `${GATE_DIRECTORY}/${id}/control`;
  await stop(box, "shaped plain");
  const runs = { startRunc: [], startGate: [], startPlain: [], startBerth: [] } as Record<
    "startRunc" | "startGate" | "startPlain" | "startBerth",
    number[]
  >;
  const kinds = {
    startRunc: () => timedStart(box, "bare"),
    startGate: () => timedStart(box, "shaped"),
    startPlain: () => timedStart(box, "plain"),
    async startBerth() {
      // Without its control line the batches are not trusted: berth itself wires.
      await box.sh(`mv ${control} ${control}.off`);
      const ms = await timedStart(box, "shaped");
      await box.sh(`mv ${control}.off ${control}`);
      return ms;
    },
  };
  const order = Object.keys(kinds) as (keyof typeof kinds)[];
  for (let round = 0; round <= rounds; round++) {
    for (const kind of round % 2 === 0 ? order : [...order].reverse()) {
      const ms = await kinds[kind]();
      if (round > 0) runs[kind].push(ms); // the first one warms up
    }
  }
  const adds = (kind: keyof typeof kinds) => runs[kind].map((ms, round) => ms - runs.startRunc[round]!);
  return {
    ...runs,
    gateAdds: adds("startGate"),
    gateAddsPlain: adds("startPlain"),
    gateAddsBerth: adds("startBerth"),
  };
}

async function timedStart(box: Sandbox, name: string): Promise<number> {
  const ms = await post(box, `/containers/${name}/start`);
  if (name !== "bare") {
    await box.sh(`docker exec ${name} ip -o link show eth4 >/dev/null; test -s ${lifePath(name)}`);
  }
  await stop(box, name);
  return ms;
}

/**
 * Kills all that run, takes their wiring away as the watch would, and waits until the kernel has cleaned up after
 * their namespaces, which the next start would wait for.
 */
async function stop(box: Sandbox, names: string): Promise<void> {
  await box.sh(`docker kill ${names} >/dev/null; docker wait ${names} >/dev/null; rm -f ${lifePath("*")}`);
  await box.until(`nothing left of ${names}`, async (seen) => {
    const left = await box.sh(`
      for one in $(ls /sys/class/net | grep '^bif-'); do echo link set dev $one group 99; done >/run/doomed
      [ ! -s /run/doomed ] || { echo link del group 99 >>/run/doomed; ip -force -batch /run/doomed; }
      ls /sys/class/net | grep -E '^(bve-|bif-|veth)' || true`);
    seen(left);
    return left === "";
  });
}
