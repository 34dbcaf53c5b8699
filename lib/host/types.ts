// What berth may do to a machine, as types: commands as data, the eyes (Look) and the hands (Host).
// Owns no behaviour. Every other part of lib speaks to a machine only through these.

/** One external command, as data. Never a shell string. */
export interface Command {
  /** The program and its arguments; the program is looked up on the fixed PATH. */
  readonly argv: readonly string[];
  /** What it does, in a few words: told when it fails, in the stead of a script's text. */
  readonly title?: string;
  /** Text given on standard input; none means /dev/null. */
  readonly input?: string;
  /** A network namespace to run in, as a path such as `/proc/123/ns/net`. */
  readonly netns?: string;
  /** Exit codes that count as success. @default {[0]} */
  readonly okExit?: readonly number[];
  /** Milliseconds before the command and its process group are killed. @default {60000} */
  readonly timeoutMs?: number;
  /** Variables added to the fixed environment (`LC_ALL=C`, PATH). Never secrets that argv may show. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What a command said. */
export interface Output {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** What stands at a path. Symbolic links are not followed. */
export interface FileStat {
  readonly kind: "file" | "directory" | "link" | "socket" | "other";
  /** Permission bits, such as 0o644. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** When its content, name or mode last changed (st_ctime), in milliseconds since 1970; absent: not known. */
  readonly changedMs?: number;
}

/** What can be seen of a block device without changing it. */
export interface DeviceEnds {
  /** Nobody in the kernel holds it: no mount, no swap, no device-mapper, no md. */
  readonly free: boolean;
  /** Its first and last 4 MiB are zero. */
  readonly zero: boolean;
  /** SHA-256 of its first and last 256 KiB, hexadecimal. */
  readonly digest: string;
}

/** An answer of the container engine, as it came. */
export interface EngineAnswer {
  readonly status: number;
  /** Parsed JSON, or text where it is none, or null where there is nothing. */
  readonly body: unknown;
}

/** One call of the Engine API that changes something, as data. The path has no version: "/networks/create". */
export interface EngineRequest {
  readonly method: "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  /** Statuses that count as success. @default {[200, 201, 204, 304]} */
  readonly okStatus?: readonly number[];
  readonly timeoutMs?: number;
}

/** The way to the engine's socket that lib/docker gives a host: lib/host itself knows no HTTP. */
export interface EngineDoor {
  get(path: string): Promise<EngineAnswer>;
  call(request: EngineRequest): Promise<EngineAnswer>;
}

/**
 * The eyes of a plan: no exec, no write.
 *
 * `query` only accepts commands of an allow-list (program, subcommand, no forbidden flag) and throws a
 * `BerthError` with code `look-refused` on anything else, before the command starts.
 */
export interface Look {
  query(command: Command): Promise<Output>;
  /** The file's text, or null where there is none. */
  readText(path: string): Promise<string | null>;
  /** Names in a directory, sorted, or null where there is none. */
  list(path: string): Promise<readonly string[] | null>;
  stat(path: string): Promise<FileStat | null>;
  /** The target of a symbolic link, or null. */
  readLink(path: string): Promise<string | null>;
  /** A block device of so many bytes, opened for reading only; null where there is none. */
  device(path: string, bytes: number): Promise<DeviceEnds | null>;
  /** GET on the engine's socket; null where no engine answers. */
  engine(path: string): Promise<EngineAnswer | null>;
  /** Aborted when this run was asked to stop: for a look that waits for something. */
  readonly signal?: AbortSignal;
  /** The same look without a memory, where this one has one (lib/resource/one_look.ts): for whoever waits for a change. */
  readonly anew?: Look;
}

/** The hands: everything of Look, and change. */
export interface Host extends Look {
  /**
   * Runs a command that may change the machine.
   *
   * @param options.signal kills the command when aborted; null: never (roll-backs). Default: the host's own.
   * @throws {BerthError} code `missing` (no such program), `command-failed` (exit not in okExit, or too slow),
   * `interrupted` (aborted).
   */
  exec(command: Command, options?: { signal?: AbortSignal | null }): Promise<Output>;
  /** @throws {BerthError} code `docker` with the engine's own message on any status not wanted. */
  engineCall(request: EngineRequest): Promise<EngineAnswer>;
  /** Writes atomically: temporary file, fsync, rename, fsync of the directory. Parents are made (0755). */
  writeText(path: string, text: string, options?: { mode?: number }): Promise<void>;
  /** Writes over a file that is there without putting another in its place: containers have this very one bound. */
  writeInPlace(path: string, text: string): Promise<void>;
  /** Removes a file, an empty directory or a link. Does nothing where there is none. */
  remove(path: string): Promise<void>;
  /** Makes a directory with its parents. Does nothing where it exists, save setting the mode. */
  makeDirectory(path: string, options?: { mode?: number }): Promise<void>;
  /** Appends a line and fsyncs (the journal's own). Makes the file 0600. */
  appendText(path: string, text: string): Promise<void>;
  /**
   * Takes an exclusive lock that the kernel releases when this process dies (flock on our own descriptor).
   *
   * @throws {BerthError} code `locked`, with the holder where known, when not had within `waitMs`.
   */
  lock(path: string, options?: { waitMs?: number }): Promise<Lock>;
}

export interface Lock {
  readonly path: string;
  release(): Promise<void>;
}
