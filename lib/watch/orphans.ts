// What belongs to nobody: interfaces that carry our mark and whose vnode has no record, elements of the firewall's
// sets without a port or a vnode, the gate's batches of containers that are gone. Found by marks, without state.
import type { Host } from "../host/types.ts";
import { forgetGate } from "../gate/prepare.ts";
import { applySteps } from "../vnode/apply_steps.ts";
import { staleControlLines } from "../vnode/control_steps.ts";
import { homeSteps } from "../vnode/devices.ts";
import { removalLines, strayElements } from "../vnode/element_steps.ts";
import { isAlive } from "../vnode/life.ts";
import { collectLonelyLans } from "../vnode/lans.ts";
import { parseLinkAlias } from "../vnode/names.ts";
import { readRecords, type VnodeRecord } from "../vnode/record.ts";
import type { Step } from "../vnode/step.ts";
import type { HostView } from "../vnode/view.ts";
import { wiringOf } from "../vnode/wiring.ts";

/**
 * Steps that collect what is nobody's. The wiring of a life that still runs is left, record or not.
 *
 * @param unreadable names of vnodes whose record cannot be read: theirs stays, by whatever it is known.
 */
export async function orphanSteps(
  host: Host,
  view: HostView,
  records: readonly VnodeRecord[],
  unreadable: readonly string[],
): Promise<Step[]> {
  const known = new Set([...records.map((record) => record.name), ...unreadable]);
  const steps: Step[] = [];
  for (const link of view.links.values()) {
    const mark = parseLinkAlias(link.ifalias);
    if (
      mark === null || known.has(mark.vnode) ||
      (await isAlive(host, mark.generation, view.bootId))
    ) {
      continue;
    }
    if (mark.device !== undefined) {
      steps.push(...homeSteps(view, mark.vnode, ({ device }) => device.name === mark.device?.name));
      continue;
    }
    steps.push({
      resource: `link ${mark.vnode}/${mark.link}`,
      verb: "delete",
      why: "its vnode has no record",
      clear: [link.ifname],
    });
  }
  const gone = new Set<string>();
  for (const element of view.control?.allow ?? []) {
    const port = element.split(" ")[0]!;
    // Looked at once more: a start between the looks at interfaces and at elements has made both.
    if (!view.links.has(port) && (await host.stat(`/sys/class/net/${port}`)) === null) gone.add(port);
  }
  const nft = staleControlLines(view, (port) => gone.has(port));
  if (nft.length > 0) {
    steps.push({ resource: "control elements", verb: "delete", why: "their ports are gone", nft });
  }
  return unreadable.length > 0 ? steps : [...steps, ...await elementOrphans(host, view, records)];
}

/**
 * Elements of vnodes without a record: what names them, a host end or a control address, is nobody's. None as long as
 * a record cannot be read, which may name them.
 */
async function elementOrphans(
  host: Host,
  view: HostView,
  records: readonly VnodeRecord[],
): Promise<Step[]> {
  const strayOf = (all: readonly VnodeRecord[]) =>
    strayElements(view, all.map((record) => wiringOf(record.spec)));
  if (strayOf(records).length === 0) return [];
  // Records come first: whoever came between the reading of these and the look has one by now.
  let isWhole = true;
  const stray = strayOf([...records, ...await readRecords(host, () => isWhole = false)]);
  if (stray.length === 0 || !isWhole) return [];
  const why = "their vnodes have no record";
  return [{ resource: "firewall elements", verb: "delete", why, nft: removalLines(stray) }];
}

/** What exists beside records that can be read. */
export interface Known {
  /** Names of vnodes whose record cannot. */
  readonly unreadable: readonly string[];
  /** Ids that have the gate's batches, listed *before* `known`: one that is made meanwhile is in neither. */
  readonly prepared: readonly string[];
  /** Ids of all containers. Null: not known, keep all. */
  readonly known: ReadonlySet<string> | null;
}

/** Collects orphans; answers with the steps that it took. */
export async function collectOrphans(
  host: Host,
  view: HostView,
  records: readonly VnodeRecord[],
  { unreadable, prepared, known }: Known,
): Promise<readonly Step[]> {
  const steps = await orphanSteps(host, view, records, unreadable);
  await applySteps(host, "nobody", steps, null);
  for (const lan of await collectLonelyLans(host, view.links.values(), records)) {
    steps.push({ resource: `lan ${lan}`, verb: "delete", why: "no vnode is on it" });
  }
  const recorded = new Set(records.map((record) => record.containerId));
  for (const id of prepared) {
    if (known !== null && !known.has(id) && !recorded.has(id)) await forgetGate(host, id);
  }
  return steps;
}
