// Moments of a boot at which the power goes. Owns how they are chosen (by a seed, spread over berth's journal) and
// waited for in a machine; what is asserted afterwards is the tests' own.
import process from "node:process";
import type { Machine } from "./harness.ts";

/** Chooses the moments of a run; the same seed, the same moments. The long run gives another one each time. */
export const SEED = Number(process.env["BERTH_TEST_SEED"] ?? 1);
/** Where berth notes what it begins and has done: a line more is a moment further. */
export const JOURNAL = "/var/lib/berth/journal";
const WAIT_MS = 1_500_000;

/** So long after berth's journal has got so many lines. */
export interface Moment {
  readonly line: number;
  readonly laterMs: number;
}

/** One moment in each of `count` equal parts of a boot that writes `lines` lines, up to half a second after its line. */
export function spread(count: number, lines: number, seed: number): Moment[] {
  let now = seed >>> 0 || 1;
  const random = () => {
    // xorshift32
    now ^= now << 13;
    now ^= now >>> 17;
    now ^= now << 5;
    return (now >>> 0) / 2 ** 32;
  };
  return Array.from({ length: count }, (_, index) => ({
    line: 1 + Math.floor((index + random()) * lines / count),
    laterMs: Math.floor(random() * 500),
  }));
}

/** Cuts the power of a machine that boots, at that moment or at the end of the boot; the journal's length then. */
export async function cutAt(machine: Machine, { line, laterMs }: Moment): Promise<number> {
  // The wait is the machine's own, and without a process: a look from here takes longer than a step of berth's.
  const said = await machine.sh(
    `[ -p /run/never ] || mkfifo /run/never; exec 9<>/run/never
    look() { lines=(); if [ -e ${JOURNAL} ]; then mapfile -t lines <${JOURNAL}; fi; }
    until look; [ -e /run/vm-booted ] || [ \${#lines[@]} -ge ${line} ]; do read -r -t 0.1 -u 9 || true; done
    echo \${#lines[@]}`,
    { timeoutMs: WAIT_MS },
  );
  await new Promise((resolve) => setTimeout(resolve, laterMs));
  await machine.powerCut();
  return Number(said);
}
