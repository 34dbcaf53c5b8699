// `deno task build`: dist/berth (the executable) and dist/berth.schema.json. One line per artefact, with size
// and seconds. Does nothing when no input has changed since; `--force` builds anyway. Tests and the
// demonstration call `build()` before they start the executable.
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle, compile, distDirectory, inputsCommit, inputsHash, version } from "./_bundle.ts";
import { type Ran, run, say, seconds } from "./_run.ts";

/** A build that failed; the message ends with the tool's own output. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

/**
 * Builds what is out of date and answers with the path of the executable. Quiet when there is nothing to do, unless
 * `verbose`. In a test run, where BERTH_BUILT names the executable of the whole run, it only answers.
 *
 * @throws {BuildError}
 */
export async function build(options: { force?: boolean; verbose?: boolean } = {}): Promise<string> {
  const given = process.env.BERTH_BUILT;
  if (given !== undefined && !options.force && existsSync(given)) return given;
  const dist = distDirectory();
  const executable = join(dist, "berth");
  const stampFile = join(dist, ".stamp");
  const begun = performance.now();
  const commit = await inputsCommit();
  const stamp = `${inputsHash()} ${commit}\n`;
  const before = existsSync(stampFile) ? readFileSync(stampFile, "utf8") : "";
  if (!options.force && before === stamp && existsSync(executable)) {
    if (options.verbose) say(`dist/berth is up to date (${seconds(performance.now() - begun)})`);
    return executable;
  }
  rmSync(stampFile, { force: true });
  // Two builds at once each work under their own name and rename at the end.
  const bundled = join(dist, `.berth-${process.pid}.cjs`);
  try {
    const metafile = join(dist, "berth.meta.json");
    must("Cannot bundle lib/cli/main.ts", await bundle(bundled, { version: version(), commit, metafile }));
    must("Cannot compile the bundle", await compile(bundled, executable));
    await prove(executable);
    say(`dist/berth ${megabytes(executable)}, ${seconds(performance.now() - begun)}`);
    await schema(executable, join(dist, "berth.schema.json"));
    writeFileSync(stampFile, stamp);
  } finally {
    rmSync(bundled, { force: true });
  }
  return executable;
}

/** Runs it from `/`, with nothing in its environment, as a vhost's init would. */
async function prove(executable: string): Promise<void> {
  const ran = await run([executable, "version"], { cwd: "/", env: {}, deadlineMs: 20_000 });
  if (ran.exit !== 0 || !ran.stdout.includes(version())) {
    throw new BuildError(`The new executable does not run: exit ${ran.exit ?? ran.signal}\n${ran.output}`);
  }
}

/** Writes what `berth schema` prints; says so in one line where it prints none. */
async function schema(executable: string, path: string): Promise<void> {
  const ran = await run([executable, "schema"], { cwd: "/", env: {}, deadlineMs: 20_000 });
  if (ran.exit !== 0) {
    say(`dist/berth.schema.json skipped: "berth schema" ended with exit ${ran.exit ?? ran.signal}`);
    return;
  }
  try {
    JSON.parse(ran.stdout);
  } catch (cause) {
    throw new BuildError(`"berth schema" printed no JSON\n${ran.stdout.slice(0, 500)}`, { cause });
  }
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, ran.stdout);
  renameSync(temporary, path);
  say(`dist/berth.schema.json ${kilobytes(path)}, ${seconds(ran.ms)}`);
}

function must(what: string, ran: Ran): void {
  if (ran.exit === 0) return;
  const how = ran.late ? "deadline passed" : `exit ${ran.exit ?? ran.signal}`;
  throw new BuildError(`${what}: ${how}\n${ran.output}`);
}

function megabytes(path: string): string {
  return `${(statSync(path).size / 1e6).toFixed(1)} MB`;
}

function kilobytes(path: string): string {
  return `${(statSync(path).size / 1e3).toFixed(1)} kB`;
}

if (import.meta.main) {
  try {
    await build({ force: process.argv.includes("--force"), verbose: true });
  } catch (error) {
    process.stderr.write(`${error instanceof BuildError ? error.message : (error as Error).stack}\n`);
    process.exitCode = 1;
  }
}
