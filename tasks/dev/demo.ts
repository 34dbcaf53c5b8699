// `npm start`: berth's main job, shown from end to end in a throw-away vhost without Docker. Builds, boots, wires two
// vnodes, measures their link, restarts one, draws what is there, cleans up. Every number is measured while you
// watch; any failure ends it with the reason, and still cleans up.
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { renderTable } from "../../lib/cli/table.ts";
import { painter } from "../../lib/cli/terminal.ts";
import { DOCKERD_LOG } from "../../lib/resource/engine_service.ts";
import { ifbName } from "../../lib/vnode/names.ts";
import { WATCH_LOG } from "../../lib/resource/rc/sysv_scripts.ts";
import { openSandbox, type Sandbox } from "../../test/sandbox/harness.ts";
import { distDirectory } from "./_bundle.ts";
import { killAll } from "./_run.ts";
import { type Direction, measure, type Measured, megabits } from "./demo/measure.ts";
import { changedOutside, lookOutside, requireMachine } from "./demo/outside.ts";
import { restarted } from "./demo/restart.ts";
import { createStage } from "./demo/stage.ts";
import { imageTar } from "./sandbox/layers.ts";

/** What the vnodes' declaration asks for, and how far off a measurement may be. */
const RATE_BPS = 10_000_000;
const TOLERANCE = 0.03;

/** docs/examples/pair.yaml with an image that needs no registry; the first command tells what it finds. */
const PAIR = `lans:
  wire: { subnet: 10.1.0.0/24 }
vnodes:
  left:
    image: box
    command: [sh, -c, "ip addr show eth1 | grep inet; exec sleep 1000000"]
    links: [{ lan: wire, address: 10.1.0.1, rate: 10mbit }]
  right:
    image: box
    command: [sh, -c, "ip addr show eth1 | grep inet; exec sleep 1000000"]
    links: [{ lan: wire, address: 10.1.0.2, rate: 10mbit }]
`;

const way = (from: string, to: string, address: string, port: number): Direction => ({
  from,
  to,
  address,
  port,
  device: ifbName(from, "eth1"), // what a vnode says is shaped on its ifb
});
const THERE = way("left", "right", "10.1.0.2", 5001);
const BACK = way("right", "left", "10.1.0.1", 5002);
const AGAIN = { ...THERE, port: 5003 };

const stage = createStage();
const paint = painter(process.stdout);
const say = (line: string) => process.stdout.write(`${line}\n`);
let box: Sandbox | undefined;

/** The whole play, in order. */
async function play(): Promise<void> {
  const image = await stage.step("The executable", async () => {
    requireMachine();
    await stage.build();
    const tar = await imageTar(stage.text); // fetches the packages too, the first time
    stage.proves("dist/berth is one file, and all of berth that a vhost needs");
    return tar;
  });
  const vhost = await stage.step("A machine without Docker", async () => {
    box = await openSandbox({ engine: "none", berth: true });
    await stage.show(box, "docker --version; nft --version; ls /etc/berth", { okExit: [2] });
    stage.proves(
      "No engine, no firewall tool, no configuration: a copy of this machine, thrown away at the end",
    );
    return box;
  });
  await stage.step("First boot, as an rc script would do it", async () => {
    await stage.show(vhost, "berth boot", { deadlineMs: 170_000 });
    await stage.show(vhost, "berth host check");
    stage.proves("The machine is a vhost: engine, control network, firewall, gate and watch, with defaults");
  });
  await stage.step("Two vnodes on a link of 10 Mbit/s", async () => {
    await vhost.sh(`docker import ${image} box:latest`); // the operator's registry, as it were
    await vhost.write("/etc/berth/vnodes.d/pair.yaml", PAIR);
    await stage.show(vhost, "cat /etc/berth/vnodes.d/pair.yaml");
    await stage.show(vhost, "berth boot");
    await stage.show(vhost, "berth status");
    const { stdout } = await stage.show(vhost, "docker logs left");
    if (!stdout.includes("10.1.0.1/24")) throw new Error("left's first command did not see its address");
    stage.proves("eth1 and its address were there before left's first instruction");
    await stage.show(vhost, "berth vnode exec right ping -c 2 10.1.0.1");
  });
  await stage.step("The link carries what was asked for", async () => {
    tellRates([[THERE, await measured(vhost, THERE)], [BACK, await measured(vhost, BACK)]]);
  });
  await stage.step("Somebody restarts a vnode with Docker's own command", async () => {
    await restarted(stage, vhost, { vnode: "left", peer: "right", address: "10.1.0.1" });
    await stage.show(vhost, "berth status");
    tellRates([[AGAIN, await measured(vhost, AGAIN)]]);
    stage.proves("left came back with its link, and the link with its rate");
  });
  await stage.step("The experiment as it runs now", async () => {
    await stage.show(vhost, "berth graph");
  });
}

async function measured(vhost: Sandbox, direction: Direction): Promise<Measured> {
  return await measure(vhost, direction, { rateBps: RATE_BPS, tolerance: TOLERANCE }, stage.passing);
}

/** @throws {Error} when a rate is out of tolerance. */
function tellRates(rates: readonly (readonly [Direction, Measured])[]): void {
  stage.text(renderTable(
    ["DIRECTION", "RATE", "WANTED", "OFF", "GOODPUT"],
    rates.map(([{ from, to }, { rateBps, goodputBps }]) => {
      const off = (rateBps - RATE_BPS) / RATE_BPS * 100;
      const goodput = goodputBps === null ? "-" : megabits(goodputBps);
      return [`${from} → ${to}`, megabits(rateBps), megabits(RATE_BPS), `${off.toFixed(1)} %`, goodput];
    }),
  ));
  for (const [{ from, to, device }, { rateBps, seconds, discarded }] of rates) {
    if (discarded.length > 0) {
      const load = `load ${loadavg()[0]!.toFixed(1)} on ${cpus().length} cores`;
      stage.text(
        `${from} → ${to} before that: ${discarded.map(megabits).join(", ")}; a busy machine (${load})`,
      );
    }
    if (Math.abs(rateBps - RATE_BPS) <= RATE_BPS * TOLERANCE) continue;
    const found = `found ${megabits(rateBps)} over ${seconds.toFixed(1)} s at ${device}`;
    throw new Error(`${from} → ${to} is off by more than ${TOLERANCE * 100} %: ${found}`);
  }
  const seconds = Math.min(...rates.map(([, one]) => one.seconds)).toFixed(1);
  stage.proves(
    `Within ${TOLERANCE * 100} %, by the queue's byte counter over ${seconds} s with a standing queue`,
  );
}

/** Copies out what explains a failure. Returns the folder, or null where there is nothing. */
async function saveLogs(vhost: Sandbox): Promise<string | null> {
  const folder = join(distDirectory(), "demo-logs");
  mkdirSync(folder, { recursive: true });
  await vhost.run(["/bin/bash", "-c", "berth status >/var/log/berth-status.log 2>&1"], { timeoutMs: 10_000 })
    .catch(() => {}); // the other logs may say why it does not answer
  const saved = [WATCH_LOG, DOCKERD_LOG, "/var/log/berth-status.log", "/var/log/apt/term.log"]
    .map((path) => vhost.clone.outside(path)).filter((path) => existsSync(path));
  for (const path of saved) copyFileSync(path, join(folder, path.split("/").at(-1)!));
  return saved.length === 0 ? null : folder;
}

async function main(): Promise<number> {
  const begun = performance.now();
  const seconds = () => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  say(paint.bold(`berth ${version}: a machine without Docker becomes a host of wired vnodes`));
  const before = lookOutside();
  let failure: unknown;
  try {
    await play();
  } catch (error) {
    failure = error;
    if (stopped === undefined) await tellFailure(error);
  }
  if (stopped !== undefined) return await stopped;
  return await stage.step("Clean up", async () => {
    await box?.close();
    const changed = changedOutside(before, lookOutside());
    if (changed.length > 0) {
      say(`   ${paint.red("✗")} Changed outside the throw-away vhost: ${changed.join(", ")}`);
      return 1;
    }
    stage.proves(
      "Packages, interfaces and mounts of this machine are as they were; caches: node_modules/.cache, dist",
    );
    return failure === undefined ? 0 : 1;
  }).finally(() => {
    say(`\n${failure === undefined ? "Done" : paint.red("Failed")} in ${seconds()}`);
    if (failure === undefined) say("Try it by hand: npx deno task sandbox --engine none --berth");
  });
}

async function tellFailure(error: unknown): Promise<void> {
  const logs = box === undefined ? null : await saveLogs(box).catch(() => null);
  say(`   ${paint.red("✗")} ${error instanceof Error ? error.message : error}`);
  if (logs !== null) say(`     Logs: ${logs}`);
}

/** Set by the first signal: resolves when all is cleaned up. The second one does not wait. */
let stopped: Promise<number> | undefined;
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  process.on(signal, () => {
    if (stopped !== undefined) process.exit(code);
    say(`\n${paint.yellow("Stopped")}: cleaning up`);
    killAll();
    stopped = (box?.close() ?? Promise.resolve()).then(() => code);
    // What the play still waits for has no more to say. A vhost that is only being made ends with this process.
    stopped.finally(() => process.exit(code));
  });
}

process.exitCode = await main();
