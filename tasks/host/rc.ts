// `berth host rc`: berth's own place in the machine's boot: units for systemd, or init scripts. Works alone, without an
// engine, and in an image's chroot: an image needs nothing but the executable and this.
import * as v from "valibot";
import { usageError } from "../../lib/cli/parse.ts";
import { task, type TaskContext } from "../../lib/cli/task.ts";
import type { Look } from "../../lib/host/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { applyChanges } from "../../lib/resource/apply.ts";
import { createEnsure } from "../../lib/resource/ensure.ts";
import { createJournal } from "../../lib/resource/journal.ts";
import { rc, type RcInit } from "../../lib/resource/rc/rc.ts";
import { watchGuard } from "../../lib/resource/rc/watch_guard.ts";
import type { Resource } from "../../lib/resource/types.ts";
import { type HostFacts, hostFacts } from "./_facts.ts";
import { runStep, type Step } from "./_step.ts";

/** Nothing where no init system runs: nobody would start it. */
export function rcResources(facts: Pick<HostFacts, "init" | "berth">) {
  if (facts.init === null) return [];
  const own = rc({ init: facts.init, berth: facts.berth, live: true });
  return facts.init === "sysvinit" ? [own, watchGuard({ live: true })] : [own];
}

/** Last, and needing none: whatever failed before it is tried again at the next boot. */
export const rcStep: Step = { name: "rc", needs: [], stages: [(_config, facts) => rcResources(facts)] };

/** Which init system lies in an image, whatever runs outside its chroot. */
export async function installedInit(look: Look): Promise<RcInit> {
  const places = ["/sbin/init", "/usr/sbin/init"];
  for (const place of places) {
    if (/(^|\/)systemd$/.test(await look.readLink(place) ?? "")) return "systemd";
  }
  const isSysv = await look.stat("/etc/inittab") !== null &&
    await look.stat("/usr/sbin/update-rc.d") !== null;
  if (isSysv) return "sysvinit";
  throw new BerthError({
    code: "missing",
    object: "init system",
    message: "Found neither systemd (as /sbin/init) nor sysvinit (/etc/inittab and update-rc.d)",
    next: "Install one of them first, or have berth boot called by what there is",
  });
}

/** Asked for by name, it is an error: `host up`, which asks for all that can be had, goes without. */
function noInit(): BerthError {
  return new BerthError({
    code: "missing",
    object: "init system",
    message: "No init system runs here: nothing will start berth at boot",
    next: "For an image: berth host rc --image; else have berth boot called by what starts this machine",
  });
}

/**
 * Takes away all that bears berth's mark, whether the journal knows of it or an image brought it. `planned`: a plan has
 * told already what the journal knows.
 */
export async function removeRc(
  context: TaskContext<unknown>,
  init: HostFacts["init"],
  { planned = false }: { readonly planned?: boolean } = {},
): Promise<void> {
  const { berth } = await hostFacts(context.host);
  for (const kind of ["systemd", "sysvinit"] as const) {
    if (kind === "sysvinit") await removeGuard(context, init, { planned });
    await takeAway(context, rc({ init: kind, berth, live: kind === init }), { planned });
  }
}

/** Takes away who starts a watch again that is ended: before it is ended for good. */
export async function removeGuard(
  context: TaskContext<unknown>,
  init: HostFacts["init"],
  { planned = false }: { readonly planned?: boolean } = {},
): Promise<void> {
  await takeAway(context, watchGuard({ live: init === "sysvinit" }), { planned });
}

async function takeAway<State>(
  context: TaskContext<unknown>,
  resource: Resource<State, null>,
  { planned }: { readonly planned: boolean },
): Promise<void> {
  const journal = createJournal(context.host);
  const isKnown = (await journal.state()).has(resource.id);
  if (planned && isKnown && context.mode === "plan") return;
  const changes = resource.revert(null, await resource.observe(context.host));
  changes.forEach((change) => context.tell(change));
  if (context.mode !== "apply") return;
  await applyChanges(context.host, changes, { signal: context.signal });
  if (isKnown) await journal.undone(resource.id);
}

export default task({
  summary: "Have berth started at boot, and vnodes halted in order at shutdown",
  description: `
Units for systemd (berth-prepare before the engine, berth-boot after it, berth-halt, berth-watch), or the init
scripts berth-prepare and berth. In an image's chroot, with /proc mounted, --image installs for the one
that lies there; nothing else is needed in the image but the executable.

Examples:
  berth host rc
  chroot /mnt/image berth host rc --image
  berth host rc --remove
`,
  changes: true,
  options: v.object({
    image: v.optional(
      v.pipe(v.boolean(), v.description("Into an image: start nothing, note nothing for host down")),
      false,
    ),
    remove: v.optional(
      v.pipe(v.boolean(), v.description("Take all of it away; a watch that runs stays")),
      false,
    ),
  }),
  async run(context) {
    const { image, remove } = context.options;
    if (image && remove) {
      throw usageError("berth host rc", [{
        message: 'Options "--image" and "--remove" do not go together',
        next: "Give --image to install in an image's chroot, or --remove to take away what is installed",
      }]);
    }
    const facts = await hostFacts(context.host);
    if (remove) return await removeRc(context, facts.init);
    if (!image) {
      if (facts.init === null) throw noInit();
      await runStep(context, rcStep);
      return context.output({ init: facts.init });
    }
    const init = await installedInit(context.host);
    const { host, mode, signal } = context;
    const onChange = (change: Parameters<typeof context.tell>[0]) => context.tell(change);
    await createEnsure({ host, mode, signal, journal: null, onChange })
      .ensureAll([
        rc({ init, berth: facts.berth, live: false }),
        ...(init === "sysvinit" ? [watchGuard({ live: false })] : []),
      ]);
    context.output({ init }, `Installed for ${init}`);
  },
});
