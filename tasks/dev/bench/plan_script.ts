// Run inside a throw-away vhost before it is prepared: prints what `berth host up` would do as a plain shell script,
// one command a line, without berth's looking, journal and syncing. What the first `host up` is measured against.
import process from "node:process";
import type { TaskContext } from "../../../lib/cli/task.ts";
import { loadHostConfig } from "../../../lib/config/load.ts";
import { createDocker } from "../../../lib/docker/client.ts";
import { engineDoor } from "../../../lib/docker/door.ts";
import { createHost } from "../../../lib/host/host.ts";
import type { Command } from "../../../lib/host/types.ts";
import { mergedSteps } from "../../../lib/resource/merge.ts";
import type { Op } from "../../../lib/resource/types.ts";
import { STEPS } from "../../host/_all.ts";
import { hostFacts } from "../../host/_facts.ts";
import { planStep } from "../../host/_step.ts";

const quoted = (word: string) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

function commandLine({ argv, input, okExit, env }: Command): string {
  const set = Object.entries(env ?? {}).map(([name, value]) => `${name}=${quoted(value)} `).join("");
  const line = set + argv.map(quoted).join(" ");
  const forgiving = okExit?.some((exit) => exit !== 0) ? " || :" : "";
  if (input === undefined) return `${line} </dev/null${forgiving}`;
  return `${line} <<'END-OF-INPUT'${forgiving}\n${input}${input.endsWith("\n") ? "" : "\n"}END-OF-INPUT`;
}

function line(op: Op): string {
  if ("run" in op) return commandLine(op.run);
  if ("daemon" in op) return commandLine(op.daemon.start);
  if ("remove" in op) return `rm -f ${quoted(op.remove)}`;
  if ("directory" in op) return `mkdir -p -m ${(op.mode ?? 0o755).toString(8)} ${quoted(op.directory)}`;
  if ("write" in op) {
    const path = quoted(op.write);
    const write = commandLine({ argv: ["tee", op.write], input: op.text });
    return `mkdir -p $(dirname ${path})\n${write.replace(" <<", " >/dev/null <<")}\nchmod ${
      (op.mode ?? 0o644).toString(8)
    } ${path}`;
  }
  const { method, path, body } = op.engine;
  const json = body === undefined ? [] : ["-H", "Content-Type: application/json", "-d", JSON.stringify(body)];
  const socket = ["--unix-socket", "/var/run/docker.sock"];
  return commandLine({
    argv: ["curl", "-sf", "-o", "/dev/null", ...socket, "-X", method, ...json, `http://d${path}`],
  });
}

async function main(): Promise<void> {
  const docker = createDocker({ socket: "/var/run/docker.sock" });
  const host = createHost({ runner: "lean", engine: engineDoor(docker) });
  const config = await loadHostConfig({ look: host });
  const context = { host, config: () => Promise.resolve(config) } as unknown as TaskContext<unknown>;
  const lines = ["#!/bin/sh", "set -e", "umask 022"];
  await hostFacts(host);
  for (const step of STEPS) {
    lines.push(`# ${step.name}`, ...mergedSteps(await planStep(context, step)).map((one) => line(one.op)));
  }
  process.stdout.write(`${lines.join("\n")}\n`);
  await docker.close();
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  process.exitCode = 1;
});
