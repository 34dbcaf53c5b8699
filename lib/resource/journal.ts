// The journal: what each thing was before berth first touched it, so that it can be given back. JSON lines, fsynced
// before the first op. Owns the file's form; what a prior means is each resource's own business.
import { dirname } from "node:path";
import { bootId } from "../host/facts.ts";
import type { Host, Look } from "../host/types.ts";
import type { Change } from "./types.ts";

/** Where the journal stands on a vhost. */
export const JOURNAL_PATH = "/var/lib/berth/journal";

/** A line written before the first op of a thing. */
export interface Begin {
  readonly begin: string;
  readonly prior: unknown;
  readonly bootId: string;
  readonly volatile: boolean;
  readonly time: string;
  readonly verb: Change["verb"];
  readonly why: string;
}

/** `torn` stands after a line that a crash cut off: what was never whole is no fault. */
type Line = Begin | { readonly done: string } | { readonly undone: string } | { readonly torn: true };

/** A line inside the journal that says nothing: what it told of may never be given back. */
export interface JournalFault {
  /** Counted from 1. */
  readonly line: number;
  readonly text: string;
}

/** What the journal knows of one thing that has not been given back yet. */
export interface Journalled {
  readonly id: string;
  /** What it was before each run's first op; the first is the one before us. Volatile: of that boot only. */
  readonly priors: readonly unknown[];
  readonly bootId: string;
  readonly volatile: boolean;
  readonly time: string;
  /** A begin without its done: a run died half-way. */
  readonly interrupted: boolean;
}

/** All that was journalled and not given back, in the order of first touch. */
export type JournalState = ReadonlyMap<string, Journalled>;

/** The journal of one run. */
export interface Journal {
  /** The state as read at first use, brought forward by what this run has written. */
  state(): Promise<JournalState>;
  /** Lines that cannot be read, as of the first use. */
  faults(): Promise<readonly JournalFault[]>;
  /** Writes begins, all with one fsync. */
  begin(
    things: readonly { id: string; prior: unknown; volatile: boolean; verb: Change["verb"]; why: string }[],
  ): Promise<void>;
  done(ids: readonly string[]): Promise<void>;
  undone(id: string): Promise<void>;
}

/** Bytes from which on a journal is looked at for lines that say nothing any more. */
const COMPACTED_FROM = 64 * 1024;

/**
 * The same state in as few lines: of what was given back nothing, of the rest the first prior and later ones that
 * differ from it. Pure. Torn lines go; others that cannot be read come first, and stay.
 */
export function compacted(text: string): string {
  const begins = new Map<string, Begin[]>();
  for (const line of text.split("\n").map(parseLine)) {
    if (line === null || "done" in line || "torn" in line) continue;
    if ("undone" in line) begins.delete(line.undone);
    else {
      const known = begins.get(line.begin);
      if (known === undefined) begins.set(line.begin, [line]);
      else if (line.volatile && known[0]!.bootId !== line.bootId) known.splice(0, known.length, line);
      else if (!known.some(({ prior }) => JSON.stringify(prior) === JSON.stringify(line.prior))) {
        known.push(line);
      }
    }
  }
  const state = journalState(text);
  const faults = journalFaults(text).map(({ text }) => `${text}\n`).join("");
  return faults +
    [...begins].flatMap(([id, lines]) => state.get(id)!.interrupted ? lines : [...lines, { done: id }])
      .map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** What a journal is made of. */
export interface JournalOptions {
  /** @default {JOURNAL_PATH} */
  readonly path?: string;
  /** The clock of the lines' times. @default {() => new Date()} */
  readonly now?: () => Date;
}

/** Reads the journal at a path. A torn last line (a crash while it was written) counts as never written. */
export async function readJournal(look: Look, path: string = JOURNAL_PATH): Promise<JournalState> {
  return journalState(await look.readText(path) ?? "");
}

/**
 * Lines of a journal that cannot be read. The last one is none where its newline is missing, nor is one that was so
 * before berth went on writing: its op never began. Pure.
 */
export function journalFaults(text: string): readonly JournalFault[] {
  const lines = text.split("\n");
  const isTorn = (line: string | undefined) => line !== undefined && "torn" in (parseLine(line) ?? {});
  return lines.flatMap((line, at) =>
    at === lines.length - 1 || line.trim() === "" || parseLine(line) !== null || isTorn(lines[at + 1])
      ? []
      : [{ line: at + 1, text: line }]
  );
}

/** The state that the journal's text tells. Pure. */
export function journalState(text: string): JournalState {
  const state = new Map<string, Journalled>();
  for (const line of text.split("\n")) {
    const parsed = parseLine(line);
    if (parsed !== null) advance(state, parsed);
  }
  return state;
}

/**
 * What a thing was before us (the first prior of all runs; the rest are for kinds whose owned keys may grow), or null where it was never touched, was given back, or was volatile state of another
 * boot, which is gone anyhow.
 */
export function priorsOf(state: JournalState, id: string, boot: string): readonly unknown[] | null {
  const known = state.get(id);
  if (known === undefined || (known.volatile && known.bootId !== boot)) return null;
  return known.priors;
}

/** Opens the journal of a host. Reads nothing before its first use; makes its directory (0700) at the first begin. */
export function createJournal(host: Host, options: JournalOptions = {}): Journal {
  const path = options.path ?? JOURNAL_PATH;
  const now = options.now ?? (() => new Date());
  let read:
    | Promise<{ state: Map<string, Journalled>; torn: string; faults: readonly JournalFault[] }>
    | undefined;
  const known = () =>
    read ??= host.readText(path).then((text) => ({
      state: new Map(journalState(text ?? "")),
      torn: text?.slice(text.lastIndexOf("\n") + 1) ?? "",
      faults: journalFaults(text ?? ""),
    }));

  /**
   * Called under the host's lock, and reads anew: what another berth has appended since must not be lost. The rename of
   * an atomic write leaves the one or the other, and both say the same.
   */
  async function compactLong(): Promise<void> {
    if (((await host.stat(path))?.size ?? 0) < COMPACTED_FROM) return;
    const text = await host.readText(path) ?? "";
    const short = compacted(text);
    if (short.length > text.length / 2) return;
    await host.writeText(path, short, { mode: 0o600 });
    (await known()).torn = "";
  }

  async function append(lines: readonly Line[]): Promise<void> {
    if (lines.length === 0) return;
    const journal = await known();
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    // After a torn line ours must not become its continuation, nor may it pass for one that was spoilt later.
    const whole = journal.torn === "" || parseLine(journal.torn) !== null;
    const start = journal.torn === "" ? "" : whole ? "\n" : `\n${JSON.stringify({ torn: true })}\n`;
    journal.torn = "";
    if (await host.stat(path) === null) await host.makeDirectory(dirname(path), { mode: 0o700 });
    await host.appendText(path, start + text);
    for (const line of lines) advance(journal.state, line);
  }

  return {
    async state() {
      return (await known()).state;
    },
    async faults() {
      return (await known()).faults;
    },
    async begin(things) {
      await compactLong();
      const boot = await bootId(host);
      const time = now().toISOString();
      await append(things.map(({ id, ...rest }) => ({ begin: id, bootId: boot, time, ...rest })));
    },
    async done(ids) {
      await append(ids.map((id) => ({ done: id })));
    },
    async undone(id) {
      await append([{ undone: id }]);
    },
  };
}

function advance(state: Map<string, Journalled>, line: Line): void {
  if ("torn" in line) return;
  if ("undone" in line) state.delete(line.undone);
  else if ("done" in line) {
    const known = state.get(line.done);
    if (known !== undefined) state.set(line.done, { ...known, interrupted: false });
  } else {
    const known = state.get(line.begin);
    const { bootId, volatile, time, prior } = line;
    // The first prior counts; only a reboot, which forgets what is volatile, begins anew.
    const isNew = known === undefined || (volatile && known.bootId !== bootId);
    const first = isNew ? { id: line.begin, priors: [], bootId, volatile, time } : known;
    state.set(line.begin, { ...first, priors: [...first.priors, prior], interrupted: true });
  }
}

function parseLine(text: string): Line | null {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return null; // Empty, torn by a crash, or spoilt: journalFaults tells them apart.
  }
  if (typeof line !== "object" || line === null) return null;
  const { begin, done, undone, torn, bootId } = line as Record<string, unknown>;
  if (typeof begin === "string") return typeof bootId === "string" ? line as Begin : null;
  return typeof done === "string" || typeof undone === "string" || torn === true ? line as Line : null;
}
