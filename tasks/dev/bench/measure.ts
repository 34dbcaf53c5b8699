// What the bench measures, as data: each measure with its key, unit and runs; each aim with what it is held
// against; and the table. Pure.

/** All measures, in the order they are shown. Times are wall time. */
export const MEASURES = {
  hello: { title: "bare hello of the same runtime", unit: "ms" },
  version: { title: "berth version", unit: "ms" },
  perl: { title: "perl -e 1, as yardstick", unit: "ms" },
  helloPeak: { title: "bare hello, peak memory", unit: "MiB" },
  versionPeak: { title: "berth version, peak memory", unit: "MiB" },
  perlPeak: { title: "perl -e 1, peak memory", unit: "MiB" },
  labSpawn: { title: "lab: starting /bin/true", unit: "ms" },
  labHello: { title: "lab: bare hello", unit: "ms" },
  gateFirst: { title: "lab: berth gate, 4 links, to its first change", unit: "ms" },
  gate: { title: "lab: berth gate, 4 links, in all", unit: "ms" },
  gatePeak: { title: "lab: berth gate, 4 links, peak memory", unit: "MiB" },
  script: { title: "lab: gate's script, 4 links", unit: "ms" },
  scriptStale: { title: "lab: gate's script, 4 links, 4 ifbs left over", unit: "ms" },
  scriptBerth: { title: "lab: gate's script that has to run berth, 4 links", unit: "ms" },
  wire: { title: "lab: wire(), 200 links", unit: "ms" },
  batch: { title: "lab: 200 links by a hand-written batch a tool", unit: "ms" },
  serial: { title: "lab: 200 links by a process a command", unit: "ms" },
  hostUp: { title: "berth host up, nothing to do", unit: "ms" },
  hostUpFirst: { title: "berth host up, the first, Docker to be installed", unit: "ms" },
  hostUpScript: { title: "the same commands by a shell script", unit: "ms" },
  hostUpEngine: { title: "berth host up, the first, Docker installed and stopped", unit: "ms" },
  hostUpEngineScript: { title: "the same commands by a shell script", unit: "ms" },
  watchRss: { title: "berth watch, idle, 2 vnodes, RSS", unit: "MiB" },
  watchPss: { title: "berth watch, idle, 2 vnodes, PSS", unit: "MiB" },
  startRunc: { title: "docker start, runtime runc", unit: "ms" },
  startGate: { title: "docker start, gate, 4 links shaped both ways", unit: "ms" },
  startPlain: { title: "docker start, gate, 4 links unshaped", unit: "ms" },
  startBerth: { title: "docker start, gate that has to run berth", unit: "ms" },
  gateAdds: { title: "gate adds, 4 links shaped both ways (pairs)", unit: "ms" },
  gateAddsPlain: { title: "gate adds, 4 links unshaped (pairs)", unit: "ms" },
  gateAddsBerth: { title: "gate adds when berth has to run (pairs)", unit: "ms" },
} as const;

export type Key = keyof typeof MEASURES;
/** The numbers of every run, in the order they ran. */
export type Runs = Partial<Record<Key, readonly number[]>>;

/** What is aimed at, on a quiet machine: the median, or its ratio to another's median. */
const AIMS: Partial<Record<Key, { readonly most: number; readonly over?: Key }>> = {
  version: { most: 40 },
  wire: { most: 1.3, over: "batch" },
  hostUp: { most: 300 },
  hostUpFirst: { most: 1.2, over: "hostUpScript" },
  watchRss: { most: 70 },
  gateAdds: { most: 25 },
  gateAddsPlain: { most: 25 },
  gateAddsBerth: { most: 70 },
};

/** Measures whose medians are shown as so many times another's. */
const AGAINST: Partial<Record<Key, Key>> = {
  version: "hello",
  versionPeak: "helloPeak",
  gateFirst: "labHello",
  gate: "labHello",
  serial: "batch",
  hostUpEngine: "hostUpEngineScript",
};

/** One measure with what its runs come to; null where it was not run. */
export interface Measured {
  readonly title: string;
  readonly unit: string;
  readonly runs: readonly number[];
  readonly n: number;
  readonly median: number | null;
  readonly min: number | null;
  readonly max: number | null;
  /** So many times the median of another measure. */
  readonly against: { readonly key: Key; readonly times: number | null } | null;
  readonly aim: {
    readonly most: number;
    /** The measure that the median is divided by; null where the median itself counts. */
    readonly over: Key | null;
    /** What is compared with `most`. */
    readonly found: number | null;
    /** `found` to `most`: over 1 is missed. */
    readonly ratio: number | null;
    readonly met: boolean | null;
  } | null;
}

/** The middle run, or the mean of the middle two; null of none. */
export function median(runs: readonly number[]): number | null {
  if (runs.length === 0) return null;
  const sorted = [...runs].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** Every measure, run or not. */
export function measured(runs: Runs): Record<Key, Measured> {
  const of = (key: Key): Measured => {
    const own = (runs[key] ?? []).map(round);
    const aim = AIMS[key];
    const middle = median(own);
    const times = (under: number | null) => middle === null || under === null ? null : round(middle / under);
    const found = times(aim?.over === undefined ? 1 : median(runs[aim.over] ?? []));
    const other = AGAINST[key];
    return {
      ...MEASURES[key],
      runs: own,
      n: own.length,
      median: middle,
      min: own.length === 0 ? null : Math.min(...own),
      max: own.length === 0 ? null : Math.max(...own),
      against: other === undefined ? null : { key: other, times: times(median(runs[other] ?? [])) },
      aim: aim === undefined ? null : {
        most: aim.most,
        over: aim.over ?? null,
        found,
        ratio: found === null ? null : round(found / aim.most),
        met: found === null ? null : found <= aim.most,
      },
    };
  };
  return Object.fromEntries((Object.keys(MEASURES) as Key[]).map((key) => [key, of(key)])) as Record<
    Key,
    Measured
  >;
}

/** What the aim of a measure came to, in words. */
function verdict({ aim, unit, against }: Measured): string {
  const times = against === null || against.times === null
    ? []
    : [`${against.times.toFixed(2)} x ${against.key}`];
  return [...times, ...(aim === null ? [] : [aimWords(aim, unit)])].join("; ");
}

function aimWords(aim: NonNullable<Measured["aim"]>, unit: string): string {
  const most = aim.over === null ? `<= ${aim.most} ${unit}` : `<= ${aim.most} x ${aim.over}`;
  if (aim.met === null) return `aim ${most}: not measured`;
  const found = aim.over === null ? "" : `, found ${aim.found!.toFixed(2)} x`;
  return `aim ${most}${found}: ${aim.met ? "met" : "missed"} (${aim.ratio!.toFixed(2)} of it)`;
}

/** The table, a line for each measure that was run or has an aim. */
export function table(all: Record<Key, Measured>): string {
  const number = (value: number | null) => (value === null ? "-" : value.toFixed(1)).padStart(8);
  const wide = Math.max(...Object.values(all).map((one) => one.title.length));
  const lines = Object.values(all).filter((one) => one.n > 0 || one.aim !== null).map((one) =>
    [
      `${one.title.padEnd(wide)} ${number(one.median)} ${number(one.min)} ${number(one.max)}`,
      `${String(one.n).padStart(3)}  ${one.unit.padEnd(3)}  ${verdict(one)}`,
    ].join(" ").trimEnd()
  );
  const head = `${"".padEnd(wide)} ${"median".padStart(8)} ${"min".padStart(8)} ${
    "max".padStart(8)
  }   n  unit`;
  return [head, ...lines].join("\n") + "\n";
}
