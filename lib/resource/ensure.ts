// ensure: look, compare, refuse what lacks consent, journal, change, look again. The same for one thing and for many
// at once. Plan mode stops after comparing. Undoing stands in undo.ts.
import { bootId } from "../host/facts.ts";
import { locked } from "../host/locked.ts";
import type { Host, Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import type { Log } from "../log/log.ts";
import { applyChanges } from "./apply.ts";
import { type ConsentGiven, refusal, type Unconsented, unconsented } from "./consent.ts";
import type { Journal } from "./journal.ts";
import { oneLook } from "./one_look.ts";
import type { Change, Ensure, Ensured, Resource } from "./types.ts";
import { type Stays, undoJournalled, type Undone } from "./undo.ts";

/** Any resource, whatever its state. Method parameters are bivariant, so each kind fits. */
// deno-lint-ignore no-explicit-any
export type AnyResource = Resource<any, any>;

/** What an engine of resources is made of. */
export interface EnsureOptions {
  readonly host: Host;
  /** `plan` looks and tells; `apply` changes. */
  readonly mode: "apply" | "plan";
  /** null: nothing is kept for undo (the wiring of vnodes, whose undo is unwire). */
  readonly journal: Journal | null;
  /** Consent to destructive changes: a judge, asked only where there are any. @default {none} */
  readonly consent?: (change: Change) => ConsentGiven | Promise<ConsentGiven>;
  readonly log?: Log;
  /** Told of each change: as soon as it is made (apply), or found (plan). */
  readonly onChange?: (change: Change) => void;
  /** Stops between steps and kills the running command; roll-backs run to their end. */
  readonly signal?: AbortSignal;
}

/** ensure and its kin, for one run. */
export interface Ensurer {
  readonly ensure: Ensure;
  /** Many at once: one look for all, one process per tool where order allows. Order is that of the list. */
  ensureAll(resources: readonly AnyResource[]): Promise<readonly Ensured<unknown>[]>;
  /**
   * Gives back, newest first, what the journal has of these resources as it was before berth. What `stays` is left,
   * and left in the journal.
   */
  undo(resources: readonly AnyResource[], stays?: Stays): Promise<Undone>;
  /** All changes made or planned so far in this run. */
  readonly changes: readonly Change[];
}

/** Makes the engine of one run. Looks at nothing before the first call. */
export function createEnsure(options: EnsureOptions): Ensurer {
  const changes: Change[] = [];
  const told = (change: Change) => {
    changes.push(change);
    const { resource, verb, why, risk } = change;
    options.log?.info(options.mode === "plan" ? "Would change" : "Changed", { resource, verb, why, risk });
    options.onChange?.(change);
  };
  const ensureAll = (resources: readonly AnyResource[]) => ensureResources(options, told, resources);
  const undo = (resources: readonly AnyResource[], stays?: Stays) =>
    undoJournalled({ ...options, told, given: (change) => given(options, change) }, resources, stays);
  return {
    async ensure<State, Prior>(resource: Resource<State, Prior>): Promise<Ensured<State>> {
      const [ensured] = await ensureAll([resource]);
      return ensured as Ensured<State>;
    },
    ensureAll,
    undo: (resources, stays) =>
      options.mode === "plan" ? undo(resources, stays) : alone(options, () => undo(resources, stays)),
    changes,
  };
}

/** What would have to change, without an engine: for `check`. */
export async function differences(look: Look, resources: readonly AnyResource[]): Promise<readonly Change[]> {
  const eyes = oneLook(look);
  const found = await Promise.all(resources.map((resource) => resource.observe(eyes)));
  return resources.flatMap((resource, index) => resource.diff(found[index]));
}

/** Held while the machine itself is changed: two that found the same lack at once would both make it. */
export const HOST_LOCK = "/run/berth/lock/host";
/** A package installation may hold it for minutes. */
const HOST_LOCK_MS = 300_000;

async function alone<T>({ host }: EnsureOptions, work: () => Promise<T>): Promise<T> {
  return await locked(host, HOST_LOCK, { waitMs: HOST_LOCK_MS }, work);
}

async function ensureResources(
  options: EnsureOptions,
  told: (change: Change) => void,
  resources: readonly AnyResource[],
  locked = false,
): Promise<readonly Ensured<unknown>[]> {
  const { host, journal, mode } = options;
  const eyes = oneLook(host);
  const found = await Promise.all(resources.map((resource) => resource.observe(eyes)));
  const diffs = resources.map((resource, index) => resource.diff(found[index]));
  const differing = resources.map((_, index) => index).filter((index) => diffs[index]!.length > 0);
  if (differing.length === 0) return found.map((state) => unchanged(state));
  if (mode === "apply" && journal !== null && !locked) {
    // Looked at again under the lock: whoever held it may have done the work.
    return await alone(options, () => ensureResources(options, told, resources, true));
  }

  const boot = journal === null ? "" : await bootId(host);
  const known = await journal?.state();
  for (const index of differing) {
    const before = known?.get(resources[index]!.id);
    if (before?.volatile && before.bootId !== boot) diffs[index] = diffs[index]!.map(restored);
  }
  const all = differing.flatMap((index) => diffs[index]!);
  // A plan shows what would be refused; it refuses nothing.
  if (mode === "apply") refuse(await unconsented(all, (change) => given(options, change)));

  if (mode === "apply") {
    await journal?.begin(differing.map((index) => {
      const { id, volatile } = resources[index]!;
      const { verb, why } = diffs[index]![0]!;
      return { id, prior: resources[index]!.prior(found[index]), volatile: volatile === true, verb, why };
    }));
    await applyChanges(host, all, { signal: options.signal, onDone: told });
    await journal?.done(differing.map((index) => resources[index]!.id));
    const again = oneLook(host);
    const after = await Promise.all(differing.map((index) => resources[index]!.observe(again)));
    differing.forEach((index, at) => found[index] = after[at]);
    verify(differing.flatMap((index) => resources[index]!.diff(found[index])));
  }
  if (mode === "plan") all.forEach(told);
  return resources.map((resource, index) => {
    if (diffs[index]!.length === 0) return unchanged(found[index]);
    const state = mode === "plan" ? resource.desired : found[index];
    return { state, changed: true, changes: diffs[index]! };
  });
}

function unchanged(state: unknown): Ensured<unknown> {
  return { state, changed: false, changes: [] };
}

/** What a reboot forgot and berth had made before counts apart from what is new. */
function restored(change: Change): Change {
  return change.verb === "create" || change.verb === "update" ? { ...change, verb: "restore" } : change;
}

async function given({ consent }: EnsureOptions, change: Change): Promise<ConsentGiven> {
  return change.risk !== "destructive" || (await consent?.(change) ?? false);
}

function refuse(refused: readonly Unconsented[]): void {
  const [first, ...others] = refused;
  if (first === undefined) return;
  throw new BerthError({
    code: "refused",
    object: first.change.resource,
    ...refusal(first),
    issues: others.map((one) => ({ place: one.change.resource, ...refusal(one) })),
  });
}

function verify(left: readonly Change[]): void {
  const [first] = left;
  if (first === undefined) return;
  throw new BerthError({
    code: "not-converged",
    object: first.resource,
    message: `Changed ${first.resource}, but it is still not as wanted: ${first.why}`,
    next: "Look for what else sets it, then run this again",
    issues: left.slice(1).map((change) => ({ place: change.resource, message: change.why })),
  });
}
