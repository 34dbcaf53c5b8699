// `berth run`: an operator's own script with berth's tools.
import process from "node:process";
import { task } from "../lib/cli/task.ts";

/** Runs a script from /etc/berth/tasks, a file, or standard input. */
export default task({
  summary: "Run a script of your own",
  description: `
NAME is a script in /etc/berth/tasks (NAME.ts, .js or .mjs), FILE any such file, - standard input. Options of
berth stand before NAME; all that follows it belongs to the script.

A script is TypeScript or JavaScript in the manner of zx. It has, without imports:
  $         runs commands: await $\`ip -br link\`
  ensure    makes a resource so, with plan and journal
  docker    the engine: await docker.listContainers()
  vnodes    list(), get(name), exec(name, argv)
  args      the arguments after NAME
  log       log.info("Done", { vnode: "left" })
and zx's sleep, retry, echo, fs, os, path, glob, which, YAML, tmpfile, question, within, cd and more. It may also
import from "zx" and "berth" (both built in), from node: modules and from files of its own.

With --dry-run, ensure plans, and $ runs only commands that cannot change anything; others are printed.
The exit code is the script's own: process.exit(n), or that of a command that failed and was not caught.

Examples:
  berth run fix-mtu left right
  berth run --dry-run ./fix.ts
  ssh vhost berth run - < fix.ts
`,
  args: ["NAME|FILE|-", "[ARG...]"],
  completes: "tasks",
  passThrough: true,
  changes: true,
  async run(context) {
    const [name, ...args] = context.args;
    const { findScript } = await import("../lib/cli/script/source.ts");
    const source = await findScript(name!, `${context.configDirectory}/tasks`);
    const { runScript } = await import("../lib/cli/script/run.ts");
    const library = await import("../mod.ts");
    const planned: string[] = [];
    await runScript(source, context, {
      args,
      verbose: context.verbose,
      library: library as unknown as Readonly<Record<string, unknown>>,
      would(text) {
        planned.push(text);
        if (!context.json) process.stdout.write(`${text}\n`);
      },
    });
    if (context.mode === "plan") context.output({ planned });
  },
});
