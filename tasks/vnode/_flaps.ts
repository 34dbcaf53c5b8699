// Schedules of links are kept by the watch, which has to be told of new ones: no event of the engine's goes with them.
import type { Flap } from "../../lib/config/types.ts";
import type { Host } from "../../lib/host/types.ts";
import type { Log } from "../../lib/log/log.ts";
import { nudgeWatch } from "../../lib/watch/presence.ts";

/** Has the watch look where a link of these specs flaps; says so where none runs. */
export async function tellFlaps(
  { host, log, mode }: { readonly host: Host; readonly log: Log; readonly mode: "apply" | "plan" },
  specs: readonly { readonly links: readonly { readonly flap?: Flap }[] }[],
): Promise<void> {
  if (mode === "plan" || !specs.some(({ links }) => links.some((link) => link.flap !== undefined))) return;
  if (!await nudgeWatch(host)) {
    log.warn("No watch runs: links that flap stay as they are", { next: "berth boot" });
  }
}
