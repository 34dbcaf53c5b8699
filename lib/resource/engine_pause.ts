// The engine out of the way while its data moves: containers, engine and what else holds the data are stopped, and
// started again afterwards; a note tells the next run what a crash has left stopped. Pure: ops as data. Who moves what
// is the business of engine_root.ts and containerd_root.ts.
import { FORGET_CANDIDATE, textAfter, untriedCare } from "./engine_former.ts";
import { DAEMON_JSON, type EngineState, LOADED_PATH, PROGRAMS, STOPPED_PATH } from "./engine_look.ts";
import { serviceOps } from "./engine_service.ts";
import type { Change, Op, Risk } from "./types.ts";

/** Ops around a move. */
export interface EnginePause {
  /** "" or what a plan tells: which containers are stopped. */
  readonly why: string;
  readonly risk: Risk;
  readonly stop: readonly Op[];
  /** Before a roll-back, whatever has become of the engine. */
  readonly halt: readonly Op[];
  readonly start: readonly Op[];
  /** The containers alone, where the engine runs. */
  readonly again: readonly Op[];
}

/**
 * A pause around changes, for an engine whose daemon.json somebody may have changed after its start: with that it might
 * never come back. The changes come after the engine's own judgement of it; a roll-back puts back what is known to do.
 *
 * @param ops what is done to daemon.json meanwhile.
 * @throws {BerthError} code `refused` where nobody can judge it and nothing is known to go back to.
 */
export function carefulPause(
  id: string,
  engine: EngineState,
  pause: EnginePause,
  ops: readonly Op[],
): { readonly pause: EnginePause; readonly before: readonly Change[]; readonly back: readonly Op[] } {
  if (engine.instance === null || pause.stop.length === 0) return { pause, before: [], back: [] };
  const { judge, keep, back, telling } = untriedCare(engine, textAfter(engine, ops));
  const why = `"${DAEMON_JSON}" was changed after the engine's start: has it judge that before it is stopped`;
  return {
    pause: { ...pause, stop: [...keep, ...pause.stop], start: telling(pause.start) },
    // A change of its own: where it fails the engine has not been stopped, and must not be by a roll-back.
    before: judge.length === 0
      ? []
      : [{ resource: id, verb: "update", why, risk: "safe", do: judge, undo: [FORGET_CANDIDATE] }],
    back,
  };
}

/** What is stopped after the engine, and started before it. */
export interface AlsoPaused {
  /** Nothing where it does not run. */
  readonly stop: readonly Op[];
  /** Before a roll-back, whatever has become of it. */
  readonly halt: readonly Op[];
  readonly start: readonly Op[];
}

/** How a pause is made. */
export interface PauseOptions {
  /** Path of the note. Below /run: gone with a reboot, as the engine is. */
  readonly note: string;
  /** What stands in it. @default {an empty object} */
  readonly text?: string;
  /** That the note of an earlier run tells of an engine it has stopped. */
  readonly resume: boolean;
  /** Something beside the engine that runs, or that the note of an earlier run tells of. */
  readonly also?: AlsoPaused;
}

/** Stops what runs, starts what ran. Nothing where nothing runs and no note tells of anything. */
export function enginePause(
  engine: EngineState,
  { note, text = "{}\n", resume, also }: PauseOptions,
): EnginePause {
  const service = serviceOps(engine.init, engine.program ?? PROGRAMS[0]!, engine.flags);
  const isUp = engine.instance !== null;
  const runs = isUp || (also?.stop.length ?? 0) > 0;
  const names = [...new Set([...engine.stopped, ...engine.running])];
  const calls = (which: readonly string[], verb: "start" | "stop") =>
    which.map((name): Op => ({
      engine: {
        method: "POST",
        path: `/containers/${name}/${verb}`,
        okStatus: [204, 304, 404],
        timeoutMs: 60_000,
      },
    }));
  const stopped = `${JSON.stringify(Object.fromEntries(names.map((name) => [name, true])))}\n`;
  const starts = isUp || resume;
  const again: readonly Op[] = [
    ...calls(names, "start"),
    ...(names.length === 0 ? [] : [{ remove: STOPPED_PATH }]),
    { remove: note },
  ];
  return {
    why: engine.running.length === 0 ? "" : `; stops and starts again: ${engine.running.join(", ")}`,
    risk: runs ? "disruptive" : "safe",
    stop: !runs ? [] : [
      { directory: "/run/berth", mode: 0o700 },
      { write: note, text, mode: 0o600 },
      ...(names.length === 0 ? [] : [{ write: STOPPED_PATH, text: stopped }]),
      // With live-restore they would outlive the engine, and hold their layers.
      ...calls(engine.running, "stop"),
      ...(isUp ? service.stop : []),
      ...also?.stop ?? [],
    ],
    halt: [...(starts ? service.stop : []), ...also?.halt ?? []],
    start: [
      ...also?.start ?? [],
      ...(starts ? [...service.start, { remove: LOADED_PATH }, ...again] : also ? [{ remove: note }] : []),
    ],
    again,
  };
}
