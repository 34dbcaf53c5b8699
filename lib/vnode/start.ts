// Starting a vnode's container, over what a crash of the engine may have left of its last start. Used by up, boot,
// reboot and the watch.
import type { Docker } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import { systemClock } from "../docker/clock.ts";
import { DockerError } from "../docker/errors.ts";

/** dockerd may need that long under load; the gate has deadlines of its own. */
const START_MS = 120_000;

/** Of a start that a stale task stands in the way of. */
const TRIES = 4;
/** Milliseconds for the engine to tell of a shim's death; some tell nothing of a container they think stopped. */
const DEATH_MS = 3000;

/** Starts a container. False when it was running already. */
export async function startVnode(
  host: Host,
  docker: Docker,
  containerId: string,
  signal?: AbortSignal,
): Promise<boolean> {
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
      if (tries === TRIES || !(error instanceof DockerError) || !isStaleTask(error.message)) throw error;
      await clearStaleTask(host, docker, containerId);
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

/** What containerd says of a task that is left over. */
export function isStaleTask(message: string): boolean {
  return /\btask\b.*\balready exists\b|\bid already in use\b|container with given ID already exists/i.test(
    message,
  );
}
