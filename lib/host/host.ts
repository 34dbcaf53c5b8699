// The hands: everything of Look, and change. The only place where commands that change the machine are started.
// In plan mode the hands tell what they would do, and do nothing.
import { BerthError } from "../log/error.ts";
import type { Log } from "../log/log.ts";
import { shownCommand } from "./command.ts";
import * as files from "./files.ts";
import { takeLock } from "./lock.ts";
import { createLook, type LookOptions, runnerOf } from "./look.ts";
import { orFail } from "./run.ts";
import type { EngineAnswer, EngineRequest, Host } from "./types.ts";

/** What a host is made of. */
export interface HostOptions extends LookOptions {
  /** Tell, do not do: exec answers with nothing said and exit 0, locks are not taken. @default {false} */
  readonly plan?: boolean;
  /** Each command at debug, what plan mode leaves out at info. */
  readonly log?: Log;
  /** Aborts commands that are told no signal of their own. */
  readonly signal?: AbortSignal;
}

/** Makes the hands of a run. Contacts and loads nothing before the first call. */
export function createHost(options: HostOptions = {}): Host {
  const { log } = options;
  const run = runnerOf(options.runner);
  const look = createLook(options);
  const planned = (what: string): boolean => {
    if (options.plan) log?.info("Would change", { what });
    return options.plan === true;
  };
  return {
    ...look,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    async exec(command, asked = {}) {
      if (planned(shownCommand(command))) return { exit: 0, stdout: "", stderr: "", ms: 0 };
      const signal = asked.signal === undefined ? options.signal : asked.signal ?? undefined;
      const output = await run(command, { signal });
      log?.debug("Ran", { command: shownCommand(command), exit: output.exit, ms: Math.round(output.ms) });
      return orFail(command, output);
    },
    async engineCall(request) {
      if (planned(`${request.method} ${request.path}`)) return { status: 204, body: null };
      if (options.engine === undefined) throw noEngine(request);
      const answer = await options.engine.call(request);
      log?.debug("Called engine", { method: request.method, path: request.path, status: answer.status });
      return wantedStatus(request, answer);
    },
    async writeText(path, text, how) {
      if (!planned(`write ${path}`)) await files.writeText(path, text, how);
    },
    async writeInPlace(path, text) {
      if (!planned(`write ${path}`)) await files.writeInPlace(path, text);
    },
    async remove(path) {
      if (!planned(`remove ${path}`)) await files.remove(path);
    },
    async makeDirectory(path, how) {
      if (!planned(`make directory ${path}`)) await files.makeDirectory(path, how);
    },
    async appendText(path, text) {
      if (!planned(`append to ${path}`)) await files.appendText(path, text);
    },
    async lock(path, how) {
      if (options.plan) return { path, release: () => Promise.resolve() };
      return await takeLock(path, how);
    },
  };
}

/** Statuses that count as success when a request does not say. */
const OK_STATUS: readonly number[] = [200, 201, 204, 304];

/** Answers with the answer, or throws the engine's own message. Shared with fakes. */
export function wantedStatus(request: EngineRequest, answer: EngineAnswer): EngineAnswer {
  if ((request.okStatus ?? OK_STATUS).includes(answer.status)) return answer;
  const body = answer.body as { message?: unknown } | string | null;
  const said = typeof body === "string" ? body : String(body?.message ?? "it gave no reason");
  throw new BerthError({
    code: "docker",
    object: `engine ${request.path}`,
    message: `Engine refused ${request.method} "${request.path}" with status ${answer.status}: ${said}`,
  });
}

function noEngine(request: EngineRequest): BerthError {
  return new BerthError({
    code: "fault",
    object: `engine ${request.path}`,
    message: `No way to the engine was given for ${request.method} "${request.path}"`,
  });
}
