// The lans of several vnodes: made before the first of them, taken away with the last. What one lan is, is lan.ts's.
import type { LanSpec } from "../config/types.ts";
import { ipBatch, nftBatch } from "../host/batch.ts";
import { locked } from "../host/locked.ts";
import type { Command, Host } from "../host/types.ts";
import type { Ground } from "./ground.ts";
import { type LanParts, lanParts } from "./lan.ts";
import { type LanLink, lanLinks } from "./lan_links.ts";
import { lanTables } from "./lan_table.ts";
import { lanBridge, portName, releaseLines, wallDropLines } from "./lan_uplink.ts";
import { BRIDGE_PREFIX, bridgeName, DOOMED_GROUP, lanTableName, parseLanAlias } from "./names.ts";
import { LANS_LOCK } from "./paths.ts";
import { amendRecord, readRecords, type VnodeRecord } from "./record.ts";

/** Makes lans. Answers with those that were not as wanted before. */
export async function ensureLans(
  ground: Pick<Ground, "ensureAll">,
  lans: readonly LanSpec[],
): Promise<LanSpec[]> {
  if (lans.length === 0) return [];
  const all = lans.map((spec) => ({ spec, parts: lanParts(spec) }));
  const of = (key: keyof LanParts) =>
    all.flatMap(({ spec, parts }) => parts[key].map((resource) => ({ spec, resource })));
  // The walls of all come first: lines of `ip` join those before them, past lines of nft (resource/merge.ts). In one
  // call: what stands in a lan's way is refused before anything is made.
  const parts = [...of("walls"), ...of("rest")];
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

/**
 * Tells the records of others on these lans how they are by now: the watch makes lans from whichever record it reads.
 * Does nothing where they know.
 */
export async function tellLans(
  host: Host,
  lans: readonly LanSpec[],
  others: readonly VnodeRecord[],
): Promise<void> {
  const told = new Map(lans.map((one) => [one.name, one]));
  const news = (one: LanSpec) => told.get(one.name) ?? one;
  const isOld = (one: LanSpec) => JSON.stringify(news(one)) !== JSON.stringify(one);
  for (const record of others.filter((one) => one.lans.some(isOld))) {
    await amendRecord(
      host,
      record,
      (now) => now.lans.some(isOld) ? { ...now, lans: now.lans.map(news) } : now,
    );
  }
}

/** Milliseconds that another command may need to make or remove some lans. */
const LANS_MS = 60_000;

async function alone(host: Host, work: () => Promise<void>): Promise<void> {
  await locked(host, LANS_LOCK, { waitMs: LANS_MS }, work);
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
    const paths = lans.map((one) => `/sys/class/net/${lanBridge(one) ?? portName(one)}`);
    const found = await Promise.all(paths.map((path) => ground.host.stat(path)));
    await ensureLans(ground, lans.filter((_, index) => found[index] === null));
  });
}

/** Removes those of these lans that no recorded vnode is on. Bridges without our mark stay. */
export async function removeLonelyLans(host: Host, lans: readonly LanSpec[]): Promise<void> {
  const names = new Set(lans.map((one) => one.name));
  if (names.size > 0) await removeUnused(host, (lan) => names.has(lan));
}

/**
 * Removes all lans that no recorded vnode is on: what a command left that was ended before it wrote a record. One that
 * is being made at this moment is made again by its command (keepLans). Does nothing where none of `links` is of one.
 */
export async function collectLonelyLans(
  host: Host,
  links: Iterable<{ readonly ifalias?: string }>,
  records: readonly VnodeRecord[],
): Promise<readonly string[]> {
  const used = new Set(lansOfRecords(records).map((one) => one.name));
  const isLonely = ({ ifalias }: { readonly ifalias?: string }) => {
    const mark = parseLanAlias(ifalias);
    return mark !== null && !used.has(mark.lan);
  };
  if (![...links].some(isLonely)) return [];
  return await removeUnused(host, (lan, all) => {
    const bridge = bridgeName(lan);
    // A vnode without a record that still runs keeps what it has.
    return !all.some((link) => link.master === bridge && parseLanAlias(link.ifalias) === null);
  });
}

/** What stands of lans without a vnode, by their marks and names; [] where there is nothing. */
async function removeUnused(
  host: Host,
  isMeant: (lan: string, links: readonly LanLink[]) => boolean,
): Promise<readonly string[]> {
  let removed: readonly string[] = [];
  await alone(host, async () => {
    let isWhole = true;
    const records = await readRecords(host, () => isWhole = false);
    // The lans of one that cannot be read are not known: the watch collects what is lonely once it can.
    if (!isWhole) return;
    const used = new Set(lansOfRecords(records).map((one) => one.name));
    const links = [...(await lanLinks(host)).values()];
    const lonely = links.filter((link) => {
      const mark = parseLanAlias(link.ifalias);
      return mark !== null && isMeant(mark.lan, links) && !used.has(mark.lan);
    });
    removed = [...new Set(lonely.map((link) => parseLanAlias(link.ifalias)!.lan))];
    if (removed.length === 0) return;
    const tables = await lanTables(host);
    for (const command of removalCommands(removed, lonely, tables)) await host.exec(command);
  });
  return removed;
}

/** All in one batch a tool: a device goes home, all that was made goes as a group (see DOOMED_GROUP). */
function removalCommands(
  lans: readonly string[],
  links: readonly LanLink[],
  tables: readonly string[],
): readonly Command[] {
  const lent = links.flatMap((link) => {
    const device = parseLanAlias(link.ifalias)?.device;
    return device === undefined ? [] : [{ name: link.ifname, device }];
  });
  const made = links.filter((link) => parseLanAlias(link.ifalias)?.device === undefined);
  const lines = [
    ...lent.flatMap(({ name, device }) => releaseLines(name, device)),
    ...made.map((link) => `link set dev ${link.ifname} group ${DOOMED_GROUP}`),
    ...(made.length === 0 ? [] : [`link del group ${DOOMED_GROUP}`]),
  ];
  const ports = links.filter((link) => !link.ifname.startsWith(BRIDGE_PREFIX)).map((link) => link.ifname);
  const gone = lans.map(lanTableName).filter((table) => tables.includes(table));
  const drops = ports.flatMap(wallDropLines);
  return [
    // -force goes on after an error: what has gone since the look is what we wanted.
    ipBatch(lines, { force: true, okExit: [0, 1, 2] }),
    ...(gone.length === 0 ? [] : [nftBatch(gone.map((table) => `delete table inet ${table}`).join("\n"))]),
    // Where the firewall is gone, so are its elements.
    ...(drops.length === 0 ? [] : [nftBatch(drops.join("\n"), { okExit: [0, 1] })]),
  ];
}
