// How the tasks about vnodes begin and end: the ground they give to lib/vnode, and what came of each vnode.
import type { TaskContext } from "../../lib/cli/task.ts";
import { BerthError, type ErrorCode } from "../../lib/log/error.ts";
import type { Ground, Outcome } from "../../lib/vnode/ground.ts";

/** The ground of lib/vnode's operations, from a task's context. */
export async function groundOf(context: TaskContext<unknown>, by: string): Promise<Ground> {
  return {
    host: context.host,
    docker: await context.docker(),
    log: context.log,
    ensure: context.ensure,
    ensureAll: context.ensureAll,
    mode: context.mode,
    by,
    signal: context.signal,
    onStep: (step) => context.tell(step as Parameters<typeof context.tell>[0]),
  };
}

/** Throws what failed, if anything: one error as it is, several as one with an issue for each. */
export function throwFailed(outcomes: readonly Outcome[]): void {
  const failed = outcomes.filter((one) => one.error !== undefined)
    .map((one) => ({ ...one, error: named(one.vnode, one.error) }));
  if (failed.length === 0) return;
  const first = failed[0]!.error;
  if (outcomes.length === 1) throw first;
  const code: ErrorCode = first instanceof BerthError ? first.code : "fault";
  throw new BerthError({
    code,
    object: `${failed.length} of ${outcomes.length} vnodes`,
    message: "Some vnodes failed; the others were brought to their end",
    issues: failed.map(({ vnode, error }) => ({
      place: `vnode ${vnode}`,
      message: error instanceof Error ? error.message : String(error),
      ...(error instanceof BerthError && error.next !== undefined && { next: error.next }),
    })),
    next: "Mend what is told above, then run the same command again",
  });
}

/** An error of the engine's about a container, as one about its vnode: nobody knows containers by their ids. */
function named(vnode: string, error: unknown): unknown {
  if (!(error instanceof BerthError) || !/^container [0-9a-f]{64}$/.test(error.object)) return error;
  const { code, next, issues, detail, cause } = error;
  const id = error.object.slice("container ".length);
  const message = error.message.replaceAll(id, vnode);
  return new BerthError({ code, object: `vnode ${vnode}`, message, next, issues, detail, cause });
}

/**
 * Tells of a run that was interrupted what stands of the vnodes that did not come up: nothing of them is undone.
 *
 * @throws {BerthError} code `interrupted` where the run was and any vnode failed.
 */
export async function throwInterrupted(
  context: Pick<TaskContext<unknown>, "signal" | "docker">,
  outcomes: readonly Outcome[],
): Promise<void> {
  const failed = outcomes.filter((one) => one.error !== undefined).map(({ vnode }) => vnode);
  if (!context.signal.aborted || failed.length === 0) return;
  const docker = await context.docker();
  const groups: Record<"started" | "made, not started" | "not made", string[]> = {
    "started": [],
    "made, not started": [],
    "not made": [],
  };
  for (const name of failed) {
    const container = await docker.inspectContainer(name);
    const state = container === null ? "not made" : container.state.running ? "started" : "made, not started";
    groups[state].push(name);
  }
  const parts = Object.entries(groups).filter(([, names]) => names.length > 0)
    .map(([state, names]) => `${state}: ${names.join(", ")}`);
  throw new BerthError({
    code: "interrupted",
    object: failed.length === 1 ? `vnode ${failed[0]}` : `${failed.length} of ${outcomes.length} vnodes`,
    message: `Interrupted; ${parts.join("; ")}`,
    next: `berth vnode up ${failed.join(" ")}, or berth vnode down with those that shall not stay`,
  });
}

/**
 * Puts out what became of the vnodes.
 *
 * @throws {BerthError} when any failed, with an issue for each: the others were tried all the same.
 */
export function report(context: TaskContext<unknown>, outcomes: readonly Outcome[], done: string): void {
  throwFailed(outcomes);
  const verb = context.mode === "plan" ? `would be ${done}` : done;
  const count = (changed: boolean) => outcomes.filter((one) => one.changed === changed).length;
  context.output(
    { vnodes: outcomes.map(({ vnode, changed, did }) => ({ vnode, changed, did })) },
    outcomes.length === 0
      ? "No vnodes are declared"
      : `${count(true)} vnode${count(true) === 1 ? "" : "s"} ${verb}, ${count(false)} unchanged`,
  );
}
