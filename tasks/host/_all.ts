// All host tasks in order, and how they are run together: a failed step stops those that need it, and no other.
import type { TaskContext } from "../../lib/cli/task.ts";
import { BerthError, type Issue } from "../../lib/log/error.ts";
import type { Change } from "../../lib/resource/types.ts";
import { autostartStep } from "./autostart.ts";
import { checkNewControlNet, controlNetStep } from "./control_net.ts";
import { daemonJsonLaterStep, daemonJsonStep } from "./daemon_json.ts";
import { firewallStep } from "./firewall.ts";
import { kernelStep } from "./kernel.ts";
import { packagesStep } from "./packages.ts";
import { runtimeStep } from "./runtime.ts";
import { rcStep } from "./rc.ts";
import { planStep, runStep, type Step } from "./_step.ts";
import { storageStep } from "./storage.ts";

/** In the order of a preparation. The firewall stands before the network it guards. */
export const STEPS: readonly Step[] = [
  packagesStep,
  kernelStep,
  // The first that stops an engine. What comes before the engine's start asks it nothing, and stops nobody.
  { ...storageStep, check: checkNewControlNet },
  runtimeStep,
  daemonJsonStep,
  firewallStep,
  controlNetStep,
  autostartStep,
  rcStep,
];

/** What comes before the engine's start, and so starts no engine: of berth boot's stage "prepare". */
export const STEPS_BEFORE_ENGINE: readonly Step[] = [
  packagesStep,
  kernelStep,
  storageStep,
  runtimeStep,
  daemonJsonLaterStep,
];

/** What became of one step. */
export interface StepOutcome {
  readonly step: string;
  readonly result: "done" | "failed" | "skipped";
  readonly changes: readonly Change[];
  /** Why it failed, or what it waited for. */
  readonly why?: string;
}

/** Outcomes of all steps, and the errors of those that failed. */
export interface Outcomes {
  readonly steps: readonly StepOutcome[];
  readonly errors: readonly { readonly step: string; readonly error: unknown }[];
}

/** Runs each step whose needs are met. Never throws for a step's sake. */
export async function eachStep(
  steps: readonly Step[],
  run: (step: Step) => Promise<readonly Change[]>,
): Promise<Outcomes> {
  const outcomes: StepOutcome[] = [];
  const errors: { step: string; error: unknown }[] = [];
  const lost = new Set<string>();
  for (const step of steps) {
    const missing = step.needs.find((need) => lost.has(need));
    if (missing !== undefined) {
      lost.add(step.name);
      outcomes.push({ step: step.name, result: "skipped", changes: [], why: `needs ${missing}` });
      continue;
    }
    try {
      outcomes.push({ step: step.name, result: "done", changes: await run(step) });
    } catch (error) {
      lost.add(step.name);
      errors.push({ step: step.name, error });
      const why = error instanceof Error ? error.message : String(error);
      outcomes.push({ step: step.name, result: "failed", changes: [], why });
    }
  }
  return { steps: outcomes, errors };
}

/** Makes all steps so (or plans them, with --dry-run). */
export async function applyAll(
  context: TaskContext<unknown>,
  steps: readonly Step[] = STEPS,
): Promise<Outcomes> {
  // A faulty configuration fails the run, once, not each step.
  await context.config();
  return await eachStep(steps, async (step) => {
    const before = context.changes.length;
    await runStep(context, step);
    return context.changes.slice(before);
  });
}

/** What all steps would change, whatever the mode. */
export async function planAll(context: TaskContext<unknown>): Promise<Outcomes> {
  const told = new Set<string>();
  await context.config();
  return await eachStep(STEPS, async (step) => {
    // What two steps want alike the first one does: the second then finds it so.
    const changes = (await planStep(context, step)).filter(({ resource, why }) =>
      !told.has(`${resource}: ${why}`)
    );
    for (const { resource, why } of changes) told.add(`${resource}: ${why}`);
    changes.forEach((change) => context.tell(change));
    return changes;
  });
}

/**
 * Throws what went wrong, if anything: one error as it is; several as one with an issue each.
 *
 * @throws {BerthError} with the code of the first failure.
 */
export function throwFailures({ steps, errors }: Outcomes): void {
  const [first] = errors;
  if (first === undefined) return;
  const skipped = steps.filter(({ result }) => result === "skipped").map(({ step }) => step);
  if (errors.length === 1 && skipped.length === 0) throw first.error;
  // What stops several steps alike (a subnet that two of them check, say) is told once, with all their names.
  const alike = new Map<string, { readonly error: unknown; readonly steps: string[] }>();
  for (const { step, error } of errors) {
    const text = error instanceof Error ? error.message : String(error);
    const one = alike.get(text) ?? { error, steps: [] };
    one.steps.push(step);
    alike.set(text, one);
  }
  const issues = [...alike].flatMap(([message, { error, steps }]): Issue[] => [
    {
      place: `host ${steps.join(", ")}`,
      message,
      ...(error instanceof BerthError && error.next !== undefined ? { next: error.next } : {}),
    },
    ...(error instanceof BerthError ? error.issues.filter((issue) => issue.message !== message) : []),
  ]);
  const tail = skipped.length === 0 ? "" : `; not tried: ${skipped.join(", ")}`;
  throw new BerthError({
    code: first.error instanceof BerthError ? first.error.code : "fault",
    object: "host",
    message: `Failed: ${errors.map(({ step }) => step).join(", ")}${tail}`,
    next: "Mend what is told above, then run the same command again",
    issues,
    cause: first.error,
  });
}
