// `berth version`: which berth this is and what runs it.
import process from "node:process";
import { task } from "../lib/cli/task.ts";
import { COMMIT, VERSION } from "../lib/cli/version.ts";

/** Tells the version, and with --json the commit and the runtime underneath. */
export default task({
  summary: "Print the version",
  run({ output }) {
    const { bun, deno, node } = process.versions as Record<string, string | undefined>;
    const runtime = bun !== undefined ? `bun ${bun}` : deno !== undefined ? `deno ${deno}` : `node ${node}`;
    const platform = `${process.platform} ${process.arch}`;
    output({ version: VERSION, commit: COMMIT, runtime, platform }, `berth ${VERSION}`);
    return Promise.resolve();
  },
});
