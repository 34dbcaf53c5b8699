// What is, beside what is wanted, for each vnode: record, container, wiring. Reads only. One look at the kernel
// and one list of containers, whatever the number of vnodes.
import type { ContainerSummary, Docker } from "../docker/types.ts";
import type { Look } from "../host/types.ts";
import { generationOf, isAlive, type Life, lifeOf, parseGeneration } from "./life.ts";
import { readLife } from "./life_note.ts";
import { effectiveSpec } from "./live.ts";
import { LABEL_VNODE } from "./names.ts";
import { readRecords, type VnodeRecord, type Wanted } from "./record.ts";
import type { HostView } from "./view.ts";
import { readHostView } from "./view.ts";
import { wire } from "./wire.ts";
import { wiringOf } from "./wiring.ts";
import type { Host } from "../host/types.ts";

/** One line of `berth vnode list`. */
export interface VnodeStatus {
  readonly name: string;
  /** "up", "halted", "paused", "gone" (no container), "created"; "down" when the engine does not say why. */
  readonly state: string;
  readonly wanted: Wanted["state"] | null;
  /** "wired", "not wired: …" with the first reason, "-" when it does not run, "?" when it cannot be known. */
  readonly wiring: string;
  readonly control: string;
  readonly links: readonly string[];
  readonly image: string;
  readonly container: string;
  readonly generation: string | null;
}

/**
 * The status of all vnodes that have a record, or a container with our label. Without an engine (null): what
 * records and kernel tell.
 */
export async function readStatus(host: Host, docker: Docker | null): Promise<VnodeStatus[]> {
  const [records, containers, view] = await Promise.all([
    readRecords(host),
    docker?.listContainers({ label: LABEL_VNODE, all: true }) ?? [],
    readHostView(host),
  ]);
  if (docker === null) {
    const told = await Promise.all(records.map((record) => statusWithoutEngine(host, record, view)));
    return told.sort((a, b) => a.name < b.name ? -1 : 1);
  }
  const byId = new Map(containers.map((one) => [one.id, one]));
  const known = await Promise.all(
    records.map((record) => statusOf(host, docker, record, byId.get(record.containerId), view)),
  );
  const recorded = new Set(records.map((record) => record.containerId));
  const lost = containers.filter((one) => !recorded.has(one.id)).map(lostStatus);
  return [...known, ...lost].sort((a, b) => a.name < b.name ? -1 : 1);
}

function baseOf(record: VnodeRecord) {
  return {
    name: record.name,
    wanted: record.wanted.state,
    control: record.spec.control.address,
    links: record.spec.links.map((link) =>
      `${link.name} ${link.addresses.join(" ") || link.mac} on ${link.lan}`
    ),
    image: record.spec.image,
    container: record.containerId,
  };
}

/** The life that was wired last tells whether the vnode runs, engine or not. */
async function statusWithoutEngine(host: Host, record: VnodeRecord, view: HostView): Promise<VnodeStatus> {
  const base = baseOf(record);
  const last = await readLife(host, record.name);
  if (last === null || !(await isAlive(host, last.generation, view.bootId))) {
    return { ...base, state: "down", wiring: "-", generation: null };
  }
  const { pid, startTime } = parseGeneration(last.generation);
  const life: Life = { containerId: record.containerId, pid, startTime, bootId: view.bootId };
  return {
    ...base,
    state: "up",
    wiring: await wiringWord(host, record, life, view),
    generation: last.generation,
  };
}

async function statusOf(
  host: Host,
  docker: Docker,
  record: VnodeRecord,
  container: ContainerSummary | undefined,
  view: HostView,
): Promise<VnodeStatus> {
  const base = baseOf(record);
  if (container === undefined) return { ...base, state: "gone", wiring: "-", generation: null };
  const state = stateWord(container.state);
  if (container.state !== "running" && container.state !== "paused") {
    return { ...base, state, wiring: "-", generation: null };
  }
  const pid = (await docker.inspectContainer(container.id))?.state.pid ?? 0;
  const life = await lifeOf(host, container.id, pid);
  if (life === null) return { ...base, state, wiring: "-", generation: null };
  return {
    ...base,
    state,
    wiring: await wiringWord(host, record, life, view),
    generation: generationOf(life),
  };
}

async function wiringWord(
  host: Host,
  record: VnodeRecord,
  life: Parameters<typeof generationOf>[0],
  view: HostView,
) {
  try {
    const { steps } = await wire(host, wiringOf(effectiveSpec(record)), life, { view, plan: true });
    return steps.length === 0 ? "wired" : `not wired: ${steps[0]!.resource}: ${steps[0]!.why}`;
  } catch (error) {
    return `? (${error instanceof Error ? error.message : String(error)})`;
  }
}

function stateWord(state: string): string {
  return state === "running" ? "up" : state === "exited" || state === "dead" ? "halted" : state;
}

function lostStatus(container: ContainerSummary): VnodeStatus {
  return {
    name: container.labels[LABEL_VNODE] ?? container.names[0] ?? container.id,
    state: stateWord(container.state),
    wanted: null,
    wiring: "record lost",
    control: "-",
    links: [],
    image: container.image,
    container: container.id,
    generation: null,
  };
}

/** Names of all vnodes that have a record. */
export async function recordedNames(look: Look): Promise<string[]> {
  return (await readRecords(look)).map((record) => record.name);
}
