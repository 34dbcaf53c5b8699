// Gives things back as they were before berth: newest first, computed from the journal and from what is found now, so
// that others' edits survive. What is gone already is undone already. Collects failures instead of stopping.
import { bootId } from "../host/facts.ts";
import { BerthError, type Issue } from "../log/error.ts";
import { applyChanges, messageOf } from "./apply.ts";
import { type ConsentGiven, refusal, unconsented } from "./consent.ts";
import type { AnyResource, EnsureOptions } from "./ensure.ts";
import { JOURNAL_PATH, type JournalFault, priorsOf } from "./journal.ts";
import { oneLook } from "./one_look.ts";
import type { Change } from "./types.ts";

/** What an undo came to. */
export interface Undone {
  readonly changes: readonly Change[];
  /** Ids in the journal for which no resource was given: still there, still journalled. */
  readonly unknown: readonly string[];
  /** Lines of the journal that cannot be read: what they told of is not given back. */
  readonly unreadable: readonly JournalFault[];
}

interface UndoContext extends EnsureOptions {
  readonly told: (change: Change) => void;
  readonly given: (change: Change) => Promise<ConsentGiven>;
}

/** Lines of the journal that cannot be read, as parts of an error. */
export function faultIssues(faults: readonly JournalFault[]): Issue[] {
  return faults.map(({ line, text }) => ({
    place: `${JOURNAL_PATH}:${line}`,
    message: "Cannot be read: what it tells of was not given back",
    found: text.length > 100 ? `${text.slice(0, 100)}…` : text,
    next: "Put right by hand what it names, then take the line out, and run this again",
  }));
}

/** Whether a thing stays as it is, now that these could not be given back. */
export type Stays = (id: string, failed: ReadonlySet<string>) => boolean;

/**
 * Undoes the journalled ones of these resources. Plan mode tells what it would do. What `stays` is neither undone nor
 * forgotten: a later undo finds it in the journal as it is. It is asked about each thing when its turn comes, so that
 * what failed things stand on can be left to them.
 *
 * @throws {BerthError} code `not-converged` after all were tried, one issue for each that could not be undone.
 */
export async function undoJournalled(
  context: UndoContext,
  resources: readonly AnyResource[],
  stays: Stays = () => false,
): Promise<Undone> {
  const { host, journal, mode, log } = context;
  if (journal === null) return { changes: [], unknown: [], unreadable: [] };
  const boot = await bootId(host);
  const state = await journal.state();
  const unreadable = await journal.faults();
  for (const { line, text } of unreadable) {
    log?.warn("A line of the journal cannot be read: what it tells of is not given back", { line, text });
  }
  const byId = new Map(resources.map((resource) => [resource.id, resource]));
  const changes: Change[] = [];
  const unknown: string[] = [];
  const issues: Issue[] = [];
  const failed = new Set<string>();
  for (const id of [...state.keys()].reverse()) {
    if (stays(id, failed)) continue;
    const priors = priorsOf(state, id, boot);
    const resource = byId.get(id);
    if (priors === null) { // the reboot has undone it
      if (mode === "apply") await journal.undone(id);
    } else if (resource === undefined) {
      unknown.push(id);
      log?.warn("Journalled, but not in the configuration any more: left as it is", { resource: id });
    } else {
      try {
        changes.push(...await revertOne(context, resource, priorOf(resource, priors)));
      } catch (error) {
        failed.add(id);
        const next = error instanceof BerthError ? error.next : undefined;
        issues.push({ place: id, message: messageOf(error), ...(next === undefined ? {} : { next }) });
      }
    }
  }
  if (issues.length > 0) {
    throw new BerthError({
      code: "not-converged",
      object: issues[0]!.place!,
      message: `Cannot give back ${
        issues.length === 1 ? "1 thing as it was" : `${issues.length} things as they were`
      }: ${issues[0]!.message}`,
      next: issues[0]!.next ?? "Remove the cause, then run this again",
      issues: [...issues, ...faultIssues(unreadable)],
    });
  }
  return { changes, unknown, unreadable };
}

/** The first prior, with what later runs came to own beside it. */
function priorOf(resource: AnyResource, priors: readonly unknown[]): unknown {
  const { mergePriors } = resource;
  return mergePriors === undefined ? priors[0] : priors.reduce((first, later) => mergePriors(first, later));
}

async function revertOne(
  context: UndoContext,
  resource: AnyResource,
  prior: unknown,
): Promise<readonly Change[]> {
  const { host, journal, mode, signal } = context;
  const changes = resource.revert(prior, await resource.observe(oneLook(host)));
  if (mode === "apply") {
    const [refused] = await unconsented(changes, context.given);
    if (refused !== undefined) {
      throw new BerthError({
        code: "refused",
        object: refused.change.resource,
        ...refusal(refused),
      });
    }
    await applyChanges(host, changes, { signal, onDone: context.told });
    const left = resource.revert(prior, await resource.observe(oneLook(host)));
    if (left.length > 0) {
      throw new BerthError({
        code: "not-converged",
        object: resource.id,
        message: `Undid ${resource.id}, but it is still not as it was: ${left[0]!.why}`,
      });
    }
    await journal?.undone(resource.id);
  }
  if (mode === "plan") changes.forEach(context.told);
  return changes;
}
