// The eyes: queries of the allow-list, files, the engine's GET. Has no way to execute or write anything else.
// host.ts adds the hands; resources are given only this.
import { stat } from "node:fs/promises";
import { BerthError } from "../log/error.ts";
import { refusal } from "./allow.ts";
import { findProgram, shownCommand } from "./command.ts";
import { deviceEnds } from "./device.ts";
import * as files from "./files.ts";
import { orFail, runLean, type Runner } from "./run.ts";
import type { Command, EngineDoor, Look, Output } from "./types.ts";

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
  const run = runnerOf(options.runner);
  const versions = new Map<string, Promise<Output>>();
  return {
    async query(command) {
      const why = refusal(command);
      if (why !== null) throw lookRefused(shownCommand(command), why);
      const file = isOfVersion(command) ? await identityOf(command.argv[0]!) : null;
      if (file === null) return orFail(command, await run(command));
      const said = versions.get(file) ?? run(command);
      versions.set(file, said);
      said.catch(() => versions.delete(file));
      return orFail(command, await said);
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

/** What a program says of its version holds as long as its file; dockerd takes a tenth of a second to say it. */
function isOfVersion({ argv, netns }: Command): boolean {
  return argv.length === 2 && argv[1] === "--version" && netns === undefined;
}

/** A program's file, its links followed: another after an upgrade. null where there is none. */
async function identityOf(program: string): Promise<string | null> {
  const path = findProgram(program);
  if (path === null) return null;
  const found = await stat(path).catch(() => null); // it may go just now
  return found === null ? null : [path, found.dev, found.ino, found.size, found.ctimeMs].join(" ");
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
