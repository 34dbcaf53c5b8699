// What measuring stands on: the host's hands, whose namespace a pid is, how a probe is started, and how long that takes
// here. Starts probes; what they are to do is session.ts's and rate.ts's.
import type { Host } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { isAlive, parseGeneration } from "../life.ts";
import type { AgentAnswer, AgentTask } from "./types.ts";

/** The hands and the facts of one run of verify. */
export interface VerifyGround {
  readonly host: Host;
  /** How berth is started: one path, or a runtime with its arguments. */
  readonly berth: readonly string[];
  /** The lives of the vnodes that run. */
  readonly lives: ReadonlyMap<string, string>;
  readonly bootId: string;
  /** Pairs that are measured at once. */
  readonly jobs: number;
  /** Seconds that a rate is measured for; loss at most four times as long. */
  readonly seconds: number;
  /** Milliseconds that one probe takes from start to end with nothing to do. */
  readonly startMs: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (text: string) => void;
}

/** The host itself among the agents. */
export const HOST = "";
/** Ports no kernel hands out by itself (its default range ends before them). */
const PORTS = [61_100, 65_500] as const;
/** What a probe may take beyond its own time before it is killed. */
const KILL_MS = 30_000;

/** A port for the probes of one session. */
export function drawPort(): number {
  return PORTS[0] + Math.floor(Math.random() * (PORTS[1] - PORTS[0]));
}

/** A flow's number: drawn, so that nothing late of another one counts. */
export function drawFlow(): number {
  return 1 + Math.floor(Math.random() * 0xfffffffe);
}

/** A task that listens and does nothing else. */
export function idleTask(port: number, untilMs: number): AgentTask {
  return { port, expect: [], echoes: [], sends: [], floods: [], flings: [], untilMs, lingerMs: 0 };
}

/** Milliseconds that the other end may take to come up when that many probes start at once. */
export function startWaitMs(ground: VerifyGround, agents: number): number {
  return 3000 + 3 * ground.startMs * agents;
}

/** What of a ground is needed to enter a vnode. */
export type Entrance = Pick<VerifyGround, "host" | "lives" | "bootId">;

/**
 * Does something with a running vnode's pid. It is asked before and after whether that life still goes on: the kernel
 * gives the pid of one that died to any other process, whose network namespace is somebody else's.
 *
 * @throws {BerthError} code `missing` where it does not, whatever came of the work.
 */
export async function inLife<T>(
  { host, lives, bootId }: Entrance,
  vnode: string,
  work: (pid: number) => Promise<T>,
): Promise<T> {
  const generation = lives.get(vnode) ?? "";
  const goesOn = async () => {
    if (await isAlive(host, generation, bootId)) return;
    throw new BerthError({ code: "missing", object: vnode, message: "The vnode does not run any more" });
  };
  await goesOn();
  const done = await work(parseGeneration(generation).pid);
  await goesOn();
  return done;
}

/**
 * Runs one probe in a vnode's namespace, on the host's files: nothing of the image is used. What keeps it from its
 * work is told in the answer's `fault`.
 *
 * @throws {BerthError} code `interrupted`.
 */
export async function runProbe(
  ground: VerifyGround,
  vnode: string,
  task: AgentTask,
  signal: AbortSignal | undefined = ground.signal,
): Promise<AgentAnswer> {
  const probe = async (netns?: string) => {
    const { stdout } = await ground.host.exec({
      argv: [...ground.berth, "probe"],
      title: `measure inside ${vnode === HOST ? "the host" : vnode}`,
      input: JSON.stringify(task),
      ...(netns === undefined ? {} : { netns }),
      timeoutMs: task.untilMs + KILL_MS,
    }, signal === undefined ? {} : { signal });
    return JSON.parse(stdout) as AgentAnswer;
  };
  try {
    if (vnode === HOST) return await probe();
    return await inLife(ground, vnode, (pid) => probe(`/proc/${pid}/ns/net`));
  } catch (error) {
    if (error instanceof BerthError && error.code === "interrupted" && ground.signal?.aborted) throw error;
    return {
      ...{ received: {}, echoed: {}, sent: {}, listenedUs: [0, 0] },
      fault: reasonOf(error),
    };
  }
}

/** What went wrong, in words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Milliseconds of a probe with nothing to do. */
export async function measureStart(ground: Omit<VerifyGround, "startMs">): Promise<number> {
  const begun = performance.now();
  await runProbe({ ...ground, startMs: 0 }, HOST, idleTask(drawPort(), 1));
  return performance.now() - begun;
}
