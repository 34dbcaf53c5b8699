// A link's carrier, changed while its vnode runs: into the record, the gate's batches and the kernel. It stays through
// restarts and reboots until it is reset, or the spec says something else (live.ts). Only the host's end is touched.
import type { Flap, LinkSpec } from "../config/types.ts";
import type { Ground, Outcome } from "./ground.ts";
import { knownLink } from "./known.ts";
import { withLive } from "./live.ts";
import { amendLive } from "./live_changes.ts";
import type { LiveLink } from "./record.ts";
import { forEachInTurn } from "./turn.ts";

/** Steadily up or down, by a schedule, or as the spec says. */
export type LinkState = "up" | "down" | "reset" | Flap;

/** What is to be live of a link, beside its spec, for a state. undefined: as the spec says. */
export function liveState(link: LinkSpec, state: LinkState): Pick<LiveLink, "up" | "flap"> {
  if (state === "reset") return { up: undefined, flap: undefined };
  if (state === "down") return { up: link.up === false ? undefined : false, flap: undefined };
  const up = link.up === false ? true : undefined;
  if (state === "up") return { up, flap: link.flap === undefined ? undefined : null };
  const isSame = JSON.stringify(state) === JSON.stringify(link.flap);
  return { up, flap: isSame ? undefined : state };
}

/**
 * Gives a link a state. Does nothing where it has it.
 *
 * @returns one outcome, with the error where there is no such vnode or link, or it has no end on the host.
 */
export async function setLinkState(
  ground: Ground,
  vnode: string,
  name: string,
  state: LinkState,
): Promise<Outcome[]> {
  const needs = {
    what: "taken down",
    next: `nsenter --net=/proc/PID/ns/net ip link set dev ${name} down, as its user would`,
  };
  return await forEachInTurn(
    ground,
    [vnode],
    () =>
      amendLive(ground, vnode, (now) => withLive(now, name, liveState(knownLink(now, name, needs), state))),
    (_, error): Outcome => ({ vnode, changed: false, did: [], error }),
  );
}
