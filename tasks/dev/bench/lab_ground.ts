// The lab's ground: a network namespace that stands for a host, pretended containers (a sleeping process with a
// namespace, Docker's eth0 and a runtime's state file) and what takes them away again. Measures nothing itself.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import type { LinkSpec, VnodeSpec } from "../../../lib/config/types.ts";
import { prepareGate } from "../../../lib/gate/prepare.ts";
import { createHost } from "../../../lib/host/host.ts";
import { firewallTables } from "../../../lib/resource/firewall.ts";
import { tableText } from "../../../lib/resource/nft_table.ts";
import { lan } from "../../../lib/vnode/lan.ts";
import { generationOf, type Life, lifeOf } from "../../../lib/vnode/life.ts";
import { BRIDGE_PREFIX, CONTROL_NETWORK, HOST_END_PREFIX, IFB_PREFIX } from "../../../lib/vnode/names.ts";
import { lifePath, RUN_DIRECTORY } from "../../../lib/vnode/paths.ts";
import { type VnodeRecord, writeRecord } from "../../../lib/vnode/record.ts";

/** Where the pretended runtime keeps its state, as runc below `--root`. */
export const RUNTIME_ROOT = "/run/lab/runtime";
/** Bytes of a state.json that runc 1.1 writes for a plain container. */
const STATE_BYTES = 20_000;
const LIVES = `${RUN_DIRECTORY}/life`;
const CONTROL_PORT = "vethlab0";

export const host = createHost({ runner: "lean" });

/** Runs a program and returns what it said. @throws {Error} where it fails. */
export function must(argv: readonly string[], input?: string): string {
  const ran = spawnSync(argv[0]!, argv.slice(1), { input, encoding: "utf8", maxBuffer: 1 << 28 });
  if (ran.status === 0) return ran.stdout;
  throw new Error(`"${argv.join(" ")}" ended with ${ran.status}: ${ran.stderr}`);
}

/** A vnode of so many links, shaped both ways, each on a lan of its own out of four. */
export function specOf(name: string, links: number): VnodeSpec {
  const shape = { rateBps: 10_000_000 };
  const link = (at: number): LinkSpec => ({
    lan: `lab${at % 4}`,
    name: `eth${at + 1}`,
    addresses: [`10.${at % 4}.${Math.floor(at / 4)}.1/24`],
    mac: `02:00:00:00:01:${(at + 1).toString(16).padStart(2, "0")}`,
    mtu: 1500,
    egress: shape,
    ingress: shape,
  });
  return {
    name,
    image: "box",
    env: {},
    control: { address: "172.16.0.9", mac: "02:00:ac:10:00:09" },
    links: Array.from({ length: links }, (_, at) => link(at)),
    routes: [{ to: "10.9.0.0/16", via: "10.0.0.2" }],
    hosts: { "lab-other": "10.0.0.2" },
    source: "lab",
  };
}

/** Makes the bridges, the tables and the record's files. Call once. */
export async function prepareGround(specs: readonly VnodeSpec[]): Promise<readonly VnodeRecord[]> {
  mkdirSync(LIVES, { recursive: true, mode: 0o700 });
  mkdirSync(`${RUN_DIRECTORY}/lock`, { recursive: true, mode: 0o700 });
  must(["ip", "link", "set", "lo", "up"]);
  must(["ip", "link", "add", CONTROL_NETWORK, "type", "bridge"]);
  must(["ip", "link", "set", CONTROL_NETWORK, "up"]);
  for (let at = 0; at < 4; at++) {
    for (const change of lan({ name: `lab${at}`, subnets: [], mtu: 1500 }).diff(null)) {
      for (const op of change.do) if ("run" in op) await host.exec(op.run);
    }
  }
  const facts = {
    controlBridge: CONTROL_NETWORK,
    controlSubnet: "172.16.0.0/12",
    nat: true,
    routable: [],
    dockerSubnet: "192.168.254.0/24",
    dockerNat: true,
    lanPortPrefixes: [HOST_END_PREFIX],
    lanPrefix: BRIDGE_PREFIX,
    controlAddress: "172.16.0.1",
    isolation: "experiments" as const,
    hasUplink: false,
    bridgeMeta: false,
  };
  for (const table of firewallTables(facts)) must(["nft", "-f", "-"], tableText(table, null));
  const records = specs.map((spec, at): VnodeRecord => ({
    version: 1,
    name: spec.name,
    containerId: `${at + 1}`.repeat(64),
    spec,
    lans: [],
    wanted: { state: "up", by: "bench", at: new Date(0).toISOString() },
    hostsPath: `/run/lab/hosts-${spec.name}`,
  }));
  for (const record of records) {
    await writeRecord(host, record);
    await prepareGate(host, record);
  }
  return records;
}

/** A pretended container between the runtime's "create" and "start". */
export interface Container {
  readonly record: VnodeRecord;
  readonly life: Life;
  readonly generation: string;
  /** What containerd would call the runtime with. */
  readonly argv: readonly string[];
  readonly child: ChildProcess;
}

/** Makes a container in the state in which the engine calls "start". */
export async function createContainer(record: VnodeRecord): Promise<Container> {
  const id = record.containerId;
  const child = spawn("unshare", ["--net", "sleep", "100000"], { stdio: "ignore" });
  const pid = child.pid!;
  const ours = readlinkSync("/proc/self/ns/net");
  for (const end = Date.now() + 5000;;) {
    const theirs = readlinkSync(`/proc/${pid}/ns/net`);
    if (theirs !== ours && readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n") break;
    if (Date.now() > end) throw new Error(`Process ${pid} got no namespace of its own: ${theirs}`);
  }
  const { mac, address } = record.spec.control;
  must(
    ["ip", "-batch", "-"],
    `link add ${CONTROL_PORT} master ${CONTROL_NETWORK} type veth peer name eth0 netns ${pid} address ${mac}\n` +
      `link set ${CONTROL_PORT} up\n`,
  );
  // As dockerd does in a container's namespace.
  const ipv6Off = "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6";
  must(["nsenter", `--net=/proc/${pid}/ns/net`, "sh", "-c", ipv6Off]);
  must(
    ["nsenter", `--net=/proc/${pid}/ns/net`, "ip", "-batch", "-"],
    `addr add ${address}/12 dev eth0\nlink set eth0 up\n`,
  );
  const state = JSON.stringify({ id, init_process_pid: pid, config: "x".repeat(STATE_BYTES) });
  const bundle = `/run/lab/bundle/${id}`;
  for (const directory of [`${RUNTIME_ROOT}/${id}`, bundle]) mkdirSync(directory, { recursive: true });
  writeFileSync(`${RUNTIME_ROOT}/${id}/state.json`, state);
  writeFileSync(`${bundle}/init.pid`, String(pid));
  writeFileSync(record.hostsPath, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n172.16.0.9\tlab\n");
  const life = await lifeOf(host, id, pid);
  if (life === null) throw new Error(`Process ${pid} ended`);
  const log = `${bundle}/log.json`;
  const argv = ["--root", RUNTIME_ROOT, "--log", log, "--log-format", "json", "start", id];
  return { record, life, generation: generationOf(life), argv, child };
}

/** Which interfaces are of vnodes or of pretended containers. */
function ends(prefixes: readonly string[]): readonly string[] {
  return readdirSync("/sys/class/net").filter((name) => prefixes.some((prefix) => name.startsWith(prefix)));
}

/** How many host ends and ifbs there are. */
export function wired(): number {
  return ends([HOST_END_PREFIX, IFB_PREFIX]).length;
}

/** Whether this life stands as wired to its end. */
export function isSettled(container: Container): boolean {
  return readFileSync(lifePath(container.record.name), "utf8").startsWith(`${container.generation} `);
}

/** Ends a container. What is the host's (ifbs, elements, the recorded life) stays, as after a crash. */
export async function killContainer(container: Container): Promise<void> {
  const ended = new Promise((resolve) => container.child.once("exit", resolve));
  container.child.kill("SIGKILL");
  await ended;
  removeEnds([HOST_END_PREFIX, CONTROL_PORT]);
}

/** Takes everything of all vnodes away, at once. */
export function clearGround(): void {
  removeEnds([HOST_END_PREFIX, IFB_PREFIX, CONTROL_PORT]);
  must(["nft", "flush set bridge berth control_ports; flush set bridge berth control_names"]);
  for (const name of readdirSync(LIVES)) rmSync(`${LIVES}/${name}`);
}

function removeEnds(prefixes: readonly string[]): void {
  const lines = ends(prefixes).map((name) => `link set dev ${name} group 99\n`).join("");
  if (lines === "") return;
  // A namespace that dies takes its host ends with it, at a time of the kernel's choosing.
  spawnSync("ip", ["-force", "-batch", "-"], { input: `${lines}link del group 99\n` });
}
