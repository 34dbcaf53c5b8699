// A changed configuration over vnodes that run: what can be given to a life as it is, live; never a container made,
// started or stopped. The work is up.ts's; owns who may be changed so, and setting all inside again.
import type { LanSpec, VnodeSpec } from "../config/types.ts";
import type { Ground, Outcome } from "./ground.ts";
import { insideDifference } from "./inside_state.ts";
import { lifeOf } from "./life.ts";
import { effectiveSpec } from "./live.ts";
import { LABEL_VNODE } from "./names.ts";
import { readRecord } from "./record.ts";
import { said } from "./running.ts";
import { forEachInTurn } from "./turn.ts";
import { up } from "./up.ts";
import { wire } from "./wire.ts";
import { wiringOf } from "./wiring.ts";

export interface ApplyOptions {
  /** Sets what is inside again, over what their users have changed there. @default {false} */
  readonly inside?: boolean;
}

/** Those of the specs whose vnodes run. */
export async function runningSpecs(
  ground: Pick<Ground, "docker">,
  specs: readonly VnodeSpec[],
): Promise<readonly VnodeSpec[]> {
  const containers = await ground.docker.listContainers({ label: LABEL_VNODE, all: true });
  const running = new Set(
    containers.filter(({ state }) => state === "running" || state === "paused")
      .map(({ labels }) => labels[LABEL_VNODE]),
  );
  return specs.filter(({ name }) => running.has(name));
}

/**
 * Gives vnodes that run what their specs say by now. Does nothing where nothing differs. One that does not run, or
 * would need a new container, is refused; the others are brought to their end.
 */
export async function apply(
  ground: Ground,
  specs: readonly VnodeSpec[],
  lans: readonly LanSpec[],
  options: ApplyOptions = {},
): Promise<Outcome[]> {
  if (specs.length === 0) return [];
  const inside = options.inside === true;
  const outcomes = await up(ground, specs, lans, { live: true, inside });
  // A plan has looked inside already: the records still say what was before.
  if (!inside || ground.mode === "plan") return outcomes;
  const again = await forEachInTurn(
    ground,
    outcomes.filter((one) => one.error === undefined).map((one) => one.vnode),
    (vnode) => setInside(ground, vnode),
    (vnode, error): Outcome => ({ vnode, changed: false, did: [], error }),
  );
  return outcomes.map((one) => {
    const more = again.find(({ vnode }) => vnode === one.vnode);
    return more === undefined ? one : {
      ...one,
      changed: one.changed || more.changed,
      did: [...one.did, ...more.did],
      ...(more.error !== undefined && { error: more.error }),
    };
  });
}

async function setInside(ground: Ground, vnode: string): Promise<Outcome> {
  const { host, docker } = ground;
  const record = await readRecord(host, vnode);
  const pid = record === null ? 0 : (await docker.inspectContainer(record.containerId))?.state.pid ?? 0;
  const life = record === null ? null : await lifeOf(host, record.containerId, pid);
  if (record === null || life === null) return { vnode, changed: false, did: [] };
  const wiring = wiringOf(effectiveSpec(record));
  const { steps } = await wire(host, wiring, life, {
    hostsPath: record.hostsPath,
    names: true,
    inside: await insideDifference(host, wiring, life.pid),
  });
  for (const step of steps) ground.onStep?.(step);
  const did = steps.map(said);
  return { vnode, changed: did.length > 0, did };
}
