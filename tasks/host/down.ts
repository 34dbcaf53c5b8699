// `berth host down`: gives the machine back as it was before berth, from the journal.
import * as v from "valibot";
import { task, type TaskContext } from "../../lib/cli/task.ts";
import { BerthError } from "../../lib/log/error.ts";
import type { AnyResource } from "../../lib/resource/ensure.ts";
import { readJournal } from "../../lib/resource/journal.ts";
import { packages } from "../../lib/resource/kinds/package.ts";
import { LABEL_VNODE } from "../../lib/vnode/names.ts";
import { VNODES_DIRECTORY } from "../../lib/vnode/paths.ts";
import { endWatch } from "../../lib/watch/presence.ts";
import { STEPS } from "./_all.ts";
import { hostFacts } from "./_facts.ts";
import { resourcesOf } from "./_step.ts";
import { removeRc } from "./rc.ts";

/** Undoes all host tasks, newest change first. */
export default task({
  summary: "Give the machine back as it was: undo all host tasks",
  description:
    "Undoes what the journal tells, as far as nobody has changed it since. Packages and the directories\n" +
    "with records stay. The watch is ended. Refused while vnodes exist: take them down first (berth vnode down).",
  changes: true,
  options: v.object({}),
  async run(context) {
    await refuseWithVnodes(context);
    const resources = await allResources(context);
    // The watch would put right at once what is given back.
    if (context.mode === "apply" && await endWatch(context.host, wait)) context.log.info("Ended the watch");
    const undone = await context.undo(resources);
    // An image may have brought it, of which the journal does not tell: else the next boot would undo this.
    await removeRc(context, (await hostFacts(context.host)).init);
    context.output({ left: undone.unknown });
  },
});

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** All resources of all steps. What stays is in the list too, but gives nothing back. */
async function allResources(context: TaskContext<unknown>): Promise<readonly AnyResource[]> {
  const config = await context.config();
  const facts = await hostFacts(context.host);
  const all = (await Promise.all(STEPS.map(async (step) => {
    const resources = await resourcesOf(step, config, facts, context.host);
    return step.name === "storage" ? resources.map(kept) : resources;
  }))).flat();
  // What was installed is missing no longer, so the step would name it no more.
  const installed = [...(await readJournal(context.host)).keys()].filter((id) => id.startsWith("packages "));
  return [
    ...all,
    ...installed.map((id) => kept(packages(id.split(" ").slice(1).filter((name) => name !== "")))),
  ];
}

function kept(resource: AnyResource): AnyResource {
  return { ...resource, revert: () => [] };
}

async function refuseWithVnodes(context: TaskContext<unknown>): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: [LABEL_VNODE] }));
  const [records, listed] = await Promise.all([
    context.host.list(VNODES_DIRECTORY),
    context.host.engine(`/containers/json?all=1&filters=${filters}`),
  ]);
  const containers = listed?.status === 200
    ? listed.body as readonly { readonly Names: readonly string[] }[]
    : [];
  const names = new Set([
    ...(records ?? []),
    ...containers.map(({ Names }) => (Names[0] ?? "").replace(/^\//, "")),
  ]);
  if (names.size === 0) return;
  const sorted = [...names].sort();
  throw new BerthError({
    code: "refused",
    object: "host",
    message: `Vnodes exist: ${sorted.join(", ")}`,
    next: `Take them down first: berth vnode down ${sorted.join(" ")}`,
  });
}
