// The keys that shape a link, for both ways or one. Owns no rules between them (check_shape.ts).
import * as v from "valibot";
import { field, map, Problem } from "./problem.ts";
import { FORMS, parseDelay, parsePercent, parseRate, PATTERNS } from "./units.ts";

function limited(parse: (text: string) => number | Problem, least: number, most: number, wanted: string) {
  return (text: string): number | Problem => {
    const value = parse(text);
    if (value instanceof Problem || (value >= least && value <= most)) return value;
    return new Problem(value < least ? "Is too low" : "Is too high", wanted);
  };
}

/** Keys of shaping, as they stand on a link and in one direction of it. */
export const shapeKeys = {
  rate: v.optional(field({
    description: "Bandwidth, 8kbit to 10gbit: Ethernet frames without preamble and FCS.",
    wanted: FORMS.rate,
    unit: "mbit",
    pattern: PATTERNS.rate,
    examples: ["10mbit", "64kbit"],
  }, limited(parseRate, 8000, 10e9, "a rate from 8kbit to 10gbit"))),
  delay: v.optional(field({
    description: "Added delay, at most 60s. Needs netem in the vhost's kernel.",
    wanted: FORMS.delay,
    unit: "ms",
    pattern: PATTERNS.delay,
    examples: ["20ms", "500us"],
  }, limited(parseDelay, 0, 60e6, "a delay of at most 60s"))),
  loss: v.optional(field({
    description: "Share of frames lost. Needs netem in the vhost's kernel.",
    wanted: FORMS.percent,
    unit: "%",
    pattern: PATTERNS.percent,
    examples: ["1%", "0.1%"],
  }, parsePercent)),
};

/** A direction of a link. */
export const direction = map("A direction", shapeKeys);
