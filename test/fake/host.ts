// A dumb machine in memory: files, kernel parameters, links, packages. It fails on any command it does not know, and
// prints itself as sorted text. For the laws and for unit tests of resources and tasks.
import { dirname, resolve } from "node:path";
import { wantedStatus } from "../../lib/host/host.ts";
import { refusal } from "../../lib/host/allow.ts";
import { isUnanswered } from "../../lib/host/look.ts";
import { commandFailed, shownCommand } from "../../lib/host/command.ts";
import type { Command, DeviceEnds, EngineDoor, FileStat, Host, Output } from "../../lib/host/types.ts";
import { BerthError } from "../../lib/log/error.ts";
import { dpkgCommands, type FakePackages } from "./packages.ts";
import { type FakeLink, ipCommands } from "./ip.ts";

/** What a command of the fake machine answers; a missing part is "" or 0. */
export type FakeOutput = { exit?: number; stdout?: string; stderr?: string };
/** Runs one command on the fake machine; null: not one of mine. */
export type FakeCommand = (command: Command, machine: Machine) => FakeOutput | null;

/** Everything there is. Tests may look and change at will: that is what others do to a machine. */
export interface Machine {
  readonly files: Map<string, { text: string; mode: number; changedMs?: number }>;
  /** Directories by path with their mode; "/" is always there. */
  readonly directories: Map<string, number>;
  /** Symbolic links and what they lead to. */
  readonly symlinks: Map<string, string>;
  /** Files that the kernel forgets at a reboot stand under these: their text at power-on. */
  readonly atBoot: Map<string, string>;
  readonly links: Map<string, FakeLink>;
  readonly packages: FakePackages;
  /** Loaded modules and how many hold each. */
  readonly modules: Map<string, number>;
  boot: number;
}

/** A host over a machine in memory. */
export interface FakeHost extends Host {
  readonly machine: Machine;
  /** Each mutating call so far, as text. */
  readonly done: string[];
  /** Everything but the paths left out, sorted; equal text means equal machines. */
  text(without?: readonly string[]): string;
  /** A new boot id; volatile state is gone. */
  reboot(): void;
}

/** What a fake host may be given. */
export interface FakeHostOptions {
  readonly files?: Readonly<Record<string, string>>;
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Packages apt can install. */
  readonly available?: readonly string[];
  readonly installed?: readonly string[];
  /** Commands beside the built-in ones; tried first. */
  readonly commands?: readonly FakeCommand[];
  readonly engine?: EngineDoor;
  /** Targets of symbolic links. @default {none} */
  readonly readLink?: (path: string) => string | null;
  /** Block devices. @default {none} */
  readonly device?: (path: string, bytes: number) => DeviceEnds | null;
}

/** Makes a fake host with /proc, /etc, /run, /tmp, /usr/sbin and /var/lib. */
export function createFakeHost(options: FakeHostOptions = {}): FakeHost {
  const locks = new Map<string, Promise<void>>();
  const machine: Machine = {
    files: new Map(),
    directories: new Map(
      ["/", "/etc", "/run", "/tmp", "/usr", "/usr/sbin", "/var", "/var/lib"].map((p) => [p, 0o755]),
    ),
    symlinks: new Map(),
    atBoot: new Map(),
    links: new Map([["lo", { kind: "none", alias: "", mtu: 65536, up: true, addresses: ["127.0.0.1/8"] }]]),
    packages: {
      installed: new Set(options.installed),
      available: new Set(options.available),
      started: [],
    },
    modules: new Map(),
    boot: 1,
  };
  const put = (path: string, text: string, mode = 0o644) => {
    let directory = path.slice(0, path.lastIndexOf("/"));
    for (; directory !== ""; directory = directory.slice(0, directory.lastIndexOf("/"))) {
      if (!machine.directories.has(directory)) machine.directories.set(directory, 0o755);
    }
    machine.files.set(path, { text, mode });
  };
  for (const [path, text] of Object.entries(options.files ?? {})) put(path, text);
  for (const [name, value] of Object.entries(options.sysctls ?? {})) {
    const path = `/proc/sys/${name.replaceAll(".", "/")}`;
    put(path, `${value}\n`);
    machine.atBoot.set(path, `${value}\n`);
  }
  put("/proc/sys/kernel/random/boot_id", "boot-1\n");
  put("/proc/sys/kernel/osrelease", "6.1.0-fake\n");
  put("/proc/modules", "");
  put(
    "/lib/modules/6.1.0-fake/modules.dep",
    "kernel/net/bridge/br_netfilter.ko: kernel/net/bridge/bridge.ko\nkernel/drivers/net/ifb.ko.xz:\n",
  );

  const commands = [...options.commands ?? [], sysctlCommands, moduleCommands, ipCommands, dpkgCommands];
  const done: string[] = [];
  const run = (command: Command): Output => {
    for (const handle of commands) {
      const said = handle(command, machine);
      if (said === null) continue;
      const output = { exit: said.exit ?? 0, stdout: said.stdout ?? "", stderr: said.stderr ?? "", ms: 0 };
      if (!(command.okExit ?? [0]).includes(output.exit)) throw commandFailed(command, output);
      return output;
    }
    throw new Error(`The fake host does not know the command: ${shownCommand(command)}`);
  };
  const statOf = (path: string): FileStat | null => {
    const target = machine.symlinks.get(path);
    if (target !== undefined) return { kind: "link", mode: 0o777, uid: 0, gid: 0, size: target.length };
    const file = machine.files.get(path);
    const mode = file?.mode ?? machine.directories.get(path);
    if (mode === undefined) return null;
    const kind = file === undefined ? "directory" : "file";
    const { text = "", changedMs = 0 } = file ?? {}; // only what others write has a time
    return { kind, mode, uid: 0, gid: 0, size: text.length, changedMs };
  };
  /** Where the links of a file lead, as the kernel follows them; a path that leads to itself is nowhere. */
  const followed = (path: string, left = 40): string => {
    const target = machine.symlinks.get(path);
    if (target === undefined || left === 0) return path;
    return followed(resolve(dirname(path), target), left - 1);
  };
  const listOf = (path: string): readonly string[] | null => {
    const target = machine.symlinks.get(path);
    if (target !== undefined) return listOf(target);
    if (!machine.directories.has(path)) return null;
    const all = [...machine.files.keys(), ...machine.directories.keys(), ...machine.symlinks.keys()]
      .filter((name) => name !== "/");
    const above = path === "/" ? "/" : `${path}/`;
    return all.filter((name) => name.startsWith(above) && !name.slice(above.length).includes("/"))
      .map((name) => name.slice(above.length)).sort();
  };
  const known = (what: string) => done.push(what);

  return {
    machine,
    done,
    // deno-lint-ignore require-await -- throwing must reject
    async query(command) {
      const why = refusal(command);
      if (why !== null) throw new BerthError({ code: "look-refused", object: "look", message: why });
      return run(command);
    },
    readText: (path) => Promise.resolve(machine.files.get(followed(path))?.text ?? null),
    list: (path) => Promise.resolve(listOf(path)),
    stat: (path) => Promise.resolve(statOf(path)),
    readLink: (path) => Promise.resolve(machine.symlinks.get(path) ?? options.readLink?.(path) ?? null),
    device: (path, bytes) => Promise.resolve(options.device?.(path, bytes) ?? null),
    async engine(path) {
      try {
        return await options.engine?.get(path) ?? null;
      } catch (error) {
        if (isUnanswered(error)) return null;
        throw error;
      }
    },
    // deno-lint-ignore require-await -- throwing must reject
    async exec(command) {
      known(shownCommand(command) + (command.input === undefined ? "" : ` <<\n${command.input}`));
      return run(command);
    },
    async engineCall(request) {
      known(`${request.method} ${request.path}`);
      if (options.engine === undefined) throw new Error("The fake host has no engine");
      return wantedStatus(request, await options.engine.call(request));
    },
    writeText(through, text, how) {
      const path = followed(through);
      const before = machine.files.get(path);
      const mode = how?.mode ?? before?.mode ?? 0o644;
      if (before?.text !== text || before.mode !== mode) {
        known(`write ${path}`);
        put(path, text, mode);
      }
      return Promise.resolve();
    },
    // deno-lint-ignore require-await -- throwing must reject
    async writeInPlace(path, text) {
      const before = machine.files.get(path);
      if (before === undefined) throw new Error(`ENOENT: ${path}`);
      known(`write ${path}`);
      put(path, text, before.mode);
    },
    // deno-lint-ignore require-await -- throwing must reject
    async remove(path) {
      if (statOf(path) === null) return;
      if (machine.symlinks.delete(path)) return void known(`remove ${path}`);
      if ((listOf(path)?.length ?? 0) > 0) throw new Error(`ENOTEMPTY: ${path}`);
      known(`remove ${path}`);
      machine.files.delete(path);
      machine.directories.delete(path);
    },
    makeDirectory(path, how) {
      const mode = machine.directories.get(path);
      if (mode === undefined || (how?.mode !== undefined && how.mode !== mode)) {
        known(`directory ${path}`);
        put(`${path}/.`, "");
        machine.files.delete(`${path}/.`);
        machine.directories.set(path, how?.mode ?? 0o755);
      }
      return Promise.resolve();
    },
    appendText(path, text) {
      known(`append ${path}`);
      put(path, (machine.files.get(path)?.text ?? "") + text, 0o600);
      return Promise.resolve();
    },
    async lock(path) {
      const before = locks.get(path) ?? Promise.resolve();
      let release = () => {};
      locks.set(path, before.then(() => new Promise<void>((resolve) => release = resolve)));
      await before;
      return { path, release: () => Promise.resolve(release()) };
    },
    text(without = []) {
      const isLeftOut = (path: string) =>
        without.some((left) => path === left || path.startsWith(`${left}/`));
      const lines = [
        ...[...machine.files].filter(([path]) => !isLeftOut(path))
          .map(([path, { text, mode }]) => `file ${path} ${mode.toString(8)} ${JSON.stringify(text)}`),
        ...[...machine.directories].filter(([path]) => !isLeftOut(path))
          .map(([path, mode]) => `directory ${path} ${mode.toString(8)}`),
        ...[...machine.symlinks].filter(([path]) => !isLeftOut(path))
          .map(([path, target]) => `symlink ${path} ${target}`),
        ...[...machine.links].map(([name, link]) => `link ${name} ${JSON.stringify(link)}`),
        ...[...machine.packages.installed].map((name) => `package ${name}`),
        ...machine.packages.started.map((name) => `started ${name}`),
        ...[...machine.modules].map(([name, users]) => `module ${name} ${users}`),
      ];
      return lines.sort().join("\n");
    },
    reboot() {
      machine.boot++;
      put("/proc/sys/kernel/random/boot_id", `boot-${machine.boot}\n`);
      for (const [path, text] of machine.atBoot) put(path, text);
      for (const name of [...machine.links.keys()]) if (name !== "lo") machine.links.delete(name);
      machine.modules.clear();
      put("/proc/modules", "");
    },
  };
}

const sysctlCommands: FakeCommand = ({ argv }, machine) => {
  const [program, flag, setting = ""] = argv;
  if (program !== "sysctl" || flag !== "-qw") return null;
  const [name = "", ...value] = setting.split("=");
  const path = `/proc/sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`;
  const file = machine.files.get(path);
  if (file === undefined) {
    return { exit: 255, stderr: `sysctl: cannot stat ${path}: No such file or directory\n` };
  }
  machine.files.set(path, { ...file, text: `${value.join("=").replaceAll(" ", "\t")}\n` });
  return {};
};

const moduleCommands: FakeCommand = ({ argv }, machine) => {
  const [program, ...args] = argv;
  if (program !== "modprobe") return null;
  const name = args.at(-1)!;
  if (args[0] !== "-r") machine.modules.set(name, machine.modules.get(name) ?? 0);
  else if (machine.modules.get(name) === 0) machine.modules.delete(name);
  else return { exit: 1, stderr: `modprobe: FATAL: Module ${name} is in use.\n` };
  const lines = [...machine.modules].map(([loaded, users]) => `${loaded} 1000 ${users} - Live 0x0\n`);
  machine.files.set("/proc/modules", { text: lines.join(""), mode: 0o444 });
  return {};
};
