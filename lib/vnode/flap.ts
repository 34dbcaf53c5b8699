// Links that go up and down by the clock. The state at a moment follows from that moment alone: no process has to
// remember anything, and a watch that was away goes on where the schedule is. Pure.
import type { Flap, VnodeSpec } from "../config/types.ts";

/** Whether such a link is up at a moment, and when that changes next. Unix time in milliseconds. */
export function linkUpAt(
  { upMs, downMs, offsetMs }: Flap,
  nowMs: number,
): { readonly up: boolean; readonly nextMs: number } {
  const period = upMs + downMs;
  const since = ((nowMs - offsetMs) % period + period) % period;
  return since < upMs
    ? { up: true, nextMs: nowMs - since + upMs }
    : { up: false, nextMs: nowMs - since + period };
}

/** A spec in which each link that flaps is up or down as it is at a moment. One that is set down stays down. */
export function flappedSpec(spec: VnodeSpec, nowMs: number): VnodeSpec {
  if (!spec.links.some((link) => link.flap !== undefined)) return spec;
  return {
    ...spec,
    links: spec.links.map((link) =>
      link.flap === undefined || linkUpAt(link.flap, nowMs).up ? link : { ...link, up: false as const }
    ),
  };
}

/** When any link of a spec changes next by the clock, or null. A link that is set down does not. */
export function nextFlapMs(spec: VnodeSpec, nowMs: number): number | null {
  const next = spec.links.flatMap(({ flap, up }) =>
    flap === undefined || up === false ? [] : [linkUpAt(flap, nowMs).nextMs]
  );
  return next.length === 0 ? null : Math.min(...next);
}
