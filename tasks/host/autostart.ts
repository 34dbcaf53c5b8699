// `berth host autostart`: no vnode is started by Docker; berth starts them, in order.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { noRestartPolicies } from "../../lib/resource/restart_policy.ts";
import { LABEL_VNODE } from "../../lib/vnode/names.ts";
import { runStep, type Step } from "./_step.ts";

/** Only containers with berth's label are looked at. */
export function autostartResources() {
  return [noRestartPolicies(LABEL_VNODE)];
}

export const autostartStep: Step = {
  name: "autostart",
  needs: ["daemon-json"],
  stages: [autostartResources],
};

export default task({
  summary: "Keep Docker from starting vnodes by itself",
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, autostartStep),
});
