// wire(): makes the host-side kernel state of one running vnode what its spec says. unwire(): takes it away.
// Called by the gate before the first instruction, by the watch after events and at each resync, and by an
// operator's live change. One lock per vnode, never held across a call of Docker's. The marks stand on the
// objects themselves, so nothing of this is journalled.
import type { VnodeSpec } from "../config/types.ts";
import { locked } from "../host/locked.ts";
import type { Host, Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { applySteps } from "./apply_steps.ts";
import { devicesBack, homeSteps, isHandedIn } from "./devices.ts";
import { staleControlLines } from "./control_steps.ts";
import { stepsOf } from "./difference.ts";
import { removalLines, standing } from "./element_steps.ts";
import { elementsOf } from "./elements.ts";
import { namesStep, writeNames } from "./hosts_file.ts";
import { generationOf, isAlive, type Life, readBootId, startTimeOf } from "./life.ts";
import { CONTROL_NETWORK, parseLinkAlias } from "./names.ts";
import { readLife, writeLife } from "./life_note.ts";
import { lifePath, vnodeLockPath } from "./paths.ts";
import { redirectedOf } from "./redirects.ts";
import { controlInside, requireGround } from "./required.ts";
import type { Seen, Step } from "./step.ts";
import { type HostView, peerOf, readHostView, readInside } from "./view.ts";
import type { Wiring } from "./wiring.ts";

/** What wiring (or taking it away) came to. */
export interface Wired {
  readonly steps: readonly Step[];
  readonly changed: boolean;
  /** The life that is wired; null when it had gone meanwhile, or after unwire. */
  readonly generation: string | null;
}

export interface WireOptions {
  /** The caller holds the vnode's lock (the gate's script does). @default {false} */
  readonly locked?: boolean;
  /** Milliseconds to wait for the lock. @default {10000} */
  readonly waitMs?: number;
  /** A look at the host that was made already; one of our own otherwise. */
  readonly view?: HostView;
  /** The container's hosts file. */
  readonly hostsPath?: string;
  /** Its names in that file are the operator's to change: made so in a life that is settled, too. @default {false} */
  readonly names?: boolean;
  /** What the operator changed inside, given to a life that is settled; a new one gets the whole spec anyway. */
  readonly inside?: readonly Step[];
  /** Looks again at what was done. The gate does not: the watch looks right after the start. @default {true} */
  readonly readBack?: boolean;
  /** Only tell. @default {false} */
  readonly plan?: boolean;
}

/**
 * Wires a running vnode. Does nothing when everything stands.
 *
 * @throws {BerthError} `locked` (somebody else is at it), `missing` (a lan, the firewall), `command-failed`,
 * `not-converged` (the kernel did not take it).
 */
export async function wire(
  host: Host,
  wiring: Wiring,
  life: Life,
  options: WireOptions = {},
): Promise<Wired> {
  const view = options.view;
  if (view !== undefined) {
    // The cheap way: most looks find nothing to do, and need no lock for it.
    const seen = await see(host, wiring, life, view);
    if (seen.settled && stepsOf(wiring, seen).length === 0) {
      const steps = await ownSteps(host, wiring, options);
      // What the operator changed inside needs no other look.
      if (steps.length > 0 && options.plan !== true) await giveInside(host, wiring, life, steps, options);
      return { steps, changed: steps.length > 0, generation: generationOf(life) };
    }
  }
  if (options.plan === true) {
    const seen = await see(host, wiring, life, view ?? (await readHostView(host)));
    const steps = await allSteps(host, wiring, seen, options);
    return { steps, changed: steps.length > 0, generation: generationOf(life) };
  }
  return await withLock(host, wiring.vnode, options, async () => {
    if ((await startTimeOf(host, life.pid)) !== life.startTime) {
      return { steps: [], changed: false, generation: null };
    }
    await awaitDevices(host, wiring, life);
    const seen = await see(host, wiring, life, readHostView(host));
    requireGround(wiring, seen);
    const steps = await allSteps(host, wiring, seen, options);
    const made = steps.flatMap((step) => step.makes ?? []);
    const half = seen.settled ? [...new Set([...seen.half ?? [], ...made])] : [];
    if (half.length > 0) await writeLife(host, wiring.vnode, life, seen.port, half);
    await runSteps(host, wiring, life, steps, options);
    if (!seen.settled || options.names === true) await writeNames(host, wiring, options.hostsPath);
    if (steps.length > 0 && options.readBack !== false) await readBack(host, wiring, life, seen.settled);
    if (!seen.settled || half.length > 0 || steps.some((step) => step.resource.startsWith("control"))) {
      await writeLife(host, wiring.vnode, life, seen.port);
    }
    return { steps, changed: steps.length > 0, generation: generationOf(life) };
  });
}

async function allSteps(look: Look, wiring: Wiring, seen: Seen, options: WireOptions): Promise<Step[]> {
  const steps = stepsOf(wiring, seen);
  if (!seen.settled) return steps;
  // Last those routes that a link made anew has lost: they may lean on what another link is given in the same pass.
  const routes = steps.filter(({ resource }) => resource === `routes ${wiring.vnode}`);
  const others = steps.filter((step) => !routes.includes(step));
  return [...others, ...await ownSteps(look, wiring, options), ...routes];
}

/** What the operator changed of a life that is settled. */
async function ownSteps(
  look: Look,
  wiring: Wiring,
  { inside = [], names = false, hostsPath }: WireOptions,
): Promise<Step[]> {
  const named = names ? await namesStep(look, wiring, hostsPath) : null;
  return [...inside, ...(named === null ? [] : [named])];
}

/**
 * Runs steps. What they give back to the host is made what it was, or handed in elsewhere, by a second look. So is
 * it where they fail with a device among them: udev gives one that came back its name at any moment.
 */
async function runSteps(
  host: Host,
  wiring: Wiring,
  life: Life,
  steps: readonly Step[],
  options: WireOptions,
): Promise<void> {
  const again = async (all: typeof allSteps) => {
    const seen = await see(host, wiring, life, readHostView(host));
    await applySteps(host, wiring.vnode, await all(host, wiring, seen, options), life.pid);
  };
  try {
    await applySteps(host, wiring.vnode, steps, life.pid);
  } catch (error) {
    if (!wiring.links.some(({ kind }) => kind === "device")) throw error;
    await again(allSteps);
  }
  // What was changed inside is given by now.
  if (steps.some(({ frees }) => frees)) await again((_, own, seen) => Promise.resolve(stepsOf(own, seen)));
}

/** Waits for devices that the kernel has still to give back from the life before. */
async function awaitDevices(look: Look, wiring: Wiring, life: Life): Promise<void> {
  const devices = wiring.links.filter(({ kind }) => kind === "device");
  if (devices.length === 0 || (await readLife(look, wiring.vnode))?.generation === generationOf(life)) return;
  const inside = await readInside(look, life.pid);
  const lacking = devices.filter((link) => !isHandedIn(wiring.vnode, link, inside.get(link.name)));
  await devicesBack(look, wiring.vnode, lacking);
}

/** The same for a vnode that does not run: whose life was wired, and is over by now. */
async function awaitHome(look: Look, vnode: string, spec: VnodeSpec | undefined): Promise<void> {
  if (spec === undefined || !spec.links.some(({ device }) => device !== undefined)) return;
  const last = await readLife(look, vnode);
  if (last === null || (await isAlive(look, last.generation, await readBootId(look)))) return;
  await devicesBack(look, vnode, spec.links);
}

/** Gives a settled life what the operator changed inside, if it still runs. */
async function giveInside(
  host: Host,
  wiring: Wiring,
  life: Life,
  steps: readonly Step[],
  options: WireOptions,
): Promise<void> {
  await withLock(host, wiring.vnode, options, async () => {
    if ((await startTimeOf(host, life.pid)) !== life.startTime) return;
    await runSteps(host, wiring, life, steps, options);
    if (options.names === true) await writeNames(host, wiring, options.hostsPath);
  });
}

/**
 * Takes away what stands for lives of a vnode that are over: host ends, ifbs, control elements.
 * Does nothing where there is nothing. The wiring of a life that still runs is left alone, unless it is
 * named by `force` (the gate, whose start failed) or `force` is "all" (the vnode is being destroyed).
 */
export async function unwire(
  host: Host,
  vnode: string,
  options: UnwireOptions = {},
): Promise<Wired> {
  if (options.view !== undefined && (await endSteps(host, vnode, options.view, options)).steps.length === 0) {
    return { steps: [], changed: false, generation: null };
  }
  await awaitHome(host, vnode, options.spec);
  return await withLock(host, vnode, options, async () => {
    const { steps, gone } = await endNow(host, vnode, async () => {
      return await endSteps(host, vnode, await readHostView(host), options);
    });
    if (gone) await host.remove(lifePath(vnode));
    return { steps, changed: steps.length > 0, generation: null };
  });
}

export interface UnwireOptions extends WireOptions {
  /** A generation that counts as over though it may still run; "all" for every one. */
  readonly force?: string;
  /** What is known of it: its place on the control network and in the firewall goes, whatever life it is of. */
  readonly spec?: VnodeSpec;
}

/** What is known of a vnode whose container is gone. */
export interface Gone {
  readonly vnode: string;
  readonly spec?: VnodeSpec;
}

/**
 * Takes away all that stands for vnodes whose containers are gone for good, whatever their number by one look and one
 * batch a tool: deleted one by one, the kernel waits for each. No start of theirs can come between.
 */
export async function unwireAll(host: Host, gone: readonly Gone[]): Promise<void> {
  if (gone.length === 0) return;
  await Promise.all(gone.map(({ vnode, spec }) => awaitHome(host, vnode, spec)));
  await endNow(host, gone.map(({ vnode }) => vnode).join(", "), async () => {
    const view = await readHostView(host);
    const ended = await Promise.all(
      gone.map(({ vnode, spec }) =>
        endSteps(host, vnode, view, { force: "all", ...(spec !== undefined && { spec }) })
      ),
    );
    return { steps: ended.flatMap((one) => one.steps) };
  });
  await Promise.all(gone.map(({ vnode }) => host.remove(lifePath(vnode))));
}

/** Looks and tries: each time that somebody was there between the two, that much is done. */
const TRIES = 5;

/**
 * Does what a look finds to be done; where that fails, again by another look: the watch, or another command, may have
 * taken away some of it meanwhile, or udev renamed a device that came back (see runSteps).
 */
async function endNow<Found extends { readonly steps: readonly Step[] }>(
  host: Host,
  vnode: string,
  look: () => Promise<Found>,
): Promise<Found> {
  for (let tries = 1;; tries++) {
    const found = await look();
    try {
      await applySteps(host, vnode, found.steps, null);
      return found;
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

/** What stands for lives of a vnode that are over, as steps that take it away. */
async function endSteps(
  look: Look,
  vnode: string,
  view: HostView,
  { force, spec }: UnwireOptions,
): Promise<{ steps: Step[]; gone: boolean }> {
  const isOver = async (generation: string) =>
    force === "all" || force === generation || !(await isAlive(look, generation, view.bootId));
  const steps: Step[] = [];
  const over = new Set<string>();
  for (const link of view.links.values()) {
    const mark = parseLinkAlias(link.ifalias);
    if (mark?.vnode !== vnode || !(await isOver(mark.generation))) continue;
    over.add(mark.generation);
    if (mark.device === undefined) {
      steps.push({
        resource: `link ${vnode}/${mark.link}`,
        verb: "delete",
        why: "its life is over",
        clear: [link.ifname],
      });
    }
  }
  steps.push(...homeSteps(view, vnode, ({ generation }) => over.has(generation)));
  const settled = await readLife(look, vnode);
  const gone = settled !== null && (await isOver(settled.generation));
  const control = spec?.control;
  const nft = staleControlLines(view, (port, mac, address) =>
    // Docker's host ends vanish with their namespace: an element without its port is of a life that is over.
    (gone && port === settled.port) ||
    (control !== undefined && (mac === control.mac || address === control.address) &&
      (force !== undefined || !view.links.has(port))));
  if (nft.length > 0) {
    steps.push({ resource: `control ${vnode}`, verb: "delete", why: "its life is over", nft });
  }
  const isEnded = gone || force !== undefined || settled === null;
  const elements = spec === undefined || !isEnded ? [] : standing(view, elementsOf(spec));
  if (elements.length > 0) {
    const why = "its life is over";
    steps.push({ resource: `firewall ${vnode}`, verb: "delete", why, nft: removalLines(elements) });
  }
  return { steps, gone };
}

/** The generations of a vnode that stand on its interfaces, or were wired last, and still live. */
export async function livingGenerations(look: Look, vnode: string, view?: HostView): Promise<string[]> {
  const { links, bootId } = view ?? (await readHostView(look));
  const marks = [...links.values()].map((link) => parseLinkAlias(link.ifalias));
  const told = marks.filter((mark) => mark?.vnode === vnode).map((mark) => mark!.generation);
  const last = await readLife(look, vnode);
  const all = [...new Set(last === null ? told : [...told, last.generation])];
  const alive = await Promise.all(all.map((generation) => isAlive(look, generation, bootId)));
  return all.filter((_, index) => alive[index]);
}

async function withLock<T>(
  host: Host,
  vnode: string,
  options: WireOptions,
  work: () => Promise<T>,
): Promise<T> {
  if (options.locked === true) return await work();
  return await locked(host, vnodeLockPath(vnode), { waitMs: options.waitMs ?? 10_000 }, work);
}

/** Looks at what one vnode needs beyond the host's view: inside only when this life, or a link, is not settled yet. */
async function see(
  look: Look,
  wiring: Wiring,
  life: Life,
  viewing: HostView | Promise<HostView>,
): Promise<Seen> {
  const last = await readLife(look, wiring.vnode);
  const settled = last !== null && last.generation === generationOf(life);
  const enter = () => readInside(look, life.pid);
  const half = settled ? last.half : new Set<string>();
  // What has no end on the host that would tell of it.
  const endless = wiring.links.filter((link) => link.kind !== "veth").map((link) => link.name);
  const isOutside = settled && half.size === 0 && endless.length === 0;
  const [view, entered] = await Promise.all([viewing, isOutside ? null : enter()]);
  const known = settled ? view.links.get(last.port) : undefined;
  const portStands = known?.master === CONTROL_NETWORK;
  const redirecting = redirectedOf(look, wiring.links, view);
  const [redirected, inside] = await Promise.all([redirecting, portStands ? entered : entered ?? enter()]);
  const control = inside === null ? undefined : controlInside(wiring, inside);
  // A link with the control interface's MAC, the vnode's user's doing, is not it: its end is on a lan.
  const peer = control === undefined ? null : peerOf(view, control);
  const port = portStands ? known!.ifname : peer?.master === CONTROL_NETWORK ? peer.ifname : null;
  return {
    view,
    life,
    settled,
    inside: isOutside ? null : settled ? only(inside, [...half, ...endless]) : inside,
    half,
    port,
    redirected,
  };
}

/** In a settled life the rest of what is inside is its user's. */
function only(inside: Seen["inside"], names: readonly string[]): Seen["inside"] {
  return inside === null ? null : new Map([...inside].filter(([name]) => names.includes(name)));
}

/** Looks again: what is left is what the kernel did not take. */
async function readBack(look: Look, wiring: Wiring, life: Life, settled: boolean): Promise<void> {
  const seen = await see(look, wiring, life, readHostView(look));
  // Routes are "replace", sysctls are written: they either took or failed, and are not read back.
  const left = stepsOf(wiring, { ...seen, settled }).filter((step) =>
    !/^(routes|sysctls) /.test(step.resource)
  );
  if (left.length === 0) return;
  throw new BerthError({
    code: "not-converged",
    object: `vnode ${wiring.vnode}`,
    message: `The kernel did not take ${left.map((step) => `${step.resource} (${step.why})`).join(", ")}`,
    next: "berth status",
  });
}
