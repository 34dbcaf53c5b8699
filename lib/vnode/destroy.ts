// Vnodes taken away for good: containers first, several at a time, then what stands on the host for all of them by one
// look and one batch, then what is remembered. Their turns are held until the end, so no other command makes one anew
// in between. A run that was cut off is just run again: a vnode's record goes after all that it is needed to find.
import { forgetGate } from "../gate/prepare.ts";
import { forEach, type Ground, type Outcome } from "./ground.ts";
import { knownRecord } from "./known.ts";
import { lansOfRecords, removeLonelyLans } from "./lans.ts";
import { LABEL_VNODE } from "./names.ts";
import { resolvPath, VNODES_DIRECTORY } from "./paths.ts";
import { forgetRecord, readRecord, readRecords, type VnodeRecord, want } from "./record.ts";
import { ensureRules } from "./rules.ts";
import { refreshPeers } from "./topology.ts";
import { takeTurns } from "./turn.ts";
import { unwireAll } from "./wire.ts";

/** One whose container is gone, with what is left to be taken away. */
interface Removed {
  readonly vnode: string;
  readonly record: VnodeRecord | null;
  /** Ids of its containers. */
  readonly containers: readonly string[];
}

type Ended = Outcome & { readonly removed?: Removed };

/** Removes vnodes: container, wiring, the gate's batches, record, and lans that nobody is on any more. */
export async function destroy(ground: Ground, names: readonly string[]): Promise<Outcome[]> {
  const turns = await takeTurns(ground, names);
  try {
    const fails = (vnode: string, error: unknown): Ended => ({ vnode, changed: false, did: [], error });
    const ended = await forEach(names, async (name) => {
      const waited = turns.waited(name);
      return await removeContainer(ground, name, waited);
    }, fails);
    const removed = ended.flatMap((one) => one.removed ?? []);
    const left = await clear(ground, removed);
    return ended.map(({ removed: _, ...outcome }) => {
      const error = outcome.error ?? left.get(outcome.vnode);
      return error === undefined ? outcome : { ...outcome, error };
    });
  } finally {
    await turns.release();
  }
}

async function removeContainer(ground: Ground, name: string, waited: boolean): Promise<Ended> {
  const record = await readRecord(ground.host, name).catch(() => null);
  const container = await ground.docker.inspectContainer(record?.containerId ?? name);
  const ours = container?.labels[LABEL_VNODE] === name;
  // Whoever was waited for has destroyed it.
  if (record === null && !ours && waited) return { vnode: name, changed: false, did: [] };
  if (record === null && !ours) await knownRecord(ground, name);
  ground.onStep?.({ resource: `vnode ${name}`, verb: "delete", why: "asked for" });
  if (ground.mode === "plan") return { vnode: name, changed: true, did: ["destroy"] };
  if (record !== null) await want(ground.host, record, "halted", ground.by);
  // The gate's batches stay until the container is gone: a start in between must not pass unwired.
  if (ours) await ground.docker.removeContainer(container!.id, { force: true, volumes: true });
  const ids = [record?.containerId, ours ? container!.id : undefined].filter((id) => id !== undefined);
  const removed: Removed = { vnode: name, record, containers: [...new Set(ids)] };
  return { vnode: name, changed: true, did: ["destroyed"], removed };
}

/** Takes away what is left of vnodes without containers. Answers with what went wrong, by vnode. */
async function clear(ground: Ground, removed: readonly Removed[]): Promise<ReadonlyMap<string, unknown>> {
  const { host } = ground;
  if (removed.length === 0) return new Map();
  const { faults, all } = collectedFaults(removed);
  await unwireAll(
    host,
    removed.map(({ vnode, record }) => ({ vnode, ...(record !== null && { spec: record.spec }) })),
  ).catch(all);
  // What still stands is found again by the records.
  if (faults.size > 0) return faults;
  await forEach(removed, async ({ vnode, containers }) => {
    for (const id of containers) await forgetGate(host, id);
    await host.remove(resolvPath(vnode));
    await forgetRecord(host, vnode);
    await host.remove(`${VNODES_DIRECTORY}/${vnode}`);
  }, ({ vnode }, error) => void faults.set(vnode, error));
  // Each is tried whatever becomes of the others: what is left here, a watch finds.
  await readRecords(host).then((records) => ensureRules(ground, records)).catch(all);
  await removeLonelyLans(host, lansOfRecords(removed.flatMap(({ record }) => record ?? []))).catch(all);
  await refreshPeers(ground, removed.map(({ vnode }) => vnode)).catch(all);
  return faults;
}

/** Faults by vnode; `all` notes one that is of all that have none yet. */
function collectedFaults(removed: readonly Removed[]) {
  const faults = new Map<string, unknown>();
  const all = (error: unknown) => {
    for (const { vnode } of removed) if (!faults.has(vnode)) faults.set(vnode, error);
  };
  return { faults, all };
}
