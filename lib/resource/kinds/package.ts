// Debian packages, installed without starting what they bring: the engine shall first start with our configuration.
// Packages stay when berth goes: others may have come to need them.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { Change, Op, Resource } from "../types.ts";
import { type FileState, observeFile } from "./file.ts";
import { distributionOf, installCommand } from "./package_names.ts";

/** What dpkg and apt know of the wanted packages. */
export interface PackageState {
  /** Fully installed ones, sorted. */
  readonly installed: readonly string[];
  /** Names apt has no candidate for: its lists are to be read again. */
  readonly unlisted: readonly string[];
  /** Our policy-rc.d stands there, left by a crash; or the operator's, which comes back after ours. */
  readonly policy: "none" | "ours" | "foreign";
  /** The operator's policy-rc.d: where it belongs, or set aside by a run that a crash has cut off. */
  readonly theirs: FileState | null;
  /** The operator's is set aside still. */
  readonly aside: boolean;
  /** dpkg was stopped in the middle (or is at work just now). */
  readonly interrupted: boolean;
}

const POLICY_PATH = "/usr/sbin/policy-rc.d";
/** Where the operator's own waits meanwhile. */
const ASIDE_PATH = "/usr/sbin/policy-rc.d.berth-aside";
/** Exit 101: "action forbidden by policy" (Debian's invoke-rc.d policy interface). */
const POLICY_TEXT = "#!/bin/sh\n# berth: packages are installed without starting their services\nexit 101\n";

/** Seconds apt waits for another apt's or dpkg's lock; then it tells which process holds it. */
const LOCK_TIMEOUT_S = 300;
/** dpkg's notes of what it is in the middle of: any left means that it was stopped there. */
const DPKG_UPDATES = "/var/lib/dpkg/updates";
/** Milliseconds for one apt run: a slow mirror and a slow disk. */
const APT_TIMEOUT_MS = 1_800_000;
const apt = (lockSeconds: number) => [
  "apt-get",
  "-q",
  "-y",
  "-o",
  `DPkg::Lock::Timeout=${lockSeconds}`,
  "-o",
  "Dpkg::Options::=--force-confdef",
  "-o",
  "Dpkg::Options::=--force-confold",
];
const APT_ENV = { DEBIAN_FRONTEND: "noninteractive" };

/**
 * Debian packages that must be installed, without their recommendations. Only missing ones are installed, from the
 * cache where the machine is offline. Undo leaves them.
 *
 * @param options.lockSeconds how long another apt or dpkg is waited for. @default {300}
 * @throws {BerthError} code `missing`, with what to install by hand, where packages are missing and there is no apt.
 */
export function packages(
  names: readonly string[],
  { lockSeconds = LOCK_TIMEOUT_S }: { readonly lockSeconds?: number } = {},
): Resource<PackageState> {
  for (const name of names) {
    if (/^[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?$/.test(name)) continue;
    throw new BerthError({
      code: "config",
      object: `package ${name}`,
      message: `"${name}" is not the name of a Debian package`,
    });
  }
  const wanted = [...new Set(names)].sort();
  const id = `packages ${wanted.join(" ")}`;
  return {
    id,
    desired: {
      installed: wanted,
      unlisted: [],
      policy: "none",
      theirs: null,
      aside: false,
      interrupted: false,
    },
    observe: (look) => observePackages(look, wanted),
    diff(found) {
      const missing = wanted.filter((name) => !found?.installed.includes(name));
      const clean = cleanOps(found);
      if (missing.length === 0) {
        const why = "a policy-rc.d of ours was left by a crash";
        const change: Change = { resource: id, verb: "update", why, risk: "safe", do: clean, undo: [] };
        return isLeft(found) ? [change] : [];
      }
      const theirs = found?.theirs ?? null;
      const forbid: readonly Op[] = [
        ...(theirs === null ? [] : [{ write: ASIDE_PATH, text: theirs.text, mode: theirs.mode }]),
        { write: POLICY_PATH, text: POLICY_TEXT, mode: 0o755 },
      ];
      const tool = apt(lockSeconds);
      const mend: readonly Op[] = found?.interrupted ? [aptCheck(tool), configureAll()] : [];
      const update: readonly Op[] = (found?.unlisted.length ?? 0) > 0 ? [aptUpdate(tool)] : [];
      return [{
        resource: id,
        verb: "create",
        why: `not installed: ${missing.join(" ")}`,
        risk: "safe",
        do: [...forbid, ...mend, ...update, aptInstall(tool, missing), ...clean],
        undo: clean,
      }];
    },
    prior: () => null,
    revert(_prior, found) {
      if (!isLeft(found)) return [];
      const why = "a policy-rc.d of ours was left by a crash";
      return [{ resource: id, verb: "delete", why, risk: "safe", do: cleanOps(found), undo: [] }];
    },
  };
}

function isLeft(found: PackageState | null): boolean {
  return found?.policy === "ours" || found?.aside === true;
}

/** Ours away, the operator's back. */
function cleanOps(found: PackageState | null): readonly Op[] {
  if (found === null || found.theirs === null) return [{ remove: POLICY_PATH }];
  const { text, mode } = found.theirs;
  return [{ write: POLICY_PATH, text, mode }, { remove: ASIDE_PATH }];
}

/** Waits for whoever has dpkg's lock: dpkg itself would not. What it says of a state half-way is dealt with next. */
function aptCheck(tool: readonly string[]): Op {
  return { run: { argv: [...tool, "check"], env: APT_ENV, timeoutMs: APT_TIMEOUT_MS, okExit: [0, 100] } };
}

/** Finishes what a power cut interrupted; does nothing on a sound machine. */
function configureAll(): Op {
  return { run: { argv: ["dpkg", "--configure", "-a"], env: APT_ENV, timeoutMs: APT_TIMEOUT_MS } };
}

/** Reads the lists again. Exit 100 (no network) is no failure yet: the install after it decides. */
function aptUpdate(tool: readonly string[]): Op {
  const argv = [...tool, "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1", "update"];
  return { run: { argv, env: APT_ENV, timeoutMs: APT_TIMEOUT_MS, okExit: [0, 100] } };
}

function aptInstall(tool: readonly string[], names: readonly string[]): Op {
  const argv = [...tool, "--no-install-recommends", "install", "--", ...names];
  return { run: { argv, env: APT_ENV, timeoutMs: APT_TIMEOUT_MS } };
}

async function observePackages(look: Look, names: readonly string[]): Promise<PackageState> {
  const [standing, aside] = [await observePolicy(look, POLICY_PATH), await observePolicy(look, ASIDE_PATH)];
  const policy = standing === null ? "none" : standing.text === POLICY_TEXT ? "ours" : "foreign";
  const rest = {
    policy,
    theirs: policy === "foreign" ? standing : aside,
    aside: aside !== null,
  } as const;
  if (names.length === 0) return { installed: [], unlisted: [], interrupted: false, ...rest };
  const format = "${Package} ${Package}:${Architecture} ${db:Status-Status}\\n";
  // Exit 1: some of them are unknown to dpkg.
  const query = { argv: ["dpkg-query", "-W", `-f=${format}`, ...names], okExit: [0, 1] };
  const said = await look.query(query).catch(async (error: unknown) => {
    throw error instanceof BerthError && error.code === "missing" ? await byHand(look, names) : error;
  });
  const lines = said.stdout.split("\n").map((line) => line.split(" "));
  const present = new Set(lines.filter(([, , status]) => status === "installed").flatMap(([a, b]) => [a, b]));
  const installed = names.filter((name) => present.has(name));
  const missing = names.filter((name) => !present.has(name));
  const isDone = missing.length === 0;
  return {
    installed,
    unlisted: isDone ? [] : await unlistedOf(look, missing),
    interrupted: !isDone && (await look.list(DPKG_UPDATES) ?? []).length > 0,
    ...rest,
  };
}

async function observePolicy(look: Look, path: string): Promise<FileState | null> {
  const found = await observeFile(look, path);
  // A link of the alternatives system: written through, so that its target keeps being executable.
  return found !== null && (await look.stat(path))?.kind === "link" ? { ...found, mode: 0o755 } : found;
}

async function byHand(look: Look, names: readonly string[]): Promise<BerthError> {
  const text = await look.readText("/etc/os-release") ?? await look.readText("/usr/lib/os-release") ?? "";
  const distribution = distributionOf(text);
  const command = installCommand(distribution, names);
  return new BerthError({
    code: "missing",
    object: `packages ${names.join(" ")}`,
    message: `This machine has no apt (it is ${distribution.name}), and lacks what Debian has in: ${
      names.join(", ")
    }`,
    next: command === null ? "Install the programs of these packages" : `Install them: ${command}`,
  });
}

async function unlistedOf(look: Look, names: readonly string[]): Promise<readonly string[]> {
  const caches = ["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="];
  const { stdout } = await look.query({ argv: ["apt-cache", ...caches, "policy", ...names] });
  const listed = new Set<string>();
  for (const block of stdout.split(/\n(?=\S)/)) {
    const name = /^(\S+):\n/.exec(block)?.[1];
    if (name !== undefined && !/^ {2}Candidate: \(none\)$/m.test(block)) listed.add(name);
  }
  return names.filter((name) => !listed.has(name));
}
