// `deno task ok`: what every change must pass before it is committed, in under a minute: format, lint, types,
// the shape of the sources, unit tests, laws. One line per step; the output of a step that fails.
import { readdirSync } from "node:fs";
import { testFiles } from "../../test/_levels.ts";
import { ROOT } from "./_bundle.ts";
import { killAll, type Ran, run, say, seconds } from "./_run.ts";
import { circles, readSources, tooLong } from "./_sources.ts";

/** Where sources live, as arguments for deno. */
const TREES = ["lib", "tasks", "test", "mod.ts"].filter((name) => readdirSync(ROOT).includes(name));

const deno = (...args: string[]) => run([Deno.execPath(), ...args], { cwd: ROOT, deadlineMs: 300_000 });

/** Lines about what is wrong with the sources' shape; [] when nothing is. */
function shape(): readonly string[] {
  const sources = readSources(ROOT);
  return [
    ...tooLong(sources),
    ...circles(sources).map((circle) => `import circle: ${circle.join(" -> ")}`),
  ];
}

let failed = 0;

async function step(name: string, work: () => Promise<Ran>): Promise<void> {
  const ran = await work();
  const last = ran.output.trimEnd().split("\n").at(-1) ?? "";
  const note = / passed, .* skipped$/.test(last) ? `, ${last}` : "";
  if (ran.exit === 0) return say(`ok   ${name} (${seconds(ran.ms)}${note})`);
  failed += 1;
  say(
    `FAIL ${name} (${ran.late ? "deadline passed" : `exit ${ran.exit ?? ran.signal}`}, ${seconds(ran.ms)})`,
  );
  say(ran.output.trimEnd().split("\n").map((line) => `     | ${line}`).join("\n"));
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    killAll();
    process.exit(signal === "SIGINT" ? 130 : 143);
  });
}

const begun = performance.now();
const wrong = shape();
if (wrong.length > 0) {
  failed += 1;
  say(`FAIL shape\n${wrong.map((line) => `     | ${line}`).join("\n")}`);
} else say("ok   shape (files of 400 lines at most, no import circles)");

// The type check keeps one core busy for the longest time: the short checks share the other one with it.
await Promise.all([
  step("types", () => deno("check", "-q", ...TREES)),
  (async () => {
    await step("format", () => deno("fmt", "-q", "--check"));
    await step("lint", () => deno("lint", "-q"));
  })(),
]);
await step("unit", () => deno("run", "-A", "test/run.ts", "--level", "unit", "--deadline", "60"));
if (testFiles(ROOT).some((file) => file.level === "laws")) {
  await step("laws", () => deno("run", "-A", "test/run.ts", "--level", "laws", "--deadline", "60"));
}
say(`${failed === 0 ? "ok" : `${failed} failed`} in ${seconds(performance.now() - begun)}`);
process.exitCode = failed === 0 ? 0 : 1;
