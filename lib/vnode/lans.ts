// The lans of several vnodes: made before the first of them, taken away with the last. What one lan is, is lan.ts's.
import type { LanSpec } from "../config/types.ts";
import type { Host } from "../host/types.ts";
import type { Ground } from "./ground.ts";
import { lanResources } from "./lan.ts";
import { bridgeName } from "./names.ts";
import { LANS_LOCK } from "./paths.ts";
import { readRecords, type VnodeRecord } from "./record.ts";

/** Makes lans. Answers with those that were not as wanted before. */
export async function ensureLans(
  ground: Pick<Ground, "ensureAll">,
  lans: readonly LanSpec[],
): Promise<LanSpec[]> {
  if (lans.length === 0) return [];
  const parts = lans.flatMap((spec) => lanResources(spec).map((resource) => ({ spec, resource })));
  const ensured = await ground.ensureAll(parts.map(({ resource }) => resource));
  return [...new Set(parts.filter((_, index) => ensured[index]!.changed).map(({ spec }) => spec))];
}

/**
 * Makes lans as ensureLans does, but what is wrong with one keeps no other from being made.
 *
 * @returns what was wrong.
 */
export async function mendLans(
  ground: Pick<Ground, "ensureAll">,
  lans: readonly LanSpec[],
): Promise<unknown[]> {
  const faults: unknown[] = [];
  const together = await ensureLans(ground, lans).then(() => true, () => false);
  if (together) return faults;
  for (const one of lans) await ensureLans(ground, [one]).catch((error) => void faults.push(error));
  return faults;
}

/** Lans of records, each once. */
export function lansOfRecords(records: readonly VnodeRecord[]): LanSpec[] {
  return [...new Map(records.flatMap((record) => record.lans).map((one) => [one.name, one])).values()];
}

/** Milliseconds that another command may need to make or remove some lans. */
const LANS_MS = 60_000;

async function alone(host: Host, work: () => Promise<void>): Promise<void> {
  const lock = await host.lock(LANS_LOCK, { waitMs: LANS_MS });
  try {
    await work();
  } finally {
    await lock.release();
  }
}

/**
 * Makes sure of a new vnode's lans once its record stands, which keeps them: until then another command may have
 * taken them for lonely. Starts no process where they stand.
 */
export async function keepLans(
  ground: Parameters<typeof ensureLans>[0] & Pick<Ground, "host">,
  lans: readonly LanSpec[],
): Promise<void> {
  if (lans.length === 0) return;
  await alone(ground.host, async () => {
    const paths = lans.map((one) => `/sys/class/net/${bridgeName(one.name)}`);
    const found = await Promise.all(paths.map((path) => ground.host.stat(path)));
    await ensureLans(ground, lans.filter((_, index) => found[index] === null));
  });
}

/** Removes those of these lans that no recorded vnode is on. Bridges without our mark stay. */
export async function removeLonelyLans(host: Host, lans: readonly LanSpec[]): Promise<void> {
  if (lans.length > 0) await alone(host, () => removeUnused(host, lans));
}

async function removeUnused(host: Host, lans: readonly LanSpec[]): Promise<void> {
  const used = new Set(lansOfRecords(await readRecords(host)).map((one) => one.name));
  for (const spec of lans) {
    if (used.has(spec.name)) continue;
    for (const resource of [...lanResources(spec)].reverse()) {
      for (const change of resource.revert(null, await resource.observe(host))) {
        for (const op of change.do) if ("run" in op) await host.exec(op.run);
      }
    }
  }
}
