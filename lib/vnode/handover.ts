// Ports of the host that go from one vnode to another. A port leads to one vnode only: whoever gives it up does so
// before the other is wired, in the record first, or a look in between would bring it back. Used by up.ts.
import type { Forward, VnodeSpec } from "../config/types.ts";
import { prepareGate } from "../gate/prepare.ts";
import { locked } from "../host/locked.ts";
import { BerthError } from "../log/error.ts";
import { NAT_TABLE } from "../resource/firewall_vnodes.ts";
import { applySteps } from "./apply_steps.ts";
import { removalLines, standing } from "./element_steps.ts";
import { elementsOf } from "./elements.ts";
import type { Ground, Outcome } from "./ground.ts";
import { vnodeLockPath } from "./paths.ts";
import { amendRecord, readRecord, type VnodeRecord } from "./record.ts";
import { said } from "./running.ts";
import type { Step } from "./step.ts";
import { forEachInTurn } from "./turn.ts";
import { readHostView } from "./view.ts";

const portOf = ({ protocol, port }: Forward) => `${protocol} ${port}`;

/** Those of a vnode's forwards whose port another one is to have. */
function lost({ name, spec }: Pick<VnodeRecord, "name" | "spec">, next: readonly VnodeSpec[]): Forward[] {
  const taken = new Set(
    next.filter((one) => one.name !== name).flatMap((one) => one.forwards ?? []).map(portOf),
  );
  return (spec.forwards ?? []).filter((forward) => taken.has(portOf(forward)));
}

/**
 * Takes ports from vnodes that others of these specs are to have. Does nothing where there are none, and in a plan.
 *
 * @returns one outcome for each vnode that gave something up.
 */
export async function handOver(
  ground: Ground,
  before: readonly VnodeRecord[],
  next: readonly VnodeSpec[],
): Promise<Outcome[]> {
  const losers = ground.mode === "plan" ? [] : before.filter((record) => lost(record, next).length > 0);
  return await forEachInTurn(
    ground,
    losers,
    ({ name }) => giveUp(ground, name, next),
    ({ name }, error): Outcome => ({ vnode: name, changed: false, did: [], error }),
  );
}

async function giveUp({ host, onStep }: Ground, vnode: string, next: readonly VnodeSpec[]): Promise<Outcome> {
  const record = await readRecord(host, vnode);
  const gone = record === null ? [] : lost(record, next);
  if (record === null || gone.length === 0) return { vnode, changed: false, did: [] };
  const step: Step = {
    resource: `firewall ${vnode}`,
    verb: "delete",
    why: `another vnode is to have ${gone.map(portOf).join(", ")}`,
  };
  onStep?.(step);
  const after = await amendRecord(host, record, (now) => {
    const forwards = (now.spec.forwards ?? []).filter((one) => !lost(now, next).includes(one));
    return { ...now, spec: { ...now.spec, forwards } };
  });
  if (after !== null) await prepareGate(host, after);
  await locked(host, vnodeLockPath(vnode), { waitMs: 10_000 }, async () => {
    const elements = elementsOf({ ...record.spec, forwards: gone })
      .filter(({ table }) => table === NAT_TABLE);
    const found = standing(await readHostView(host), elements);
    if (found.length > 0) await applySteps(host, vnode, [{ ...step, nft: removalLines(found) }], null);
  });
  return { vnode, changed: true, did: [said(step)] };
}

/** @throws {BerthError} code `refused` where a vnode that was not asked for has one of these ports. */
export function requirePorts(spec: VnodeSpec, others: readonly VnodeRecord[]): void {
  for (const other of others) {
    const [forward] = lost(other, [spec]);
    if (forward === undefined) continue;
    throw new BerthError({
      code: "refused",
      object: `vnode ${spec.name}`,
      message: `Port ${portOf(forward)} of the host leads to vnode "${other.name}"`,
      next: `berth vnode up ${spec.name} ${other.name}, once ${other.name} is declared without it`,
    });
  }
}
