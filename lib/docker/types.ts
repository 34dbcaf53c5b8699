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
  /** @default {30000} */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  readonly exit: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/** The Engine, over its unix socket. Every method throws `BerthError` code `docker` with Docker's own message. */
export interface Docker {
  readonly socket: string;
  version(options?: CallOptions): Promise<EngineVersion>;
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
  updateRestartPolicy(ref: string, policy: string, options?: CallOptions): Promise<void>;
  listNetworks(options?: CallOptions): Promise<readonly Network[]>;
  inspectNetwork(ref: string, options?: CallOptions): Promise<Network | null>;
  createNetwork(body: Record<string, unknown>, options?: CallOptions): Promise<{ id: string }>;
  removeNetwork(ref: string, options?: CallOptions): Promise<boolean>;
  inspectImage(
    ref: string,
    options?: CallOptions,
  ): Promise<{ id: string; config: Record<string, unknown> } | null>;
  pullImage(ref: string, onProgress?: (line: string) => void, options?: CallOptions): Promise<void>;
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
    io: {
      stdin?: AsyncIterable<Uint8Array>;
      stdout: (chunk: Uint8Array) => void;
      stderr: (chunk: Uint8Array) => void;
    },
    options?: CallOptions & { user?: string; tty?: boolean },
  ): Promise<number>;
  /**
   * Follows events for ever: subscribes, then says `connected` and `resync`; notices a dead daemon by /_ping on
   * another connection; reconnects with back-off and jitter; never throws; ends when the signal aborts.
   */
  follow(
    options: { signal: AbortSignal; since?: string; types?: readonly string[]; clock?: Clock },
  ): AsyncIterable<Followed>;
  close(): Promise<void>;
}

/** Time, injected wherever it matters. */
export interface Clock {
  now(): number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
}
