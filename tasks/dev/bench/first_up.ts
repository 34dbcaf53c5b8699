// What a first `host up` costs beside a plain shell script of the same commands: each in a vhost of its own, in turn.
// Once where Docker is still to be installed, once where it is installed and stopped. The script's vhost must then be
// "as prepared".
import { type Engine, openSandbox, type Sandbox } from "../../../test/sandbox/harness.ts";
import { fileURLToPath } from "node:url";
import process from "node:process";
import { REALTIME, STOPWATCH } from "./gate.ts";
import type { Runs } from "./measure.ts";

const PLAN = fileURLToPath(new URL("plan_script.ts", import.meta.url));

/** Measures that often; `realtime`: before all other programs of the machine. */
export async function firstUps(
  { rounds, realtime }: { readonly rounds: number; readonly realtime: boolean },
  tell: (line: string) => void,
): Promise<Runs> {
  const kinds = {
    hostUpFirst: { engine: "none", byScript: false },
    hostUpScript: { engine: "none", byScript: true },
    hostUpEngine: { engine: "20.10", byScript: false },
    hostUpEngineScript: { engine: "20.10", byScript: true },
  } as const;
  const order = Object.keys(kinds) as (keyof typeof kinds)[];
  const runs = Object.fromEntries(order.map((kind) => [kind, [] as number[]])) as Record<
    keyof typeof kinds,
    number[]
  >;
  for (let round = 0; round < rounds; round++) {
    tell(`first host up, and its script, ${round + 1} of ${rounds}`);
    for (const kind of round % 2 === 0 ? order : [...order].reverse()) {
      runs[kind].push(await once(kinds[kind], realtime));
    }
  }
  return runs;
}

async function once(
  { engine, byScript }: { readonly engine: Engine; readonly byScript: boolean },
  realtime: boolean,
): Promise<number> {
  const box = await openSandbox({ engine, berth: true });
  try {
    // Both find the same files in the page cache, and the machine's own executable read once.
    await box.sh("berth version >/dev/null; dockerd --version >/dev/null 2>&1 || true");
    if (!byScript) return await timed(box, ["/usr/local/bin/berth", "host", "up"], realtime);
    const plan = await box.run([process.execPath, "run", "-A", PLAN], { timeoutMs: 60_000 });
    if (plan.exit !== 0) throw new Error(`No plan as a script: ${plan.stderr}`);
    // From source berth is more than one path: the gate's script of the plan is not the executable's.
    await box.write("/tmp/up.sh", plan.stdout);
    const ms = await timed(box, ["/bin/sh", "/tmp/up.sh"], realtime);
    const check = await box.run(["berth", "host", "check", "--json"], { timeoutMs: 60_000 });
    const { differences } = JSON.parse(check.stdout) as { differences: readonly { resource: string }[] };
    const odd = differences.filter(({ resource }) => !resource.includes("/usr/lib/berth/"));
    if (odd.length > 0) {
      throw new Error(`The script leaves: ${odd.map(({ resource }) => resource).join(", ")}`);
    }
    return ms;
  } finally {
    await box.close();
  }
}

async function timed(box: Sandbox, argv: readonly string[], realtime: boolean): Promise<number> {
  const before = realtime ? [...REALTIME] : [];
  const said = await box.run([...before, "perl", STOPWATCH, "1", ...argv], { timeoutMs: 180_000 });
  const [wall, , , exit] = said.stdout.trim().split(" ").map(Number);
  if (exit !== 0) throw new Error(`"${argv.join(" ")}" ended with ${exit}: ${said.stdout}${said.stderr}`);
  return wall! / 1000;
}
