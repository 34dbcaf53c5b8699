// Starting a vnode's container, over what a crash of the engine may have left of its last start. Used by up, boot,
// reboot and the watch.
import type { Docker } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import { systemClock } from "../docker/clock.ts";
import { DockerError } from "../docker/errors.ts";

/**
 * dockerd may need that long under load: in a machine that shares two processors with three others, two starts at once
 * at boot took over 120 s. The gate has deadlines of its own.
 */
const START_MS = 300_000;

/** Of a start that a stale task stands in the way of. */
const TRIES = 4;
/** Milliseconds for the engine to tell of a shim's death; some tell nothing of a container they think stopped. */
const DEATH_MS = 3000;

/**
 * Starts a container. False when it was running already.
 *
 * A task that a killed engine has left is ended first: 26.1 and 28.5 would replace it by themselves, then take its
 * death for that of the new life and tear down its network (test/sandbox/kills.test.ts).
 */
export async function startVnode(
  host: Host,
  docker: Docker,
  containerId: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const shim = (await readShims(host)).get(containerId);
  if (shim !== undefined) await endForgottenTask(host, docker, containerId, shim);
  return await overStaleTask(
    host,
    docker,
    containerId,
    () => docker.startContainer(containerId, { timeoutMs: START_MS, signal }),
  );
}

/**
 * Runs a call that starts a container, and again where a stale task stood in its way. An engine that is killed
 * within a start leaves containerd a task that no engine knows of; from then on each start fails with "task …:
 * already exists" (test/sandbox/kills.test.ts).
 */
export async function overStaleTask<T>(
  host: Host,
  docker: Docker,
  containerId: string,
  start: () => Promise<T>,
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await start();
    } catch (error) {
      if (tries === TRIES || !(error instanceof DockerError)) throw error;
      const bundle = staleBundle(error.message, containerId);
      if (bundle !== null && !(await readShims(host)).has(containerId)) {
        // Made just before containerd was killed, and met by no shim: nothing of containerd's will take it away.
        await host.exec({ argv: ["rm", "-rf", "--one-file-system", "--", bundle] });
      } else if (bundle !== null || isStaleTask(error.message)) {
        await clearStaleTask(host, docker, containerId);
      } else throw error;
    }
  }
}

/**
 * Ends a task that containerd has and Docker does not know to run: its shim is killed, and containerd then collects
 * the rest. Waits until the engine has told of the death: a start before that would lose its network to it (26.1).
 * To be called only where Docker has just said that the container does not run.
 */
export async function clearStaleTask(host: Host, docker: Docker, containerId: string): Promise<void> {
  const enough = new AbortController();
  const killed = async () => {
    await host.exec({
      argv: ["pkill", "-KILL", "-f", `^[^ ]*containerd-shim[^ ]* .*-id ${containerId}( |$)`],
      okExit: [0, 1],
    });
    await systemClock.wait(DEATH_MS, enough.signal);
    enough.abort();
  };
  let killing: Promise<void> | undefined;
  for await (const told of docker.follow({ signal: enough.signal, types: ["container"] })) {
    if (told.kind === "connected") killing ??= killed();
    if (told.kind === "event" && told.event.id === containerId && told.event.action === "die") enough.abort();
    if (told.kind === "disconnected") enough.abort();
  }
  await killing;
}

/** Milliseconds that a shim may take to end after its container (some 100), and between two looks. */
const ENDING_MS = 2000;
const ENDING_STEP_MS = 50;

/** Containers that have a shim, with the shim's pid. */
export async function readShims(host: Host): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await host.exec({ argv: ["pgrep", "-af", "^[^ ]*containerd-shim"], okExit: [0, 1] });
  const found = [...stdout.matchAll(/^(\d+) .* -id ([0-9a-f]{64})( |$)/gm)];
  return new Map(found.map((match) => [match[2]!, match[1]!]));
}

/**
 * Ends a container's task that a killed engine has left, where there is one. `shim` was seen before Docker was
 * asked, and Docker, whose inspect waits for a start that is under way, says that nothing runs: but something does.
 * A shim that is just ending with its container is waited for.
 */
export async function endForgottenTask(
  host: Host,
  docker: Docker,
  containerId: string,
  shim: string,
): Promise<boolean> {
  const container = await docker.inspectContainer(containerId);
  if (container !== null && container.state.pid !== 0) return false;
  const hasChildren = (await host.exec({ argv: ["pgrep", "-P", shim], okExit: [0, 1] })).exit === 0;
  for (let waited = 0;; waited += ENDING_STEP_MS) {
    if ((await readShims(host)).get(containerId) !== shim) return false;
    if (hasChildren || waited >= ENDING_MS) break;
    await systemClock.wait(ENDING_STEP_MS);
  }
  await clearStaleTask(host, docker, containerId);
  return true;
}

/**
 * The directory of a container's task that stands in the way of a new shim ("failed to start shim: mkdir …: file
 * exists"), or null. Only one of containerd's own, of exactly this container.
 */
export function staleBundle(message: string, containerId: string): string | null {
  const found = /failed to start shim: mkdir ((?:\/var)?\/run\/[\w./-]*\/moby\/([0-9a-f]{64})): file exists/
    .exec(message);
  return found === null || found[2] !== containerId || found[1]!.includes("..") ? null : found[1]!;
}

/** What containerd says of a task that is left over. */
export function isStaleTask(message: string): boolean {
  return /\btask\b.*\balready exists\b|\bid already in use\b|container with given ID already exists/i.test(
    message,
  );
}
