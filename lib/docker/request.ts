// One call to the engine over its unix socket: undici, loaded at the first call; versions, deadlines, expected
// statuses, errors. Owns no endpoint's meaning (endpoints.ts) and no answer's shape (schemas.ts).
import { Readable } from "node:stream";
import { callError, DockerError, errorCode, isEngineGone } from "./errors.ts";
import { type Deadline, withDeadline } from "./clock.ts";
import type { Endpoint } from "./endpoints.ts";
import type { CallOptions, Clock, EngineVersion } from "./types.ts";
import type { Pool } from "undici";

const DEFAULT_MS = 30_000;
/** Enough of an answer to recognise it by, in a message. */
const QUOTED = 300;

/** What fills an endpoint in. */
export interface CallArgs {
  readonly ref?: string;
  readonly exec?: string;
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as a tar, in place of `body`. */
  readonly tar?: AsyncIterable<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Given the body of a success piece by piece, in place of collecting it; each piece is a sign of life. */
  readonly onChunk?: (chunk: Uint8Array) => void;
}

/** A success: its status, and its body as JSON, as text where it is none, as null where it is empty. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** The way to the engine that all calls share. */
export interface Caller {
  readonly socket: string;
  readonly clock: Clock;
  call(endpoint: Endpoint, args?: CallArgs, options?: CallOptions): Promise<Answer>;
  /** The path of an endpoint with version and query, for streams that have their own connection. */
  address(endpoint: Endpoint, args: CallArgs, version: EngineVersion): string;
  version(options?: CallOptions & { fresh?: boolean }): Promise<EngineVersion>;
  close(): Promise<void>;
}

/** A name as a part of a path. Names that would walk through the path are refused, whatever the engine would make of them. */
export function pathPart(ref: string, about: { object: string; doing: string }): string {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (ref === "" || /(^|\/)\.{0,2}(\/|$)/.test(ref) || /[\x00-\x20\x7f]/.test(ref)) {
    throw new DockerError({
      fault: "answer",
      object: about.object,
      message: `Cannot ${about.doing}: ${JSON.stringify(ref)} is no name or id`,
    });
  }
  return encodeURIComponent(ref);
}

/** What an endpoint with these arguments is about, in words. */
export function wording(endpoint: Endpoint, args: CallArgs): { object: string; doing: string } {
  const name = args.ref ?? "";
  return {
    object: endpoint.kind === "engine" || name === "" ? endpoint.kind : `${endpoint.kind} ${name}`,
    doing: endpoint.doing.replace("{ref}", () => name),
  };
}

/** Path and query of a call, with the version in front where one is given. */
export function address(endpoint: Endpoint, args: CallArgs, version?: EngineVersion): string {
  const about = wording(endpoint, args);
  const path = endpoint.path
    .replace("{ref}", () => pathPart(args.ref ?? "", about))
    .replace("{exec}", () => pathPart(args.exec ?? "", about));
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(args.query ?? {})) {
    if (Array.isArray(value)) value.forEach((each) => query.append(key, each));
    else if (value !== undefined) query.set(key, String(value));
  }
  const tail = query.size === 0 ? "" : `?${query}`;
  return `${version === undefined || endpoint.unversioned ? "" : `/v${version.api}`}${path}${tail}`;
}

/** Bytes as JSON, as text where they are none, as null where there are none. */
export function readBody(text: string): unknown {
  if (text.trim() === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: plain text, as /_ping answers.
    return text;
  }
}

/** Docker's own message in an answer, or "". */
export function dockerSays(body: unknown): string {
  if (typeof body === "string") return body.trim().slice(0, QUOTED);
  const message = (body as { message?: unknown } | null)?.message;
  return typeof message === "string" ? message.trim() : "";
}

/** The error of a status that is no success. */
export function statusError(endpoint: Endpoint, args: CallArgs, status: number, body: unknown): DockerError {
  const { object, doing } = wording(endpoint, args);
  const said = dockerSays(body) || endpoint.means?.[status] || `the engine answered with status ${status}`;
  const next = endpoint.next?.[status];
  return new DockerError({
    fault: "status",
    status,
    object,
    message: `Cannot ${doing}: ${said}`,
    ...(next === undefined ? {} : { next }),
  });
}

/** True when the engine refuses the version we speak: it was exchanged since we asked. */
const isVersionRefused = (status: number, body: unknown) =>
  status === 400 && /client version .* is too (old|new)/i.test(dockerSays(body));

/** Makes the way to an engine. Nothing is loaded or opened before the first call. */
export function createCaller(
  socket: string,
  clock: Clock,
  negotiate: (caller: Caller, options?: CallOptions) => Promise<EngineVersion>,
): Caller {
  let pool: Promise<Pool> | undefined;
  let known: EngineVersion | undefined;
  let closed = false;

  // Deadlines are ours (withDeadline): undici's own are inexact, and there are none for a whole call.
  const open = () =>
    pool ??= import("undici").then(({ Pool }) =>
      new Pool("http://engine", { connect: { socketPath: socket }, headersTimeout: 0, bodyTimeout: 0 })
    );

  async function once(
    endpoint: Endpoint,
    args: CallArgs,
    deadline: Deadline,
    version?: EngineVersion,
  ): Promise<Answer> {
    const json = args.body === undefined ? undefined : JSON.stringify(args.body);
    const sent = await (await open()).request({
      method: endpoint.method,
      path: address(endpoint, args, version),
      headers: {
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...(args.tar === undefined ? {} : { "content-type": "application/x-tar" }),
        ...args.headers,
      },
      // Each piece sent is a sign of life, too: a big image goes out for minutes.
      body: args.tar === undefined
        ? json ?? null
        : Readable.from(touched(args.tar, deadline), { objectMode: false }),
      signal: deadline.signal,
    });
    const success = endpoint.ok.includes(sent.statusCode);
    const pieces: Uint8Array[] = [];
    for await (const chunk of sent.body) {
      if (success && args.onChunk !== undefined) {
        deadline.touch();
        args.onChunk(chunk);
      } else pieces.push(chunk);
    }
    return { status: sent.statusCode, body: readBody(Buffer.concat(pieces).toString("utf8")) };
  }

  async function call(endpoint: Endpoint, args: CallArgs = {}, options: CallOptions = {}): Promise<Answer> {
    const about = { ...wording(endpoint, args), socket, signal: options.signal };
    if (closed) throw callError(Object.assign(new Error("closed"), { code: "UND_ERR_CLOSED" }), about);
    const ms = options.timeoutMs ?? endpoint.timeoutMs ?? DEFAULT_MS;
    try {
      return await withDeadline(clock, ms, options.signal, async (deadline) => {
        for (let attempt = 0;; attempt++) {
          const version = endpoint.unversioned
            ? undefined
            : await caller.version({ signal: deadline.signal });
          try {
            const answer = await once(endpoint, args, deadline, version);
            if (endpoint.ok.includes(answer.status)) return answer;
            if (attempt === 0 && args.tar === undefined && isVersionRefused(answer.status, answer.body)) {
              known = undefined;
              continue;
            }
            throw statusError(endpoint, args, answer.status, answer.body);
          } catch (error) {
            // A kept connection may have died with the engine that was there before: look again, once, if asking
            // twice does no harm.
            const died = ["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"].includes(errorCode(error));
            if (died) known = undefined;
            if (attempt > 0 || !died || endpoint.method !== "GET" || args.onChunk !== undefined) throw error;
          }
        }
      });
    } catch (error) {
      const told = callError(error, about);
      if (isEngineGone(told)) known = undefined;
      throw told;
    }
  }

  const caller: Caller = {
    socket,
    clock,
    call,
    address,
    async version(options = {}) {
      if (options.fresh) known = undefined;
      return known ??= await negotiate(caller, options);
    },
    async close() {
      closed = true;
      const had = pool;
      pool = undefined;
      // Not close(): a call that hangs must not hold the end of the program.
      await (await had)?.destroy();
    },
  };
  return caller;
}

async function* touched(source: AsyncIterable<Uint8Array>, deadline: Deadline): AsyncIterable<Uint8Array> {
  for await (const chunk of source) {
    deadline.touch();
    yield chunk;
  }
}
