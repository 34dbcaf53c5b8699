// Which API version berth speaks with an engine: the engine's own, whatever it is, from 1.40 on. Owns no cache
// (request.ts keeps the answer until a connection is lost).
import { DockerError } from "./errors.ts";
import { ENDPOINTS } from "./endpoints.ts";
import type { Caller } from "./request.ts";
import type { CallOptions, EngineVersion } from "./types.ts";

/** The oldest API berth can use: of Docker 19.03. What we call looks the same from here on. */
export const OLDEST_API = "1.40";

/** Compares "1.9" and "1.41" by number: below, at or above zero. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [a, b].map((each) => each.split(".").map(Number));
  for (let i = 0; i < Math.max(x!.length, y!.length); i++) {
    const difference = (x![i] ?? 0) - (y![i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Asks the engine. There is no cap at the top: engines keep old calls, and refuse old *versions* (29 refuses 1.43).
 *
 * @throws {DockerError} when the engine's API is older than 1.40.
 */
export async function negotiate(caller: Caller, options?: CallOptions): Promise<EngineVersion> {
  const { versionSchema, parseAnswer } = await import("./schemas.ts");
  const { body } = await caller.call(ENDPOINTS.version, {}, options);
  const said = parseAnswer(versionSchema, body, "GET /version");
  if (compareVersions(said.ApiVersion, OLDEST_API) < 0) {
    throw new DockerError({
      fault: "answer",
      object: "engine",
      message:
        `Cannot use engine ${said.Version}: its API is ${said.ApiVersion}, wanted ${OLDEST_API} or newer`,
      next: "Install Docker 19.03 or newer",
    });
  }
  return { version: said.Version, api: said.ApiVersion, minApi: said.MinAPIVersion };
}
