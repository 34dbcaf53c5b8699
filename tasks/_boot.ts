// What `berth boot` is put together from: its lock, the vnodes with what a reboot means for them, and the one error
// of all that went wrong.
import type { TaskContext } from "../lib/cli/task.ts";
import type { Config } from "../lib/config/types.ts";
import type { Lock } from "../lib/host/types.ts";
import { BerthError, type Issue } from "../lib/log/error.ts";
import type { Outcome } from "../lib/vnode/ground.ts";
import { boot } from "../lib/vnode/halt.ts";
import { RUN_DIRECTORY } from "../lib/vnode/paths.ts";
import { readRecords } from "../lib/vnode/record.ts";
import { up } from "../lib/vnode/up.ts";
import { readLife } from "../lib/vnode/life_note.ts";
import type { WatchStart } from "../lib/watch/presence.ts";
import { type Outcomes, throwFailures } from "./host/_all.ts";
import { groundOf, throwFailed } from "./vnode/_report.ts";

/** Held by the one boot that works. */
export const BOOT_LOCK = `${RUN_DIRECTORY}/lock/boot`;
/** Milliseconds that another boot is waited for: it may be installing packages. */
const BOOT_LOCK_MS = 900_000;

/** What became of a boot. */
export interface Tried {
  readonly host: Outcomes;
  /** What is wrong with host.yaml, told before all else. */
  readonly faulty: BerthError | null;
  readonly vnodes: readonly Outcome[];
  /** How many vnodes the configuration has. */
  readonly declared: number;
  /** Those of them that are wanted halted and have lost their container: they are left so, and told. */
  readonly gone?: readonly string[];
  readonly watch?: WatchStart;
  /** What went wrong beside host steps and single vnodes. */
  readonly errors: readonly unknown[];
}

/**
 * Waits until no other boot works. Then there will be little left to do.
 *
 * @throws {BerthError} code `locked` when the other one takes too long.
 */
export async function bootLock({ host, mode, log }: TaskContext<unknown>): Promise<Lock> {
  if (mode === "plan") return { path: BOOT_LOCK, release: () => Promise.resolve() };
  try {
    return await host.lock(BOOT_LOCK);
  } catch (error) {
    if (!(error instanceof BerthError) || error.code !== "locked") throw error;
    log.info("Another berth boot is at work: waits for it", { reason: error.message });
    return await host.lock(BOOT_LOCK, { waitMs: BOOT_LOCK_MS });
  }
}

/** Brings up what is declared and not wanted halted, and, from their records, others that are wanted up. */
export async function bootVnodes(
  context: TaskContext<unknown>,
  config: Config,
): Promise<Pick<Tried, "vnodes" | "declared" | "gone">> {
  const records = await readRecords(context.host);
  const byName = new Map(records.map((record) => [record.name, record]));
  const declared = new Set(config.vnodes.map(({ name }) => name));
  const stays = config.vnodes.filter(({ name }) => byName.get(name)?.wanted.state === "halted");
  const wanted = config.vnodes.filter((spec) => !stays.includes(spec));
  // Their file is faulty just now, or lies elsewhere: that is no reason for them to stay down.
  const others = records.filter(({ name, wanted }) => !declared.has(name) && wanted.state === "up")
    .map(({ name }) => name);
  const total = config.vnodes.length + others.length;
  if (total === 0) return { vnodes: [], declared: 0 };
  context.progress(`Bringing up ${total} vnodes`);
  const ground = await groundOf(context, "berth boot");
  // A vnode down that was cut off leaves such a record: to make the container anew would hide that.
  const gone: string[] = [];
  for (const { name } of stays) {
    const { containerId } = byName.get(name)!;
    const found = await ground.docker.inspectContainer(containerId) ??
      await ground.docker.inspectContainer(name);
    if (found !== null) continue;
    gone.push(name);
    ground.log.warn("Its container is gone, and it is wanted halted: it is left so", {
      vnode: name,
      next: `berth vnode up ${name}, or berth vnode down ${name}`,
    });
  }
  const halted = stays.filter(({ name }) => !gone.includes(name));
  // /run is empty after a reboot: who was wired in this boot has a life there.
  const lives = await Promise.all(records.map(({ name }) => readLife(context.host, name)));
  const rebooted = new Set(records.filter((_, at) => lives[at] === null).map(({ name }) => `vnode ${name}`));
  const told: typeof ground = {
    ...ground,
    onStep(step) {
      const starts = step.verb === "update" && step.why === "not running";
      ground.onStep?.(starts && rebooted.has(step.resource) ? { ...step, verb: "restore" } : step);
    },
  };
  const vnodes = [
    ...(wanted.length === 0 ? [] : await up(told, wanted, config.lans)),
    ...(halted.length === 0 ? [] : await up(told, halted, config.lans, { createOnly: true })),
    ...(others.length === 0 ? [] : await boot(told, others)),
  ];
  return { vnodes, declared: total, gone };
}

/**
 * Throws all that went wrong, if anything: one error as it is; several as one, with an issue for each.
 *
 * @throws {BerthError} with the code of the first.
 */
export function throwAll({ host, faulty, vnodes, errors }: Tried): void {
  const all = [
    faulty ?? undefined,
    thrownBy(() => throwFailures(host)),
    ...errors,
    thrownBy(() => throwFailed(vnodes)),
  ]
    .filter((error) => error !== undefined);
  const [first] = all;
  if (first === undefined) return;
  if (all.length === 1) throw first;
  const issues = all.flatMap((error): Issue[] => {
    if (!(error instanceof BerthError)) return [{ message: String(error) }];
    const next = error.next === undefined ? {} : { next: error.next };
    return [{ place: error.object, message: error.message, ...next }, ...error.issues];
  });
  throw new BerthError({
    code: first instanceof BerthError ? first.code : "fault",
    object: "boot",
    message: `${all.length} things went wrong; the rest was brought to its end`,
    next: "Mend what is told above, then run this again: berth boot",
    issues,
    cause: first,
  });
}

function thrownBy(work: () => void): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}
