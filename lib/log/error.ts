// The one error of berth: an object, a cause, a next step, and a stable code that decides the exit code.
// At the bottom of the house, so that every part can throw it.

/** Stable codes; the exit code each ends in stands in `EXIT_CODES`. */
export type ErrorCode =
  | "fault"
  | "usage"
  | "config"
  | "missing"
  | "refused"
  | "locked"
  | "docker"
  | "command-failed"
  | "interrupted"
  | "not-converged"
  | "look-refused";

/** Exit codes as docs/operations.md lists them. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  "fault": 1,
  "usage": 64,
  "config": 3,
  "missing": 4,
  "refused": 5,
  "locked": 7,
  "docker": 8,
  "command-failed": 10,
  "interrupted": 11,
  "not-converged": 12,
  "look-refused": 1,
};

/** One problem among several, with its place: a line of a configuration file, a disk, a vnode. */
export interface Issue {
  /** "/etc/berth/vnodes.d/pair.yaml:12". */
  readonly place?: string;
  /** "vnodes.left.links[0].rate". */
  readonly path?: string;
  readonly message: string;
  readonly found?: string;
  readonly wanted?: string;
  readonly next?: string;
}

/** What an error is made of. Messages are in sentence case, without a final full stop. */
export interface ErrorParts {
  readonly code: ErrorCode;
  /** What it is about: "vnode left", "file /etc/docker/daemon.json". */
  readonly object: string;
  /** What went wrong: "Cannot attach eth1: bridge bbr-… is missing". */
  readonly message: string;
  /** What the operator can do now. */
  readonly next?: string;
  readonly issues?: readonly Issue[];
  readonly cause?: unknown;
  /** What only --verbose shows: the whole text of a script that failed. */
  readonly detail?: string;
}

/** An error meant for an operator. Anything else that is thrown is a fault of berth's own (exit 1). */
export class BerthError extends Error {
  readonly code: ErrorCode;
  readonly object: string;
  readonly next: string | undefined;
  readonly issues: readonly Issue[];
  readonly detail: string | undefined;

  constructor(parts: ErrorParts) {
    super(parts.message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = "BerthError";
    this.code = parts.code;
    this.object = parts.object;
    this.next = parts.next;
    this.issues = parts.issues ?? [];
    this.detail = parts.detail;
  }

  /** The exit code this error ends the process with. */
  get exit(): number {
    return EXIT_CODES[this.code];
  }

  /** The fields as plain data, for `--json` and logs. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      object: this.object,
      message: this.message,
      ...(this.next === undefined ? {} : { next: this.next }),
      ...(this.issues.length === 0 ? {} : { issues: this.issues }),
      ...(this.cause instanceof Error ? { cause: this.cause.message } : {}),
    };
  }
}
