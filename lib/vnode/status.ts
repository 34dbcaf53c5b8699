// What is, beside what is wanted, for each vnode: record, container, wiring. Reads only. One look at the kernel
// and one list of containers, whatever the number of vnodes.
import type { ContainerSummary, Docker } from "../docker/types.ts";
import type { Look } from "../host/types.ts";
import { generationOf, lifeOf } from "./life.ts";
import { effectiveSpec, linkMarks } from "./live.ts";
import { LABEL_VNODE } from "./names.ts";
import { readRecords, type VnodeRecord, type Wanted } from "./record.ts";
import { readWholeView } from "./redirects.ts";
import { settledLife } from "./running.ts";
import type { HostView } from "./view.ts";
import { wire } from "./wire.ts";
import { wiringOf } from "./wiring.ts";
import type { Host } from "../host/types.ts";

/** One line of `berth vnode list`. */
export interface VnodeStatus {
  readonly name: string;
  /** "up", "halted", "paused", "gone" (no container), "created"; "down" when the engine does not say why. */
  readonly state: string;
  readonly wanted: Wanted["state"] | null;
  /** "wired", "not wired: …" with the first reason, "-" when it does not run, "? (…)" when it cannot be known. */
  readonly wiring: string;
  readonly control: string;
  /** "eth1 10.1.0.1/24 on wire", "... on wire (down, shaped live)". */
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
  const unreadable: string[] = [];
  const [records, containers, view] = await Promise.all([
    readRecords(host, (_, vnode) => unreadable.push(vnode)),
    docker?.listContainers({ label: LABEL_VNODE, all: true }) ?? [],
    readWholeView(host),
  ]);
  const byName = (a: VnodeStatus, b: VnodeStatus) => a.name < b.name ? -1 : 1;
  if (docker === null) {
    const told = await Promise.all(records.map((record) => statusWithoutEngine(host, record, view)));
    return [...told, ...unreadable.map((name) => unreadableStatus(name, "down"))].sort(byName);
  }
  const byId = new Map(containers.map((one) => [one.id, one]));
  const known = await Promise.all(
    records.map((record) => statusOf(host, docker, record, byId.get(record.containerId), view)),
  );
  const recorded = new Set(records.map((record) => record.containerId));
  const lost = containers.filter((one) => !recorded.has(one.id)).map((one) =>
    lostStatus(one, unreadable.includes(one.labels[LABEL_VNODE] ?? ""))
  );
  const without = unreadable.filter((name) => !lost.some((one) => one.name === name));
  return [...known, ...lost, ...without.map((name) => unreadableStatus(name, "gone"))].sort(byName);
}

function baseOf(record: VnodeRecord) {
  return {
    name: record.name,
    wanted: record.wanted.state,
    control: record.spec.control.address,
    links: record.spec.links.map((link) => {
      const marks = linkMarks(record, link.name).join(", ");
      return `${link.name} ${link.addresses.join(" ") || link.mac} on ${link.lan}` +
        (marks === "" ? "" : ` (${marks})`);
    }),
    image: record.spec.image,
    container: record.containerId,
  };
}

/** The life that was wired last tells whether the vnode runs, engine or not. */
async function statusWithoutEngine(host: Host, record: VnodeRecord, view: HostView): Promise<VnodeStatus> {
  const base = baseOf(record);
  const life = await settledLife(host, record, view.bootId);
  if (life === null) return { ...base, state: "down", wiring: "-", generation: null };
  return {
    ...base,
    state: "up",
    wiring: await wiringWord(host, record, life, view),
    generation: generationOf(life),
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

/** Why a vnode's wiring cannot be known, by what its status says of it; null where it is known. */
export function unknownWiring(wiring: string): string | null {
  return /^\? \((.*)\)$/s.exec(wiring)?.[1] ?? null;
}

function stateWord(state: string): string {
  return state === "running" ? "up" : state === "exited" || state === "dead" ? "halted" : state;
}

function lostStatus(container: ContainerSummary, isUnreadable: boolean): VnodeStatus {
  return {
    ...unreadableStatus(
      container.labels[LABEL_VNODE] ?? container.names[0] ?? container.id,
      stateWord(container.state),
    ),
    ...(isUnreadable ? {} : { wiring: "record lost" }),
    image: container.image,
    container: container.id,
  };
}

/** Of a vnode whose record is there and cannot be read. */
function unreadableStatus(name: string, state: string): VnodeStatus {
  return {
    name,
    state,
    wanted: null,
    wiring: "record unreadable",
    control: "-",
    links: [],
    image: "-",
    container: "-",
    generation: null,
  };
}

/** Names of all vnodes that have a record. */
export async function recordedNames(look: Look): Promise<string[]> {
  return (await readRecords(look)).map((record) => record.name);
}
