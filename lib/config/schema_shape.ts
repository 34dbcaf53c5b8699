// The keys that shape a link, for both ways or one. Owns no rules between them (check_shape.ts).
import * as v from "valibot";
import { field, map, oneOf, Problem } from "./problem.ts";
import {
  FORMS,
  limited,
  parseDelay,
  parsePercent,
  parseQueue,
  parseRate,
  PATTERNS,
  type Queue,
} from "./units.ts";

const NETEM = "Needs netem in the vhost's kernel.";

const share = (description: string, example = "1%") =>
  field({
    description,
    wanted: FORMS.percent,
    unit: "%",
    pattern: PATTERNS.percent,
    examples: [example],
  }, parsePercent);
const correlation = (of: string) => v.optional(share(`How much ${of} depends on the frame before.`, "25%"));
const time = (description: string, examples: readonly string[]) =>
  v.optional(
    field(
      { description, wanted: FORMS.delay, unit: "ms", pattern: PATTERNS.delay, examples },
      limited(parseDelay, { least: 0, most: 60e6 }, "a delay of at most 60s"),
    ),
  );

const TABLES = ["uniform", "normal", "pareto", "paretonormal"] as const;
const TABLES_FORM = oneOf(TABLES);

function parseTable(text: string): (typeof TABLES)[number] | Problem {
  return TABLES.find((one) => one === text) ?? new Problem("Is no distribution", TABLES_FORM);
}

/** Bounds of a queue: packets, and bytes (a frame at least, or nothing would pass). */
const MOST_PACKETS = 1_000_000;
const LEAST_BYTES = 1600;
const MOST_BYTES = 2 ** 30;

function limitedQueue(text: string): Queue | Problem {
  const queue = parseQueue(text);
  if (queue instanceof Problem) return queue;
  const [value, least, most, wanted] = "packets" in queue
    ? [queue.packets, 1, MOST_PACKETS, `1packets to ${MOST_PACKETS}packets`]
    : [queue.bytes, LEAST_BYTES, MOST_BYTES, `${LEAST_BYTES}B to 1GiB`];
  if (value >= least && value <= most) return queue;
  return new Problem(value < least ? "Is too small" : "Is too large", `a queue of ${wanted}`);
}

const lossModel = map("A model of loss", {
  toBad: share("Chance with each frame that a good time ends."),
  toGood: share("Chance with each frame that a bad time ends.", "20%"),
  inBad: v.optional(share("Share of frames lost in a bad time.", "100%"), "100%"),
  inGood: v.optional(share("Share of frames lost in a good time.", "0%"), "0%"),
});

/** Keys of shaping, as they stand on a link and in one direction of it. */
export const shapeKeys = {
  rate: v.optional(field({
    description: "Bandwidth, 8kbit to 10gbit: Ethernet frames without preamble and FCS.",
    wanted: FORMS.rate,
    unit: "mbit",
    pattern: PATTERNS.rate,
    examples: ["10mbit", "64kbit"],
  }, limited(parseRate, { least: 8000, most: 10e9 }, "a rate from 8kbit to 10gbit"))),
  delay: time(`Added delay, at most 60s. ${NETEM}`, ["20ms", "500us"]),
  jitter: time("By how much the delay varies, at most the delay.", ["2ms"]),
  jitterCorrelation: correlation("a frame's jitter"),
  distribution: v.optional(field({
    description: "How the jitter spreads. Default: uniform.",
    wanted: TABLES_FORM,
    pattern: `^(${TABLES.join("|")})$`,
    examples: TABLES,
  }, parseTable)),
  loss: v.optional(share(`Share of frames lost, by chance. ${NETEM}`)),
  lossCorrelation: correlation("a loss"),
  lossModel: v.optional(
    v.pipe(lossModel, v.description(`Loss in bursts (Gilbert-Elliott) instead of loss. ${NETEM}`)),
  ),
  duplicate: v.optional(share(`Share of frames that come twice. ${NETEM}`, "0.1%")),
  duplicateCorrelation: correlation("a duplication"),
  corrupt: v.optional(share(`Share of frames with one bit turned. ${NETEM}`, "0.01%")),
  corruptCorrelation: correlation("a corruption"),
  reorder: v.optional(share("Share of frames that overtake: sent at once, without the delay.", "5%")),
  reorderCorrelation: correlation("overtaking"),
  queue: v.optional(field({
    description:
      "Room for frames that wait, 1packets to 1000000packets or, where there is a rate, 1600B to 1GiB. " +
      "Default: 50 frames, 50ms at the rate or twice the delay, whichever is most.",
    wanted: FORMS.queue,
    unit: "packets",
    pattern: PATTERNS.queue,
    examples: ["100packets", "64KiB"],
  }, limitedQueue)),
};

/** A direction of a link. */
export const direction = map("A direction", shapeKeys);

/** What is written of a direction: microseconds, bit/s, percent. */
export type DirectionDraft = v.InferOutput<typeof direction>;
