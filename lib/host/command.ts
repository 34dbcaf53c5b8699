// What every command shares, whichever runner starts it: the fixed environment, where programs are found,
// how a command is shown to people, and the error a failed one ends in. Starts nothing itself.
import { accessSync, constants } from "node:fs";
import { BerthError } from "../log/error.ts";
import { failedBatchLine } from "./batch.ts";
import type { Command, Output } from "./types.ts";

/** Directories programs are looked up in: root's login path on Debian, whatever the caller's PATH says. */
export const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Milliseconds a command may take when it does not say. */
export const DEFAULT_TIMEOUT_MS = 60_000;

/** Shown length of a command line, in characters; the rest is cut. */
const SHOWN_ARGV = 300;
/** Longest script, in characters, that is told as it is when it fails; and it must be of one line. */
const SHORT_SCRIPT = 80;
const SHOWN_STDERR_LINES = 4;

/** Debian packages of the programs berth calls. */
const PACKAGE_OF: Readonly<Record<string, string>> = {
  ip: "iproute2",
  tc: "iproute2",
  bridge: "iproute2",
  ss: "iproute2",
  nft: "nftables",
  "iptables-save": "iptables",
  "ip6tables-save": "iptables",
  iptables: "iptables",
  sysctl: "procps",
  modprobe: "kmod",
  modinfo: "kmod",
  lvs: "lvm2",
  vgs: "lvm2",
  pvs: "lvm2",
  lvcreate: "lvm2",
  vgcreate: "lvm2",
  pvcreate: "lvm2",
  blkid: "util-linux",
  "mkfs.ext4": "e2fsprogs",
  dumpe2fs: "e2fsprogs",
  resize2fs: "e2fsprogs",
  tune2fs: "e2fsprogs",
  chattr: "e2fsprogs",
  "mkfs.xfs": "xfsprogs",
  xfs_info: "xfsprogs",
  xfs_growfs: "xfsprogs",
  wipefs: "util-linux",
  findmnt: "util-linux",
  lsblk: "util-linux",
  flock: "util-linux",
  nsenter: "util-linux",
  setsid: "util-linux",
  "start-stop-daemon": "dpkg",
  dpkg: "dpkg",
  "dpkg-query": "dpkg",
  "apt-get": "apt",
  "apt-cache": "apt",
  systemctl: "systemd",
  dockerd: "docker.io",
  docker: "docker-cli or docker.io",
  runc: "runc",
  containerd: "containerd",
  ethtool: "ethtool",
  bash: "bash",
  "update-rc.d": "init-system-helpers",
};

/** The Debian package that holds a program, or null where this table does not know. */
export function packageOf(program: string): string | null {
  return PACKAGE_OF[program] ?? null;
}

/** The whole environment of a command: nothing of ours is inherited, so messages are in one language. */
export function environmentOf(command: Command): Record<string, string> {
  return { LC_ALL: "C", PATH: PROGRAM_PATH, HOME: "/root", ...command.env };
}

/** The program's full path: itself when it has a slash, else the first executable on `PROGRAM_PATH`, else null. */
export function findProgram(program: string): string | null {
  const places = program.includes("/")
    ? [program]
    : PROGRAM_PATH.split(":").map((dir) => `${dir}/${program}`);
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return place;
    } catch {
      // Not there, or not executable: the next directory decides.
    }
  }
  return null;
}

/** The argv that is really started: full path of the program, inside the network namespace asked for. */
export function startedArgv(command: Command): readonly string[] {
  const [program, ...rest] = command.argv;
  if (program === undefined || program === "") {
    throw new BerthError({ code: "fault", object: "command", message: "A command without a program" });
  }
  const path = findProgram(program);
  if (path === null) throw missingProgram(program);
  if (command.netns === undefined) return [path, ...rest];
  const nsenter = findProgram("nsenter");
  if (nsenter === null) throw missingProgram("nsenter");
  return [nsenter, `--net=${command.netns}`, path, ...rest];
}

function missingProgram(program: string): BerthError {
  const debian = packageOf(program);
  return new BerthError({
    code: "missing",
    object: `program ${program}`,
    message: `Program "${program}" is not on this machine`,
    next: debian === null
      ? `Install the package that has it, or put it into one of ${PROGRAM_PATH}`
      : `Install package ${debian}, or run "berth host packages"`,
  });
}

/** The command as a person would type it: words with anything special are quoted. */
export function shownCommand(command: Command): string {
  const words = command.argv.map((word) =>
    /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
  );
  const line = words.join(" ");
  const cut = line.length > SHOWN_ARGV ? `${line.slice(0, SHOWN_ARGV)}…` : line;
  return command.netns === undefined ? cut : `${cut} (in ${command.netns})`;
}

/** How a failed command is named: by its title, else as it was typed, save for the text of a long script. */
function namedCommand(command: Command): string {
  if (command.title !== undefined) return `Step "${command.title}"`;
  const at = scriptAt(command);
  const argv = at === null ? command.argv : command.argv.with(at, "…");
  return `Command "${shownCommand({ ...command, argv })}"`;
}

/** Where a script stands in argv that nobody wants to read in an error: after `sh -c`. */
function scriptAt({ argv }: Command): number | null {
  const at =
    argv.findIndex((word, index) => word === "-c" && /(^|\/)(ba|da)?sh$/.test(argv[index - 1] ?? "")) + 1;
  const script = argv[at];
  return at === 0 || script === undefined || (script.length <= SHORT_SCRIPT && !script.includes("\n"))
    ? null
    : at;
}

/** The whole of what was run, where the message does not tell it. */
function detailOf(command: Command): { readonly detail?: string } {
  if (command.title === undefined && scriptAt(command) === null) return {};
  return { detail: command.argv.join(" ") };
}

/** The error a command with an unwanted exit code ends in; names the line of a batch that failed. */
export function commandFailed(command: Command, output: Output): BerthError {
  const said = output.stderr.split("\n").map((line) => line.trimEnd()).filter((line) => line !== "");
  const holder = lockHolder(command, output);
  const reason = [...said.slice(0, SHOWN_STDERR_LINES), ...(holder === null ? [] : [holder])].join("; ") ||
    "it said nothing on standard error";
  const line = failedBatchLine(command, output);
  const where = line === null ? "" : ` at line ${line.number} "${line.text}"`;
  return new BerthError({
    code: "command-failed",
    object: `command ${command.argv[0]}`,
    message: `${namedCommand(command)} failed with exit ${output.exit}${where}: ${reason}`,
    ...detailOf(command),
  });
}

/** Who has the lock that apt waited for in vain: it says so on standard output only, while it waits. */
function lockHolder({ argv }: Command, { stdout }: Output): string | null {
  if (argv[0] !== "apt-get") return null;
  const [, path, who] = /Could not get lock (\S+?)\. It is held by (process \d+ \([^)]*\))/.exec(stdout) ??
    [];
  return who === undefined ? null : `${path} is held by ${who}`;
}

/** The error of a command that outlived its `timeoutMs` and was killed with its process group. */
export function commandTimedOut(command: Command, timeoutMs: number, stderr: string): BerthError {
  const last = stderr.trimEnd().split("\n").at(-1) ?? "";
  return new BerthError({
    code: "command-failed",
    object: `command ${command.argv[0]}`,
    message: `${namedCommand(command)} did not end within ${timeoutMs} ms and was killed` +
      (last === "" ? "" : `; it last said: ${last}`),
    ...detailOf(command),
  });
}

/** The error of a command that was killed because the whole run was asked to stop. */
export function commandInterrupted(command: Command): BerthError {
  return new BerthError({
    code: "interrupted",
    object: `command ${command.argv[0]}`,
    message: `${namedCommand(command)} was stopped half-way`,
    next: "Run the same berth command again: it continues where this one stopped",
  });
}
