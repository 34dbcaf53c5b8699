// Where what a vnode says is led: `tc` shows filters for one device at a time only, so they are no part of the look at
// the host, and asked for in one batch. Reads only; what the redirects should be is wiring.ts's.
import type { Look } from "../host/types.ts";
import { HOST_END_PREFIX } from "./names.ts";
import { type HostView, parseJson, readHostView } from "./view.ts";
import type { LinkWiring } from "./wiring.ts";

/** A filter as `tc -j filter show` prints it; only what is read. */
interface FoundFilter {
  readonly protocol?: string;
  readonly options?: { readonly actions?: readonly { readonly kind: string; readonly to_dev?: string }[] };
}

/** The host ends of those of these links whose redirect leads to their ifb. */
export async function redirectedOf(
  look: Look,
  links: readonly LinkWiring[],
  view: HostView,
): Promise<Set<string>> {
  const shaped = links.filter((link) => link.ifb !== null && hasIngress(view, link.end));
  const leads = view.redirects ?? await readRedirects(look, shaped.map((link) => link.end));
  return new Set(shaped.filter((link) => leads.get(link.end) === link.ifb).map((link) => link.end));
}

/** A look at the host with all redirects in it: for many vnodes, each of which would ask for its own. */
export async function readWholeView(look: Look): Promise<HostView> {
  const view = await readHostView(look);
  const ends = [...view.links.keys()].filter((name) =>
    name.startsWith(HOST_END_PREFIX) && hasIngress(view, name)
  );
  return { ...view, redirects: await readRedirects(look, ends) };
}

function hasIngress(view: HostView, device: string): boolean {
  return (view.qdiscs.get(device) ?? []).some((qdisc) => qdisc.kind === "ingress");
}

/** Where what enters devices is led, of every protocol. */
async function readRedirects(look: Look, devices: readonly string[]): Promise<ReadonlyMap<string, string>> {
  if (devices.length === 0) return new Map();
  const output = await look.query({
    argv: ["tc", "-j", "-batch", "-"],
    input: devices.map((device) => `filter show dev ${device} parent ffff:\n`).join(""),
    okExit: [0, 1, 2],
  });
  // A line for each show, in order. It stops at a device that has gone meanwhile: those after it count as not led.
  const answers = output.stdout.trim().split("\n");
  return new Map(devices.flatMap((device, at) => {
    const filters = parseJson<FoundFilter[]>(answers[at] ?? "", "tc filter show");
    const actions = filters.filter((filter) => filter.protocol === "all")
      .flatMap((filter) => filter.options?.actions ?? []);
    const to = actions.find((action) => action.kind === "mirred")?.to_dev;
    return to === undefined ? [] : [[device, to] as const];
  }));
}
