// Which words may stand where: names of vnodes, lans and interfaces, hosts, images, paths, environment. Each
// parser answers with the accepted word or a Problem. What passes here never needs quoting further down; pure.
import { Problem } from "./problem.ts";

/** Names that mean something else to the kernel (conf/all, conf/default), to Docker or to /etc/hosts. */
const RESERVED: ReadonlySet<string> = new Set(["eth0", "lo", "all", "default", "localhost"]);

export const NAME_FORM = "1 to 32 of a-z, 0-9 and -, first a letter, last not -";
export const NAME_PATTERN = "^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$";
export const LINK_FORM = "1 to 15 of A-Z, a-z, 0-9, _, . and -, first not - or .";
export const LINK_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$";

/** A vnode's or lan's name: it becomes a container name, a host name and part of interface aliases. */
export function parseName(text: string): string | Problem {
  if (RESERVED.has(text)) {
    return new Problem("Is a reserved name", `a name other than ${[...RESERVED].join(", ")}`);
  }
  if (text.length > 32) return new Problem(`Has ${text.length} characters`, NAME_FORM, "Shorten it");
  if (new RegExp(NAME_PATTERN).test(text)) return text;
  const tamed = text.toLowerCase().replace(/[_. ]/g, "-");
  const next = new RegExp(NAME_PATTERN).test(tamed) && !RESERVED.has(tamed) ? `Write "${tamed}"` : undefined;
  return new Problem("Would not survive as a container and host name", NAME_FORM, next);
}

export const VNODE_FORM = NAME_FORM.replace("1 to", "2 to");
export const VNODE_PATTERN = "^[a-z][a-z0-9-]{0,30}[a-z0-9]$";

/** A vnode's name: Docker takes no container name of one character. */
export function parseVnodeName(text: string): string | Problem {
  if (/^[a-z]$/.test(text)) {
    return new Problem("Has 1 character, which Docker refuses", VNODE_FORM, `Write "${text}1"`);
  }
  return parseName(text);
}

/** An interface's name inside a vnode (IFNAMSIZ: 15 bytes; no slash, space or colon). */
export function parseLinkName(text: string): string | Problem {
  if (RESERVED.has(text)) {
    return new Problem("Is a reserved interface name", `a name other than ${[...RESERVED].join(", ")}`);
  }
  if (text.length > 15) return new Problem(`Has ${text.length} characters`, LINK_FORM, "Shorten it");
  if (new RegExp(LINK_PATTERN).test(text)) return text;
  return new Problem("Would not survive as an interface name", LINK_FORM);
}

export const HOST_FORM =
  "a host name: labels of a-z, 0-9 and -, 63 characters each, joined by dots, 253 in all";
const LABEL = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** A name for /etc/hosts (RFC 1123). */
export function parseHostName(text: string): string | Problem {
  if (text.length > 253) return new Problem(`Has ${text.length} characters`, HOST_FORM, "Shorten it");
  if (text === "localhost") return new Problem("Is a reserved host name", "a name other than localhost");
  return text.split(".").every((label) => LABEL.test(label))
    ? text
    : new Problem("Is not a host name", HOST_FORM);
}

export const IMAGE_FORM =
  'an image reference, such as "debian:bookworm" or "registry.example:5000/lab/node@sha256:…"';
const IMAGE = new RegExp(
  "^(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?/)?" +
    "[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*)*" +
    "(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[a-f0-9]{64})?$",
);

/** An image reference: [host[:port]/]path[:tag][@digest], the grammar of the distribution project. */
export function parseImage(text: string): string | Problem {
  // The length goes first: the pattern is only tried on short texts.
  if (text.length > 255) {
    return new Problem(`Has ${text.length} characters`, `${IMAGE_FORM}, at most 255 characters`);
  }
  if (IMAGE.test(text)) return text;
  const lower = text.toLowerCase();
  return new Problem(
    "Is not an image reference",
    IMAGE_FORM,
    IMAGE.test(lower) ? `Write "${lower}"` : undefined,
  );
}

/** Text that is carried as data (an argument, a variable's value): anything the kernel can pass on. */
export function parseData(text: string): string | Problem {
  if (text.includes("\0")) return new Problem("Contains a NUL character", "text without NUL");
  if (/\p{Surrogate}/u.test(text)) {
    return new Problem("Is not well-formed Unicode", "text that UTF-8 can carry");
  }
  // MAX_ARG_STRLEN: 32 pages, execve(2).
  if (text.length > 131_071) return new Problem(`Has ${text.length} characters`, "at most 131071 characters");
  return text;
}

export const ENV_FORM = "a variable's name: A-Z, a-z, 0-9 and _, first not a digit";
export const ENV_PATTERN = "^[A-Za-z_][A-Za-z0-9_]{0,127}$";

/** The name of an environment variable. */
export function parseEnvKey(text: string): string | Problem {
  return new RegExp(ENV_PATTERN).test(text) ? text : new Problem("Is not a variable's name", ENV_FORM);
}

export const PATH_FORM = "an absolute path of A-Z, a-z, 0-9, _, ., - and /, without ..";
export const PATH_PATTERN = "^(/[A-Za-z0-9_.-]+)+$";

/** An absolute path on the vhost. Only the operator's own host.yaml names any. */
export function parsePath(text: string): string | Problem {
  if (text.length > 255) return new Problem(`Has ${text.length} characters`, "at most 255 characters");
  const plain = new RegExp(PATH_PATTERN).test(text);
  if (!plain || text.split("/").some((part) => part === ".." || part === ".")) {
    const next = text.length > 1 && text.endsWith("/") ? "Remove the last /" : undefined;
    return new Problem("Is not a plain absolute path", PATH_FORM, next);
  }
  return text;
}

/** A path that fits a socket's address (unix(7): sun_path has 108 bytes with its NUL). */
export function parseSocketPath(text: string): string | Problem {
  return text.length > 107
    ? new Problem(
      `Has ${text.length} characters`,
      "at most 107 characters, the kernel's limit for a socket",
      "Shorten it",
    )
    : parsePath(text);
}

/** A Debian package's name (Debian policy 5.6.1). */
export function parsePackage(text: string): string | Problem {
  return /^[a-z0-9][a-z0-9+.-]{1,99}$/.test(text)
    ? text
    : new Problem("Is not a package name", 'a Debian package name, such as "docker.io"');
}

export const SYSCTL_FORM = 'a sysctl name with dots, such as "net.ipv4.tcp_ecn"';

/** A sysctl's name with dots. A slash in it stands for a dot in an interface name, as in sysctl(8). */
export function parseSysctl(text: string): string | Problem {
  if (text.length > 128) return new Problem(`Has ${text.length} characters`, SYSCTL_FORM);
  return /^[a-z0-9_-]+(\.[A-Za-z0-9_/-]+)+$/.test(text) && !/(^|\/)\/|\/$/.test(text) ? text : new Problem(
    "Is not a sysctl name",
    SYSCTL_FORM,
    text.includes("/") ? "Write dots for slashes" : undefined,
  );
}

/** A sysctl's value: one line of printable ASCII or tabs. */
export function parseSysctlValue(text: string): string | Problem {
  return /^[\x20-\x7e\t]{1,1024}$/.test(text)
    ? text
    : new Problem("Is not a sysctl value", "one line of printable characters");
}

/** An object as a plan names it: "lan left", "file /etc/docker/daemon.json". */
export function parseObject(text: string): string | Problem {
  return /^[a-z][a-z-]* [\x21-\x7e][\x20-\x7e]{0,199}$/.test(text)
    ? text
    : new Problem("Is not an object", 'an object as a plan names it, such as "lan left"');
}

export const REPLACEABLE_FORM = 'a file system as a plan names it, such as "file system /dev/docker/vms"';

/** What consent.replace names. */
export function parseReplaceable(text: string): string | Problem {
  return /^file system \/dev(\/[A-Za-z0-9_.+-]+)+$/.test(text)
    ? text
    : new Problem("Is not a file system", REPLACEABLE_FORM, "Copy it from berth's message");
}

export const DISK_FORM = 'a name of /dev/disk/by-id, such as "ata-ST4000NM0033_Z1Z0ABCD"';
/** What the kernel calls disks and their partitions, in the order of finding them: another one at the next boot. */
const KERNEL_DISK =
  /^(?:(?:[shv]|xv)d[a-z]{1,3}[0-9]*|nvme[0-9]+(?:n[0-9]+(?:p[0-9]+)?)?|mmcblk[0-9]+(?:p[0-9]+)?|(?:dm-|md|loop|sr|ram|zram|nbd|rbd|pmem)[0-9]+(?:p[0-9]+)?)$/;

/**
 * A disk's lasting name: a link of /dev/disk/by-id (with or without the directory; without it in the answer), or,
 * where `by` is "serial", its serial number.
 */
export function parseDisk(text: string, by: "link" | "serial"): string | Problem {
  const wanted = by === "link" ? DISK_FORM : `${DISK_FORM}, or a serial number`;
  const name = text.startsWith("/dev/disk/by-id/") ? text.slice("/dev/disk/by-id/".length) : text;
  if (KERNEL_DISK.test(name.replace(/^\/dev\//, ""))) {
    const next = `Look with "ls -l /dev/disk/by-id" which of its names lasts`;
    return new Problem("Is a kernel name, which may mean another disk after a reboot", wanted, next);
  }
  if (name.includes("/")) return new Problem("Is not in /dev/disk/by-id", wanted);
  if (name.length > 200) return new Problem(`Has ${name.length} characters`, wanted);
  return /^[A-Za-z0-9][A-Za-z0-9_.:+=#@-]*$/.test(name) ? name : new Problem("Is not a disk's name", wanted);
}

/** The fingerprint of a disk's content: words of what is on it, then twelve hexadecimal digits. */
export function parseFingerprint(text: string): string | Problem {
  return /^[A-Za-z0-9_.+-]+( [A-Za-z0-9_.+-]+){0,19} [0-9a-f]{12}$/.test(text)
    ? text
    : new Problem("Is not a fingerprint", undefined, "Copy it from berth's message");
}

/** A kernel module's name. */
export function parseModule(text: string): string | Problem {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(text)
    ? text
    : new Problem("Is not a module name", 'a module name, such as "br_netfilter"');
}
