// A whole machine as tests see it: Debian in QEMU, booted, rebooted, cut from its power, with commands run in it.
// QEMU runs in a throw-away vhost, so that it ends with the test process and leaves nothing. Asserts nothing itself.
import type { ChildProcess } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Clone, openClone } from "../../tasks/dev/sandbox/clone.ts";
import { imageTar } from "../../tasks/dev/sandbox/layers.ts";
import { type Suite, type VmImage, vmImage, vmTools } from "../../tasks/dev/vm/image.ts";
import { qemuArgv, VM_FOLDER } from "../../tasks/dev/vm/qemu.ts";
import { until } from "../sandbox/harness.ts";
import { type Answer, type Channel, openChannel } from "./_channel.ts";

export { type Suite, until };

/** A file of the machine: its text, or a copy of one of this machine's. */
export type MachineFile = string | { readonly copy: string; readonly mode?: number };

export interface MachineOptions {
  /** @default {"bookworm"} */
  readonly suite?: Suite;
  /** What lies on it before its first boot, by path. */
  readonly files?: Readonly<Record<string, MachineFile>>;
  /** A shell script that is run in the image's chroot before the first boot, as whoever makes an image would. */
  readonly image?: string;
  /** Blank disks of so many MiB: /dev/disk/by-id/virtio-disk0 … @default {[]} */
  readonly disks?: readonly number[];
  /** Network cards, joined by a hub: eth0, eth1 … @default {0} */
  readonly cards?: number;
  /** @default {1536} */
  readonly memoryMiB?: number;
  /** Milliseconds from power-on to the end of the boot. @default {300000} */
  readonly bootMs?: number;
  /** Emulated processors. @default {$BERTH_VM_CPUS, or one: two files run at a time} */
  readonly cpus?: number;
}

export interface RunOptions {
  /** Milliseconds; then the command is killed and `run` throws. @default {60000} */
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array;
}

/** A machine of a test's own. */
export interface Machine {
  /** Milliseconds from power-on (or the call of reboot) to the end of the boot, of the last one. */
  readonly bootMs: number;
  /** Runs a command as root; a non-zero exit does not throw. */
  run(argv: readonly string[], options?: RunOptions): Promise<Answer>;
  /** Runs a bash script (`set -euo pipefail`) and returns its stdout. @throws {Error} with its output where it fails. */
  sh(script: string, options?: RunOptions): Promise<string>;
  write(path: string, text: string): Promise<void>;
  /** Reboots as an operator would, and waits for the end of the boot. */
  reboot(): Promise<void>;
  /** SIGKILL to QEMU: what was not synced is lost as far as the disk's cache goes. */
  powerCut(): Promise<void>;
  /** As an operator would; waits for the end. */
  powerOff(): Promise<void>;
  /** Keeps its disks as they are, while it is off, for `restore`. */
  save(): Promise<void>;
  /** Puts back, while it is off, what `save` kept. */
  restore(): Promise<void>;
  /** A new system disk, with the same files put on it; the other disks stay. While it is switched off. */
  reimage(): Promise<void>;
  /** Power on, with the same disks; waits for the end of the boot, or only until commands can be run. */
  start(until?: "booted" | "agent"): Promise<void>;
  /** After `start("agent")`: waits for the end of the boot. */
  booted(): Promise<void>;
  /** The last lines of its console. */
  console(lines?: number): string;
  /** Ends it and removes everything of it. Does nothing the second time. */
  close(): Promise<void>;
}

const SOCKET = "/run/vm.sock";

/** What is made of the options before the machine is switched on. */
interface Made {
  readonly clone: Clone;
  readonly image: VmImage;
  readonly options: MachineOptions;
}

/**
 * Why no machine of that suite can be had here, or null. Only what lies outside counts: no root, no mirror to fetch
 * from. Whatever else goes wrong while an image is made is thrown.
 */
export async function whyNoMachine(suite: Suite): Promise<string | null> {
  if (process.getuid?.() !== 0) return "a test machine is made by root only";
  try {
    await vmImage(suite, tell);
    return null;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const outside = /Could not resolve .*|Could not connect .*|Failed to fetch .*|Unable to locate package .*/
      .exec(said);
    if (outside === null) throw error;
    return `no image of ${suite}: ${outside[0].slice(0, 120)}`;
  }
}

/** The test image's file in this machine, for `files`. */
export function boxImage(): Promise<string> {
  return imageTar(tell);
}

/** Makes a machine without switching it on: a throw-away vhost with QEMU, the overlay, the files, the disks. */
export async function makeMachine(options: MachineOptions = {}): Promise<Made> {
  const image = await vmImage(options.suite ?? "bookworm", tell);
  const clone = await openClone({ layer: await vmTools(tell) });
  try {
    const outside = clone.outside(VM_FOLDER);
    const script = options.image === undefined ? {} : { "/root/vm-image": `set -e\n${options.image}\n` };
    for (const [path, file] of Object.entries({ ...options.files, ...script })) {
      place(join(outside, "files", path), file);
    }
    mkdirSync(join(outside, "files"), { recursive: true });
    const disks = (options.disks ?? []).map((size, index) => `truncate -s ${size}M disk${index}`);
    const make = `set -e; cd ${VM_FOLDER}
      tar --create --file files.tar --owner=0 --group=0 --directory files .; rm -rf files
      qemu-img create -q -f qcow2 -F raw -b ${image.disk} -o lazy_refcounts=on overlay
      ${disks.join("\n")}`;
    const said = await clone.run(["/bin/sh", "-c", make]);
    if (said.exit !== 0) throw new Error(`Cannot make a test machine: ${said.stderr || said.stdout}`);
    return { clone, image, options };
  } catch (error) {
    await clone.close();
    throw error;
  }
}

/** QEMU's argument vector for a machine that was made. */
export function argvOf({ image, options }: Made, console: "log" | "hand"): string[] {
  return qemuArgv({
    image,
    overlay: `${VM_FOLDER}/overlay`,
    files: `${VM_FOLDER}/files.tar`,
    disks: (options.disks ?? []).map((_, index) => `${VM_FOLDER}/disk${index}`),
    cards: options.cards ?? 0,
    socket: SOCKET,
    memoryMiB: options.memoryMiB ?? 1536,
    nice: Number(process.env["BERTH_VM_NICE"] ?? 10),
    cpus: options.cpus ?? Number(process.env["BERTH_VM_CPUS"] ?? 1),
    console,
  });
}

/** Makes a machine, switches it on, and waits for the end of its boot, or only until commands can be run. */
export async function openMachine(
  options: MachineOptions = {},
  until?: "booted" | "agent",
): Promise<Machine> {
  const made = await makeMachine(options);
  const machine = machineOf(made);
  try {
    await machine.start(until);
  } catch (error) {
    await machine.close();
    throw error;
  }
  return machine;
}

function machineOf(made: Made): Machine {
  const { clone, options } = made;
  let qemu: ChildProcess | undefined;
  let channel: Channel | undefined;
  let said = "";
  let bootMs = 0;
  const consoleEnd = (lines = 40) => said.replaceAll("\r", "").trimEnd().split("\n").slice(-lines).join("\n");
  const withConsole = (error: unknown) =>
    new Error(`${error instanceof Error ? error.message : error}\nThe console's end:\n${consoleEnd()}`);

  let panicked = false;
  /** The console since the machine was switched on: an earlier life's panic is none of this one. */
  let lately = "";
  /** Why nothing can come of it any more, or null. `until` would go on past an error until its deadline. */
  const over = (): string | null => {
    if (qemu === undefined || qemu.exitCode !== null || qemu.signalCode !== null) {
      return `QEMU has ended (${qemu?.signalCode ?? `exit code ${qemu?.exitCode}`})`;
    }
    return panicked ? "The machine's kernel has panicked" : null;
  };
  const overTold = async (why: string | null) => {
    if (why === null) return;
    // The kernel goes on to tell where it was; its last line is this one.
    if (panicked) await until("the panic's end", () => lately.includes("end Kernel panic")).catch(() => {});
    throw new Error(why);
  };
  const listen = (chunk: unknown) => {
    // One megabyte is some twenty boots.
    said = (said + chunk).slice(-1_000_000);
    lately += chunk;
    const hasPanic = lately.includes("Kernel panic - not syncing");
    lately = lately.slice(-10_000);
    if (panicked || !hasPanic) return;
    panicked = true;
    channel?.close(); // whoever waits for an answer
  };

  let began = 0;
  const ready = async (how: "booted" | "agent", not: string | null) => {
    const deadlineMs = (options.bootMs ?? 300_000) - (Date.now() - began);
    try {
      await until(how === "agent" ? "the machine's agent" : "the end of the boot", async (seen) => {
        if (over() !== null) return true;
        seen(`${said.length} bytes on the console`);
        channel ??= existsSync(clone.outside(SOCKET)) ? await openChannel(clone.outside(SOCKET)) : undefined;
        if (channel === undefined || channel.bootId === null || channel.bootId === not) return false;
        return how === "agent" || channel.booted;
      }, { deadlineMs, everyMs: 200 });
      await overTold(over());
    } catch (error) {
      throw withConsole(error);
    }
    bootMs = Date.now() - began;
  };
  const run: Machine["run"] = async (argv, how = {}) => {
    if (channel === undefined) throw new Error("The machine is switched off");
    const timeoutMs = how.timeoutMs ?? 60_000;
    const input = typeof how.input === "string" ? new TextEncoder().encode(how.input) : how.input;
    const answer = await within(
      channel.call(argv, input ?? new Uint8Array(), Math.ceil(timeoutMs / 1000)),
      timeoutMs + 20_000, // the agent's own deadline comes first, and brings what was said
    ).catch((error) => {
      throw withConsole(
        `"${argv.join(" ").slice(0, 300)}": ${error instanceof Error ? error.message : error}`,
      );
    });
    if (answer.exit !== 124) return answer;
    const tail = `stdout: ${answer.stdout.slice(-2000)}\nstderr: ${answer.stderr.slice(-2000)}`;
    throw withConsole(`"${argv.join(" ").slice(0, 300)}" did not end within ${timeoutMs} ms\n${tail}`);
  };
  const must = async (argv: readonly string[], how?: RunOptions): Promise<string> => {
    const answer = await run(argv, how);
    if (answer.exit === 0) return answer.stdout;
    throw new Error(
      `"${argv.join(" ")}" ended with exit code ${answer.exit}\n${answer.stdout}${answer.stderr}`,
    );
  };
  const copyDisks = async (script: string) => {
    if (qemu !== undefined) throw new Error("The machine is switched on");
    const copied = await clone.run(["/bin/sh", "-c", `cd ${VM_FOLDER} && ${script}`], { timeoutMs: 600_000 });
    if (copied.exit !== 0) throw new Error(`Cannot copy the machine's disks: ${copied.stderr}`);
  };
  const machine: Machine = {
    get bootMs() {
      return bootMs;
    },
    run,
    sh: (script, how) => must(["/bin/bash", "-c", `set -euo pipefail\n${script}`], how),
    async write(path, text) {
      const script = 'mkdir -p "$(dirname "$1")" && cat >"$1"';
      await must(["/bin/sh", "-c", script, "write", path], { input: text });
    },
    async reboot() {
      const before = channel?.bootId ?? null;
      await must(["/bin/sh", "-c", "(sleep 0.2; reboot) >/dev/null 2>&1 &"]);
      channel?.expectReboot();
      began = Date.now();
      await ready("booted", before);
    },
    async powerCut() {
      channel?.close();
      channel = undefined;
      await clone.run(["/bin/sh", "-c", `kill -9 $(pidof qemu-system-x86_64); rm -f ${SOCKET}`]);
      await until(
        "QEMU to end",
        () => qemu === undefined || qemu.exitCode !== null || qemu.signalCode !== null,
      );
      qemu = undefined;
    },
    async powerOff() {
      await must(["/bin/sh", "-c", "(sleep 0.2; poweroff) >/dev/null 2>&1 &"]);
      await until("the machine to switch itself off", () => {
        return over() !== null;
      }, { deadlineMs: 300_000, everyMs: 200 }).then(() => overTold(panicked ? over() : null)).catch(
        (error) => {
          throw withConsole(error);
        },
      );
      channel?.close();
      channel = undefined;
      await clone.run(["rm", "-f", SOCKET]);
      qemu = undefined;
    },
    save: () => copyDisks("mkdir -p saved; cp --sparse=always overlay $(ls | grep ^disk) saved/"),
    restore: () => copyDisks("cp --sparse=always saved/* ."),
    reimage: () =>
      copyDisks(`qemu-img create -q -f qcow2 -F raw -b ${made.image.disk} -o lazy_refcounts=on overlay`),
    booted: () => ready("booted", null),
    async start(how = "booted") {
      if (qemu !== undefined) throw new Error("The machine is switched on already");
      began = Date.now();
      qemu = clone.start(argvOf(made, "log"));
      panicked = false;
      lately = "";
      for (const stream of [qemu.stdout!, qemu.stderr!]) stream.on("data", listen);
      await ready(how, null);
    },
    console: consoleEnd,
    async close() {
      channel?.close();
      channel = undefined;
      await clone.close();
    },
  };
  return machine;
}

function place(path: string, file: MachineFile): void {
  mkdirSync(dirname(path), { recursive: true });
  if (typeof file === "string") return writeFileSync(path, file);
  copyFileSync(file.copy, path);
  chmodSync(path, file.mode ?? 0o644);
}

function tell(line: string): void {
  process.stderr.write(`vm: ${line}\n`);
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer from the machine within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
