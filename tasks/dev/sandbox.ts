// `deno task sandbox [options] [-- command]`: a throw-away vhost by hand. Runs the command in it, or a shell,
// and ends it. Owns the command line only; clones are tasks/dev/sandbox/clone.ts', tests use test/sandbox/harness.ts.
import process from "node:process";
import { parseArgs } from "node:util";
import { openSandbox } from "../../test/sandbox/harness.ts";
import type { Engine } from "./sandbox/layers.ts";

const USAGE = `Usage: deno task sandbox [options] [-- command [arguments]]
  --engine none|20.10|26.1|28.5   the engine installed in it [20.10]
  --dockerd                       start the engine
  --image                         start it and load busybox as box:latest
  --berth                         put dist/berth at /usr/local/bin/berth
  --keep                          leave the clone's directory behind and say where
`;
const ENGINES: readonly string[] = ["none", "20.10", "26.1", "28.5"];

async function main(argv: readonly string[]): Promise<number> {
  const at = argv.indexOf("--");
  const command = at < 0 ? [] : argv.slice(at + 1);
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: at < 0 ? [...argv] : argv.slice(0, at),
    options: {
      engine: { type: "string", default: "20.10" },
      dockerd: flag,
      image: flag,
      berth: flag,
      keep: flag,
      help: { ...flag, short: "h" },
    },
  });
  if (values.help || !ENGINES.includes(values.engine)) {
    process.stderr.write(
      values.help
        ? USAGE
        : `Unknown engine "${values.engine}", wanted one of ${ENGINES.join(", ")}\n${USAGE}`,
    );
    return values.help ? 0 : 64;
  }
  const box = await openSandbox({ ...values, engine: values.engine as Engine });
  try {
    if (values.keep) process.stderr.write(`sandbox: kept in ${box.clone.directory}\n`);
    // `script` gives the shell a terminal of the clone's own /dev/pts.
    const shell = process.stdin.isTTY ? ["script", "-qec", "bash -l", "/dev/null"] : ["bash", "-l"];
    const child = box.clone.start(command.length > 0 ? command : shell, {
      stdio: "inherit",
      detached: false,
    });
    const pass = (signal: NodeJS.Signals) => () => void child.kill(signal);
    process.on("SIGTERM", pass("SIGTERM"));
    process.on("SIGINT", () => {}); // the terminal has told the command already
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once(
        "exit",
        (code, signal) => resolve(code ?? (signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 137)),
      );
    });
  } finally {
    await box.close();
  }
}

main(process.argv.slice(2)).then((code) => process.exitCode = code, (error) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
});
