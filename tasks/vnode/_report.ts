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
  const failed = outcomes.filter((one) => one.error !== undefined);
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
