// The fake machine's containerd, beside its dockerd: a process that can be stopped and started, and the bind mount over
// its root. What that mount hides is at once where cover_ops.ts reaches it; of what it shows only containerd's own
// books are seen. Fails on what it does not know.
import { CONTAINERD_ROOT as HOME } from "../../lib/resource/containerd_root_look.ts";
import { UNDER, underCover } from "../../lib/resource/cover_ops.ts";
import { isContent } from "../../lib/resource/tree_ops.ts";
import type { FakeCommand, Machine } from "./host.ts";

const MOUNTINFO = "/proc/self/mountinfo";
const SOCKET = "/run/containerd/containerd.sock";
const PROCESS = "/proc/4712";
const BOOKS = `${HOME}/io.containerd.metadata.v1.bolt`;
export const BOOT_MOUNTS = "21 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n";
/** What passes with a run; left out where two worlds are compared. */
export const CONTAINERD_PASSING = [PROCESS, "/run/containerd", UNDER];

const file = (text: string) => ({ text, mode: 0o644 });
const mountsOf = ({ files }: Machine) => files.get(MOUNTINFO)?.text ?? BOOT_MOUNTS;
/** True when it runs. */
export const containerdRuns = ({ files }: Machine): boolean => files.has(`${PROCESS}/comm`);
/** True when something is mounted over its root. */
export const isBound = (machine: Machine): boolean => mountsOf(machine).includes(` ${HOME} rw `);

export function startContainerd({ files, directories, symlinks }: Machine): void {
  directories.set(PROCESS, 0o755);
  directories.set("/run/containerd", 0o755);
  files.set(`${PROCESS}/comm`, file("containerd\n"));
  files.set(`${PROCESS}/cmdline`, file("containerd\0--log-level\0warn\0"));
  symlinks.set(`${PROCESS}/exe`, "/usr/bin/containerd");
  files.set(SOCKET, file(""));
}

export function stopContainerd({ files, directories, symlinks }: Machine): void {
  for (const name of ["comm", "cmdline"]) files.delete(`${PROCESS}/${name}`);
  symlinks.delete(`${PROCESS}/exe`);
  directories.delete(PROCESS);
  files.delete(SOCKET);
}

/** Renames all that is below a path. */
function moveAll(machine: Machine, from: string, to: string): void {
  for (const map of [machine.files, machine.directories] as Map<string, unknown>[]) {
    for (const [path, value] of [...map]) {
      if (!path.startsWith(`${from}/`)) continue;
      map.set(to + path.slice(from.length), value);
      map.delete(path);
    }
  }
}

/** As the line in fstab says, or not at all. */
function bind(machine: Machine) {
  const line = (machine.files.get("/etc/fstab")?.text ?? "").split("\n").find((one) =>
    one.split(" ")[1] === HOME
  );
  const from = line?.split(" ")[0];
  if (from === undefined || !machine.directories.has(from) || !machine.directories.has(HOME)) {
    return { exit: 32 };
  }
  if (isBound(machine)) throw new Error("The fake machine has it mounted already");
  moveAll(machine, HOME, underCover(HOME));
  machine.directories.set(BOOKS, 0o755);
  machine.files.set(
    MOUNTINFO,
    file(`${mountsOf(machine)}41 21 254:0 ${from} ${HOME} rw - ext4 /dev/vda rw\n`),
  );
  return {};
}

function withoutMount(machine: Machine, at: string): boolean {
  const text = mountsOf(machine);
  const left = text.split("\n").filter((line) => line.split(" ")[4] !== at).join("\n");
  machine.files.set(MOUNTINFO, file(left));
  return left !== text;
}

/** Takes the mount away, as umount does and a power cut. */
export function unbind(machine: Machine): boolean {
  if (!withoutMount(machine, HOME)) return false;
  machine.directories.delete(BOOKS);
  moveAll(machine, underCover(HOME), HOME);
  return true;
}

export const containerdCommands: FakeCommand = ({ argv }, machine) => {
  const [program, , , name, one = "", two = ""] = argv;
  const last = argv.at(-1)!;
  const real = (path: string) => path.replace(UNDER, "/var/lib");
  if (program === "start-stop-daemon" && argv.some((arg) => arg.endsWith("containerd"))) {
    if (argv.includes("--start")) startContainerd(machine);
    else if (argv.includes("--pid") || argv.includes("--pidfile")) stopContainerd(machine);
    return {};
  }
  if (program === "mount" && last === HOME) return bind(machine);
  if (program === "umount" && last === HOME) return unbind(machine) ? {} : { exit: 32 };
  if (program === "chattr") return {};
  switch (name) {
    case "berth-open-cover":
      withoutMount(machine, UNDER);
      for (const path of [UNDER, underCover(HOME)]) machine.directories.set(path, 0o755);
      machine.files.set(
        MOUNTINFO,
        file(`${mountsOf(machine)}42 21 254:0 /var/lib ${UNDER} rw - ext4 /dev/vda rw\n`),
      );
      return {};
    case "berth-close-cover":
      withoutMount(machine, UNDER);
      return {};
    case "berth-aside-under":
      if (machine.files.has(`${one}/.berth-copy`)) return {};
      if (
        [...machine.files.keys(), ...machine.directories.keys()].some((path) =>
          path.startsWith(`${one}/`) && isContent(path.slice(one.length + 1).split("/")[0]!)
        )
      ) {
        machine.directories.set(real(two), 0o755);
        moveAll(machine, one, real(two));
      }
      return {};
    case "berth-seal-cover":
    case "berth-unused":
      return {};
    default:
      return null;
  }
};
