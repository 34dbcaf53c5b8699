// `deno task build:deno`: dist/berth-deno, the same bundle made stand-alone by `deno compile`. Its base, denort,
// comes from Deno's download server or from the file that DENORT_BIN names; the deno program itself does not
// serve as one. Exit 4 (something missing on the machine) where no base can be had; never waits for long.
import { existsSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle, distDirectory, inputsCommit, version } from "./_bundle.ts";
import { run, say, seconds } from "./_run.ts";

/** Milliseconds for `deno compile`, its download of some 30 MB included. */
const DEADLINE_MS = 90_000;

/** lib/log/error.ts's exit code for something that is missing. */
const EXIT_MISSING = 4;

async function main(): Promise<number> {
  const base = process.env.DENORT_BIN;
  if (base !== undefined && !existsSync(base)) {
    process.stderr.write(`No base for deno compile: DENORT_BIN names "${base}", which does not exist\n`);
    return EXIT_MISSING;
  }
  const begun = performance.now();
  const dist = distDirectory();
  const bundled = join(dist, ".berth-deno.cjs");
  const made = join(dist, ".berth-deno");
  try {
    const bundling = await bundle(bundled, { version: version(), commit: await inputsCommit() });
    if (bundling.exit !== 0) {
      process.stderr.write(`Cannot bundle lib/cli/main.ts\n${bundling.output}`);
      return 1;
    }
    // No configuration: neither deno.json nor node_modules has a part in what is one file by now.
    const compiled = await run([
      Deno.execPath(),
      "compile",
      "--quiet",
      "--no-config",
      "--no-check",
      "--no-remote",
      "--allow-all",
      `--output=${made}`,
      bundled,
    ], { cwd: dist, deadlineMs: DEADLINE_MS, env: { ...Deno.env.toObject(), NO_COLOR: "1" } });
    if (compiled.exit !== 0) return explain(compiled.output, compiled.late);
    const proof = await run([made, "version"], { cwd: "/", deadlineMs: 20_000 });
    if (proof.exit !== 0 || !proof.stdout.includes(version())) {
      process.stderr.write(
        `The new executable does not run: exit ${proof.exit ?? proof.signal}\n${proof.output}`,
      );
      return 1;
    }
    renameSync(made, join(dist, "berth-deno"));
    const size = (statSync(join(dist, "berth-deno")).size / 1e6).toFixed(1);
    say(`dist/berth-deno ${size} MB, ${seconds(performance.now() - begun)}`);
    return 0;
  } finally {
    rmSync(bundled, { force: true });
    rmSync(made, { force: true });
  }
}

/** One line when it is the base that is missing; the compiler's own words for anything else. */
function explain(output: string, late: boolean): number {
  if (
    late || /denort|download|error sending request|dns error|client error|status code|403|404/i.test(output)
  ) {
    const log = join(distDirectory(), "build-deno.log");
    writeFileSync(log, output);
    process.stderr.write(
      `No base for deno compile: "denort" ${Deno.version.deno} cannot be downloaded here; ` +
        `set DENORT_BIN to one, or use "deno task build" (the whole answer: dist/build-deno.log)\n`,
    );
    return EXIT_MISSING;
  }
  process.stderr.write(`Cannot compile the bundle\n${output}`);
  return 1;
}

process.exitCode = await main();
