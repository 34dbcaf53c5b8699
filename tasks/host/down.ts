// `berth host down`: gives the machine back as it was before berth, from the journal.
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { task, type TaskContext } from "../../lib/cli/task.ts";
import { forgetGood, loadSomeHost } from "../../lib/config/last_good.ts";
import type { Config } from "../../lib/config/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import type { Look } from "../../lib/host/types.ts";
import type { AnyResource } from "../../lib/resource/ensure.ts";
import { JOURNAL_PATH, readJournal } from "../../lib/resource/journal.ts";
import { packages } from "../../lib/resource/kinds/package.ts";
import { faultIssues } from "../../lib/resource/undo.ts";
import { LABEL_VNODE } from "../../lib/vnode/names.ts";
import { VNODES_DIRECTORY } from "../../lib/vnode/paths.ts";
import { endWatch } from "../../lib/watch/presence.ts";
import { STEPS } from "./_all.ts";
import { hostFacts } from "./_facts.ts";
import { resourcesOf } from "./_step.ts";
import { removeGuard, removeRc } from "./rc.ts";
import { findStorage, storageStep } from "./storage.ts";

/** Volumes and their group fail for want of consent, each by itself: then all are told at once. */
const LACKS_CONSENT = /^(logical-volume|thin-pool|thin-volume|volume-group) /;

/** Undoes all host tasks, newest change first. */
export default task({
  summary: "Give the machine back as it was: undo all host tasks",
  description:
    "Undoes what the journal tells, as far as nobody has changed it since. Packages and the directories\n" +
    "with records stay, and without --storage all of storage does. With it the engine's root moves back with its\n" +
    "content, if that fits; volumes and their group go only with consent to each. The watch is ended.\n" +
    "Refused while vnodes exist: take them down first (berth vnode down).",
  changes: true,
  options: v.object({
    storage: v.optional(v.pipe(v.boolean(), v.description("Give back storage, too")), false),
  }),
  async run(context) {
    await refuseWithVnodes(context);
    const { config, from, fault } = await loadSomeHost({
      look: context.host,
      directory: context.configDirectory,
    });
    if (fault !== null) {
      context.log.warn(
        `host.yaml is faulty: goes by the journal and ${
          from === "defaults" ? "defaults" : "the last good one"
        }`,
      );
    }
    const { resources, storage } = await allResources(context, config, context.options.storage);
    const ofStorage = new Set(storage);
    // What could not be given back stands on what was there before it: an engine's root that has no room to go back to
    // must keep its volume, whatever consent there is to the volume's loss.
    const stays = (id: string, failed: ReadonlySet<string>) =>
      ofStorage.has(id) &&
      (!context.options.storage || storage.some((one) => failed.has(one) && !LACKS_CONSENT.test(one)));
    // The watch would put right at once what is given back.
    if (context.mode === "apply") {
      await removeGuard(context, (await hostFacts(context.host)).init);
      const { ran, lock } = await endWatch(context.host, wait);
      await lock.release();
      if (ran) context.log.info("Ended the watch");
    }
    const undone = await context.undo(resources, stays);
    // An image may have brought it, of which the journal does not tell: else the next boot would undo this.
    await removeRc(context, (await hostFacts(context.host)).init, { planned: true });
    context.output({ left: undone.unknown });
    const [first, ...others] = faultIssues(undone.unreadable);
    if (first === undefined) {
      // A boot that went on with it would prepare again what has just been given back.
      if (context.mode === "apply") await forgetGood(context.host);
      if (fault !== null) throw fault;
      return;
    }
    const count = others.length === 0 ? "A line" : `${others.length + 1} lines`;
    throw new BerthError({
      code: "not-converged",
      object: `file ${JOURNAL_PATH}`,
      message: `${count} cannot be read (${first.place}): what stands there was not given back; all else was`,
      next: first.next!,
      issues: [first, ...others, ...fault?.issues ?? []],
    });
  },
});

/** All resources of all steps, and the names of those of storage. */
async function allResources(
  context: TaskContext<unknown>,
  config: Config,
  withStorage: boolean,
): Promise<{ readonly resources: readonly AnyResource[]; readonly storage: readonly string[] }> {
  const facts = await hostFacts(context.host);
  const others = STEPS.filter(({ name }) => name !== "storage");
  const all = (await Promise.all(others.map((step) => resourcesOf(step, config, facts, context.host))))
    .flat();
  const step = { ...storageStep, find: (look: Look) => findStorage(look, config, { back: true }) };
  // A storage that is out of order stays as it is, and keeps nothing else from being given back.
  const storage = await resourcesOf(step, config, facts, context.host).catch((error) => {
    if (withStorage) throw error;
    return [];
  });
  // Records of vnodes, journal and locks are data: their directories stay, whatever is given back.
  const isDirectory = ({ id }: AnyResource) => id.startsWith("directory ");
  // What was installed is missing no longer, so the step would name it no more.
  const installed = [...(await readJournal(context.host)).keys()].filter((id) => id.startsWith("packages "));
  return {
    resources: [
      ...all,
      ...storage.map((resource) => isDirectory(resource) ? kept(resource) : resource),
      ...installed.map((id) => kept(packages(id.split(" ").slice(1).filter((name) => name !== "")))),
    ],
    storage: storage.filter((resource) => !isDirectory(resource)).map(({ id }) => id),
  };
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
