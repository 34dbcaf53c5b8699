// How long programs take to start and how much memory they need: berth version beside a bare hello of the same
// runtime and perl. Needs no sandbox.
import { run } from "../_run.ts";
import { REALTIME, STOPWATCH } from "./gate.ts";
import { hello } from "./made.ts";
import type { Runs } from "./measure.ts";

/** Starts a program once. @returns wall milliseconds and peak MiB. @throws {Error} where it fails. */
async function start(argv: readonly string[], realtime: boolean): Promise<{ ms: number; mib: number }> {
  const before = realtime ? REALTIME : [];
  const ran = await run([...before, "perl", STOPWATCH, "1", ...argv], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  const [wall, , kib, exit] = ran.stdout.trim().split(" ").map(Number);
  if (ran.exit !== 0 || exit !== 0) throw new Error(`"${argv.join(" ")}" ended with ${exit}: ${ran.output}`);
  return { ms: wall! / 1000, mib: kib! / 1024 };
}

/** Starts each so many times, in turn. The first round warms the page cache and does not count. */
export async function startUp(berth: string, rounds: number, realtime: boolean): Promise<Runs> {
  const bare = await hello();
  const programs = {
    hello: [bare],
    version: [berth, "version"],
    perl: ["perl", "-e", "1"],
  } as const;
  const runs = { hello: [], version: [], perl: [], helloPeak: [], versionPeak: [], perlPeak: [] } as Record<
    keyof typeof programs | "helloPeak" | "versionPeak" | "perlPeak",
    number[]
  >;
  for (let round = 0; round <= rounds; round++) {
    for (const name of ["hello", "version", "perl"] as const) {
      const { ms, mib } = await start(programs[name], realtime);
      if (round === 0) continue;
      runs[name].push(ms);
      runs[`${name}Peak`].push(mib);
    }
  }
  return runs;
}
