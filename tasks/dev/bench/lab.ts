// What runs inside the lab, bundled and on Bun's runtime as the executable is: the gate's script and `berth gate`
// for 4 links, wire() for 200 links against the same commands by hand. Its argument and its answer are JSON.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";
import { gateFiles } from "../../../lib/gate/prepare.ts";
import { gateScript } from "../../../lib/gate/script.ts";
import { gatePath } from "../../../lib/vnode/paths.ts";
import type { VnodeRecord } from "../../../lib/vnode/record.ts";
import { wire } from "../../../lib/vnode/wire.ts";
import { wiringOf } from "../../../lib/vnode/wiring.ts";
import type { LabAnswer, LabQuestion } from "./lab_types.ts";
import {
  clearGround,
  type Container,
  createContainer,
  host,
  isSettled,
  killContainer,
  must,
  prepareGround,
  RUNTIME_ROOT,
  specOf,
  wired,
} from "./lab_ground.ts";

const SCRIPT = "/run/lab/gate";
/** The same with the executable to fall back on. */
const SCRIPT_BERTH = "/run/lab/gate-berth";

function timed(argv: readonly string[], input?: string): number {
  const began = performance.now();
  const ran = spawnSync(argv[0]!, argv.slice(1), { cwd: "/", input, encoding: "utf8", env: {} });
  const ms = performance.now() - began;
  if (ran.status !== 0) throw new Error(`"${argv.join(" ")}" ended with ${ran.status}: ${ran.stderr}`);
  return ms;
}

function requireWired(container: Container): void {
  const wanted = container.record.spec.links.length * 2;
  if (wired() !== wanted) throw new Error(`${wired()} interfaces stand, wanted ${wanted}`);
  if (!isSettled(container)) throw new Error(`Life ${container.generation} is not settled`);
}

/** The gate's script as the runtime of one start. A berth that does not exist proves that none was needed. */
async function scriptStart(record: VnodeRecord, left: "nothing" | "ifbs", path = SCRIPT): Promise<number> {
  clearGround();
  if (left === "ifbs") {
    const before = await createContainer(record);
    timed([path, ...before.argv]);
    await killContainer(before);
  }
  const container = await createContainer(record);
  const ms = timed([path, ...container.argv]);
  requireWired(container);
  await killContainer(container);
  return ms;
}

/** The script that has to run berth: without its control line the batches are not trusted. */
async function scriptBerth(record: VnodeRecord): Promise<number> {
  const control = `${gatePath(record.containerId)}/control`;
  renameSync(control, `${control}.off`);
  try {
    return await scriptStart(record, "nothing", SCRIPT_BERTH);
  } finally {
    renameSync(`${control}.off`, control);
  }
}

function gateArgv(berth: string, { record, life }: Container): string[] {
  const { containerId: id, name } = record;
  return [
    ...[berth, "gate", "--id", id, "--root", RUNTIME_ROOT, "--log", `/run/lab/bundle/${id}/log.json`],
    ...["--real", "/bin/true", "--vnode", name, "--pid", String(life.pid)],
  ];
}

/** `berth gate` alone: milliseconds in all, and up to the kernel's first told change. */
async function berthStart(berth: string, record: VnodeRecord): Promise<{ all: number; first: number }> {
  clearGround();
  const container = await createContainer(record);
  const monitor = spawn("ip", ["-o", "-ts", "monitor", "link"], { env: { ...process.env, TZ: "UTC" } });
  let told = "";
  monitor.stdout.on("data", (chunk: Uint8Array) => told += chunk);
  // Something to see proves that it listens.
  for (let at = 0; !told.includes("lo:"); at++) {
    must(["ip", "link", "set", "lo", "alias", `seen${at}`]);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // The monitor's clock is the wall's: start where it has just ticked.
  let began = Date.now();
  for (const tick = began; began === tick;) began = Date.now();
  const all = timed(gateArgv(berth, container));
  const seen = () => /\[(\S+)\] [^\n]* (?:bve|bif)-/.exec(told)?.[1];
  for (const end = Date.now() + 5000; seen() === undefined && Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  monitor.kill();
  requireWired(container);
  await killContainer(container);
  const at = seen();
  if (at === undefined) throw new Error(`The kernel told of no change: ${told.slice(0, 500)}`);
  const [whole, fraction = "0"] = at.split(".");
  return { all, first: Date.parse(`${whole}Z`) + Number(`0.${fraction}`) * 1000 - began };
}

async function gateMemory(berth: string, record: VnodeRecord, stopwatch: string): Promise<number> {
  clearGround();
  const container = await createContainer(record);
  const [line] = must(["perl", stopwatch, "1", ...gateArgv(berth, container)]).trim().split("\n");
  requireWired(container);
  await killContainer(container);
  return Number(line!.split(" ")[2]);
}

/** The commands of a vnode's wiring, with the places filled. */
function linesOf(container: Container): Readonly<Record<"host" | "inside" | "tc", readonly string[]>> {
  const files = gateFiles(container.record);
  const lines = (name: string) =>
    files[name]!.replaceAll("@PID@", String(container.life.pid)).replaceAll("@GEN@", container.generation)
      .split("\n").filter((line) => line !== "");
  return { host: lines("host.ip"), inside: lines("inside.ip"), tc: lines("tc") };
}

type Way = (container: Container) => Promise<number> | number;

const ways: Readonly<Record<"wire" | "batch" | "serial", Way>> = {
  async wire({ record, life }) {
    const began = performance.now();
    await wire(host, wiringOf(record.spec), life, { hostsPath: record.hostsPath });
    return performance.now() - began;
  },
  batch(container) {
    const lines = linesOf(container);
    const text = (all: readonly string[]) => all.join("\n") + "\n";
    const began = performance.now();
    must(["ip", "-batch", "-"], text(lines.host));
    must(["nsenter", `--net=/proc/${container.life.pid}/ns/net`, "ip", "-batch", "-"], text(lines.inside));
    must(["tc", "-batch", "-"], text(lines.tc));
    return performance.now() - began;
  },
  serial(container) {
    const lines = linesOf(container);
    const inside = ["nsenter", `--net=/proc/${container.life.pid}/ns/net`, "ip"];
    const began = performance.now();
    for (const line of lines.host) must(["ip", ...line.split(" ")]);
    for (const line of lines.inside) must([...inside, ...line.split(" ")]);
    for (const line of lines.tc) must(["tc", ...line.split(" ")]);
    return performance.now() - began;
  },
};

async function wayOnce(record: VnodeRecord, way: Way): Promise<number> {
  clearGround();
  const container = await createContainer(record);
  const ms = await way(container);
  const wanted = record.spec.links.length * 2;
  if (wired() !== wanted) throw new Error(`${wired()} interfaces stand, wanted ${wanted}`);
  await killContainer(container);
  return ms;
}

async function main(question: LabQuestion): Promise<LabAnswer> {
  mkdirSync("/run/lab", { recursive: true });
  const [four, many] = await prepareGround([specOf("lab-four", 4), specOf("lab-many", question.links)]) as [
    VnodeRecord,
    VnodeRecord,
  ];
  for (
    const [path, berth] of [[SCRIPT, "/nonexistent"], [
      SCRIPT_BERTH,
      question.berth ?? "/nonexistent",
    ]] as const
  ) {
    writeFileSync(path, gateScript({ runc: "/bin/true", berth, dataRoot: "/var/lib/docker" }));
    chmodSync(path, 0o755);
  }
  const answer: LabAnswer = {
    spawn: [],
    script: [],
    other: [],
    scriptStale: [],
    scriptBerth: [],
    hello: [],
    gate: [],
    gateFirst: [],
    gateKiB: [],
    wire: [],
    batch: [],
    serial: [],
  };
  for (let run = 0; run < question.runs; run++) {
    answer.spawn.push(timed(["/bin/true"]));
    answer.script.push(await scriptStart(four, "nothing"));
    if (question.other !== undefined) answer.other.push(await scriptStart(four, "nothing", question.other));
    answer.scriptStale.push(await scriptStart(four, "ifbs"));
    if (question.berth === null) continue;
    answer.scriptBerth.push(await scriptBerth(four));
    answer.hello.push(timed([question.hello]));
    const { all, first } = await berthStart(question.berth, four);
    answer.gate.push(all);
    answer.gateFirst.push(first);
    answer.gateKiB.push(await gateMemory(question.berth, four, question.stopwatch));
  }
  for (let run = 0; run < question.wireRuns; run++) {
    answer.wire.push(await wayOnce(many, ways.wire));
    answer.batch.push(await wayOnce(many, ways.batch));
  }
  for (let run = 0; run < question.serialRuns; run++) answer.serial.push(await wayOnce(many, ways.serial));
  clearGround();
  return answer;
}

void main(JSON.parse(process.argv[2]!)).then(
  (answer) => process.stdout.write(JSON.stringify(answer)),
  (error) => {
    process.stderr.write(`${(error as Error).stack}\n`);
    process.exitCode = 1;
  },
);
