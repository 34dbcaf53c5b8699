// `berth vnode link`: a link's carrier, while its vnode runs.
import * as v from "valibot";
import { task } from "../../lib/cli/task.ts";
import { flapTime } from "../../lib/config/schema_flap.ts";
import { BerthError } from "../../lib/log/error.ts";
import { type LinkState, setLinkState } from "../../lib/vnode/link_state.ts";
import { readWatch } from "../../lib/watch/presence.ts";
import { tellFlaps } from "./_flaps.ts";
import { madeRecord } from "./_names.ts";
import { groundOf, report } from "./_report.ts";

const STATES = ["up", "down", "flap", "reset"];
const time = (description: string) =>
  v.optional(v.pipe(v.string(), v.description(`${description}, such as 10s`)));

/** Takes a link down or up, or has it go down and up by the clock. Does nothing where it does so already. */
export default task({
  summary: "Take a link down or up, or have it flap",
  description: `
STATE is up, down, flap or reset. A link that is down has no carrier inside, as with a cable pulled out; its addresses
and routes stay. The state stays through restarts and reboots until "reset" takes it back to what the spec says, or the
spec itself says something else. A link that flaps is up for --up, then down for --down, and so on, counted from the
beginning of 1970: links with the same times change together. It needs a watch that runs.

Examples:
  berth vnode link left eth1 down
  berth vnode link left eth1 flap --up 10s --down 2s
  berth vnode link left eth1 reset
`,
  args: ["NAME", "LINK", "STATE"],
  completes: "vnodes",
  changes: true,
  options: v.object({
    up: time("With flap: how long it is up"),
    down: time("With flap: how long it is down"),
  }),
  async run(context) {
    const [vnode, link, word] = context.args as [string, string, string];
    const { up, down } = context.options;
    const state = stateOf(word, up, down);
    await madeRecord(context, vnode);
    if (typeof state === "object" && (await readWatch(context.host)) === null) {
      throw new BerthError({
        code: "missing",
        object: `vnode ${vnode}`,
        message: "No watch runs that could take the link down and up",
        next: "berth boot",
      });
    }
    const outcomes = await setLinkState(await groundOf(context, "berth vnode link"), vnode, link, state);
    if (typeof state === "object") {
      await tellFlaps(context, [{ links: [{ flap: state }] }]);
    }
    report(context, outcomes, "changed");
  },
});

function stateOf(word: string, up: string | undefined, down: string | undefined): LinkState {
  const refuse = (message: string, next: string) => {
    throw new BerthError({ code: "usage", object: "berth vnode link", message, next });
  };
  if (!STATES.includes(word)) refuse(`"${word}" is no state of a link`, `One of ${STATES.join(", ")}`);
  if (word !== "flap") {
    if (up !== undefined || down !== undefined) refuse("--up and --down go with flap", "Leave them out");
    return word as LinkState;
  }
  const milliseconds = (option: string, text: string | undefined): number => {
    const parsed = v.safeParse(flapTime(option), text);
    if (!parsed.success) {
      refuse(`--${option} is no time for flap: a duration from 100ms to 24h`, `--${option} 10s`);
    }
    return parsed.output as number;
  };
  return { upMs: milliseconds("up", up), downMs: milliseconds("down", down), offsetMs: 0 };
}
