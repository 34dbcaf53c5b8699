// Runs the steps of changes on a host, and rolls back what was begun and not finished when one fails. Decides
// nothing: ensure.ts has looked, compared, asked for consent and journalled before.
import { batchTool } from "../host/batch.ts";
import type { Host } from "../host/types.ts";
import { BerthError, type Issue } from "../log/error.ts";
import { startDaemon } from "./daemon.ts";
import { mergedSteps, type Step } from "./merge.ts";
import type { Change, Op } from "./types.ts";

/** Runs one op. `signal: null` runs it to its end whatever happens (roll-back). */
export async function applyOp(host: Host, op: Op, signal?: AbortSignal | null): Promise<void> {
  if ("run" in op) await host.exec(op.run, { signal });
  else if ("write" in op) await host.writeText(op.write, op.text, modeOf(op));
  else if ("directory" in op) await host.makeDirectory(op.directory, modeOf(op));
  else if ("remove" in op) await host.remove(op.remove);
  else if ("daemon" in op) await startDaemon(host, op.daemon, signal);
  else await host.engineCall(op.engine);
}

function modeOf(op: { mode?: number }): { mode?: number } {
  return op.mode === undefined ? {} : { mode: op.mode };
}

/**
 * Applies all changes in order, batches merged. Stops at the first failure and then rolls back, newest first, the
 * changes that were begun and not finished; finished ones stay. `onDone` hears of each as soon as it is finished.
 *
 * @throws {BerthError} with the failed change as object; what the roll-back could not undo stands in its issues.
 */
export async function applyChanges(
  host: Host,
  changes: readonly Change[],
  options: { signal?: AbortSignal; onDone?: (change: Change) => void } = {},
): Promise<void> {
  const { signal } = options;
  const left = changes.map((change) => change.do.length);
  const begun = new Set<number>();
  const advance = (change: number) => {
    begun.add(change);
    if (--left[change]! === 0) options.onDone?.(changes[change]!);
  };
  for (const step of mergedSteps(changes)) {
    try {
      if (signal?.aborted) throw stopped();
      await applyOp(host, step.op, signal);
    } catch (error) {
      const reached = reachedParts(step, error);
      reached.complete.forEach(advance);
      begun.add(reached.failed);
      const unfinished = [...begun].filter((change) => left[change]! > 0).sort((a, b) => b - a);
      const issues = await rollBack(host, unfinished.map((change) => changes[change]!));
      throw failure(changes[reached.failed]!, error, issues);
    }
    for (const { change } of step.parts) advance(change);
  }
}

/** Which changes' parts of a failed step were done, and which one failed. */
function reachedParts(step: Step, error: unknown): { complete: number[]; failed: number } {
  const first = step.parts[0]!.change;
  if (!("run" in step.op) || step.parts.length === 1) return { complete: [], failed: first };
  const line = error instanceof BerthError ? error.message : "";
  const number = Number(/ at line (\d+) "/.exec(line)?.[1] ?? 1);
  const isTransaction = batchTool(step.op.run) === "nft";
  const complete: number[] = [];
  let until = 0;
  for (const part of step.parts) {
    until += part.lines;
    if (number <= until) return { complete: isTransaction ? [] : complete, failed: part.change };
    complete.push(part.change);
  }
  return { complete: [], failed: first };
}

/** Runs the undo ops of changes; collects what fails instead of stopping. */
async function rollBack(host: Host, changes: readonly Change[]): Promise<Issue[]> {
  const issues: Issue[] = [];
  for (const change of changes) {
    for (const op of change.undo) {
      try {
        await applyOp(host, op, null);
      } catch (error) {
        issues.push({ place: change.resource, message: `Roll-back failed: ${messageOf(error)}` });
      }
    }
  }
  return issues;
}

function stopped(): BerthError {
  return new BerthError({ code: "interrupted", object: "run", message: "Stopped before the next step" });
}

function failure(change: Change, error: unknown, issues: readonly Issue[]): BerthError {
  const known = error instanceof BerthError ? error : null;
  return new BerthError({
    code: known?.code ?? "command-failed",
    object: change.resource,
    message: `Cannot ${change.verb} ${change.resource} (${change.why}): ${messageOf(error)}`,
    next: known?.next ??
      (known?.code === "interrupted" ? "Run it again: it continues where it stopped" : undefined),
    issues: [...(known?.issues ?? []), ...issues],
    cause: error,
  });
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
