// What a start of the engine that fails goes back to: the text of daemon.json that stands, unless somebody has changed
// it since the daemon started; then the last one a daemon is known to have come up with. Where that is not known, a
// healthy engine is not stopped. What is kept on disk is engine_backup.ts'. Pure.
import { BerthError } from "../log/error.ts";
import { backupPath, keepOps, RAN_PATH, ranOps, standingTrial, type Trial } from "./engine_backup.ts";
import { DAEMON_JSON, type EngineState } from "./engine_look.ts";
import { namedRoot } from "./engine_root_look.ts";
import type { Change, Op } from "./types.ts";

/** True where others have changed the text that stands since the daemon that runs came up. */
export function isUntried({ instance, edited, text, kept }: EngineState): boolean {
  return instance !== null && edited && text !== null && text !== kept.ran &&
    standingTrial(kept, text) === null;
}

/** The text to go back to instead of an untried one; null: the one that stands. Another root would be another engine. */
export function knownText(state: EngineState): string | null {
  const { ran } = state.kept;
  return isUntried(state) && ran !== null && namedRoot(ran) === namedRoot(state.text) ? ran : null;
}

/** Keeps the text that stands before it is replaced or tried, and notes it where the daemon has come up with it. */
export function keepStanding(state: EngineState): readonly Op[] {
  const { instance, edited, text, kept } = state;
  const runsWithIt = instance !== null && !edited && text !== null && text !== kept.ran;
  return [...keepOps(kept, text), ...(runsWithIt ? ranOps(text) : [])];
}

/**
 * Before a healthy engine is stopped. `isJudged`: the engine itself has validated what it is to start with.
 *
 * @throws {BerthError} code `refused` where nothing is known to go back to.
 */
export function refuseUntried(state: EngineState, isJudged: boolean): void {
  if (isJudged || !isUntried(state) || knownText(state) !== null) return;
  throw new BerthError({
    code: "refused",
    object: "engine docker",
    message:
      `Cannot restart the engine, which runs: "${DAEMON_JSON}" was changed after its start, this engine ` +
      "cannot validate it, and no text is known to go back to if it does not start",
    next: `Look through "${DAEMON_JSON}", restart the engine with it by hand, then run this again`,
  });
}

/** The ops of a start, whose error tells what is gone back to and where the operator's text is kept. */
export function tellingOps(state: EngineState, ops: readonly Op[]): readonly Op[] {
  if (knownText(state) === null) return ops;
  const kept =
    `"${DAEMON_JSON}" as it was found is kept as "${backupPath(1)}", and the engine goes back to the ` +
    "text it last came up with: put back of it what is right";
  return ops.map((op) =>
    "daemon" in op ? { daemon: { ...op.daemon, next: `${kept}. ${op.daemon.next}` } } : op
  );
}

/** A text on its way to being validated. */
const CANDIDATE = "/run/berth/daemon.json.candidate";
export const FORGET_CANDIDATE: Op = { remove: CANDIDATE };

/** The engine's own judgement of a text. */
export function validateOps({ program }: EngineState, text: string): readonly Op[] {
  return [
    { directory: "/run/berth", mode: 0o700 },
    { write: CANDIDATE, text, mode: 0o600 },
    { run: { argv: [program ?? "dockerd", "--validate", "--config-file", CANDIDATE] } },
    FORGET_CANDIDATE,
  ];
}

/** What is done about an untried text by whoever stops a healthy engine for a while, and starts it again. */
export interface UntriedCare {
  /** Before anything is stopped, as a change of its own: it fails where the engine would not start with the text. */
  readonly judge: readonly Op[];
  /** Keeps the text that stands. */
  readonly keep: readonly Op[];
  /** In a roll-back, instead of what would put the untried text back; [] where that stands well. */
  readonly back: readonly Op[];
  /** A start whose error has the exact next step. */
  readonly telling: (ops: readonly Op[]) => readonly Op[];
}

/**
 * Cares for an engine that runs. `text`: what it is to be started with again.
 *
 * @throws {BerthError} code `refused` where nobody can judge the text and nothing is known to go back to.
 */
export function untriedCare(state: EngineState, text: string | null): UntriedCare {
  if (!isUntried(state)) return { judge: [], keep: [], back: [], telling: (ops) => ops };
  refuseUntried(state, state.validates);
  const known = knownText(state);
  const downNext =
    `Where the engine is down, put "${DAEMON_JSON}" right: it was changed by hand after the engine's ` +
    `start, and is kept as "${backupPath(1)}"; start the engine, then run this again`;
  return {
    judge: state.validates && text !== null ? validateOps(state, text) : [],
    keep: keepOps(state.kept, state.text),
    back: known === null ? [] : [{ write: DAEMON_JSON, text: known, mode: state.file?.file?.mode ?? 0o644 }],
    telling: (ops) =>
      known !== null
        ? tellingOps(state, ops)
        : ops.map((op) => "daemon" in op ? { daemon: { ...op.daemon, next: downNext } } : op),
  };
}

/** The text that ops leave in daemon.json: that of the last one that writes it, else the one that stands. */
export function textAfter(state: EngineState, ops: readonly Op[]): string | null {
  const last = ops.findLast((op) =>
    ("write" in op && op.write === DAEMON_JSON) || ("remove" in op && op.remove === DAEMON_JSON)
  );
  return last === undefined ? state.text : "write" in last ? last.text : null;
}

/** What a plan tells of it. */
export function untriedWhy(state: EngineState): readonly string[] {
  return knownText(state) === null
    ? []
    : [`"${DAEMON_JSON}" was changed after its start: if it does not start, it goes back to "${RAN_PATH}"`];
}

/**
 * What puts the file back that a daemon last ran with, and the text that is then known not to do. `text`: the one it
 * is to start with.
 */
export function formerOf(
  state: EngineState,
  changes: readonly Change[],
  text: string | null,
): { readonly former: readonly Op[]; readonly trial: Trial | null } {
  const standing = standingTrial(state.kept, state.text);
  const known = knownText(state);
  const undo = changes.flatMap((change) => change.undo);
  if (standing === null && known === null) {
    return {
      former: undo,
      trial: changes.length === 0 || text === null ? null : { text, former: state.text },
    };
  }
  const former = standing === null ? known : standing.former;
  const back: Op = former === null
    ? { remove: DAEMON_JSON }
    : { write: DAEMON_JSON, text: former, mode: state.file?.file?.mode ?? 0o644 };
  return { former: [...undo, back], trial: text === null ? null : { text, former } };
}
