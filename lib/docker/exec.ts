// Commands run inside containers, attachment to a container's own process, and collected logs: everything whose body
// is a stream of frames. Owns the exit code and the end of a command whose caller went away.
import { systemClock, withDeadline } from "./clock.ts";
import { readContainer } from "./containers.ts";
import { ENDPOINTS } from "./endpoints.ts";
import { callError, DockerError } from "./errors.ts";
import { FrameSplitter } from "./frames.ts";
import { hijack, type Hijacked, pumpIn, pumpOut } from "./hijack.ts";
import { type Caller, wording } from "./request.ts";
import type { CallOptions, Docker, DockerOptions, StreamIo } from "./types.ts";

type Calls = Pick<Docker, "exec" | "execStream" | "attach" | "containerLogs">;
type Kill = DockerOptions["kill"];

/** What a collected command may take. */
const EXEC_MS = 600_000;
/** How long an aborted command's end is waited for. */
const KILL_MS = 5000;
/** With a terminal the engine holds back the first of its "detach keys" (^P by default): a chord nobody types. */
const DETACH_KEYS = "ctrl-^,ctrl-^,ctrl-^,ctrl-q";

interface ExecState {
  readonly running: boolean;
  readonly exit: number | null;
  readonly pid: number;
}

/** The streams of containers on one way to the engine. */
export function streamCalls(caller: Caller, kill: Kill): Calls {
  const { clock } = caller;

  async function inspectExec(ref: string, exec: string, signal: AbortSignal): Promise<ExecState> {
    const { execSchema, parseAnswer } = await import("./schemas.ts");
    const { body } = await caller.call(ENDPOINTS.execInspect, { ref, exec }, { signal });
    const said = parseAnswer(execSchema, body, "GET /exec/{id}/json");
    return { running: said.Running, exit: said.ExitCode, pid: said.Pid };
  }

  /** Waits for the command's own end: its output may end before it, when it closes its streams. */
  async function exitCode(ref: string, exec: string, signal: AbortSignal): Promise<number> {
    for (let pause = 5;; pause = Math.min(500, pause * 2)) {
      const state = await inspectExec(ref, exec, signal);
      if (!state.running && state.exit !== null) return state.exit;
      await clock.wait(pause, signal);
      signal.throwIfAborted();
    }
  }

  /** Ends a command whose caller is gone: the engine would let it run on. Never throws: another error is on its way. */
  async function killExec(ref: string, exec: string, kill: NonNullable<Kill>): Promise<void> {
    try {
      // The system's clock and no signal of the caller's: that one has aborted already.
      await withDeadline(systemClock, KILL_MS, undefined, async ({ signal }) => {
        for (let killed = false;; await systemClock.wait(20, signal)) {
          signal.throwIfAborted();
          const state = await inspectExec(ref, exec, signal);
          // Not running and no exit code: it is just being started.
          if (!state.running && state.exit !== null) return;
          if (!state.running || state.pid <= 0 || killed) continue;
          await kill(state.pid);
          killed = true;
        }
      });
    } catch {
      // It ended meanwhile, or the engine is gone: nothing more can be done here.
    }
  }

  /** Pumps both ways until the output ends. */
  async function pump(hijacked: Hijacked, io: StreamIo, tty: boolean): Promise<void> {
    const { stream } = hijacked;
    const writing = io.stdin === undefined ? undefined : pumpIn(io.stdin, stream);
    const reading = pumpOut(stream, io, tty);
    // Input that fails ends everything; input that ends does not.
    const failed = new Promise<never>((_, reject) => writing?.catch(reject));
    await Promise.race([reading, failed]);
  }

  async function execStream(
    ref: string,
    argv: readonly string[],
    io: StreamIo,
    options: CallOptions & { user?: string; tty?: boolean } = {},
  ): Promise<number> {
    const { createdSchema, parseAnswer } = await import("./schemas.ts");
    const tty = options.tty ?? false;
    const keys = tty ? { DetachKeys: DETACH_KEYS } : {};
    const body = {
      AttachStdin: io.stdin !== undefined,
      AttachStdout: true,
      AttachStderr: true,
      Tty: tty,
      Cmd: argv,
      ...(options.user === undefined ? {} : { User: options.user }),
      ...keys,
    };
    let started = "";
    let hijacked: Hijacked | undefined;
    try {
      return await withDeadline(clock, options.timeoutMs ?? 0, options.signal, async ({ signal }) => {
        const { body: made } = await caller.call(ENDPOINTS.execCreate, { ref, body }, { signal });
        const exec = parseAnswer(createdSchema, made, "POST /containers/{id}/exec").Id;
        signal.throwIfAborted();
        started = exec;
        const start = { Detach: false, Tty: tty, ...keys };
        hijacked = await hijack(caller, ENDPOINTS.execStart, { ref, exec, body: start }, signal);
        if (signal.aborted) hijacked.close();
        io.onReady?.(async (w, h) => {
          await caller.call(ENDPOINTS.execResize, { ref, exec, query: { w, h } }, { signal });
        });
        await pump(hijacked, io, tty);
        const code = await exitCode(ref, exec, signal);
        started = "";
        return code;
      });
    } catch (error) {
      hijacked?.close();
      // The engine's refusal to start it leaves nothing running.
      const refused = error instanceof DockerError && error.fault === "status";
      if (started !== "" && kill !== undefined && !refused) await killExec(ref, started, kill);
      const about = wording(ENDPOINTS.execCreate, { ref });
      throw callError(error, { ...about, socket: caller.socket, signal: options.signal });
    } finally {
      hijacked?.close();
    }
  }

  return {
    execStream,
    async exec(ref, argv, options = {}) {
      const out: Uint8Array[] = [];
      const err: Uint8Array[] = [];
      const { input } = options;
      const io: StreamIo = {
        ...(input === undefined ? {} : { stdin: pieces(input) }),
        stdout: (chunk) => void out.push(chunk),
        stderr: (chunk) => void err.push(chunk),
      };
      const exit = await execStream(ref, argv, io, { timeoutMs: EXEC_MS, ...options });
      return { exit, stdout: join(out), stderr: join(err) };
    },
    async attach(ref, io, options = {}) {
      const about = wording(ENDPOINTS.containerAttach, { ref });
      let hijacked: Hijacked | undefined;
      try {
        await withDeadline(clock, options.timeoutMs ?? 0, options.signal, async ({ signal }) => {
          const { tty } = await readContainer(await inspected(ref, signal));
          const query = {
            stream: true,
            stdin: io.stdin !== undefined,
            stdout: true,
            stderr: true,
            logs: options.logs,
            detachKeys: tty ? DETACH_KEYS : undefined,
          };
          hijacked = await hijack(caller, ENDPOINTS.containerAttach, { ref, query }, signal);
          if (signal.aborted) hijacked.close();
          io.onReady?.(async (w, h) => {
            await caller.call(ENDPOINTS.containerResize, { ref, query: { w, h } }, { signal });
          });
          await pump(hijacked, io, tty);
        });
      } catch (error) {
        throw callError(error, { ...about, socket: caller.socket, signal: options.signal });
      } finally {
        hijacked?.close();
      }
    },
    async containerLogs(ref, options = {}) {
      const { tty } = await readContainer(await inspected(ref, options.signal));
      const out: Uint8Array[] = [];
      const err: Uint8Array[] = [];
      const frames = new FrameSplitter();
      const query = { stdout: true, stderr: true, since: options.since, tail: options.tail };
      const onChunk = (chunk: Uint8Array) => {
        if (tty) return void out.push(chunk);
        for (const { stream, bytes } of frames.push(chunk)) (stream === 2 ? err : out).push(bytes);
      };
      await caller.call(ENDPOINTS.containerLogs, { ref, query, onChunk }, options);
      return { stdout: join(out), stderr: join(err) };
    },
  };

  async function inspected(ref: string, signal: AbortSignal | undefined): Promise<unknown> {
    const options = signal === undefined ? {} : { signal };
    const endpoint = { ...ENDPOINTS.containerInspect, ok: [200] };
    return (await caller.call(endpoint, { ref }, options)).body;
  }
}

/** Big input in pieces, so that its way through the socket can be waited for. */
async function* pieces(input: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < input.length; at += 65_536) {
    yield await Promise.resolve(input.subarray(at, at + 65_536));
  }
}

/** The pieces as one. */
function join(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}
