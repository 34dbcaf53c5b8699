// A link's carrier, changed while its vnode runs: into the record, the gate's batches and the kernel. It stays through
// restarts and reboots until it is reset, or the spec says something else (live.ts). Only the host's end is touched.
import type { Flap, LinkSpec } from "../config/types.ts";
import { prepareGate } from "../gate/prepare.ts";
import { BerthError } from "../log/error.ts";
import type { Ground, Outcome } from "./ground.ts";
import { knownRecord } from "./halt.ts";
import { lifeOf } from "./life.ts";
import { effectiveSpec, withLive } from "./live.ts";
import { amendRecord, type LiveLink, type VnodeRecord } from "./record.ts";
import { forEachInTurn } from "./turn.ts";
import { wire } from "./wire.ts";
import { wiringOf } from "./wiring.ts";

/** Steadily up or down, by a schedule, or as the spec says. */
export type LinkState = "up" | "down" | "reset" | Flap;

/** What is to be live of a link, beside its spec, for a state. undefined: as the spec says. */
export function liveState(link: LinkSpec, state: LinkState): Pick<LiveLink, "up" | "flap"> {
  if (state === "reset") return { up: undefined, flap: undefined };
  if (state === "down") return { up: link.up === false ? undefined : false, flap: undefined };
  const up = link.up === false ? true : undefined;
  if (state === "up") return { up, flap: link.flap === undefined ? undefined : null };
  const isSame = JSON.stringify(state) === JSON.stringify(link.flap);
  return { up, flap: isSame ? undefined : state };
}

/**
 * Gives a link a state. Does nothing where it has it.
 *
 * @throws {BerthError} `usage` where there is no such vnode or link, `refused` where it has no end on the host.
 */
export async function setLinkState(
  ground: Ground,
  vnode: string,
  name: string,
  state: LinkState,
): Promise<Outcome[]> {
  const asked = linkOf(await knownRecord(ground, vnode), name);
  return await forEachInTurn(
    ground,
    [vnode],
    () => change(ground, vnode, name, liveState(asked, state)),
    (_, error): Outcome => ({ vnode, changed: false, did: [], error }),
  );
}

function linkOf(record: VnodeRecord, name: string): LinkSpec {
  const link = record.spec.links.find((one) => one.name === name);
  const names = record.spec.links.map((one) => one.name).join(", ");
  if (link === undefined) {
    throw new BerthError({
      code: "usage",
      object: `vnode ${record.name}`,
      message: names === "" ? "It has no links" : `It has no link "${name}"; there are ${names}`,
      next: `berth vnode show ${record.name}`,
    });
  }
  if (link.driver === undefined && link.device === undefined) return link;
  throw new BerthError({
    code: "refused",
    object: `vnode ${record.name}`,
    message: `${name} has no end on the host that could be taken down`,
    next: `nsenter --net=/proc/PID/ns/net ip link set dev ${name} down, as its user would`,
  });
}

async function change(
  ground: Ground,
  vnode: string,
  name: string,
  wanted: Pick<LiveLink, "up" | "flap">,
): Promise<Outcome> {
  const { host, docker } = ground;
  const record = await knownRecord(ground, vnode);
  const planned = withLive(record, name, wanted);
  const isKept = JSON.stringify(planned.live) === JSON.stringify(record.live);
  const next = ground.mode === "plan" || isKept
    ? planned
    : await amendRecord(host, record, (now) => withLive(now, name, wanted)) ?? planned;
  if (ground.mode === "apply") await prepareGate(host, next);
  const did = isKept ? [] : [`update record: state of ${name}`];
  const container = await docker.inspectContainer(record.containerId);
  const life = container?.state.running === true
    ? await lifeOf(host, container.id, container.state.pid)
    : null;
  if (life === null) return { vnode, changed: did.length > 0, did };
  const { steps } = await wire(host, wiringOf(effectiveSpec(next)), life, { plan: ground.mode === "plan" });
  for (const one of steps) ground.onStep?.(one);
  did.push(...steps.map((one) => `${one.verb} ${one.resource}: ${one.why}`));
  return { vnode, changed: did.length > 0, did };
}
