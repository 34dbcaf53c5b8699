// One line of the engine's event stream → one EngineEvent, the same over all API versions. Pure.
import type { EngineEvent } from "./types.ts";

/** A field that may be missing or of any type, as text. */
const text = (value: unknown) => typeof value === "string" ? value : "";

/**
 * Reads a line. API 1.52 dropped `status`, `id` and `from`; older ones have both forms.
 *
 * @throws {SyntaxError} when it is no JSON or no event.
 */
export function parseEvent(line: string): EngineEvent {
  const said: unknown = JSON.parse(line);
  if (said === null || typeof said !== "object") throw new SyntaxError("not an object");
  const { Type, Action, Actor, status, id, time } = said as Record<string, unknown>;
  const actor = (Actor ?? {}) as { ID?: unknown; Attributes?: unknown };
  const whole = text(Action) || text(status);
  if (whole === "") throw new SyntaxError('"Action" is missing');
  // "exec_start: sh -c …", "health_status: healthy": the name ends at the colon, the rest is data.
  const colon = whole.indexOf(":");
  const attributes: Record<string, string> = {};
  for (const [key, value] of Object.entries(actor.Attributes ?? {})) attributes[key] = String(value);
  return {
    // Events without a type were about containers (before API 1.22).
    type: text(Type) || "container",
    action: colon < 0 ? whole : whole.slice(0, colon),
    detail: colon < 0 ? "" : whole.slice(colon + 1).trim(),
    id: text(actor.ID) || text(id),
    name: attributes["name"] ?? "",
    attributes,
    timeNano: exactTimeNano(line) ?? `${typeof time === "number" ? time : 0}000000000`,
  };
}

/**
 * `timeNano` with all its digits: as a number it loses the last ones. Looked for in the line itself; an attribute
 * cannot be taken for it, for attributes are strings, and quotes inside strings are escaped.
 */
function exactTimeNano(line: string): string | undefined {
  return /"timeNano"\s*:\s*(\d+)/.exec(line)?.[1];
}

/** What makes two tellings of an event the same. */
export function eventKey(event: EngineEvent): string {
  return `${event.timeNano} ${event.type} ${event.action} ${event.detail} ${event.id}`;
}

/** Nanoseconds as the `since` parameter wants them: "SECONDS.NANOS". */
export function sinceParameter(timeNano: string): string {
  const digits = timeNano.padStart(10, "0");
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`;
}
