// Work under a lock: taken before, given back after, whatever came of it. The lock itself is lock.ts's.
import type { Host } from "./types.ts";

/**
 * Does work while no other process holds the lock at `path`.
 *
 * @throws {BerthError} code `locked` when it is not had within `waitMs` milliseconds, and whatever the work throws.
 */
export async function locked<T>(
  host: Pick<Host, "lock">,
  path: string,
  options: { readonly waitMs: number },
  work: () => Promise<T>,
): Promise<T> {
  const lock = await host.lock(path, options);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
