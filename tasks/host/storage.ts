// `berth host storage`: the places where berth keeps its records. Layout `plain`: directories.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { directory } from "../../lib/resource/kinds/file.ts";
import { GATE_DIRECTORY, RUN_DIRECTORY, STATE_DIRECTORY, VNODES_DIRECTORY } from "../../lib/vnode/paths.ts";
import { runStep, type Step } from "./_step.ts";

/** Directories that only root may enter: journal and records, the gate's batches, locks and lives. */
export function storageResources() {
  return [STATE_DIRECTORY, VNODES_DIRECTORY, GATE_DIRECTORY, RUN_DIRECTORY].map((path) =>
    directory(path, 0o700)
  );
}

export const storageStep: Step = { name: "storage", needs: [], stages: [storageResources] };

export default task({
  summary: "Make the directories for records, state and locks",
  description: "They stay when the host is given back: records of vnodes are data.",
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, storageStep),
});
