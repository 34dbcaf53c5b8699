// `berth probe`: one end of a measurement of `berth verify`, inside one network namespace. Not for people.
import process from "node:process";
import { json } from "node:stream/consumers";
import { task } from "../lib/cli/task.ts";
import type { AgentTask } from "../lib/vnode/verify/types.ts";

/** Works off the task on standard input, and tells what it measured. Changes nothing. */
export default task({
  summary: "Measure for berth verify: a task on standard input, its answer on standard output",
  hidden: true,
  async run(context) {
    const asked = await json(process.stdin) as AgentTask;
    const { runAgent } = await import("../lib/vnode/verify/agent.ts");
    const answer = await runAgent(asked);
    context.output(answer, JSON.stringify(answer));
  },
});
