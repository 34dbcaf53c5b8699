// What the lab is asked and answers: the contract between gate.ts, outside, and lab.ts, inside.

export interface LabQuestion {
  /** Starts by the gate, of each kind. */
  readonly runs: number;
  /** Links of the vnode that is wired as a whole. */
  readonly links: number;
  readonly wireRuns: number;
  readonly serialRuns: number;
  /** The executable; null leaves out what needs it. */
  readonly berth: string | null;
  readonly hello: string;
  /** Path of stopwatch.pl. */
  readonly stopwatch: string;
  /** Path of another gate's script to measure beside the tree's own, run by run. */
  readonly other?: string;
}

/** Every run's number, in milliseconds (`gateKiB`: KiB), in the order they ran. */
export interface LabAnswer {
  /** Starting /bin/true: what starting anything costs there. */
  readonly spawn: number[];
  /** The gate's script for 4 links, good path. */
  readonly script: number[];
  /** The other script. */
  readonly other: number[];
  /** The same with 4 ifbs of the life before still standing. */
  readonly scriptStale: number[];
  /** The script with berth itself having to wire. */
  readonly scriptBerth: number[];
  /** The bare hello of the same runtime. */
  readonly hello: number[];
  /** `berth gate` for 4 links, from its start to its end. */
  readonly gate: number[];
  /** From its start to the kernel's first told change. */
  readonly gateFirst: number[];
  /** Peak resident memory of `berth gate`. */
  readonly gateKiB: number[];
  /** wire() for so many links. */
  readonly wire: number[];
  /** The same by one hand-written batch a tool. */
  readonly batch: number[];
  /** The same by a process a command. */
  readonly serial: number[];
}
