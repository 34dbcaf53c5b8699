// What stands between the shaping of a link that is and the shaping that should be: qdiscs on the host end and on the
// ifb, the ifb itself, and what leads there. Pure. What a shape comes to in qdiscs is shape.ts's.
import { generationOf } from "./life.ts";
import { qdiscLines, type Qdiscs, shapeDiffers } from "./shape.ts";
import type { Seen, Step } from "./step.ts";
import { ifbLines, type LinkWiring, redirectLines, type Wiring } from "./wiring.ts";

/** The steps that shape one link. `fresh`: its host end is made in this very pass, so that it has no qdisc yet. */
export function shapeSteps(
  wiring: Wiring,
  link: LinkWiring,
  seen: Seen,
  fresh: boolean,
  alias: string,
): Step[] {
  const { view } = seen;
  const resource = `shaping ${wiring.vnode}/${link.name}`;
  const steps = qdiscSteps(
    `${resource} ingress`,
    link.end,
    fresh ? [] : view.qdiscs.get(link.end) ?? [],
    link.ingress,
  );
  const hasIngress = !fresh && (view.qdiscs.get(link.end) ?? []).some((qdisc) => qdisc.kind === "ingress");
  if (link.ifb === null) {
    if (!hasIngress) return steps;
    // A redirect whose ifb is gone drops all that the vnode says.
    const why = "what it says is not shaped any more";
    return [...steps, {
      resource: `${resource} redirect`,
      verb: "delete",
      why,
      tc: [`qdisc del dev ${link.end} ingress`],
    }];
  }
  const ifb = view.links.get(link.ifb);
  const stale = ifb !== undefined && ifb.ifalias !== alias;
  const lacking = ifb === undefined || stale;
  if (lacking) {
    steps.push({
      resource: `${resource} ifb`,
      verb: stale ? "replace" : "create",
      why: stale ? `of another life ("${ifb.ifalias ?? ""}")` : "missing",
      clear: stale ? [link.ifb] : [],
      host: ifbLines(wiring, link, generationOf(seen.life)),
    });
  } else if (!ifb.flags.includes("UP")) {
    steps.push({
      resource: `${resource} ifb`,
      verb: "update",
      why: "down",
      host: [`link set ${link.ifb} up`],
    });
  }
  steps.push(
    ...qdiscSteps(
      `${resource} egress`,
      link.ifb,
      lacking ? [] : view.qdiscs.get(link.ifb) ?? [],
      link.egress,
    ),
  );
  if (lacking || !hasIngress || !seen.redirected.has(link.end)) {
    steps.push({
      resource: `${resource} redirect`,
      verb: hasIngress ? "replace" : "create",
      why: hasIngress ? "leads elsewhere" : "missing",
      tc: [...(hasIngress ? [`qdisc del dev ${link.end} ingress`] : []), ...redirectLines(link)],
    });
  }
  return steps;
}

/** The step that makes the qdiscs on a device's root so, if it takes one. */
export function qdiscSteps(
  resource: string,
  dev: string,
  found: Parameters<typeof shapeDiffers>[0],
  wanted: Qdiscs,
): Step[] {
  const differs = shapeDiffers(found, wanted);
  if (differs === null) return [];
  const lines = differs.how === "replace"
    ? qdiscLines(dev, wanted, "replace", found)
    : [...(differs.how === "add" ? [] : [`qdisc del dev ${dev} root`]), ...qdiscLines(dev, wanted)];
  const { how, why } = differs;
  return [{ resource, verb: how === "add" ? "create" : "update", why, tc: lines }];
}
