// Starting a vnode's container, over what a crash of the engine may have left of its last start. Used by up, boot,
// reboot and the watch.
import type { Docker } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import { DockerError } from "../docker/errors.ts";

/** dockerd may need that long under load; the gate has deadlines of its own. */
const START_MS = 120_000;

/** Of a start that a stale task stands in the way of. */
const TRIES = 8;

/** Starts a container. False when it was running already. */
export async function startVnode(
  host: Host,
  docker: Docker,
  containerId: string,
  signal?: AbortSignal,
): Promise<boolean> {
  return await overStaleTask(
    host,
    containerId,
    () => docker.startContainer(containerId, { timeoutMs: START_MS, signal }),
  );
}

/**
 * Runs a call that starts a container, once more where a stale task stands in its way. An engine that is killed
 * within a start leaves containerd a task that no engine knows of; from then on each start fails with "task …:
 * already exists" (20.10, test/sandbox/kills.test.ts). containerd lets go of it when its shim dies.
 */
export async function overStaleTask<T>(
  host: Host,
  containerId: string,
  start: () => Promise<T>,
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await start();
    } catch (error) {
      if (tries === TRIES || !(error instanceof DockerError) || !isStaleTask(error.message)) throw error;
      // Docker has just said that the container does not run: the shim serves nobody. containerd needs a moment
      // to notice its death; a failed start takes about as long.
      await host.exec({
        argv: ["pkill", "-KILL", "-f", `^[^ ]*containerd-shim[^ ]* .*-id ${containerId}( |$)`],
        okExit: [0, 1],
      });
    }
  }
}

/** What containerd says of a task that is left over. */
export function isStaleTask(message: string): boolean {
  return /\btask\b.*\balready exists\b|\bid already in use\b|container with given ID already exists/i.test(
    message,
  );
}
