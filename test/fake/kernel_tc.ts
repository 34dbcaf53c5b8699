// The fake kernel's `tc`: qdiscs and redirects, by the lines of a batch, and as `tc -j` prints them.
import type { FakeKernel } from "./kernel.ts";

/** A qdisc of the fake kernel. */
export interface Qdisc {
  kind: string;
  handle: string;
  dev: string;
  root?: boolean;
  parent?: string;
  options: Record<string, unknown>;
}

/** Runs one line of `tc -batch`. @throws {Error} with the words of tc. */
export function tcLine(kernel: FakeKernel, line: string): void {
  const words = line.split(" ");
  const after = (word: string) => words[words.indexOf(word) + 1]!;
  const dev = after("dev");
  if (!kernel.links.has(dev)) throw new Error(`Cannot find device "${dev}"`);
  const same = (one: Qdisc) =>
    one.dev === dev &&
    (words.includes("ingress")
      ? one.kind === "ingress"
      : words.includes("root")
      ? one.root
      : one.parent === "1:1");
  if (words[0] === "filter") {
    kernel.redirects.set(dev, words.at(-1)!);
  } else if (words[1] === "del") {
    if (!kernel.qdiscs.some(same)) throw new Error("Error: Cannot delete qdisc with handle of zero.");
    kernel.qdiscs = kernel.qdiscs.filter((one) =>
      !same(one) && !(words.includes("root") && one.dev === dev && one.parent === "1:1")
    );
    if (words.includes("ingress")) kernel.redirects.delete(dev);
  } else {
    if (words[1] === "add" && kernel.qdiscs.some(same)) throw new Error("Error: Exclusivity flag on");
    kernel.qdiscs = kernel.qdiscs.filter((one) => !same(one));
    kernel.qdiscs.push(qdiscOf(words, dev));
  }
}

/** As `tc -j filter show` prints a device's redirect. */
export function filters(kernel: FakeKernel, dev: string) {
  const to = kernel.redirects.get(dev);
  return to === undefined
    ? []
    : [{ protocol: "all", options: { actions: [{ kind: "mirred", to_dev: to }] } }];
}

/** As `tc -j` prints it: rates in bytes a second, delays in seconds, losses as fractions. */
function qdiscOf(words: readonly string[], dev: string): Qdisc {
  const number = (word: string) => Number.parseFloat(words[words.indexOf(word) + 1] ?? "0");
  const place = words.includes("root") ? { root: true } : { parent: words[words.indexOf("parent") + 1]! };
  const handle = words.includes("handle") ? words[words.indexOf("handle") + 1]! : "ffff:";
  if (words.includes("tbf")) {
    const options = { rate: number("rate") / 8, burst: number("burst"), limit: number("limit") };
    return { kind: "tbf", handle, dev, ...place, options };
  }
  if (words.includes("netem")) {
    const options = {
      limit: number("limit"),
      delay: { delay: number("delay") / 1e6 },
      "loss-random": { loss: words.includes("loss") ? number("loss") / 100 : 0 },
    };
    return { kind: "netem", handle, dev, ...place, options };
  }
  return { kind: "ingress", handle: "ffff:", dev, parent: "ffff:fff1", options: {} };
}
