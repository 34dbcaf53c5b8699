// The fake machine's block devices and mounts: /dev/fake/NAME is a device whose text is what stands on it, as JSON;
// mounts stand in /proc/self/mountinfo, and what a mount hides below /fake/hidden.
import type { FakeCommand, Machine } from "./host.ts";

const MOUNTINFO = "/proc/self/mountinfo";
export const ROOT_MOUNT = "21 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n";

interface OnDevice {
  readonly type: string;
  readonly label: string;
  readonly uuid: string;
}

/** A blank device, or one with a file system. */
export function plantDevice({ files }: Machine, path: string, on: OnDevice | null = null): void {
  files.set(path, { text: on === null ? "" : JSON.stringify(on), mode: 0o660 });
}

function onDevice({ files }: Machine, path: string): OnDevice | null {
  const text = files.get(path)?.text ?? "";
  return text === "" ? null : JSON.parse(text);
}

/** Each device has a number of its own, from its name. */
const numberOf = (path: string) =>
  `253:${[...path].reduce((sum, char) => sum + char.charCodeAt(0), 0) % 250}`;

function fstabLine({ files }: Machine, target: string): readonly string[] | undefined {
  return (files.get("/etc/fstab")?.text ?? "").split("\n").map((line) => line.split(/\s+/))
    .find((fields) => fields[1] === target);
}

function mountCommand(machine: Machine, argv: readonly string[]) {
  const { files, directories } = machine;
  const target = argv.at(-1)!;
  const text = files.get(MOUNTINFO)?.text ?? ROOT_MOUNT;
  if (argv[1] === "-o") {
    files.set(MOUNTINFO, { text: text.replace(` ${target} ro `, ` ${target} rw `), mode: 0o644 });
    return {};
  }
  const [source, , type] = fstabLine(machine, target) ?? [];
  const device = [...files.keys()].find((path) =>
    path.startsWith("/dev/fake/") && `UUID=${onDevice(machine, path)?.uuid}` === source
  );
  if (device === undefined || !directories.has(target)) {
    return { exit: 32, stderr: "mount: no such device\n" };
  }
  const line = `40 21 ${numberOf(device)} / ${target} rw - ${type} ${device} rw\n`;
  files.set(MOUNTINFO, { text: text + line, mode: 0o644 });
  return {};
}

export const volumeCommands: FakeCommand = ({ argv }, machine) => {
  const { files } = machine;
  const [program] = argv;
  const last = argv.at(-1)!;
  switch (program) {
    case "blkid": {
      const on = onDevice(machine, last);
      return on === null
        ? { exit: 2 }
        : { stdout: `DEVNAME=${last}\nLABEL=${on.label}\nUUID=${on.uuid}\nTYPE=${on.type}\n` };
    }
    case "mkfs.ext4": {
      const label = argv[argv.indexOf("-L") + 1]!;
      plantDevice(machine, last, { type: "ext4", label, uuid: `uuid-of-${last.split("/").at(-1)}` });
      return {};
    }
    case "wipefs":
      plantDevice(machine, last);
      return {};
    case "dumpe2fs":
      return {
        stdout:
          "Filesystem features:      has_journal\nBlock count:              1000\nBlock size:               4096\n",
      };
    case "lsblk":
      return { stdout: argv.includes("SIZE") ? "4096000\n" : `${numberOf(last)}\n` };
    case "chattr":
      return {};
    case "mount":
      return mountCommand(machine, argv);
    case "umount": {
      const text = files.get(MOUNTINFO)?.text ?? ROOT_MOUNT;
      const left = text.split("\n").filter((line) => line.split(" ")[4] !== last).join("\n");
      if (left === text) return { exit: 32, stderr: "umount: not mounted\n" };
      files.set(MOUNTINFO, { text: left, mode: 0o644 });
      return {};
    }
    case "systemctl":
      return argv[1] === "daemon-reload" ? {} : argv[1] === "show" ? { stdout: "no\n" } : null;
    default:
      return null;
  }
};
