// The vnodes that an operator names, of those that were made. Owns what is told of one that was not: whether it is
// declared, which only the configuration knows, and only then is it read.
import type { TaskContext } from "../../lib/cli/task.ts";
import { knownRecord } from "../../lib/vnode/known.ts";
import { readRecord, type VnodeRecord } from "../../lib/vnode/record.ts";
import { selectNames } from "../../lib/vnode/select.ts";
import { recordedNames } from "../../lib/vnode/status.ts";

/** What is needed of a task's context. */
export type NamesContext = Pick<TaskContext<unknown>, "host" | "configDirectory">;

/** These names, or those of all vnodes made when none is named. @throws {BerthError} code `usage` for others. */
export async function madeNames(
  context: NamesContext,
  names: readonly string[],
): Promise<readonly string[]> {
  const known = await recordedNames(context.host);
  if (names.every((name) => known.includes(name))) return selectNames(known, names);
  return selectNames(known, names, {
    names: await declaredNames(context),
    directory: `${context.configDirectory}/vnodes.d`,
  });
}

/** The record of a vnode that was made. @throws {BerthError} as `madeNames`. */
export async function madeRecord(context: NamesContext, name: string): Promise<VnodeRecord> {
  const record = await readRecord(context.host, name);
  if (record !== null) return record;
  await madeNames(context, [name]);
  return await knownRecord(context, name); // made in between
}

/** None where the configuration is faulty: that is another command's to tell. */
async function declaredNames({ host, configDirectory }: NamesContext): Promise<readonly string[]> {
  const { loadUsable } = await import("../../lib/config/load.ts");
  try {
    return (await loadUsable({ look: host, directory: configDirectory })).config.vnodes.map(({ name }) =>
      name
    );
  } catch {
    return [];
  }
}
