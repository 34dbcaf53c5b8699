// What berth keeps of daemon.json beside the journal: the texts that stood before its last changes, and the one no
// daemon has come up with yet (the trial). With the trial a start that fails goes back to the file the engine last ran
// with, also where the file was written by an earlier run: before the init system's start, or before a crash. And the
// last one that a daemon is known to have come up with, for where others have changed the file since.
// Pure, save the look.
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import type { Op } from "./types.ts";

/** Former texts of daemon.json, `.1` the newest. To go back by hand: copy one over daemon.json, restart the engine. */
export const BACKUP_DIRECTORY = "/var/lib/berth/backup";
/** How many are kept. */
const KEPT = 3;
/** `number`: 1 is the newest. */
export const backupPath = (number: number): string => `${BACKUP_DIRECTORY}/daemon.json.${number}`;
/** Written with daemon.json, removed when a daemon has come up with it. */
export const TRIAL_PATH = `${BACKUP_DIRECTORY}/daemon.json.trial`;

/** The last text that a daemon is known to have come up with. */
export const RAN_PATH = `${BACKUP_DIRECTORY}/daemon.json.ran`;

/** A text of daemon.json that no daemon has come up with yet. */
export interface Trial {
  readonly text: string;
  /** What stood there when a daemon last ran; null: no file. */
  readonly former: string | null;
  /** A daemon was started with it and did not come up. */
  readonly failed?: boolean;
  /** A daemon that ran has loaded what it takes over by a reload. */
  readonly reloaded?: boolean;
}

/** What is kept. */
export interface Kept {
  /** Newest first. */
  readonly backups: readonly string[];
  readonly trial: Trial | null;
  /** What a daemon is known to have come up with; null: nothing is known. */
  readonly ran: string | null;
}

/** Reads what is kept. */
export async function observeKept(look: Look): Promise<Kept> {
  const backups = await Promise.all(
    Array.from({ length: KEPT }, (_, index) => look.readText(backupPath(index + 1))),
  );
  return {
    backups: backups.filter((text) => text !== null),
    trial: parsedTrial(await look.readText(TRIAL_PATH)),
    ran: await look.readText(RAN_PATH),
  };
}

/** Keeps a text that is about to be replaced. [] where there is none, or it is kept as the newest. */
export function keepOps({ backups }: Kept, text: string | null): readonly Op[] {
  if (text === null || backups[0] === text) return [];
  const all = [text, ...backups].slice(0, KEPT);
  const ops = all.map((one, index): Op => ({ write: backupPath(index + 1), text: one, mode: 0o600 }));
  // The oldest first: a crash in between loses none.
  return [{ directory: BACKUP_DIRECTORY, mode: 0o700 }, ...ops.reverse()];
}

/** Notes that a daemon has come up with a text; null: without a file. */
export function ranOps(text: string | null): readonly Op[] {
  if (text === null) return [{ remove: RAN_PATH }];
  return [{ directory: BACKUP_DIRECTORY, mode: 0o700 }, { write: RAN_PATH, text, mode: 0o600 }];
}

/** Notes that a text is about to be written that no daemon has come up with; what the last one ran with stays known. */
export function trialOps(kept: Kept, standing: string | null, text: string | null): readonly Op[] {
  if (text === null) return [FORGET_TRIAL];
  const { trial } = kept;
  const former = trial !== null && trial.text === standing ? trial.former : standing;
  return [{ directory: BACKUP_DIRECTORY, mode: 0o700 }, noteOp({ text, former })];
}

/** Notes that no daemon came up with it. [] where nobody knows what. */
export function failedOps(trial: Trial | null): readonly Op[] {
  return trial === null ? [] : [noteOp({ ...trial, failed: true })];
}

/** Notes that a running daemon was told to load a text; `judged`: it has validated it, and that of its base it ran with. */
export function reloadedOps(trial: Trial, { judged }: { readonly judged: boolean }): readonly Op[] {
  return judged ? [...ranOps(trial.text), FORGET_TRIAL] : [noteOp({ ...trial, reloaded: true })];
}

export const FORGET_TRIAL: Op = { remove: TRIAL_PATH };

function noteOp(trial: Trial): Op {
  return { write: TRIAL_PATH, text: `${JSON.stringify(trial)}\n`, mode: 0o600 };
}

/** The trial that the standing text is, if it is one. */
export function standingTrial({ trial }: Kept, standing: string | null): Trial | null {
  return trial !== null && trial.text === standing ? trial : null;
}

/**
 * Before a start that is not ours to watch: a text that no daemon has come up with is not written a second time.
 *
 * @throws {BerthError} code `docker`.
 */
export function refuseFailed({ trial }: Kept, text: string | null): void {
  if (trial?.failed !== true || trial.text !== text) return;
  throw new BerthError({
    code: "docker",
    object: "engine docker",
    message:
      "The engine did not come up with this configuration when it was last tried, and runs with the former one",
    next: "Correct engine in host.yaml, then try it while somebody looks: berth host daemon-json",
  });
}

function parsedTrial(text: string | null): Trial | null {
  if (text === null) return null;
  try {
    const trial = JSON.parse(text) as Trial;
    return typeof trial.text === "string" ? trial : null;
  } catch {
    return null; // Written atomically, so somebody else's; without it all is as if no text were untried.
  }
}
