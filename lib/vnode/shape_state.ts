// What is asked of a link's shaping, what of it was changed live, and what the kernel does. Reads only.
import type { Way } from "../config/shape_text.ts";
import type { Shape } from "../config/types.ts";
import type { Look } from "../host/types.ts";
import { hostEndName, ifbName } from "./names.ts";
import { qdiscsOf, shapeDiffers } from "./shape.ts";
import type { ShapedLink } from "./shape_link.ts";
import { readHostView } from "./view.ts";

/** One direction of a link. */
export interface ShapingState {
  readonly way: Way;
  /** As the spec says. */
  readonly asked: Shape;
  /** As it was changed live; null where it was not. */
  readonly live: Shape | null;
  /** "as wanted", "not running", or what differs. */
  readonly kernel: string;
}

/** Both directions of a link, held against the kernel. */
export async function readShaping(
  look: Look,
  vnode: string,
  { asked, now }: ShapedLink,
): Promise<readonly ShapingState[]> {
  const view = await readHostView(look);
  const end = hostEndName(vnode, now.name);
  return (["egress", "ingress"] as const).map((way) => {
    const found = view.qdiscs.get(way === "egress" ? ifbName(vnode, now.name) : end) ?? [];
    const kernel = !view.links.has(end)
      ? "not running"
      : shapeDiffers(found, qdiscsOf(now[way], now.mtu))?.why ?? "as wanted";
    const isSame = JSON.stringify(now[way]) === JSON.stringify(asked[way]);
    return { way, asked: asked[way], live: isSame ? null : now[way], kernel };
  });
}
