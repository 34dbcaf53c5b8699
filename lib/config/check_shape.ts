// The rules of one direction's shaping: what is said for it over what is said for both. Makes the normal form.
import type { Shape } from "./types.ts";

/** What is written for shaping, of one direction or both. */
export type ShapeDraft = { readonly rate?: number; readonly delay?: number; readonly loss?: number };

/** What is said for one direction, over what is said for both. */
export function shapeOf(both: ShapeDraft, one: ShapeDraft | undefined): Shape {
  const rateBps = one?.rate ?? both.rate;
  const delayUs = one?.delay ?? both.delay;
  const lossPercent = one?.loss ?? both.loss;
  return {
    ...(rateBps === undefined ? {} : { rateBps }),
    // No delay and no loss are the same as none said: they must not ask for netem.
    ...(delayUs === undefined || delayUs === 0 ? {} : { delayUs }),
    ...(lossPercent === undefined || lossPercent === 0 ? {} : { lossPercent }),
  };
}
