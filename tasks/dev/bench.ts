// `deno task bench`: measures berth and says what was aimed at. Prints a table and writes dist/bench.json with every
// run's number. Always ends with 0 when it could measure: what misses its aim is said, not failed.
// Owns the command line and the order of parts; the parts are bench/*.ts.
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { distDirectory, inputsCommit } from "./_bundle.ts";
import { say } from "./_run.ts";
import { build } from "./build.ts";
import { askLab } from "./bench/gate.ts";
import { firstUps } from "./bench/first_up.ts";
import { measured, type Runs, table } from "./bench/measure.ts";
import { startUp } from "./bench/start.ts";
import { onVhost } from "./bench/vhost.ts";

const USAGE = `Usage: deno task bench [options]
  --quick              few runs
  --part start|lab|first|vhost   only these parts; may be given more than once [all]
  --out FILE           where the numbers go [dist/bench.json]
  --realtime           what is measured runs before all other programs: for a machine that is busy with something else
`;

const PARTS = ["start", "lab", "first", "vhost"] as const;
type Part = typeof PARTS[number];

const tell = (line: string) => void process.stderr.write(`bench: ${line}\n`);

async function lab(quick: boolean, realtime: boolean): Promise<Runs> {
  const answer = await askLab({
    ...(quick ? { runs: 3, wireRuns: 1, serialRuns: 1 } : { runs: 25, wireRuns: 7, serialRuns: 3 }),
    links: 200,
    berth: true,
    realtime,
  });
  const { spawn, hello, script, scriptStale, scriptBerth, gate, gateFirst, wire, batch, serial } = answer;
  const gatePeak = answer.gateKiB.map((kib) => kib / 1024);
  return {
    labSpawn: spawn,
    labHello: hello,
    script,
    scriptStale,
    scriptBerth,
    gate,
    gateFirst,
    gatePeak,
    wire,
    batch,
    serial,
  };
}

function machine() {
  const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  const [cpu] = cpus();
  return {
    cpu: cpu?.model ?? "unknown",
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release,
  };
}

async function main(argv: readonly string[]): Promise<number> {
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: flag,
      realtime: flag,
      help: flag,
      part: { type: "string", multiple: true },
      out: { type: "string" },
    },
  });
  const parts = (values.part ?? PARTS) as Part[];
  if (values.help || parts.some((part) => !PARTS.includes(part))) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 64;
  }
  const { quick, realtime } = values;
  const loadBefore = loadavg()[0]!;
  const berth = await build();
  const work: Record<Part, () => Promise<Runs>> = {
    start: () => startUp(berth, quick ? 3 : 25, realtime),
    lab: () => lab(quick, realtime),
    first: () => firstUps({ rounds: quick ? 1 : 7, realtime }, tell),
    vhost: () =>
      onVhost(
        { ...(quick ? { hostUp: 2, watch: 2, starts: 3 } : { hostUp: 11, watch: 11, starts: 21 }), realtime },
        tell,
      ),
  };
  let runs: Runs = {};
  const failed: Partial<Record<Part, string>> = {};
  for (const part of parts) {
    tell(part);
    try {
      runs = { ...runs, ...await work[part]() };
    } catch (error) {
      // The others are worth having all the same.
      failed[part] = error instanceof Error ? error.message : String(error);
      tell(`part ${part} could not be measured: ${failed[part]}`);
    }
  }
  const measures = measured(runs);
  const report = {
    machine: machine(),
    commit: await inputsCommit(),
    date: new Date().toISOString(),
    quick,
    realtime,
    load: { before: loadBefore, after: loadavg()[0]! },
    failed,
    measures,
  };
  const out = values.out ?? join(distDirectory(), "bench.json");
  writeFileSync(out, JSON.stringify(report, null, 2) + "\n");
  const { cpu, cores, kernel } = report.machine;
  const load = `load ${report.load.before.toFixed(1)} to ${report.load.after.toFixed(1)}`;
  say(`${cpu}, ${cores} cores, Linux ${kernel}, commit ${report.commit}, ${load}\n`);
  process.stdout.write(table(measures));
  say(`\nEvery run stands in ${out}.`);
  return Object.keys(failed).length > 0 ? 1 : 0;
}

main(process.argv.slice(2)).then((code) => process.exitCode = code, (error) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
});
