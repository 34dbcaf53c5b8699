// Live values of a record changed, with all that follows: the gate's batches, and the life that runs. And the limit of
// segments on all links of a lan on which packets are counted by now, or not any more, whoever's link it is that counts.
import { prepareGate } from "../gate/prepare.ts";
import type { Ground, Outcome } from "./ground.ts";
import { knownRecord } from "./known.ts";
import { lifeOf } from "./life.ts";
import { effectiveSpec, type SegmentChange, segmentChanges, withLive } from "./live.ts";
import { amendRecord, type Live, readRecords, type VnodeRecord } from "./record.ts";
import { said } from "./running.ts";
import { forEachInTurn } from "./turn.ts";
import { wire } from "./wire.ts";
import { wiringOf } from "./wiring.ts";

/** A record with its part of such changes. */
export function withSegments(record: VnodeRecord, changes: readonly SegmentChange[]): VnodeRecord {
  return changes.flatMap(({ links, oneSegment }) => links.map((link) => ({ link, oneSegment }))).reduce(
    (now, { link, oneSegment }) => withLive(now, link, { oneSegment: oneSegment ? oneSegment : undefined }),
    record,
  );
}

/**
 * Changes what a vnode's record has live, and a life that runs with it. Does nothing where that is so already. For
 * whoever has the vnode's turn: the record is the one that stands by then.
 *
 * @param change only of what is live.
 */
export async function amendLive(
  ground: Ground,
  vnode: string,
  change: (now: VnodeRecord) => VnodeRecord,
): Promise<Outcome> {
  const { host, docker } = ground;
  const isSame = (one: Live | undefined, other: Live | undefined) =>
    JSON.stringify(one) === JSON.stringify(other);
  const record = await knownRecord(ground, vnode);
  const changed = (now: VnodeRecord) => {
    const next = change(now);
    return isSame(next.live, now.live) ? now : next;
  };
  const next = ground.mode === "plan" ? changed(record) : await amendRecord(host, record, changed);
  if (next === null) return { vnode, changed: false, did: [] };
  if (ground.mode === "apply") await prepareGate(host, next);
  const kept = isSame(next.live, record.live) ? [] : ["update record: live values"];
  const container = await docker.inspectContainer(record.containerId);
  const life = container?.state.running === true
    ? await lifeOf(host, container.id, container.state.pid)
    : null;
  if (life === null) return { vnode, changed: kept.length > 0, did: kept };
  const { steps } = await wire(host, wiringOf(effectiveSpec(next)), life, { plan: ground.mode === "plan" });
  for (const one of steps) ground.onStep?.(one);
  const did = [...kept, ...steps.map(said)];
  return { vnode, changed: did.length > 0, did };
}

/**
 * Has frames leave one by one on all links of these lans while any of them counts packets, and no longer: vnodes may
 * have come, and specs changed, one at a time. What fails is told in the log. Does nothing where all are so.
 */
export async function alignSegments(ground: Ground, lans: ReadonlySet<string>): Promise<void> {
  const changes = segmentChanges(await readRecords(ground.host), lans);
  await forEachInTurn(
    ground,
    [...new Set(changes.map(({ record }) => record.name))],
    async (name) => {
      const its = changes.filter(({ record }) => record.name === name);
      await amendLive(ground, name, (now) => withSegments(now, its));
    },
    (vnode, error) => {
      const reason = error instanceof Error ? error.message : String(error);
      ground.log.warn("Frames of its links may be counted together", { vnode, reason });
    },
  );
}
