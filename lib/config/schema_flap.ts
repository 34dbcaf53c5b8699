// The keys of a link's state: without carrier, or up and down by the clock. Makes the schedule's normal form.
import * as v from "valibot";
import { field, flag, map } from "./problem.ts";
import type { Flap } from "./types.ts";
import { FORMS, limited, parseDuration, PATTERNS } from "./units.ts";

const DAY_MS = 86_400_000;
/** A change takes the watch some 50 ms. */
const LEAST_MS = 100;

function duration(description: string, least: number, wanted: string) {
  return field(
    { description, wanted: FORMS.duration, unit: "s", pattern: PATTERNS.duration },
    limited(parseDuration, { least, most: DAY_MS }, wanted, ["short", "long"]),
  );
}

/** How long a link that flaps is up, or down. */
export const flapTime = (description: string) =>
  duration(description, LEAST_MS, "a duration from 100ms to 24h");

/** A schedule. */
export const flapSchema = map("A schedule", {
  up: flapTime("How long the link is up, 100ms to 24h. A period begins with it."),
  down: flapTime("How long it is down then."),
  offset: v.optional(
    duration(
      "Periods are counted from this long after the beginning of 1970 (UTC): two links with one schedule change together.",
      0,
      "a duration from 0s to 24h",
    ),
    "0s",
  ),
});

/** Keys of a link. */
export const stateKeys = {
  up: v.optional(
    flag("false: the link has no carrier inside, until berth vnode link says otherwise. Default: true."),
  ),
  flap: v.optional(
    v.pipe(
      flapSchema,
      v.description("The link goes down and comes up by the clock; needs a watch that runs."),
    ),
  ),
};

/** The normal form of what is written of a link's state; what was refused is left out. */
export function stateOf(draft: {
  readonly up?: boolean;
  readonly flap?: { readonly up?: number; readonly down?: number; readonly offset?: number } | null;
}): { readonly up?: false; readonly flap?: Flap } {
  const { up, down, offset } = draft.flap ?? {};
  return {
    ...(draft.up === false && { up: false as const }),
    ...(up !== undefined && down !== undefined && offset !== undefined && {
      flap: { upMs: up, downMs: down, offsetMs: offset },
    }),
  };
}
