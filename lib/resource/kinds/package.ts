// Debian packages, installed without starting what they bring: the engine shall first start with our configuration.
// Packages stay when berth goes: others may have come to need them.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import type { Change, Op, Resource } from "../types.ts";

/** What dpkg and apt know of the wanted packages. */
export interface PackageState {
  /** Fully installed ones, sorted. */
  readonly installed: readonly string[];
  /** Names apt has no candidate for: its lists are to be read again. */
  readonly unlisted: readonly string[];
  /** Our policy-rc.d stands there, left by a crash; or another's, which we respect. */
  readonly policy: "none" | "ours" | "foreign";
}

const POLICY_PATH = "/usr/sbin/policy-rc.d";
/** Exit 101: "action forbidden by policy" (Debian's invoke-rc.d policy interface). */
const POLICY_TEXT = "#!/bin/sh\n# berth: packages are installed without starting their services\nexit 101\n";

/** Seconds apt waits for another apt's or dpkg's lock. */
const LOCK_TIMEOUT_S = 300;
/** Milliseconds for one apt run: a slow mirror and a slow disk. */
const APT_TIMEOUT_MS = 1_800_000;
const APT = [
  "apt-get",
  "-q",
  "-y",
  "-o",
  `DPkg::Lock::Timeout=${LOCK_TIMEOUT_S}`,
  "-o",
  "Dpkg::Options::=--force-confdef",
  "-o",
  "Dpkg::Options::=--force-confold",
] as const;
const APT_ENV = { DEBIAN_FRONTEND: "noninteractive" };

/**
 * Debian packages that must be installed, without their recommendations. Only missing ones are installed, from the
 * cache where the machine is offline. Undo leaves them.
 */
export function packages(names: readonly string[]): Resource<PackageState> {
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
    desired: { installed: wanted, unlisted: [], policy: "none" },
    observe: (look) => observePackages(look, wanted),
    diff(found) {
      const missing = wanted.filter((name) => !found?.installed.includes(name));
      const clean: readonly Op[] = found?.policy === "foreign" ? [] : [{ remove: POLICY_PATH }];
      if (missing.length === 0) {
        const why = "a policy-rc.d of ours was left by a crash";
        const change: Change = { resource: id, verb: "update", why, risk: "safe", do: clean, undo: [] };
        return found?.policy === "ours" ? [change] : [];
      }
      const forbid: readonly Op[] = found?.policy === "foreign"
        ? []
        : [{ write: POLICY_PATH, text: POLICY_TEXT, mode: 0o755 }];
      const update: readonly Op[] = (found?.unlisted.length ?? 0) > 0 ? [aptUpdate()] : [];
      return [{
        resource: id,
        verb: "create",
        why: `not installed: ${missing.join(" ")}`,
        risk: "safe",
        do: [...forbid, configureAll(), ...update, aptInstall(missing), ...clean],
        undo: clean,
      }];
    },
    prior: () => null,
    revert: (_prior, found) =>
      found?.policy === "ours"
        ? [{
          resource: id,
          verb: "delete",
          why: "a policy-rc.d of ours was left by a crash",
          risk: "safe",
          do: [{ remove: POLICY_PATH }],
          undo: [],
        }]
        : [],
  };
}

/** Finishes what a power cut interrupted; does nothing on a sound machine. */
function configureAll(): Op {
  return { run: { argv: ["dpkg", "--configure", "-a"], env: APT_ENV, timeoutMs: APT_TIMEOUT_MS } };
}

/** Reads the lists again. Exit 100 (no network) is no failure yet: the install after it decides. */
function aptUpdate(): Op {
  const argv = [...APT, "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1", "update"];
  return { run: { argv, env: APT_ENV, timeoutMs: APT_TIMEOUT_MS, okExit: [0, 100] } };
}

function aptInstall(names: readonly string[]): Op {
  const argv = [...APT, "--no-install-recommends", "install", "--", ...names];
  return { run: { argv, env: APT_ENV, timeoutMs: APT_TIMEOUT_MS } };
}

async function observePackages(look: Look, names: readonly string[]): Promise<PackageState> {
  const text = await look.readText(POLICY_PATH);
  const policy = text === null ? "none" : text === POLICY_TEXT ? "ours" : "foreign";
  if (names.length === 0) return { installed: [], unlisted: [], policy };
  const format = "${Package} ${Package}:${Architecture} ${db:Status-Status}\\n";
  // Exit 1: some of them are unknown to dpkg.
  const query = { argv: ["dpkg-query", "-W", `-f=${format}`, ...names], okExit: [0, 1] };
  const lines = (await look.query(query)).stdout.split("\n").map((line) => line.split(" "));
  const present = new Set(lines.filter(([, , status]) => status === "installed").flatMap(([a, b]) => [a, b]));
  const installed = names.filter((name) => present.has(name));
  const missing = names.filter((name) => !present.has(name));
  return { installed, unlisted: missing.length === 0 ? [] : await unlistedOf(look, missing), policy };
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
