// `deno task npm`: dist/npm, the library as an npm package, made by @deno/dnt from JSR. The sources use only
// `node:` built-ins and npm packages, so there is nothing to shim. dnt runs `Deno.test` only: its own test run
// stays off. Exit 4 (something missing on the machine) where JSR cannot be reached.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { ROOT } from "./_bundle.ts";
import { run, say, seconds } from "./_run.ts";

/** In a variable, so that a type check does not ask JSR for it. */
const DNT = "jsr:@deno/dnt@0.42.3";

/** Milliseconds within which JSR must have answered. */
const DEADLINE_MS = 60_000;

/** lib/log/error.ts's exit code for something that is missing. */
const EXIT_MISSING = 4;

/** undici 8 does not load below it. */
const NODE = ">=22.19";

/** The part of dnt that is used, as its own documentation has it. */
interface Dnt {
  build(options: {
    entryPoints: readonly string[];
    outDir: string;
    shims: Record<string, never>;
    test: boolean;
    /** Our code has no top-level await, but half of its packages are ESM only. */
    scriptModule: false;
    typeCheck: "single";
    importMap: string;
    compilerOptions: { target: "Latest" };
    package: Record<string, unknown>;
    postBuild(): void;
  }): Promise<void>;
}

/** Bare names as `npm:` specifiers with our exact versions: dnt makes its dependencies from them. */
function importMap(dependencies: Readonly<Record<string, string>>): Record<string, string> {
  const imports: Record<string, string> = { "#tasks": pathToFileURL(join(ROOT, "tasks/_tree.ts")).href };
  for (const [name, version] of Object.entries(dependencies)) {
    imports[name] = `npm:${name}@${version}`;
    imports[`${name}/`] = `npm:/${name}@${version}/`;
  }
  return imports;
}

function firstLine(text: string): string {
  return stripVTControlCharacters(text).trim().split("\n")[0] ?? "";
}

async function main(): Promise<number> {
  const begun = performance.now();
  // In a process of its own first: an import cannot be given a deadline.
  const reached = await run([Deno.execPath(), "cache", "--no-config", "--quiet", DNT], {
    cwd: "/",
    deadlineMs: DEADLINE_MS,
  });
  if (reached.exit !== 0) {
    const cause = reached.late ? `no answer within ${seconds(DEADLINE_MS)}` : firstLine(reached.output);
    process.stderr.write(
      `Cannot load "${DNT}" (${cause}): run "deno task npm" where JSR can be reached\n`,
    );
    return EXIT_MISSING;
  }
  const { build } = await import(DNT) as Dnt;
  const ours = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const outDir = join(ROOT, "dist/npm");
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  const map = join(ROOT, "dist/.npm-imports.json");
  writeFileSync(map, JSON.stringify({ imports: importMap(ours.dependencies) }));
  try {
    await build({
      entryPoints: [join(ROOT, "mod.ts")],
      outDir,
      shims: {},
      test: false,
      scriptModule: false,
      typeCheck: "single",
      importMap: map,
      compilerOptions: { target: "Latest" },
      package: {
        name: ours.name,
        version: ours.version,
        description: ours.description,
        license: ours.license,
        engines: { node: NODE },
        dependencies: ours.dependencies,
        devDependencies: { "@types/node": ours.devDependencies["@types/node"] },
      },
      postBuild() {
        for (const file of ["LICENSE", "README.md"]) {
          if (existsSync(join(ROOT, file))) copyFileSync(join(ROOT, file), join(outDir, file));
        }
      },
    });
  } finally {
    rmSync(map, { force: true });
  }
  say(`dist/npm ${ours.name}@${ours.version}, ${seconds(performance.now() - begun)}`);
  return 0;
}

process.exitCode = await main();
