// A call whose connection becomes a plain two-way stream (exec, attach), and the pumping of both ways with half-close.
// Owns no meaning of what flows.
import type { Duplex } from "node:stream";
import { callError, DockerError, errorCode } from "./errors.ts";
import type { Endpoint } from "./endpoints.ts";
import { FrameSplitter } from "./frames.ts";
import { address, type CallArgs, type Caller, readBody, statusError, wording } from "./request.ts";
import type { StreamIo } from "./types.ts";

/** A connection that was taken over. */
export interface Hijacked {
  readonly stream: Duplex;
  /** Ends it at once. */
  close(): void;
}

/**
 * Calls with `Upgrade: tcp` on a connection of its own.
 *
 * @throws {DockerError} when the engine answers with anything but 101.
 */
export async function hijack(
  caller: Caller,
  endpoint: Endpoint,
  args: CallArgs,
  signal: AbortSignal,
): Promise<Hijacked> {
  const { Client } = await import("undici");
  const path = address(endpoint, args, await caller.version({ signal }));
  const client = new Client("http://engine", {
    connect: { socketPath: caller.socket },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const close = () => void client.destroy().catch(() => {});
  try {
    // dispatch, and not upgrade(): that one sends no body.
    const stream = await new Promise<Duplex>((resolve, reject) => {
      const said: Uint8Array[] = [];
      let status = 0;
      const json = args.body === undefined ? "" : JSON.stringify(args.body);
      client.dispatch({
        method: endpoint.method as "POST",
        path,
        headers: { "content-type": "application/json" },
        body: json,
        upgrade: "tcp",
      }, {
        onRequestStart(controller) {
          const abort = () => controller.abort(signal.reason ?? new Error("aborted"));
          if (signal.aborted) abort();
          else signal.addEventListener("abort", abort, { once: true });
        },
        onRequestUpgrade: (_controller, _status, _headers, socket) => resolve(socket),
        onResponseStart: (_controller, code) => void (status = code),
        onResponseData: (_controller, chunk) => void said.push(chunk),
        onResponseEnd: () =>
          reject(statusError(endpoint, args, status, readBody(Buffer.concat(said).toString("utf8")))),
        onResponseError: (_controller, error) => reject(error),
      });
    });
    return {
      stream,
      close() {
        stream.destroy();
        close();
      },
    };
  } catch (error) {
    close();
    throw callError(error, { ...wording(endpoint, args), socket: caller.socket, signal });
  }
}

/** Output held for a slow consumer before the stream is stopped. */
const HELD = 1024 * 1024;

/**
 * What comes out of a connection. Not its own iterator: that one throws away what was read already when a write fails,
 * as it does when a command ends without reading its input ("head -1"). `forgiving`: such an end is an end, no error.
 */
async function* received(stream: Duplex, forgiving: boolean): AsyncIterable<Uint8Array> {
  let queue: Uint8Array[] = [];
  let size = 0;
  let over = false;
  let failed: unknown;
  let wake = () => {};
  stream.on("data", (chunk: Uint8Array) => {
    queue.push(chunk);
    size += chunk.length;
    if (size > HELD) stream.pause();
    wake();
  });
  const end = () => {
    over = true;
    wake();
  };
  stream.once("end", end);
  stream.once("close", end);
  stream.on("error", (error) => {
    if (!forgiving || !["ECONNRESET", "EPIPE"].includes(errorCode(error))) failed ??= error;
    end();
  });
  // By name: undici has listened otherwise before, and left the stream stopped.
  stream.resume();
  for (;;) {
    const chunks = queue;
    queue = [];
    size = 0;
    yield* chunks;
    if (queue.length > 0) continue;
    if (over || stream.destroyed) break;
    stream.resume();
    await new Promise<void>((resolve) => wake = resolve);
  }
  if (failed !== undefined) throw failed;
}

/** Output to where it belongs; raw with a terminal, in frames without. */
export async function pumpOut(stream: Duplex, io: StreamIo, tty: boolean): Promise<void> {
  const frames = new FrameSplitter();
  let complaint = "";
  for await (const chunk of received(stream, io.stdin !== undefined)) {
    if (tty) {
      await io.stdout(chunk);
      continue;
    }
    for (const { stream, bytes } of frames.push(chunk)) {
      if (stream === 3) complaint += new TextDecoder().decode(bytes);
      else await (stream === 2 ? io.stderr(bytes) : io.stdout(bytes));
    }
  }
  if (complaint !== "" || !frames.isWhole) {
    throw new DockerError({
      fault: "broken",
      object: "engine",
      message: `Cannot read the output: ${
        complaint || "the engine closed the connection in the middle of it"
      }`,
    });
  }
}

/** Milliseconds without output after a failed write before the connection counts as ended. */
const LAST_WORDS_MS = 300;

/**
 * Keeps a failed write from ending the reading, too: what a command said last would be lost when it ends without
 * reading its input (test "a command that does not read its input"). Only a write meets EPIPE; the reading finds its own
 * end. Except in Deno 2.9, which reads nothing more and tells no end: hence the timer.
 */
function outliveFailedWrites(stream: Duplex, onFailed: () => void): void {
  const destroy = stream.destroy.bind(stream);
  let failed = false;
  stream.destroy = (error?: Error) => {
    if (error === undefined || errorCode(error) !== "EPIPE") return destroy(error);
    if (failed) return stream;
    failed = true;
    const timer = setTimeout(() => {
      // A consumer that is slow is no sign of an end.
      if (stream.isPaused()) timer.refresh();
      else destroy();
    }, LAST_WORDS_MS);
    stream.on("data", () => timer.refresh());
    stream.once("close", () => clearTimeout(timer));
    stream.once("end", () => {
      clearTimeout(timer);
      destroy();
    });
    onFailed();
    return stream;
  };
}

/**
 * Input to the engine until it ends, then the half-close that lets its end reach the command. Ends early, without a
 * word, when the other side stops listening: a command need not read its input.
 */
export async function pumpIn(stdin: AsyncIterable<Uint8Array>, stream: Duplex): Promise<void> {
  const input = stdin[Symbol.asyncIterator]();
  const gone = new Promise<null>((resolve) => {
    stream.once("close", () => resolve(null));
    stream.once("end", () => resolve(null));
    outliveFailedWrites(stream, () => resolve(null));
  });
  // A write to a command that is gone: told by the exit code, not by us.
  stream.on("error", () => {});
  try {
    for (;;) {
      const next = await Promise.race([input.next(), gone]);
      if (next === null) return;
      if (next.done) break;
      if (stream.destroyed || stream.writableEnded) return;
      if (!stream.write(next.value)) {
        await Promise.race([new Promise((resolve) => stream.once("drain", resolve)), gone]);
      }
    }
    if (!stream.destroyed) stream.end();
  } finally {
    // Not awaited: a source that waits for a keyboard would hold us.
    input.return?.().catch(() => {});
  }
}
