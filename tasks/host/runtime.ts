// `berth host runtime`: the gate, the runtime wrapper that wires a vnode before its first instruction. That the
// engine knows it is daemon-json's business.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import type { Config } from "../../lib/config/types.ts";
import { GATE_PATH, gateScript } from "../../lib/gate/script.ts";
import { directory, textFile } from "../../lib/resource/kinds/file.ts";
import type { HostFacts } from "./_facts.ts";
import { runStep, type Step } from "./_step.ts";

/** What the gate calls when berth runs from source: a script with one path, as the executable has. */
const BERTH_SCRIPT = "/usr/lib/berth/berth";
const FOLDER = "/usr/lib/berth";

/** The gate's script, and where berth is not one executable, a script that starts it. */
export function runtimeResources(config: Config, facts: HostFacts) {
  const [program = "", ...args] = facts.berth;
  const script = textFile(
    GATE_PATH,
    gateText(config, facts, args.length === 0 ? program : BERTH_SCRIPT),
    {
      mode: 0o755,
    },
  );
  if (args.length === 0) return [directory(FOLDER), script];
  const line = `#!/bin/sh\nexec ${facts.berth.map(quoted).join(" ")} "$@"\n`;
  return [directory(FOLDER), textFile(BERTH_SCRIPT, line, { mode: 0o755 }), script];
}

function gateText(config: Config, { runc, dataRoot }: HostFacts, berth: string): string {
  return gateScript({ runc, berth, dataRoot: dataRoot ?? config.host.engine.root });
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

export const runtimeStep: Step = { name: "runtime", needs: ["packages"], stages: [runtimeResources] };

export default task({
  summary: "Install the gate, the runtime that wires vnodes before they start",
  changes: true,
  options: v.object({}),
  run: (context) => runStep(context, runtimeStep),
});
