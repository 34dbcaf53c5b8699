// `berth vnode exec`: a command inside a vnode; its output, its input and its exit code are the caller's.
import process from "node:process";
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { whyNotRun } from "../../lib/vnode/known.ts";
import { madeRecord } from "./_names.ts";

/** Runs a command in a running vnode and ends with its exit code. */
export default task({
  summary: "Run a command inside a vnode",
  description: `
Standard input is passed on, and its end too. The exit code is the command's own.

Examples:
  berth vnode exec left ip addr
  tar c . | berth vnode exec left tar x -C /tmp
`,
  args: ["NAME", "COMMAND", "[ARG...]"],
  completes: "vnodes",
  passThrough: true,
  options: v.object({
    user: v.optional(v.pipe(v.string(), v.description("User inside the vnode, as NAME or UID[:GID]"))),
  }),
  async run(context) {
    const [name, ...argv] = context.args;
    const record = await madeRecord(context, name!);
    const docker = await context.docker();
    const { signal } = context;
    const explain = async (error: unknown) => {
      throw await whyNotRun({ docker }, record, error);
    };
    if (context.json) {
      const result = await docker.exec(record.containerId, argv, { signal, user: context.options.user })
        .catch(explain);
      const text = new TextDecoder();
      context.output({
        exit: result.exit,
        stdout: text.decode(result.stdout),
        stderr: text.decode(result.stderr),
      });
      context.exit(result.exit);
      return;
    }
    const exit = await docker.execStream(record.containerId, argv, {
      stdin: process.stdin.isTTY ? undefined : process.stdin,
      stdout: (chunk) => void process.stdout.write(chunk),
      stderr: (chunk) => void process.stderr.write(chunk),
    }, { signal, user: context.options.user }).catch(explain);
    context.exit(exit);
  },
});
