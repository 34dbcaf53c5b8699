// What each host task is made of, and the one way they all run: stages of resources, each looked at when the one
// before it stands. The list of all of them is in _all.ts.
import type { TaskContext } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import type { Look } from "../../lib/host/types.ts";
import { type AnyResource, differences } from "../../lib/resource/ensure.ts";
import { oneLook } from "../../lib/resource/one_look.ts";
import type { Change } from "../../lib/resource/types.ts";
import { type HostFacts, hostFacts } from "./_facts.ts";

/** The resources of one stage. Changes nothing; most are pure. */
export type Stage = (
  config: Config,
  facts: HostFacts,
  look: Look,
) => readonly AnyResource[] | Promise<readonly AnyResource[]>;

/** One host task. */
export interface Step {
  /** As on the command line: "daemon-json". */
  readonly name: string;
  /** Steps without which this one cannot succeed. */
  readonly needs: readonly string[];
  /** Looks before anything is changed; throws what speaks against it. */
  readonly check?: (look: Look, config: Config) => Promise<void>;
  /** True for a failure that a second try may mend. */
  readonly again?: (error: unknown) => boolean;
  /** Later stages may hang on what earlier ones made: each is observed when the one before it is done. */
  readonly stages: readonly Stage[];
  /** Further stages, which hang on what is found on the machine before the first of them changes anything. */
  readonly find?: (look: Look, config: Config) => Promise<FoundStages>;
  /** For a plan: why `find` cannot tell before the steps that this one needs are done; null: it has failed. */
  readonly later?: (error: unknown) => string | null;
}

/** What a step makes of what it has found. */
export interface FoundStages {
  readonly stages: readonly Stage[];
  /** What the operator is told where anything changes: sentences. */
  readonly said: readonly string[];
}

/** All stages of a step. @throws {BerthError} what `find` has against it. */
export async function foundStages(look: Look, config: Config, step: Step): Promise<FoundStages> {
  const found = await step.find?.(look, config);
  return { stages: [...step.stages, ...(found?.stages ?? [])], said: found?.said ?? [] };
}

/** Makes one step so (or plans it). */
export async function runStep(context: TaskContext<unknown>, step: Step): Promise<void> {
  const config = await context.config();
  const look = oneLook(context.host);
  await step.check?.(look, config);
  const before = context.changes.length;
  const found = await foundStages(look, config, step).catch((error) =>
    context.mode === "plan" ? laterChange(step, error) : Promise.reject(error)
  );
  if ("resource" in found) return context.tell(found);
  const { stages, said } = found;
  for (const stage of stages) {
    const make = async () => {
      const look = oneLook(context.host); // what was true before the stage before this one need not be
      await context.ensureAll(await stage(config, await hostFacts(look), look));
    };
    try {
      await make();
    } catch (error) {
      if (context.signal.aborted || !step.again?.(error)) throw error;
      context.log.warn("Failed, trying once more", { task: step.name, reason: String(error) });
      await make();
    }
  }
  if (context.changes.length > before) said.forEach((line) => context.log.info(line));
}

/** What one step would change. Changes nothing, whatever the mode. */
export async function planStep(context: TaskContext<unknown>, step: Step): Promise<readonly Change[]> {
  const config = await context.config();
  await step.check?.(context.host, config);
  const facts = await hostFacts(context.host);
  const resources = await resourcesOf(step, config, facts, context.host).catch((error) =>
    laterChange(step, error)
  );
  return "resource" in resources ? [resources] : await differences(context.host, resources);
}

/** Stands for all that cannot be told yet. @throws what it is given, where it is no matter of time. */
function laterChange({ name, later }: Step, error: unknown): Change {
  const why = later?.(error) ?? null;
  if (why === null) throw error;
  return { resource: name, verb: "create", why, risk: "safe", do: [], undo: [] };
}

/** The resources of all stages of a step, as they are known now. @throws {BerthError} what `find` has against it. */
export async function resourcesOf(
  step: Step,
  config: Config,
  facts: HostFacts,
  look: Look,
): Promise<readonly AnyResource[]> {
  const { stages } = await foundStages(look, config, step);
  return (await Promise.all(stages.map((stage) => stage(config, facts, look)))).flat();
}
