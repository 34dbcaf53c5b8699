// The eyes: queries of the allow-list, files, the engine's GET. Has no way to execute or write anything else.
// host.ts adds the hands; resources are given only this.
import { BerthError } from "../log/error.ts";
import { refusal } from "./allow.ts";
import { shownCommand } from "./command.ts";
import { deviceEnds } from "./device.ts";
import * as files from "./files.ts";
import { rememberVersions } from "./program_version.ts";
import { orFail, runLean, type Runner } from "./run.ts";
import type { EngineDoor, Look } from "./types.ts";

/** What a look is made of. */
export interface LookOptions {
  /** The way to the engine; without it `engine()` answers null. */
  readonly engine?: EngineDoor;
  /** How queries are started: by zx, or by the lean runner (the gate, the watch). @default {"zx"} */
  readonly runner?: "zx" | "lean";
}

/** The runner of that name; zx is loaded at its first command. */
export function runnerOf(name: LookOptions["runner"]): Runner {
  if (name === "lean") return runLean;
  return async (command, options) => (await import("./run_zx.ts")).runZx(command, options);
}

/** Makes the eyes of a plan. Contacts and loads nothing before the first question. */
export function createLook(options: LookOptions = {}): Look {
  const run = rememberVersions(runnerOf(options.runner));
  return {
    async query(command) {
      const why = refusal(command);
      if (why !== null) throw lookRefused(shownCommand(command), why);
      return orFail(command, await run(command));
    },
    readText: files.readText,
    list: files.list,
    stat: files.stat,
    readLink: files.readLink,
    device: deviceEnds,
    async engine(path) {
      if (options.engine === undefined) return null;
      try {
        return await options.engine.get(path);
      } catch (error) {
        if (isUnanswered(error)) return null;
        throw error;
      }
    },
  };
}

function lookRefused(shown: string, why: string): BerthError {
  return new BerthError({
    code: "look-refused",
    object: "look",
    message: `A look must not run "${shown}": ${why}`,
    next: "Observe with a listed query, or make it an op of a change",
  });
}

/** True where nobody listens on the engine's socket. */
export function isUnanswered(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (["ENOENT", "ECONNREFUSED"].includes((at as { code?: string }).code ?? "")) return true;
  }
  return false;
}
