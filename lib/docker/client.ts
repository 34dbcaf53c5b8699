// Puts the Engine client together. Owns no call itself. Loads neither undici nor valibot before the first call.
import { systemClock } from "./clock.ts";
import { containerCalls } from "./containers.ts";
import { ENDPOINTS } from "./endpoints.ts";
import { DockerError } from "./errors.ts";
import { streamCalls } from "./exec.ts";
import { follow } from "./follow.ts";
import { imageCalls } from "./images.ts";
import { networkCalls } from "./networks.ts";
import { createCaller } from "./request.ts";
import type { Docker, DockerOptions } from "./types.ts";
import { negotiate } from "./version.ts";

/** Every status there is: `raw` answers with whatever came. */
const ANY = Array.from({ length: 500 }, (_, i) => 100 + i);

/** Makes a client of the engine at a unix socket. Nothing is loaded, opened or contacted before the first call. */
export function createDocker(options: DockerOptions): Docker {
  const clock = options.clock ?? systemClock;
  const caller = createCaller(options.socket, clock, negotiate);
  return {
    socket: options.socket,
    version: (options) => caller.version(options),
    async ping(options) {
      try {
        await caller.call(ENDPOINTS.ping, {}, options);
        return true;
      } catch (error) {
        if (error instanceof DockerError) return false;
        throw error;
      }
    },
    async info(options) {
      return (await caller.call(ENDPOINTS.info, {}, options)).body as Record<string, unknown>;
    },
    ...containerCalls(caller),
    ...networkCalls(caller),
    ...imageCalls(caller),
    ...streamCalls(caller, options.kill),
    follow: (options) => follow(caller, options),
    raw(request, options) {
      const doing = `${request.method} ${request.path}`;
      const unversioned = /^\/(_ping|version)$/.test(request.path);
      const endpoint = {
        method: request.method,
        path: request.path,
        kind: "engine",
        doing,
        ok: ANY,
        unversioned,
      };
      return caller.call(endpoint, { body: request.body }, options);
    },
    close: () => caller.close(),
  };
}
