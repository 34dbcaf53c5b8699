// `deno task vm -- [options] [SUITE] [-- command]`: a test machine by hand. Boots it and gives its console, or runs the
// command in it and ends it. Owns the command line only; images are tasks/dev/vm/image.ts', machines test/vm/harness.ts'.
import { existsSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { join } from "node:path";
import { argvOf, boxImage, type MachineOptions, makeMachine, openMachine } from "../../test/vm/harness.ts";
import { distDirectory } from "./_bundle.ts";
import { type Suite, SUITES } from "./vm/image.ts";

const USAGE = `Usage: deno task vm -- [options] [SUITE] [-- command [arguments]]
  SUITE         ${SUITES.join(", ")} [${SUITES[0]}]; the image is made the first time, in some two minutes
  --disk MIB    a blank disk of that size, /dev/disk/by-id/virtio-disk0 …; may be given again
  --memory MIB  [1536]
Without a command: the console, as root; Ctrl-A X ends the machine. dist/berth is in it where it is built, and the
test image at /root/box.tar. Nothing that happens in the machine lasts.
`;

async function main(given: readonly string[]): Promise<number> {
  // "deno task vm -- bookworm" hands its "--" on.
  const argv = given[0] === "--" ? given.slice(1) : given;
  const at = argv.indexOf("--");
  const command = at < 0 ? [] : argv.slice(at + 1);
  const { values, positionals } = parseArgs({
    args: at < 0 ? [...argv] : argv.slice(0, at),
    allowPositionals: true,
    options: {
      disk: { type: "string", multiple: true, default: [] },
      memory: { type: "string", default: "1536" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const suite = positionals[0] ?? SUITES[0]!;
  const numbers = [...values.disk, values.memory].every((text) => /^[1-9]\d*$/.test(text));
  const wrong = positionals.length > 1 || !numbers || !SUITES.some((one) => one === suite);
  if (values.help || wrong) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 64;
  }
  const berth = join(distDirectory(), "berth");
  const options: MachineOptions = {
    suite: suite as Suite,
    memoryMiB: Number(values.memory),
    disks: values.disk.map(Number),
    files: {
      "/root/box.tar": { copy: await boxImage() },
      ...(existsSync(berth) ? { "/usr/local/bin/berth": { copy: berth, mode: 0o755 } } : {}),
    },
  };
  return command.length === 0 ? await byHand(options) : await runIn(options, command);
}

async function byHand(options: MachineOptions): Promise<number> {
  const made = await makeMachine(options);
  try {
    const qemu = made.clone.start(argvOf(made, "hand"), { stdio: "inherit", detached: false });
    process.on("SIGINT", () => {}); // a terminal's Ctrl-C is for the machine
    return await new Promise<number>((resolve, reject) => {
      qemu.once("error", reject);
      qemu.once("exit", (code) => resolve(code ?? 1));
    });
  } finally {
    await made.clone.close();
  }
}

async function runIn(options: MachineOptions, command: readonly string[]): Promise<number> {
  const machine = await openMachine(options);
  try {
    process.stderr.write(`vm: booted in ${(machine.bootMs / 1000).toFixed(1)} s\n`);
    const said = await machine.run(command, { timeoutMs: 3_600_000 });
    process.stdout.write(said.stdout);
    process.stderr.write(said.stderr);
    return said.exit;
  } finally {
    await machine.close();
  }
}

main(process.argv.slice(2)).then((code) => process.exitCode = code, (error) => {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
});
