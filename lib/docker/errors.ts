// What can go wrong between berth and the engine, in the operator's words. Owns the mapping of socket and undici
// errors; Docker's own messages pass through as they are.
import { BerthError, type ErrorParts } from "../log/error.ts";
import { DeadlinePassed } from "./clock.ts";

/** `unreachable`: no engine there. `broken`: the connection died. `status`: the engine said no. `answer`: not understood. */
export type DockerFault = "unreachable" | "broken" | "timeout" | "status" | "answer";

/** A failed call. Code `docker`, or `interrupted` when the caller's own signal ended it. */
export class DockerError extends BerthError {
  readonly fault: DockerFault;
  /** The HTTP status, where there was one. */
  readonly status: number | undefined;

  constructor(parts: Omit<ErrorParts, "code"> & { fault: DockerFault; status?: number }) {
    super({ ...parts, code: "docker" });
    this.name = "DockerError";
    this.fault = parts.fault;
    this.status = parts.status;
  }
}

/** True when there is no engine at the socket, or it went away in the middle of a call. */
export function isEngineGone(error: unknown): boolean {
  return error instanceof DockerError && (error.fault === "unreachable" || error.fault === "broken");
}

/** The system's or undici's code of an error, looked for down the chain of causes; "" where there is none. */
export function errorCode(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = (at as { code?: unknown }).code;
    if (typeof code === "string") return code;
    if (at instanceof AggregateError && at.errors.length > 0) return errorCode(at.errors[0]);
  }
  return "";
}

const START =
  'Is the engine running? Start it ("berth host up"), or name its socket in host.yaml (engine.socket)';

/** Code → kind of fault, English with SOCKET for the path, next step. */
const KNOWN: Readonly<Record<string, readonly [DockerFault, string, string?]>> = {
  ENOENT: ["unreachable", 'there is no socket "SOCKET"', START],
  ECONNREFUSED: ["unreachable", 'nobody answers on the socket "SOCKET"', START],
  ENOTSOCK: ["unreachable", '"SOCKET" is not a socket', START],
  EACCES: ["unreachable", 'no permission to use the socket "SOCKET"', "Run as root"],
  EPERM: ["unreachable", 'no permission to use the socket "SOCKET"', "Run as root"],
  EAGAIN: ["unreachable", 'the socket "SOCKET" takes no more connections now', "Try again"],
  UND_ERR_CONNECT_TIMEOUT: ["unreachable", 'the socket "SOCKET" does not take the connection', START],
  UND_ERR_SOCKET: ["broken", "the engine closed the connection", "See the engine's log"],
  UND_ERR_CLOSED: ["broken", "this client was closed"],
  UND_ERR_DESTROYED: ["broken", "this client was closed"],
  UND_ERR_HEADERS_TIMEOUT: ["timeout", "the engine did not begin to answer in time"],
  UND_ERR_BODY_TIMEOUT: ["timeout", "the engine stopped in the middle of its answer"],
  UND_ERR_HEADERS_OVERFLOW: ["answer", "the engine's answer has oversized headers"],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ["broken", "the engine's answer was cut short"],
  ECONNRESET: ["broken", "the engine closed the connection", "See the engine's log"],
  EPIPE: ["broken", "the engine closed the connection", "See the engine's log"],
};

/** An error of a call in the operator's words. BerthErrors come back as they are. */
export function callError(
  error: unknown,
  about: { object: string; doing: string; socket: string; signal?: AbortSignal | undefined },
): BerthError {
  if (error instanceof BerthError) return error;
  const { object, doing } = about;
  if (error instanceof DeadlinePassed) {
    return new DockerError({
      fault: "timeout",
      object,
      message: `Cannot ${doing}: no answer from the engine within ${error.ms / 1000} s`,
      next: 'Look whether the engine is busy or stuck ("docker info", the engine\'s log), then try again',
      cause: error,
    });
  }
  if (about.signal?.aborted) {
    return new BerthError({
      code: "interrupted",
      object,
      message: `Cannot ${doing}: interrupted`,
      cause: error,
    });
  }
  const code = errorCode(error);
  const known = KNOWN[code] ??
    (code.startsWith("HPE_")
      ? ["answer", 'what answers on "SOCKET" does not speak HTTP', START] as const
      : undefined);
  const said = error instanceof Error ? error.message : String(error);
  return new DockerError({
    fault: known?.[0] ?? "broken",
    object,
    message: `Cannot ${doing}: ${known === undefined ? said : known[1].replace("SOCKET", about.socket)}`,
    ...(known?.[2] === undefined ? {} : { next: known[2] }),
    cause: error,
  });
}
