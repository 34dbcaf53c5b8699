// What every operation on vnodes is given, and what it tells while it works.
import type { Docker } from "../docker/types.ts";
import type { Host } from "../host/types.ts";
import type { Log } from "../log/log.ts";
import type { Ensurer } from "../resource/ensure.ts";
import type { Ensure } from "../resource/types.ts";

/** The hands and the eyes of one run. */
export interface Ground {
  readonly host: Host;
  readonly docker: Docker;
  readonly log: Log;
  readonly ensure: Ensure;
  /** Many at once: one look for all. */
  readonly ensureAll: Ensurer["ensureAll"];
  readonly mode: "apply" | "plan";
  /** Who wants it, for the record: "berth vnode up". */
  readonly by: string;
  /** Told each difference, before it is made away with. */
  readonly onStep?: (step: { resource: string; verb: string; why: string }) => void;
  readonly signal?: AbortSignal;
}

/** What became of one vnode. */
export interface Outcome {
  readonly vnode: string;
  readonly changed: boolean;
  readonly did: readonly string[];
  readonly error?: unknown;
}

/** How many vnodes are worked on at once: dockerd serialises much of a start, more only queue there. */
export const AT_ONCE = 8;

/**
 * Runs work for each item, at most `limit` at once, and collects what became of each: one failure never
 * keeps the others from being tried.
 */
export async function forEach<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  failed: (item: Item, error: unknown) => Result,
  limit = AT_ONCE,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index]!;
      results[index] = await work(item).catch((error) => failed(item, error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
