// `berth completion`: the script that makes a shell complete berth's commands.
import { completionScript, SHELLS } from "../lib/cli/completion_script.ts";
import { task } from "../lib/cli/task.ts";
import { BerthError } from "../lib/log/error.ts";

/** Prints the script for a shell. */
export default task({
  summary: "Print the completion script of a shell",
  description: `
Completes commands, options, their values, vnodes, scripts and files.

Examples:
  source <(berth completion bash)
  berth completion zsh > /usr/local/share/zsh/site-functions/_berth
`,
  args: [SHELLS.join("|")],
  completes: SHELLS,
  run({ args, output }) {
    const shell = args[0]!;
    if (!SHELLS.includes(shell)) {
      throw new BerthError({
        code: "usage",
        object: "berth completion",
        message: `There is no completion for "${shell}"`,
        next: `Run "berth completion bash" or "berth completion zsh"`,
      });
    }
    const script = completionScript(shell);
    output({ shell, script }, script);
    return Promise.resolve();
  },
});
