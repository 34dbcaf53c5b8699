// Which commands a look may run: by program, subcommand and flag, each spelled out in full. What is not listed is
// refused, abbreviations included (`ip -b` is `ip -batch`). Pure; look.ts asks it before anything starts.
import type { Command } from "./types.ts";

/** What one program may be asked. Everything absent is empty. */
interface Rule {
  /** Options without a value, exactly as written. */
  readonly flags?: readonly string[];
  /** Options whose value is the next argument. */
  readonly valued?: readonly string[];
  /** Prefixes of options with a value after "=". */
  readonly equals?: readonly string[];
  /** Options of which at least one must be there. */
  readonly needs?: readonly string[];
  /** Judges all arguments that are not options; null lets them pass, a text says what is wrong. */
  readonly words?: (words: readonly string[]) => string | null;
  /** For programs with a few fixed forms: the whole list of arguments decides. */
  readonly exactly?: (args: readonly string[]) => boolean;
}

const anyWords = () => null;
const noWords = (words: readonly string[]) => words.length === 0 ? null : `does not take "${words[0]}"`;

/** The first word is an object, the second a verb; `bare` objects may stand alone. */
function objectVerb(
  objects: Readonly<Record<string, readonly string[]>>,
  bare: boolean,
): (words: readonly string[]) => string | null {
  return ([object, verb, ...rest]) => {
    const verbs = object === undefined
      ? undefined
      : Object.hasOwn(objects, object)
      ? objects[object]
      : undefined;
    if (verbs === undefined) return `"${object ?? ""}" is not an object to look at`;
    if (verb === undefined) return bare ? null : `"${object}" needs a verb`;
    if (!verbs.includes(verb)) return `"${object} ${verb}" is not a look`;
    return object === "netns" && rest.length > 0 ? `"${object} ${verb}" takes nothing more` : null;
  };
}

const SHOW = ["show", "list", "ls"];

/** nft joins its arguments into one text, so a ";" or a newline in any of them would start another command. */
function nftWords(words: readonly string[]): string | null {
  if (words.length === 0) return null; // `nft --version`
  if (words[0] !== "list") return `"${words[0]}" is not a look`;
  const odd = words.find((word) => !/^[A-Za-z0-9_.-]+$/.test(word));
  return odd === undefined ? null : `"${odd}" is not a plain word`;
}

function sysctlWords(words: readonly string[]): string | null {
  const odd = words.find((word) => !/^[A-Za-z0-9_./:@*-]+$/.test(word)); // "=" would write
  return odd === undefined ? null : `"${odd}" is not a plain name`;
}

function deviceWords(words: readonly string[]): string | null {
  const odd = words.find((word) => !word.startsWith("/dev/"));
  return odd === undefined ? null : `"${odd}" is not a device`;
}

const LVM: Rule = {
  flags: ["-a", "--all", "--nosuffix", "--noheadings", "--binary", "--readonly", "--unbuffered"],
  valued: ["--reportformat", "-o", "--options", "--units", "--separator"],
  words: anyWords,
};

const IPTABLES_SAVE: Rule = { valued: ["-t"], words: noWords };

const versionOnly: Rule = { exactly: (args) => args.length === 1 && args[0] === "--version" };

const RULES: Readonly<Record<string, Rule>> = {
  ip: {
    flags: ["-j", "-json", "-d", "-details", "-s", "-4", "-6", "-br", "-o", "-p", "-N", "-h"],
    valued: ["-n", "-netns"],
    words: objectVerb({
      link: SHOW,
      addr: SHOW,
      address: SHOW,
      route: [...SHOW, "get"],
      rule: SHOW,
      neigh: SHOW,
      neighbour: SHOW,
      netns: ["list", "ls"],
    }, true),
  },
  tc: {
    flags: ["-j", "-json", "-d", "-details", "-s", "-p"],
    valued: ["-n", "-netns"],
    words: objectVerb({ qdisc: SHOW, class: SHOW, filter: SHOW }, false),
  },
  bridge: {
    flags: ["-j", "-json", "-d", "-details", "-s"],
    valued: ["-n", "-netns"],
    words: objectVerb({ link: SHOW, fdb: SHOW, vlan: SHOW }, true),
  },
  nft: {
    flags: [
      "-j",
      "--json",
      "-a",
      "--handle",
      "-n",
      "-nn",
      "-s",
      "--stateless",
      "-t",
      "--terse",
      "-y",
      "--version",
    ],
    words: nftWords,
  },
  "iptables-save": IPTABLES_SAVE,
  "iptables-nft-save": IPTABLES_SAVE,
  "iptables-legacy-save": IPTABLES_SAVE,
  "ip6tables-save": IPTABLES_SAVE,
  "ip6tables-nft-save": IPTABLES_SAVE,
  "ip6tables-legacy-save": IPTABLES_SAVE,
  ss: { flags: ["-H", "-l", "-t", "-u", "-n", "-p", "-x", "-a", "-4", "-6"], words: noWords },
  ethtool: {
    flags: ["-k", "--show-features", "-i", "--driver", "--json"],
    needs: ["-k", "--show-features", "-i", "--driver"],
    words: anyWords,
  },
  sysctl: { flags: ["-n", "-a", "-e", "-N"], words: sysctlWords },
  lvs: LVM,
  vgs: LVM,
  pvs: LVM,
  // Without -p blkid writes its cache file.
  blkid: { flags: ["-p"], valued: ["-o", "-s"], needs: ["-p"], words: deviceWords },
  wipefs: {
    flags: ["-n", "--no-act", "-J", "--json", "--noheadings"],
    needs: ["-n", "--no-act"],
    words: deviceWords,
  },
  findmnt: {
    flags: [
      "-J",
      "--json",
      "-n",
      "--noheadings",
      "-l",
      "--list",
      "-r",
      "--raw",
      "-b",
      "--bytes",
      "--real",
      "-k",
    ],
    valued: ["-o", "--output", "-T", "--target", "-M", "--mountpoint", "-S", "--source", "-t", "--types"],
    words: anyWords,
  },
  lsblk: {
    flags: ["-J", "--json", "-b", "--bytes", "-p", "--paths", "-d", "--nodeps", "-n", "-l", "-a", "-O", "-f"],
    valued: ["-o", "--output", "-e"],
    words: deviceWords,
  },
  df: { flags: ["-B1", "-P", "-T"], equals: ["--output="], words: anyWords },
  du: { flags: ["-s", "-x", "-B1"], words: anyWords },
  // Without -h it prints all groups; -i would read an image file, -o superblock only where to look.
  dumpe2fs: { flags: ["-h"], needs: ["-h"], words: deviceWords },
  xfs_info: { words: anyWords },
  "dpkg-query": {
    flags: ["-W", "--show"],
    valued: ["-f"],
    equals: ["-f=", "--showformat="],
    needs: ["-W", "--show"],
    words: anyWords,
  },
  // Unless both caches are switched off, apt-cache rewrites /var/cache/apt/*.bin when they are stale.
  "apt-cache": {
    exactly: ([first, one, second, two, verb, ...names]) =>
      first === "-o" && one === "Dir::Cache::pkgcache=" && second === "-o" &&
      two === "Dir::Cache::srcpkgcache=" &&
      verb === "policy" && names.every((name) => /^[a-z0-9][a-z0-9+.:-]*$/.test(name)),
  },
  systemctl: {
    flags: ["--no-pager", "--value", "--quiet", "-q", "--all", "--plain", "--no-legend"],
    valued: ["-p"],
    equals: ["--property="],
    words: ([verb]) =>
      ["is-active", "is-enabled", "is-failed", "is-system-running", "show", "cat", "list-unit-files"]
          .includes(verb ?? "")
        ? null
        : `"${verb ?? ""}" is not a look`,
  },
  dockerd: {
    exactly: (args) =>
      args.length === 1 && args[0] === "--version" ||
      args.length === 3 && args[0] === "--validate" && args[1] === "--config-file" &&
        args[2]!.startsWith("/") ||
      args.length === 2 && args[0] === "--validate" && args[1]!.startsWith("--config-file=/"),
  },
  docker: versionOnly,
  containerd: versionOnly,
  runc: versionOnly,
  uname: { flags: ["-a", "-s", "-n", "-r", "-v", "-m", "-p", "-i", "-o"], words: noWords },
  modinfo: { flags: ["-n"], valued: ["-F"], words: anyWords },
};

/** The programs a look may run, sorted. */
export const LOOK_PROGRAMS: readonly string[] = Object.keys(RULES).sort();

/**
 * A batch of which every line only shows: the one look that is given input, so that many devices cost one process.
 * A line is matched as a whole; nothing in it can quote, comment, continue or end it.
 */
const SHOWING_BATCH = ["tc", "-j", "-batch", "-"];
const SHOWING_LINES = /^(filter show dev [A-Za-z0-9_.-]+ parent ffff:\n)+$/;

/** Namespaces a look may enter: by process or by name, never a path made up of something else. */
const NETNS = /^\/(proc\/(\d+|self)\/ns\/net|(var\/)?run\/netns\/[A-Za-z0-9_.-]+)$/;

/** Why a look must not run this command, or null where it may. */
export function refusal(command: Command): string | null {
  const [program, ...args] = command.argv;
  if (Object.keys(command.env ?? {}).length > 0) return "a look sets no variables";
  if (command.netns !== undefined && !NETNS.test(command.netns)) {
    return `"${command.netns}" is not a network namespace`;
  }
  if (command.input !== undefined) {
    const isBatch = command.argv.length === SHOWING_BATCH.length &&
      command.argv.every((word, at) => word === SHOWING_BATCH[at]);
    if (!isBatch) return "a look gives no input";
    return SHOWING_LINES.test(command.input) ? null : "a line of its batch is more than a show";
  }
  if (program === undefined || !Object.hasOwn(RULES, program)) {
    return `"${program ?? ""}" is not a program to look with`;
  }
  const rule = RULES[program]!;
  if (args.some((arg) => arg.includes("\0"))) return "an argument holds a NUL";
  if (rule.exactly !== undefined) return rule.exactly(args) ? null : "not one of its looking forms";
  return refusedArgument(rule, args);
}

function refusedArgument(rule: Rule, args: readonly string[]): string | null {
  const words: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (!arg.startsWith("-")) words.push(arg);
    else if (rule.valued?.includes(arg)) {
      const value = args[++at];
      if (value === undefined || value.startsWith("-")) return `option "${arg}" needs a value`;
    } else if (!rule.flags?.includes(arg) && !rule.equals?.some((prefix) => arg.startsWith(prefix))) {
      return `option "${arg}" is not one to look with`;
    }
  }
  if (rule.needs !== undefined && !rule.needs.some((flag) => args.includes(flag))) {
    return `needs ${rule.needs.map((flag) => `"${flag}"`).join(" or ")}`;
  }
  return rule.words?.(words) ?? null;
}
