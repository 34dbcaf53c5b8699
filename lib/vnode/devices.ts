// Links that are devices of the machine's own, handed in. Such a device goes into the vnode under our mark, which holds
// what it was; when the vnode dies, the kernel gives it back to the host, down and under its name inside, and it is made
// what it was. Never deleted. Pure but for the two that look; the steps are run by wire.ts.
import { systemClock } from "../docker/clock.ts";
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { generationOf } from "./life.ts";
import { type GivenDevice, linkAlias, parseLinkAlias } from "./names.ts";
import type { Seen, Step } from "./step.ts";
import { type FoundLink, type HostView, readHostView } from "./view.ts";
import { insideLinkLines, type LinkWiring, type Wiring } from "./wiring.ts";

/** A device on the host that bears a vnode's mark. */
interface Marked {
  readonly found: FoundLink;
  readonly link: string;
  readonly generation: string;
  readonly device: GivenDevice;
}

function markedDevices(view: HostView, vnode: string): Marked[] {
  return [...view.links.values()].flatMap((found) => {
    const mark = parseLinkAlias(found.ifalias);
    return mark?.vnode !== vnode || mark.device === undefined
      ? []
      : [{ found, link: mark.link, generation: mark.generation, device: mark.device }];
  });
}

/** A device on the host, under whatever name, and what it was before it was handed in first. */
export function deviceOn(
  view: HostView,
  vnode: string,
  name: string,
): { found: FoundLink; was: GivenDevice } | null {
  const marked = markedDevices(view, vnode).find(({ device }) => device.name === name);
  if (marked !== undefined) return { found: marked.found, was: marked.device };
  const found = view.links.get(name);
  if (found === undefined) return null;
  const { address: mac = "", mtu, flags } = found;
  return { found, was: { name, mac, mtu, up: flags.includes("UP") } };
}

/** Why a device cannot be handed in, by what it is on the host; null where it can. */
export function unfitness({ ifname, master, linkinfo }: FoundLink): string | null {
  const kind = linkinfo?.info_kind ?? "";
  if (kind !== "") return `is a ${kind}: the kernel would delete it with the vnode, not give it back`;
  if (ifname === "lo") return "is the machine's loopback";
  return master === undefined ? null : `is a port of "${master}"`;
}

/** @throws {BerthError} where a life that begins would have to do without a device, or has one that is unfit. */
export function requireDevices(wiring: Wiring, seen: Seen): void {
  if (seen.inside === null) return;
  for (const link of wiring.links) {
    if (link.kind !== "device" || isHandedIn(wiring.vnode, link, seen.inside.get(link.name))) continue;
    const device = deviceOn(seen.view, wiring.vnode, link.device!);
    const why = device === null ? "is not on this machine" : unfitness(device.found);
    if (why === null || (device === null && seen.settled && !seen.half?.has(link.name))) continue;
    throw new BerthError({
      code: device === null ? "missing" : "refused",
      object: `vnode ${wiring.vnode}`,
      message: `Cannot hand in ${link.name}: device "${link.device}" ${why}`,
      next: "ip -d link show",
    });
  }
}

/** Whether a link inside is the device that the wiring means. */
export function isHandedIn(vnode: string, link: LinkWiring, inside: FoundLink | undefined): boolean {
  const mark = parseLinkAlias(inside?.ifalias);
  return mark?.vnode === vnode && mark.link === link.name && mark.device?.name === link.device;
}

/** The steps that hand a device in, or give a new life what it lacks there; [] where inside was not looked at. */
export function deviceSteps(wiring: Wiring, link: LinkWiring, seen: Seen): Step[] {
  if (seen.inside === null) return [];
  const resource = `link ${wiring.vnode}/${link.name}`;
  const inside = seen.inside.get(link.name);
  if (isHandedIn(wiring.vnode, link, inside)) {
    const isNew = !seen.settled || seen.half?.has(link.name) === true;
    const addresses = link.addresses.filter((address) => !inside!.addresses.includes(address));
    if (!isNew || (addresses.length === 0 && inside!.flags.includes("UP"))) return [];
    const why = addresses.length === 0 ? "down inside" : `lacks ${addresses.join(", ")} inside`;
    const lines = insideLines({ ...link, addresses });
    return [{ resource, verb: "update", why, sysctls: link.sysctls, inside: lines }];
  }
  const device = deviceOn(seen.view, wiring.vnode, link.device!);
  // Where the machine has it no more, a life that began with it goes on; a new one is refused (wire.ts).
  if (device === null) return [];
  const { found, was } = device;
  const { ifname } = found;
  const alias = linkAlias(wiring.vnode, link.name, generationOf(seen.life), was);
  return [{
    resource,
    verb: "create",
    why: `device "${link.device}" is on the host`,
    makes: [link.name],
    host: [
      // The mark first: whatever comes between, it is known what it was.
      `link set dev ${ifname} alias ${alias}`,
      `link set dev ${ifname} down`,
      `link set dev ${ifname} netns ${seen.life.pid} name ${link.name}`,
    ],
    sysctls: link.sysctls,
    // As it comes back from another life it may have what that one was given.
    inside: insideLines({
      ...link,
      mac: link.mac || (found.address === was.mac ? "" : was.mac),
      mtu: link.mtu || (found.mtu === was.mtu ? 0 : was.mtu),
    }),
  }];
}

function insideLines(link: LinkWiring): string[] {
  return [
    ...(link.mac === "" ? [] : [`link set dev ${link.name} address ${link.mac}`]),
    ...(link.mtu === 0 ? [] : [`link set dev ${link.name} mtu ${link.mtu}`]),
    ...insideLinkLines(link),
  ];
}

/** Devices that an operator took from a vnode: steps for a running life. Once home, they are made what they were. */
export function deviceLeaves(before: Wiring, after: Wiring): Step[] {
  return before.links.filter((old) => old.kind === "device").flatMap((old) => {
    const link = after.links.find((one) => one.name === old.name);
    if (link?.device === old.device) return [];
    return [{
      resource: `link ${after.vnode}/${old.name}`,
      verb: "delete" as const,
      why: `"${old.device}" goes back to the host`,
      leave: [`link set dev ${old.name} down`, `link set dev ${old.name} netns 1 name ${old.device}`],
      frees: true as const,
    }];
  });
}

/** The steps that make devices what they were which are on the host under a vnode's mark. */
export function homeSteps(
  view: HostView,
  vnode: string,
  picks: (mark: Omit<Marked, "found">) => boolean,
): Step[] {
  return markedDevices(view, vnode).filter(picks).flatMap((marked) => homeStep(view, vnode, marked));
}

/** Devices on the host that bear a vnode's mark, and are none of its links by now. */
export function strayDeviceSteps(wiring: Wiring, view: HostView): Step[] {
  const wanted = new Set(wiring.links.map(({ device }) => device));
  return homeSteps(view, wiring.vnode, ({ device }) => !wanted.has(device.name));
}

function homeStep(view: HostView, vnode: string, { found, link, device }: Marked): Step[] {
  const { name, mac, mtu, up } = device;
  // Another one has its name by now: it keeps the one that it has, and its mark, until that is free.
  const isTaken = found.ifname !== name && view.links.has(name);
  const own = isTaken ? found.ifname : name;
  const isUp = found.flags.includes("UP");
  const changes = [
    ...(found.ifname === own ? [] : [`link set dev ${found.ifname} name ${own}`]),
    ...(found.address === mac ? [] : [`link set dev ${own} address ${mac}`]),
    ...(found.mtu === mtu ? [] : [`link set dev ${own} mtu ${mtu}`]),
  ];
  if (isTaken && changes.length === 0 && isUp === up) return [];
  return [{
    resource: `device ${name}`,
    verb: "restore",
    why: isTaken ? `back from ${vnode}/${link}, its name is taken` : `back from ${vnode}/${link}`,
    host: [
      ...(changes.length > 0 && isUp ? [`link set dev ${found.ifname} down`] : []),
      ...changes,
      ...(up ? [`link set dev ${own} up`] : isUp && changes.length === 0 ? [`link set dev ${own} down`] : []),
      ...(isTaken ? [] : [`link set dev ${own} alias ""`]),
    ],
  }];
}

/** Milliseconds that the kernel may take to give devices back: it ends a namespace some time after its last process. */
const RETURN_MS = 10_000;
const STEP_MS = 50;

/**
 * Waits until devices are on the host, under whatever name: those of vnodes that have died. Goes on without them after
 * a while, for one may have been pulled out: the next look makes it what it was.
 */
export async function devicesBack(
  look: Look,
  vnode: string,
  links: readonly { readonly device?: string }[],
): Promise<void> {
  const names = links.flatMap(({ device }) => device ?? []);
  if (names.length === 0) return;
  for (let waited = 0; waited < RETURN_MS; waited += STEP_MS) {
    const view = await readHostView(look);
    if (names.every((name) => deviceOn(view, vnode, name) !== null)) return;
    await systemClock.wait(STEP_MS);
  }
}
