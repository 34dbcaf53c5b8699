// A call whose connection becomes a plain two-way stream (exec, attach), and the pumping of both ways with half-close.
// Owns no meaning of what flows.
import type { Duplex } from "node:stream";
import { callError, DockerError } from "./errors.ts";
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

/** Output to where it belongs; raw with a terminal, in frames without. */
export async function pumpOut(stream: AsyncIterable<Uint8Array>, io: StreamIo, tty: boolean): Promise<void> {
  const frames = new FrameSplitter();
  let complaint = "";
  for await (const chunk of stream) {
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

/**
 * Input to the engine until it ends, then the half-close that lets its end reach the command. Ends early, without a
 * word, when the other side stops listening: a command need not read its input.
 */
export async function pumpIn(stdin: AsyncIterable<Uint8Array>, stream: Duplex): Promise<void> {
  const input = stdin[Symbol.asyncIterator]();
  const gone = new Promise<null>((resolve) => {
    stream.once("close", () => resolve(null));
    stream.once("end", () => resolve(null));
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
