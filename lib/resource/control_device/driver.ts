// The driver of the control network against what stands: bridge and macvlan are different links of one name, and
// neither becomes the other under the vnodes and devices on it. Only looks; asked before anything is changed.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { linkOf } from "../kinds/link.ts";

/** The two ways of putting vnodes on the control network: also the kinds of the link that stands for it. */
export type ControlDriver = "bridge" | "macvlan";

/**
 * Whether the link of that name, where berth has made one, is of this driver. A link of others is refused by whoever
 * would make ours.
 *
 * @throws {BerthError} code `refused` where it is of the other driver.
 */
export async function checkControlDriver(look: Look, name: string, driver: ControlDriver): Promise<void> {
  const link = await linkOf(look, name);
  const kind = link?.linkinfo?.info_kind;
  if (link?.ifalias?.startsWith("berth") !== true || kind === driver) return;
  if (kind !== "bridge" && kind !== "macvlan") return;
  throw new BerthError({
    code: "refused",
    object: `${driver} ${name}`,
    message: `Link "${name}" is a ${kind} of berth's, wanted a ${driver}: it cannot be changed in place`,
    next:
      `Set controlNet.driver back to ${kind}, take the vnodes down, run berth host down, then set it again and run ` +
      "berth host up",
  });
}
