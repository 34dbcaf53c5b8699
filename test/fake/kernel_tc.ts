// The fake kernel's `tc`: qdiscs and redirects, by the lines of a batch, and as `tc -j` prints them. Keeps what a
// real one keeps through a change that does not name it: netem's correlations, corruption, reordering, distribution.
import type { FakeKernel } from "./kernel.ts";

/** A qdisc of the fake kernel. */
export interface Qdisc {
  kind: string;
  handle: string;
  dev: string;
  root?: boolean;
  parent?: string;
  options: Record<string, unknown>;
  /** netem's table, which is not told. */
  distribution?: string;
  /** Goes with it when it is deleted: tells tests what was changed in place. */
  backlog?: number;
}

/** Runs one line of `tc -batch`. @throws {Error} with the words of tc. */
export function tcLine(kernel: FakeKernel, line: string): void {
  const words = line.split(" ");
  const after = (word: string) => words[words.indexOf(word) + 1]!;
  const dev = after("dev");
  if (!kernel.links.has(dev)) throw new Error(`Cannot find device "${dev}"`);
  if (words[0] === "filter") {
    kernel.redirects.set(dev, words.at(-1)!);
    return;
  }
  const parent = words.includes("parent") ? after("parent") : null;
  const same = (one: Qdisc) =>
    one.dev === dev &&
    (words.includes("ingress") ? one.kind === "ingress" : parent === null ? one.root : one.parent === parent);
  const found = kernel.qdiscs.find(same);
  if (words[1] === "del") {
    if (found === undefined) throw new Error("Error: Cannot delete qdisc with handle of zero.");
    remove(kernel, found);
    if (words.includes("ingress")) kernel.redirects.delete(dev);
    return;
  }
  if (parent !== null && !kernel.qdiscs.some((one) => one.dev === dev && `${one.handle}1` === parent)) {
    throw new Error("Error: Failed to find specified qdisc.");
  }
  if (words[1] === "add" && found !== undefined && found.handle !== "0:") {
    throw new Error("Error: Exclusivity flag on, cannot modify.");
  }
  const made = qdiscOf(words, dev);
  const holder = kernel.qdiscs.find((one) => one.dev === dev && one.handle === made.handle);
  if (holder !== undefined && holder.kind !== made.kind) {
    throw new Error("Error: Invalid qdisc name: must match existing qdisc.");
  }
  if (found === undefined || found.handle !== made.handle) {
    if (found !== undefined) remove(kernel, found);
    tidy(made.options);
    kernel.qdiscs.push(made);
    return;
  }
  const { options, ...rest } = made;
  Object.assign(found, rest, {
    options: made.kind === "netem" ? { ...kept(found.options), ...options } : options,
    distribution: made.distribution ?? found.distribution,
  });
  if (found.distribution === undefined) delete found.distribution;
  tidy(found.options);
  // tbf hands its limit on to any fifo within, whatever that counts.
  const limit = (options as { limit?: number }).limit;
  for (const one of kernel.qdiscs) {
    if (made.kind === "tbf" && one.dev === dev && one.parent === `${made.handle}1`) one.options = { limit };
  }
}

/** With all that hangs below it. */
function remove(kernel: FakeKernel, gone: Qdisc): void {
  kernel.qdiscs = kernel.qdiscs.filter((one) => one !== gone);
  for (const one of kernel.qdiscs.filter((one) => one.dev === gone.dev && one.parent === `${gone.handle}1`)) {
    remove(kernel, one);
  }
}

/** As `tc -j filter show` prints a device's redirect. */
export function filters(kernel: FakeKernel, dev: string) {
  const to = kernel.redirects.get(dev);
  return to === undefined
    ? []
    : [{ protocol: "all", options: { actions: [{ kind: "mirred", to_dev: to }] } }];
}

/** What netem keeps when a change does not name it. */
function kept(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).filter(([key]) => key === "corrupt" || key === "reorder"),
  );
}

/** tc leaves out what is nothing. */
function tidy(options: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(options)) {
    if (
      key !== "loss-gemodel" && key !== "delay" && typeof value === "object" && value !== null &&
      Object.values(value)[0] === 0
    ) delete options[key];
  }
}

/** As `tc -j` prints it: rates in bytes a second, delays in seconds, shares as fractions, all with six digits. */
function qdiscOf(words: readonly string[], dev: string): Qdisc {
  const number = (word: string) => Number.parseFloat(words[words.indexOf(word) + 1] ?? "0");
  const place = words.includes("root") ? { root: true } : { parent: words[words.indexOf("parent") + 1]! };
  const handle = words.includes("handle") ? words[words.indexOf("handle") + 1]! : "ffff:";
  if (words.includes("tbf")) {
    const options = { rate: number("rate") / 8, burst: number("burst"), limit: number("limit") };
    return { kind: "tbf", handle, dev, ...place, options };
  }
  const fifo = words.find((word) => word === "pfifo" || word === "bfifo");
  if (fifo !== undefined) return { kind: fifo, handle, dev, ...place, options: { limit: number("limit") } };
  if (words.includes("netem")) {
    const options = netemOptions(words.slice(words.indexOf("netem") + 1));
    const table = words.includes("distribution")
      ? { distribution: words[words.indexOf("distribution") + 1]! }
      : {};
    return { kind: "netem", handle, dev, ...place, options, ...table };
  }
  return { kind: "ingress", handle: "ffff:", dev, parent: "ffff:fff1", options: {} };
}

/** What tc refuses before it asks the kernel, and what the kernel then has. */
function netemOptions(words: readonly string[]): Record<string, unknown> {
  const numbers = (word: string, count: number) => {
    const at = words.indexOf(word);
    return Array.from({ length: count }, (_, n) => at < 0 ? 0 : Number.parseFloat(words[at + 1 + n]!));
  };
  const six = (value: number) => Number(value.toPrecision(6));
  // Whole microseconds, of ticks of 64 ns.
  const time = (us: number) => six(Math.trunc(Math.trunc(us / 0.064) * 0.064) / 1e6);
  const pair = (name: string) => {
    const [share, correlation] = numbers(name, 2).map((percent) => six(percent / 100));
    return { [name]: share, ...(correlation !== 0 && { correlation }) };
  };
  const [delay, jitter, correlation] = numbers("delay", 3) as [number, number, number];
  const [reorder] = numbers("reorder", 1);
  if (words.includes("distribution") && jitter === 0) {
    throw new Error("distribution specified but no latency and jitter values");
  }
  if (reorder !== 0 && delay === 0) throw new Error("reordering not possible without specifying some delay");
  const [lossKind] = words.slice(words.indexOf("loss") + 1);
  const loss = lossKind === "gemodel" ? { "loss-gemodel": gemodel(numbers("gemodel", 4)) } : {
    "loss-random": {
      loss: six(numbers("random", 2)[0]! / 100),
      ...(numbers("random", 2)[1] !== 0 && { correlation: six(numbers("random", 2)[1]! / 100) }),
    },
  };
  const options: Record<string, unknown> = {
    limit: numbers("limit", 1)[0],
    ...(delay + jitter > 0 && {
      delay: {
        delay: time(delay),
        jitter: time(jitter),
        correlation: six(correlation / 100),
      },
    }),
    ...loss,
    ...["duplicate", "reorder", "corrupt"].filter((name) => words.includes(name)).reduce(
      (all, name) => ({ ...all, [name]: pair(name) }),
      {},
    ),
    ecn: false,
    gap: reorder === 0 ? 0 : 1,
  };
  return options;
}

function gemodel([p, r, h, k]: readonly number[]) {
  const six = (percent: number | undefined) => Number(((percent ?? 0) / 100).toPrecision(6));
  return { "p": six(p), "r": six(r), "1-h": six(h), "1-k": six(k) };
}
