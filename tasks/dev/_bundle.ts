// How the executable is made: one esbuild bundle (CJS), compiled into Bun's runtime. Bun never resolves a
// module itself: it would put its own stub in the place of undici. Owns the two command lines and the stamp
// that tells whether anything has to be made at all; `build.ts` is the task that calls it.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Ran, run } from "./_run.ts";

/** The top of the checkout, without a slash at its end. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** esbuild's own binary: the package's `bin` needs an install script, its optional package does not. */
export const ESBUILD = join(ROOT, `node_modules/@esbuild/linux-${arch()}/bin/esbuild`);

/** Bun, for its runtime; baseline, so that it runs on processors before 2013 too. */
export const BUN = join(ROOT, "node_modules/@oven/bun-linux-x64-baseline/bin/bun");

/** Everything that decides what the executable is. */
const INPUTS = ["lib", "tasks", "mod.ts", "package.json", "package-lock.json"];

/**
 * Names that mean a file of ours. deno.json's `imports` holds the same for Deno.
 * zx's ESM entry requires core.cjs at run time, which no bundle can follow.
 */
export const ALIASES: Readonly<Record<string, string>> = {
  "zx/core": "./node_modules/zx/build/core.cjs",
  "#tasks": "./tasks/_tree.ts",
};

export interface BundleOptions {
  /** @default {lib/cli/main.ts} */
  readonly entry?: string;
  readonly version: string;
  readonly commit: string;
  /** Where esbuild writes what the bundle is made of. */
  readonly metafile?: string;
}

/** Bundles the entry and all it imports into one CommonJS file. `import()` stays lazy inside of it. */
export function bundle(outfile: string, options: BundleOptions): Promise<Ran> {
  return run([
    ESBUILD,
    options.entry ?? "lib/cli/main.ts",
    "--bundle",
    "--format=cjs",
    "--platform=node",
    // Bun 1.4's engine knows all of it; `using` is lowered, which costs nothing.
    "--target=es2024",
    "--charset=utf8",
    "--legal-comments=none",
    ...Object.entries(ALIASES).map(([name, file]) => `--alias:${name}=${file}`),
    `--define:BERTH_VERSION=${JSON.stringify(options.version)}`,
    `--define:BERTH_COMMIT=${JSON.stringify(options.commit)}`,
    "--log-level=warning",
    `--outfile=${outfile}`,
    ...(options.metafile ? [`--metafile=${options.metafile}`] : []),
  ], { cwd: ROOT });
}

/**
 * Compiles a bundle into a stand-alone executable, replacing `outfile` by a rename.
 *
 * Nothing is downloaded: the base is the same Bun that compiles. Nothing is loaded from the current directory
 * of whoever runs the result (bunfig.toml can name a `preload`: a stranger's code, run as root).
 */
export async function compile(bundled: string, outfile: string): Promise<Ran> {
  // Bun writes its temporary file into the current directory, and reads a bunfig.toml there.
  const work = mkdtempSync(join(dirname(outfile), ".compile-"));
  try {
    const made = join(work, "berth");
    const ran = await run([
      BUN,
      "build",
      "--compile",
      "--minify",
      "--bytecode",
      "--format=cjs",
      "--target=bun-linux-x64-baseline",
      `--compile-executable-path=${BUN}`,
      "--no-compile-autoload-dotenv",
      "--no-compile-autoload-bunfig",
      "--no-compile-autoload-tsconfig",
      "--no-compile-autoload-package-json",
      bundled,
      `--outfile=${made}`,
    ], {
      cwd: work,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: work, TMPDIR: tmpdir(), NO_COLOR: "1" },
    });
    if (ran.exit === 0) renameSync(made, outfile);
    return ran;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A hash over all inputs, file names included. Milliseconds for the whole tree. */
export function inputsHash(): string {
  const hash = createHash("sha256");
  const walk = (path: string) => {
    const full = join(ROOT, path);
    if (!existsSync(full)) return;
    for (const entry of readdirSync(full, { withFileTypes: true }).sort((a, b) => a.name < b.name ? -1 : 1)) {
      const below = `${path}/${entry.name}`;
      if (entry.isDirectory()) walk(below);
      else file(below);
    }
  };
  const file = (path: string) => {
    hash.update(`${path}\0`).update(readFileSync(join(ROOT, path))).update("\0");
  };
  for (const path of INPUTS) {
    if (path.includes(".")) {
      if (existsSync(join(ROOT, path))) file(path);
    } else walk(path);
  }
  return hash.digest("hex");
}

/**
 * The last commit that touched an input, with "-dirty" when an input differs from it; "unknown" where there is
 * no git. Commits that touch only tests and documents make no new executable.
 */
export async function inputsCommit(): Promise<string> {
  const at = await run(["git", "log", "-1", "--format=%h", "--", ...INPUTS], { cwd: ROOT });
  if (at.exit !== 0 || at.stdout.trim() === "") return "unknown";
  const changed = await run(["git", "status", "--porcelain", "--", ...INPUTS], { cwd: ROOT });
  return at.stdout.trim() + (changed.stdout.trim() === "" ? "" : "-dirty");
}

/** The version in package.json. */
export function version(): string {
  return JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version;
}

/** dist, made when it is missing. */
export function distDirectory(): string {
  const dist = join(ROOT, "dist");
  mkdirSync(dist, { recursive: true });
  return dist;
}
