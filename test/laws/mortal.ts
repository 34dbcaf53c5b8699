// Hosts that are watched: one that dies after so many mutating calls, as a crash or a power cut would have it, and
// one that must not be changed at all. They wrap any host, fake or real.
import { basename, dirname } from "node:path";
import type { Host } from "../../lib/host/types.ts";

/** What every call after the crash throws. */
export class Crash extends Error {}

const MUTATING = [
  "exec",
  "engineCall",
  "writeText",
  "writeInPlace",
  "remove",
  "makeDirectory",
  "appendText",
] as const;

/** Calls `before` each mutating call and `after` each one's end. */
function watched(
  host: Host,
  before: (name: string, args: readonly unknown[]) => void,
  after: () => void = () => {},
): Host {
  const all = Object.fromEntries(MUTATING.map((name) => {
    const call = host[name] as (...args: unknown[]) => Promise<unknown>;
    return [name, async (...args: unknown[]) => {
      before(name, args);
      const answer = await call(...args);
      after();
      return answer;
    }];
  }));
  return { ...host, ...all };
}

/**
 * A host that dies right after its `calls`-th mutating call: the caller never hears of that call's success, and
 * every later call, looks included, fails.
 */
export function mortal(host: Host, calls: number): Host {
  let made = 0;
  const crashIfDead = () => {
    if (made >= calls) throw new Crash(`crashed after call ${calls}`);
  };
  const dying = watched(host, crashIfDead, () => {
    made++;
    crashIfDead();
  });
  const query = (command: Parameters<Host["query"]>[0]) => {
    crashIfDead();
    return host.query(command);
  };
  return { ...dying, query };
}

/**
 * A host that dies within its `calls`-th mutating call: nothing of it is done, but where it writes a file, the text
 * stands beside it under the name that a write has until its rename (lib/host/files.ts).
 */
export function tornAt(host: Host, calls: number): Host {
  let made = 0;
  const dying = watched(host, () => {
    if (made++ >= calls - 1) throw new Crash(`crashed within call ${calls}`);
  });
  const writeText: Host["writeText"] = async (path, text, how) => {
    const draft = `${dirname(path)}/.${basename(path)}.berth-1-${calls}`;
    if (made === calls - 1) await host.writeText(draft, text, how);
    await dying.writeText(path, text, how);
  };
  const query = (command: Parameters<Host["query"]>[0]) => {
    if (made >= calls) throw new Crash(`crashed within call ${calls}`);
    return host.query(command);
  };
  return { ...dying, writeText, query };
}

/** A host that fails the test on any mutating call. */
export function untouchable(host: Host): Host {
  return watched(host, (name, args) => {
    throw new Error(`Must not change anything, but called ${name}(${JSON.stringify(args)})`);
  });
}
