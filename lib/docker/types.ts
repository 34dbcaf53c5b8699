// The face of the Engine client. Bodies are the Engine API's own JSON; only the fields we read are typed.

/** What `/version` says, with what was negotiated. */
export interface EngineVersion {
  readonly version: string;
  /** The API version in use: the engine's own, at least 1.40. "1.41". */
  readonly api: string;
  readonly minApi: string;
}

export interface ContainerSummary {
  readonly id: string;
  readonly names: readonly string[];
  readonly image: string;
  readonly state: string;
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ContainerState {
  readonly status: string;
  readonly running: boolean;
  readonly paused: boolean;
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

export interface Container {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: ContainerState;
  readonly runtime: string;
  readonly restartPolicy: string;
  readonly hostsPath: string;
  readonly resolvConfPath: string;
  readonly logPath: string;
  readonly hostname: string;
  readonly networks: Readonly<
    Record<
      string,
      { readonly networkId: string; readonly address: string; readonly mac: string; readonly gateway: string }
    >
  >;
  /** The whole answer, for what is not typed. */
  readonly raw: unknown;
}

export interface Network {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly subnets: readonly {
    readonly subnet: string;
    readonly gateway: string;
    readonly ipRange: string;
    readonly aux: Readonly<Record<string, string>>;
  }[];
  readonly containers: Readonly<
    Record<string, { readonly name: string; readonly address: string; readonly mac: string }>
  >;
}

/** An event of the stream, normalised over API versions (1.52 dropped `status`, `id`, `from`). */
export interface EngineEvent {
  readonly type: string;
  readonly action: string;
  /** What follows the colon in "exec_die: …" and "health_status: healthy", else "". */
  readonly detail: string;
  readonly id: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since the epoch, as a decimal string: it exceeds 2^53. */
  readonly timeNano: string;
}

/** What the follower tells. `resync` means: events may have been lost; list and compare. */
export type Followed =
  | { readonly kind: "connected"; readonly version: EngineVersion }
  | { readonly kind: "resync"; readonly reason: string }
  | { readonly kind: "event"; readonly event: EngineEvent }
  | { readonly kind: "disconnected"; readonly reason: string; readonly retryMs: number };

export interface CallOptions {
  /**
   * Milliseconds for the whole call; 0 is for ever. For pull, load, import and logs the time between two signs of life.
   *
   * @default {30000; 120000 for what starts, stops, makes or removes a container; 300000 between two signs of life of a
   * pull, load or import; 600000 for exec; none for execStream, attach and waitContainer}
   */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  readonly exit: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/** What `waitContainer` waits for. */
export type WaitCondition = "not-running" | "next-exit" | "removed";

export interface ImageSummary {
  readonly id: string;
  /** "busybox:latest"; [] for an image without a name. */
  readonly tags: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly size: number;
}

/** What a stream of a container is given and where its output goes. */
export interface StreamIo {
  readonly stdin?: AsyncIterable<Uint8Array>;
  readonly stdout: (chunk: Uint8Array) => void | Promise<void>;
  readonly stderr: (chunk: Uint8Array) => void | Promise<void>;
  /** Called once the stream stands, with the way to resize a terminal. */
  readonly onReady?: (resize: (columns: number, rows: number) => Promise<void>) => void;
}

/** A call as data. The path has no version. */
export interface RawRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface RawAnswer {
  readonly status: number;
  /** Parsed JSON, or text where it is none, or null where there is nothing. */
  readonly body: unknown;
}

/** How a client is made. */
export interface DockerOptions {
  /** Path of the engine's unix socket. */
  readonly socket: string;
  /**
   * Kills a process of this machine by its pid (SIGKILL). Given an aborted exec's process: the engine does not end
   * it by itself. Without it such a process runs on.
   */
  readonly kill?: (pid: number) => void | Promise<void>;
  /** @default {the system's} */
  readonly clock?: Clock;
}

/** The Engine, over its unix socket. Every method throws `BerthError` code `docker` with Docker's own message. */
export interface Docker {
  readonly socket: string;
  /** Asked once and kept; asked again after a lost connection, or with `fresh`. */
  version(options?: CallOptions & { fresh?: boolean }): Promise<EngineVersion>;
  /** True when `/_ping` answers 200 within the time. */
  ping(options?: CallOptions): Promise<boolean>;
  /** `/info`, untyped. */
  info(options?: CallOptions): Promise<Record<string, unknown>>;
  listContainers(
    filter?: { label?: string; all?: boolean },
    options?: CallOptions,
  ): Promise<readonly ContainerSummary[]>;
  /** Null where there is none. By id or name. */
  inspectContainer(ref: string, options?: CallOptions): Promise<Container | null>;
  /** Body as in the Engine API's /containers/create; answers with the id. */
  createContainer(
    name: string,
    body: Record<string, unknown>,
    options?: CallOptions,
  ): Promise<{ id: string; warnings: readonly string[] }>;
  /** False when it was running already (304). */
  startContainer(ref: string, options?: CallOptions): Promise<boolean>;
  /** False when it was stopped already (304). Waits `graceSeconds` before the kill (default: the container's own, 10). */
  stopContainer(ref: string, options?: CallOptions & { graceSeconds?: number }): Promise<boolean>;
  killContainer(ref: string, signal?: string, options?: CallOptions): Promise<void>;
  restartContainer(ref: string, options?: CallOptions & { graceSeconds?: number }): Promise<void>;
  /** False where there was none. */
  removeContainer(
    ref: string,
    options?: CallOptions & { force?: boolean; volumes?: boolean },
  ): Promise<boolean>;
  renameContainer(ref: string, name: string, options?: CallOptions): Promise<void>;
  /** Answers with the exit code. No deadline unless given. @default {"not-running"} */
  waitContainer(ref: string, condition?: WaitCondition, options?: CallOptions): Promise<number>;
  /** What the container wrote so far, the streams apart (all is stdout with a terminal). */
  containerLogs(
    ref: string,
    options?: CallOptions & { since?: string; tail?: number },
  ): Promise<{ stdout: Uint8Array; stderr: Uint8Array }>;
  /** Both ways to the container's first process until it ends or the signal aborts. `logs`: what was said before, too. */
  attach(ref: string, io: StreamIo, options?: CallOptions & { logs?: boolean }): Promise<void>;
  updateRestartPolicy(ref: string, policy: string, options?: CallOptions): Promise<void>;
  listNetworks(options?: CallOptions): Promise<readonly Network[]>;
  inspectNetwork(ref: string, options?: CallOptions): Promise<Network | null>;
  createNetwork(body: Record<string, unknown>, options?: CallOptions): Promise<{ id: string }>;
  /** False where there was none. */
  removeNetwork(ref: string, options?: CallOptions): Promise<boolean>;
  /** `endpoint` as in the Engine API's EndpointConfig. */
  connectNetwork(
    network: string,
    container: string,
    endpoint?: Record<string, unknown>,
    options?: CallOptions,
  ): Promise<void>;
  /** False where the network, the container or the connection was not there. */
  disconnectNetwork(
    network: string,
    container: string,
    options?: CallOptions & { force?: boolean },
  ): Promise<boolean>;
  listImages(options?: CallOptions): Promise<readonly ImageSummary[]>;
  inspectImage(
    ref: string,
    options?: CallOptions,
  ): Promise<{ id: string; config: Record<string, unknown> } | null>;
  /** `auth`: the X-Registry-Auth header, ready made. */
  pullImage(
    ref: string,
    onProgress?: (line: string) => void,
    options?: CallOptions & { auth?: string },
  ): Promise<void>;
  /** Loads a tar as `docker save` writes it; answers with the names or ids the engine tells. */
  loadImage(tar: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<readonly string[]>;
  /** Makes an image of a file system's tar; answers with its id. `changes`: Dockerfile lines such as 'CMD ["/bin/sh"]'. */
  importImage(
    tar: AsyncIterable<Uint8Array>,
    ref: string,
    options?: CallOptions & { changes?: readonly string[] },
  ): Promise<string>;
  /** Runs to the end and collects. Killed inside the container when the signal aborts. */
  exec(
    ref: string,
    argv: readonly string[],
    options?: CallOptions & { input?: Uint8Array; user?: string; tty?: boolean },
  ): Promise<ExecResult>;
  /** Streams both ways until the command ends; answers with its exit code. stdin's end reaches the command. */
  execStream(
    ref: string,
    argv: readonly string[],
    io: StreamIo,
    options?: CallOptions & { user?: string; tty?: boolean },
  ): Promise<number>;
  /**
   * Follows events for ever: subscribes, then says `connected` and `resync`; notices a dead daemon by /_ping on
   * another connection; reconnects with back-off and jitter; never throws; ends when the signal aborts.
   */
  follow(
    options: FollowOptions,
  ): AsyncIterable<Followed>;
  /** Any call, by its path without a version; any status is an answer. For what has no method of its own. */
  raw(request: RawRequest, options?: CallOptions): Promise<RawAnswer>;
  close(): Promise<void>;
}

/** How events are followed. */
export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Nanoseconds since the epoch as a decimal string: events from then on, as far as the engine keeps them. @default {now} */
  readonly since?: string;
  /** @default {["container", "network", "daemon"]} */
  readonly types?: readonly string[];
  /** @default {the client's} */
  readonly clock?: Clock;
  /** Events kept for a slow consumer before they are dropped for a `resync`. @default {1024, as many as the engine's own} */
  readonly buffer?: number;
  /** Milliseconds between two looks whether the engine still lives. @default {10000} */
  readonly pingMs?: number;
  /** 0 up to 1, for the jitter of the back-off. @default {Math.random} */
  readonly random?: () => number;
}

/** Time, injected wherever it matters. */
export interface Clock {
  /** Milliseconds since some moment, for how long something takes: setting the machine's clock is no time that passes. */
  now(): number;
  /** Unix time in milliseconds, as the machine has it by now. */
  unix(): number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
}
