// The engine as scripts have it: opened at the first call, and in plan mode unable to change anything.
import type { Docker } from "../../docker/types.ts";

/** Calls that change nothing. Everything else is told and not done in plan mode. */
const LOOKS: ReadonlySet<string> = new Set<keyof Docker>([
  "socket",
  "version",
  "ping",
  "info",
  "listContainers",
  "inspectContainer",
  "listNetworks",
  "inspectNetwork",
  "inspectImage",
  "follow",
  "close",
]);

/** An engine that is loaded and contacted when something is asked of it. */
export function lazyDocker(open: () => Promise<Docker>): Docker {
  return new Proxy({} as Docker, {
    get(_target, name) {
      // A promise looks for `then`: this is no promise.
      if (typeof name !== "string" || name === "then") return undefined;
      if (name === "follow") {
        return async function* (...args: Parameters<Docker["follow"]>) {
          yield* (await open()).follow(...args);
        };
      }
      return async (...args: unknown[]) => {
        const docker = await open() as unknown as Record<string, (...args: unknown[]) => unknown>;
        return await docker[name]!(...args);
      };
    },
  });
}

/** An engine that only answers; what would change something is told. */
export function lookingDocker(docker: Docker, would: (text: string) => void): Docker {
  return new Proxy(docker, {
    get(target, name) {
      if (typeof name !== "string" || LOOKS.has(name)) return Reflect.get(target, name);
      if (name === "then") return undefined;
      return (...args: unknown[]) => {
        const shown = args.filter((arg) => typeof arg !== "function").map((arg) => JSON.stringify(arg)).join(
          ", ",
        );
        would(`would call: docker.${name}(${shown})`);
        return Promise.resolve(undefined);
      };
    },
  });
}
