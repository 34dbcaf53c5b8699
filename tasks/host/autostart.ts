// `berth host autostart`: no vnode is started by Docker, nor by a unit of the machine's; berth starts them, in order.
// Who else starts containers at boot is told: they are not berth's to switch off.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Look } from "../../lib/host/types.ts";
import { noRestartPolicies } from "../../lib/resource/restart_policy.ts";
import { findStarters, noStarterUnits, type Starter } from "../../lib/resource/starters.ts";
import { LABEL_VNODE } from "../../lib/vnode/names.ts";
import { runStep, type Step } from "./_step.ts";

/** Only containers with berth's label are looked at, and only units that start nothing else are disabled. */
export function autostartResources() {
  return [noRestartPolicies(LABEL_VNODE), noStarterUnits(LABEL_VNODE)];
}

export const autostartStep: Step = {
  name: "autostart",
  needs: ["daemon-json"],
  stages: [autostartResources],
};

/** Who else starts containers at boot, and a line for each. */
export async function otherStarters(
  look: Look,
): Promise<{ readonly starters: readonly Starter[]; readonly text: string }> {
  const starters = await findStarters(look, LABEL_VNODE);
  const lines = starters.map(({ place, what, vnodes }) =>
    `Starts containers beside berth: ${place}: ${what}${
      vnodes.length === 0 ? "" : ` (vnode ${vnodes.join(", ")})`
    }`
  );
  return { starters, text: lines.join("\n") };
}

export default task({
  summary: "Keep Docker and the machine's units from starting vnodes by themselves",
  description:
    'Restart policies of vnodes are set to "no". A unit that starts vnodes and nothing else is disabled, until\n' +
    "host down. Others that start containers at boot (units, init scripts, rc.local, cron, restart policies of\n" +
    "containers that are no vnodes) are told, here and by host check, and left alone.",
  changes: true,
  options: v.object({}),
  async run(context) {
    await runStep(context, autostartStep);
    const { starters, text } = await otherStarters(context.host);
    context.output({ starters }, text);
  },
});
