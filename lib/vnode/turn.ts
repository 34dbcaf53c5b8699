// Commands take turns at a vnode: one that is being made, started or destroyed is waited for by whoever else wants
// something of it. Owns these locks, which are none of the gate's and the watch's: they are held across calls to
// Docker, as the vnode's own lock (paths.ts) never is.
import { systemClock } from "../docker/clock.ts";
import type { Lock } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { forEach, type Ground } from "./ground.ts";
import { turnLockPath } from "./paths.ts";

/** Milliseconds that another command is waited for: it may be pulling an image (up.ts gives that half an hour). */
const TURN_MS = 2_000_000;
/** Milliseconds between two tries. */
const STEP_MS = 200;

/**
 * Does the work when no other command is at this vnode. `waited`: one was, so what was known of it is old.
 *
 * @throws {BerthError} code `locked` when the other one takes too long, `interrupted` where this one is stopped.
 */
async function inTurn<T>(
  ground: Pick<Ground, "host" | "log" | "mode" | "signal">,
  vnode: string,
  work: (waited: boolean) => Promise<T>,
): Promise<T> {
  if (ground.mode === "plan") return await work(false);
  const { lock, waited } = await turnOf(ground, vnode);
  try {
    return await work(waited);
  } finally {
    await lock.release();
  }
}

/**
 * Works on each of some vnodes (or records, or specs of them) in turn with other commands, several at a time, and
 * collects what became of each, as `forEach` does.
 */
export async function forEachInTurn<Item extends string | { readonly name: string }, Result>(
  ground: Pick<Ground, "host" | "log" | "mode" | "signal">,
  items: readonly Item[],
  work: (item: Item, waited: boolean) => Promise<Result>,
  failed: (item: Item, error: unknown) => Result,
): Promise<Result[]> {
  const nameOf = (item: Item) => typeof item === "string" ? item : item.name;
  return await forEach(
    items,
    (item) => inTurn(ground, nameOf(item), (waited) => work(item, waited)),
    failed,
  );
}

/** The turns of several vnodes, held at once. */
export interface Turns {
  /** Whether another command was waited for. @throws what kept its turn from being had. */
  waited(vnode: string): boolean;
  release(): Promise<void>;
}

/** Takes the turns of several vnodes, in the order of names: two commands that want the same ones cannot wait for each other. */
export async function takeTurns(
  ground: Pick<Ground, "host" | "log" | "mode" | "signal">,
  vnodes: readonly string[],
): Promise<Turns> {
  const had = new Map<string, Awaited<ReturnType<typeof turnOf>> | { readonly error: unknown }>();
  for (const vnode of ground.mode === "plan" ? [] : [...new Set(vnodes)].sort()) {
    had.set(vnode, await turnOf(ground, vnode).catch((error: unknown) => ({ error })));
  }
  return {
    waited(vnode) {
      const turn = had.get(vnode);
      if (turn !== undefined && "error" in turn) throw turn.error;
      return turn?.waited === true;
    },
    async release() {
      for (const turn of had.values()) if ("lock" in turn) await turn.lock.release();
    },
  };
}

async function turnOf(
  { host, log, signal }: Pick<Ground, "host" | "log" | "signal">,
  vnode: string,
): Promise<{ readonly lock: Lock; readonly waited: boolean }> {
  for (let waited = 0;; waited += STEP_MS) {
    try {
      return { lock: await host.lock(turnLockPath(vnode)), waited: waited > 0 };
    } catch (error) {
      if (!(error instanceof BerthError) || error.code !== "locked") throw error;
      if (waited >= TURN_MS) throw tooLong(vnode, error);
      if (waited === 0) {
        log.info("Another command is at this vnode: waits for it", { vnode, reason: error.message });
      }
    }
    if (signal?.aborted) {
      throw new BerthError({
        code: "interrupted",
        object: `vnode ${vnode}`,
        message: "Stopped while another command was at this vnode",
      });
    }
    await systemClock.wait(STEP_MS, signal);
  }
}

function tooLong(vnode: string, error: BerthError): BerthError {
  return new BerthError({
    code: "locked",
    object: `vnode ${vnode}`,
    message: `Another command has been at this vnode for ${TURN_MS / 60_000 | 0} minutes: ${error.message}`,
    next: "See what it does; end it, or wait until it is done, then run this again",
  });
}
