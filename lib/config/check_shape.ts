// The rules of one direction's shaping: what is said for it over what is said for both, and what leans on what.
// Makes the normal form, in which nothing stands that changes nothing.
import { Problem } from "./problem.ts";
import { type DirectionDraft, shapeKeys } from "./schema_shape.ts";
import type { Shape } from "./types.ts";
import type { Loose } from "./validate.ts";

/** What is written for shaping, of one direction or both; what was refused is there as undefined. */
export type ShapeDraft = Loose<DirectionDraft>;

type Key = keyof DirectionDraft;

/** A problem with a key, and whether the key is written in the direction's own map. */
export type ReportShape = (own: boolean, key: Key, problem: Problem) => void;

/** What each key leans on. Where that is written as 0, what leans on it is switched off with it. */
const LEANS: readonly (readonly [key: Key, on: Key])[] = [
  ["jitter", "delay"],
  ["reorder", "delay"],
  ["jitterCorrelation", "jitter"],
  ["distribution", "jitter"],
  ["lossCorrelation", "loss"],
  ["duplicateCorrelation", "duplicate"],
  ["corruptCorrelation", "corrupt"],
  ["reorderCorrelation", "reorder"],
];

/** The keys of shaping among others. */
export function shapeIn(draft: ShapeDraft): ShapeDraft {
  return Object.fromEntries(Object.entries(draft).filter(([key]) => Object.hasOwn(shapeKeys, key)));
}

/** What is said for one direction, over what is said for both, key by key. Problems are reported where they stand. */
export function shapeOf(both: ShapeDraft, own: ShapeDraft = {}, report: ReportShape = () => {}): Shape {
  const isOwn = (key: Key) => key in own;
  // Loss by chance and loss by a model are one choice: a direction's own one is instead of the other.
  const inherited: Key[] = isOwn("lossModel") && !isOwn("loss")
    ? ["loss", "lossCorrelation"]
    : isOwn("loss") && !isOwn("lossModel")
    ? ["lossModel"]
    : [];
  const all: Partial<Record<Key, unknown>> = {};
  for (const from of [both, own]) {
    for (const [key, value] of Object.entries(from) as [Key, unknown][]) {
      if (from === own || !inherited.includes(key)) all[key] = value;
    }
  }
  const shape = all as ShapeDraft;
  if (shape.loss !== undefined && shape.lossModel !== undefined) {
    const next = "Remove one of them";
    report(
      isOwn("lossModel"),
      "lossModel",
      new Problem("Both loss and lossModel are given", "one of them", next),
    );
  }
  const off = new Set<Key>();
  for (const [key, on] of LEANS) {
    if (shape[key] === undefined || shape[key] === 0 || shape[key] === "uniform") continue;
    if (shape[on] === 0 || off.has(on)) off.add(key);
    // Refused and told already: it is there, without its value.
    else if (!(on in shape)) {
      off.add(key);
      report(
        isOwn(key),
        key,
        new Problem(`Needs ${on}`, `${on} beside it`, `Add ${on}, or remove ${key}`),
      );
    }
  }
  const { delay = 0, jitter = 0 } = shape;
  if (!off.has("jitter") && shape.delay !== undefined && jitter > delay) {
    const problem = new Problem(
      "Is more than the delay",
      "at most the delay",
      "Lower jitter, or raise delay",
    );
    report(isOwn("jitter"), "jitter", problem);
  }
  const bases: readonly Key[] = ["delay", "loss", "lossModel", "duplicate", "corrupt"];
  const counts = bases.some((key) => shape[key]);
  if (shape.queue !== undefined && !("rate" in shape) && ("bytes" in shape.queue || !counts)) {
    off.add("queue");
    // What is meant for both ways falls away with what a way of its own switches off.
    if (isOwn("queue") || !bases.some((key) => key in own)) {
      const wanted = "bytes" in shape.queue ? "rate" : "rate or delay";
      report(
        isOwn("queue"),
        "queue",
        new Problem(`Needs ${wanted}`, `${wanted} beside it`, `Add ${wanted}, or remove queue`),
      );
    }
  }
  return normal(shape, off);
}

function normal(shape: ShapeDraft, off: ReadonlySet<Key>): Shape {
  // No delay and no loss are the same as none said: they must not ask for netem.
  const number = <Name extends keyof Shape>(key: Key, name: Name) =>
    shape[key] === undefined || shape[key] === 0 || off.has(key) ? {} : { [name]: shape[key] };
  const { distribution, lossModel, queue } = shape;
  return {
    ...number("rate", "rateBps"),
    ...number("delay", "delayUs"),
    ...number("jitter", "jitterUs"),
    ...number("jitterCorrelation", "jitterCorrelation"),
    ...(distribution === "uniform" ? {} : number("distribution", "distribution")),
    ...number("loss", "lossPercent"),
    ...number("lossCorrelation", "lossCorrelation"),
    ...(lossModel === undefined || off.has("lossModel") ? {} : {
      lossModel: {
        toBad: lossModel.toBad ?? 0,
        toGood: lossModel.toGood ?? 0,
        inBad: lossModel.inBad ?? 100,
        inGood: lossModel.inGood ?? 0,
      },
    }),
    ...number("duplicate", "duplicatePercent"),
    ...number("duplicateCorrelation", "duplicateCorrelation"),
    ...number("corrupt", "corruptPercent"),
    ...number("corruptCorrelation", "corruptCorrelation"),
    ...number("reorder", "reorderPercent"),
    ...number("reorderCorrelation", "reorderCorrelation"),
    ...(queue === undefined || off.has("queue") ? {} : { queue: queue as NonNullable<Shape["queue"]> }),
  };
}
