// The way to the engine that lib/host is given, so that it need not know HTTP. Owns nothing but the translation.
import type { EngineDoor } from "../host/types.ts";
import { DockerError } from "./errors.ts";
import { dockerSays } from "./request.ts";
import type { Docker } from "./types.ts";

const OK = [200, 201, 204, 304];

/**
 * GETs and calls as data. `get` answers with any status, 404 too; `call` throws on a status that is not wanted.
 *
 * @throws {DockerError} fault `unreachable` where no engine is (see `isEngineGone`).
 */
export function engineDoor(docker: Docker): EngineDoor {
  return {
    get: (path) => docker.raw({ method: "GET", path }),
    async call(request) {
      const { method, path, body } = request;
      const answer = await docker.raw(
        { method, path, body },
        request.timeoutMs === undefined ? {} : { timeoutMs: request.timeoutMs },
      );
      if ((request.okStatus ?? OK).includes(answer.status)) return answer;
      throw new DockerError({
        fault: "status",
        status: answer.status,
        object: "engine",
        message: `Cannot ${method} ${path}: ${
          dockerSays(answer.body) || `the engine answered ${answer.status}`
        }`,
      });
    },
  };
}
