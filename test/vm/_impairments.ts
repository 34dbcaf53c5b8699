// Everything that netem can do to a link, each way differently, and how the kernel says that it does it.
import * as assert from "uvu/assert";
import { END, EXPERIMENT, IFB, type Qdisc, shaping } from "./_experiment.ts";
import type { Machine } from "./harness.ts";

const FILE = "/etc/berth/vnodes.d/pair.yaml";

/** One state of left's link on `wire`: its keys, and what the kernel says of netem out of left and into it. */
interface State {
  readonly keys: string;
  readonly handles: readonly [egress: string, ingress: string];
  readonly egress: Readonly<Record<string, unknown>>;
  readonly ingress: Readonly<Record<string, unknown>>;
}

/** All there is, without a distribution of its own: the same qdiscs as before, changed in place. */
export const FULL: State = {
  keys: `egress: { rate: 256kbit, delay: 20ms, jitter: 3ms, jitterCorrelation: 25%,
          lossModel: { toBad: 1%, toGood: 20%, inBad: 90%, inGood: 0.5% },
          duplicate: 0.5%, duplicateCorrelation: 10%, corrupt: 0.25%, corruptCorrelation: 5%,
          reorder: 5%, reorderCorrelation: 50% }
        ingress: { rate: 768kbit, delay: 5ms, jitter: 1ms, loss: 0.000123%, lossCorrelation: 20%, queue: 30packets }`,
  handles: ["1:", "1:"],
  egress: {
    delay: { delay: 0.02, jitter: 0.003, correlation: 0.25 },
    "loss-gemodel": { p: 0.01, r: 0.2, "1-h": 0.9, "1-k": 0.005 },
    duplicate: { duplicate: 0.005, correlation: 0.1 },
    corrupt: { corrupt: 0.0025, correlation: 0.05 },
    reorder: { reorder: 0.05, correlation: 0.5 },
    gap: 1,
  },
  ingress: {
    delay: { delay: 0.005, jitter: 0.001 },
    "loss-random": { loss: 0.00000123, correlation: 0.2 },
  },
};

/** After that, a delay alone: nothing of what was may stay behind. */
export const PLAIN: State = {
  keys: "{ rate: 512kbit, delay: 7ms }",
  handles: ["1:", "1:"],
  egress: { delay: { delay: 0.007 } },
  ingress: { delay: { delay: 0.007 } },
};

/** The kernel's tables, of which it says nothing: the handle does. */
export const TABLES: State = {
  keys:
    `{ delay: 30ms, jitter: 5ms, egress: { distribution: pareto, rate: 256kbit }, ingress: { distribution: normal } }`,
  handles: ["12:", "11:"],
  egress: { delay: { delay: 0.03, jitter: 0.005 } },
  ingress: { delay: { delay: 0.03, jitter: 0.005 } },
};

/** The experiment with another shape of left's link on `wire`. */
function experiment({ keys }: State): string {
  const own = /egress: \{ rate: 256kbit.*\n +ingress: .*\n/;
  assert.match(EXPERIMENT, own);
  const inner = keys.startsWith("{")
    ? keys.slice(1, -1).trim().replace(/, (?![^{]*\})/g, "\n        ")
    : keys;
  return EXPERIMENT.replace(own, `${inner}\n`);
}

/** Gives a running left another shape of that link; without one, the experiment's own. Answers what berth said. */
export async function reshape(machine: Machine, state?: State): Promise<string> {
  const text = state === undefined ? EXPERIMENT : experiment(state);
  await machine.sh(`cat >${FILE}`, { input: text });
  const { exit, stdout, stderr } = await machine.run(["berth", "vnode", "up", "left"], {
    timeoutMs: 400_000,
  });
  assert.is(exit, 0, stdout + stderr);
  return stdout;
}

/** netem out of left and into it, with its handle. */
export async function bothWays(machine: Machine): Promise<readonly (Qdisc & { handle: string })[]> {
  const all = await shaping(machine) as readonly (Qdisc & { handle: string })[];
  return [IFB, END].map((dev) => all.find((one) => one.dev === dev && one.kind === "netem")!);
}

/** Numbers to six digits, as tc prints them; what is 0 or not there is the same. */
function flat(options: Readonly<Record<string, unknown>>, into: string[] = [], group = ""): string[] {
  for (const [key, value] of Object.entries(options)) {
    if (typeof value === "object" && value !== null) flat(value as Record<string, unknown>, into, `${key}.`);
    else if (typeof value === "number" && value !== 0) {
      into.push(`${group}${key} ${Number(value.toPrecision(5))}`);
    } else if (value === true) into.push(`${group}${key}`);
  }
  return into.sort();
}

/** Holds the kernel's own words against a state: all that is asked for is there, and nothing else. */
export function isShaped(found: readonly (Qdisc & { handle: string })[], state: State): void {
  assert.equal(found.map((one) => one.handle), state.handles);
  for (const [at, wanted] of [state.egress, state.ingress].entries()) {
    const { limit: _, seed: _seed, ...options } = found[at]!.options;
    assert.equal(flat(options), flat(wanted), JSON.stringify(found[at]));
  }
}
