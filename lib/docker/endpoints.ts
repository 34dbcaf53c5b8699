// The calls berth makes, as data: path, statuses that count as success, English for those that do not, deadlines.
// Owns no behaviour; request.ts reads it.

/** One endpoint of the Engine API. `{ref}` in path and English is filled in by the call. */
export interface Endpoint {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** What kind of object it is about: "container", "network", "image", "engine". */
  readonly kind: string;
  /** Finishes "Cannot …". */
  readonly doing: string;
  readonly ok: readonly number[];
  /** Status → English where Docker gives no message of its own. */
  readonly means?: Readonly<Record<number, string>>;
  /** Status → next step. */
  readonly next?: Readonly<Record<number, string>>;
  /** Milliseconds. @default {30000} */
  readonly timeoutMs?: number;
  /** Asked without a version in front. */
  readonly unversioned?: boolean;
}

const GONE = {
  404: "there is no such container",
  409: "the container is in the wrong state",
  500: "the engine failed",
};
const SEE_CONTAINERS = { 404: 'List what there is: "docker ps -a"' };
// A start may wait for its gate's lock, for wiring and for a busy storage driver.
const SLOW = 120_000;

const container = (
  method: Endpoint["method"],
  tail: string,
  doing: string,
  ok: readonly number[],
  more: Partial<Endpoint> = {},
): Endpoint => ({
  method,
  path: `/containers/{ref}${tail}`,
  kind: "container",
  doing: `${doing} container "{ref}"`,
  ok,
  means: GONE,
  next: SEE_CONTAINERS,
  ...more,
});

const network = (
  method: Endpoint["method"],
  tail: string,
  doing: string,
  ok: readonly number[],
  more: Partial<Endpoint> = {},
): Endpoint => ({
  method,
  path: `/networks${tail}`,
  kind: "network",
  doing: `${doing} network "{ref}"`,
  ok,
  means: {
    403: "the network is in use",
    404: "there is no such network",
    409: "a network of that name exists",
  },
  next: { 404: 'List what there is: "docker network ls"', 403: 'See who uses it: "docker network inspect"' },
  ...more,
});

const image = (
  method: Endpoint["method"],
  path: string,
  doing: string,
  more: Partial<Endpoint> = {},
): Endpoint => ({
  method,
  path,
  kind: "image",
  doing: `${doing} image "{ref}"`,
  ok: [200],
  means: { 404: "there is no such image", 500: "the engine failed" },
  ...more,
});

const engine = (path: string, doing: string, more: Partial<Endpoint> = {}): Endpoint => ({
  method: "GET",
  path,
  kind: "engine",
  doing,
  ok: [200],
  ...more,
});

/** All of them, by the name of what they do. */
export const ENDPOINTS = {
  ping: engine("/_ping", "ask the engine for a sign of life", { unversioned: true, timeoutMs: 5000 }),
  // It is the first call of all that is asked, also where a machine starts a hundred containers at once.
  version: engine("/version", "ask the engine for its version", { unversioned: true, timeoutMs: 30_000 }),
  info: engine("/info", "ask the engine about itself"),
  events: engine("/events", "follow the engine's events"),

  containerList: engine("/containers/json", "list containers"),
  containerInspect: container("GET", "/json", "inspect", [200, 404]),
  containerCreate: {
    ...container("POST", "", "create", [201], { timeoutMs: SLOW }),
    path: "/containers/create",
    means: { 404: "there is no such image", 409: "a container of that name exists" },
    next: {
      404: "Pull the image, or correct its name",
      409: "Remove or rename the other container, or choose another name",
    },
  },
  containerStart: container("POST", "/start", "start", [204, 304], { timeoutMs: SLOW }),
  containerStop: container("POST", "/stop", "stop", [204, 304], { timeoutMs: SLOW }),
  containerRestart: container("POST", "/restart", "restart", [204], { timeoutMs: SLOW }),
  containerKill: container("POST", "/kill", "kill", [204], {
    means: { ...GONE, 409: "the container is not running" },
  }),
  containerRemove: container("DELETE", "", "remove", [204, 404], {
    timeoutMs: SLOW,
    means: { ...GONE, 409: "the container is running" },
    next: { 409: "Stop it first, or remove it by force" },
  }),
  containerRename: container("POST", "/rename", "rename", [204], {
    means: { ...GONE, 409: "the name is taken" },
  }),
  containerUpdate: container("POST", "/update", "update", [200]),
  containerWait: container("POST", "/wait", "wait for", [200], { timeoutMs: 0 }),
  containerLogs: container("GET", "/logs", "read the logs of", [200]),
  containerAttach: container("POST", "/attach", "attach to", [101, 200]),
  containerResize: container("POST", "/resize", "resize the terminal of", [200]),
  execCreate: container("POST", "/exec", "run a command in", [201], {
    means: { ...GONE, 409: "the container is not running or is paused" },
    next: { ...SEE_CONTAINERS, 409: "Start it first" },
  }),
  execStart: { ...container("POST", "", "run a command in", [101, 200]), path: "/exec/{exec}/start" },
  execInspect: {
    ...container("GET", "", "read the exit code of a command in", [200]),
    path: "/exec/{exec}/json",
  },
  execResize: { ...container("POST", "", "resize the terminal of", [200, 201]), path: "/exec/{exec}/resize" },

  networkList: engine("/networks", "list networks"),
  networkInspect: network("GET", "/{ref}", "inspect", [200, 404]),
  networkCreate: network("POST", "/create", "create", [201], {
    next: { 409: "Remove the other network, or choose another name" },
  }),
  networkRemove: network("DELETE", "/{ref}", "remove", [204, 404]),
  networkConnect: network("POST", "/{ref}/connect", "connect a container to", [200]),
  networkDisconnect: network("POST", "/{ref}/disconnect", "disconnect a container from", [200, 404]),

  imageList: engine("/images/json", "list images"),
  imageInspect: image("GET", "/images/{ref}/json", "inspect", { ok: [200, 404] }),
  // Streams: the time is that between two signs of life. A registry may be silent while it looks for layers.
  imagePull: image("POST", "/images/create", "pull", {
    timeoutMs: 300_000,
    next: {
      404: "Correct the image's name, or log in to its registry",
      500: "Look whether the registry can be reached",
    },
  }),
  imageImport: image("POST", "/images/create", "import", { timeoutMs: 300_000 }),
  imageLoad: { ...image("POST", "/images/load", "load", { timeoutMs: 300_000 }), doing: "load an image" },
} as const satisfies Record<string, Endpoint>;
