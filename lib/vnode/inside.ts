// What an operator changed inside a vnode between two specs of it, as steps for a life that runs already. Pure.
// Nothing else inside is ever touched in a settled life: the rest is its user's.
import type { VnodeSpec } from "../config/types.ts";
import { deviceLeaves } from "./devices.ts";
import { linkChanges } from "./link_changes.ts";
import { macvlanLeaves } from "./macvlan_steps.ts";
import { networkSteps } from "./network_steps.ts";
import type { Step } from "./step.ts";
import { wiringOf } from "./wiring.ts";

/**
 * The steps inside from one spec to another, for links that both have; [] where nothing changed. A link may have
 * been made anew in the same pass, with all that its spec says: lines say "replace", not "add". They may be run again,
 * on a life that has some of it or all.
 */
export function insideChanges(before: VnodeSpec, after: VnodeSpec): Step[] {
  const [old, now] = [wiringOf(before), wiringOf(after)];
  const network = networkSteps(old, now);
  const isSysctl = (step: Step) => step.sysctls !== undefined;
  const { gone, given } = linkChanges(old, now, network.some(isSysctl));
  // Sysctls of the vnode first, since the kernel changes those of links with them; routes last: they lean on addresses.
  const leaves = [...macvlanLeaves(old, now), ...deviceLeaves(old, now)];
  return [
    ...leaves,
    ...network.filter(isSysctl),
    ...gone,
    ...given,
    ...network.filter((step) => !isSysctl(step)),
  ];
}

/**
 * What a running life keeps until its next start although the spec does not say it any more: what a sysctl was before
 * us is not known. In words, for the operator.
 */
export function waitsForStart(before: VnodeSpec, after: VnodeSpec): string[] {
  const dropped = (old: VnodeSpec["sysctls"] = {}, now: VnodeSpec["sysctls"] = {}) =>
    Object.keys(old).filter((key) => !Object.hasOwn(now, key));
  return [
    ...dropped(before.sysctls, after.sysctls),
    ...before.links.flatMap((old) => {
      const link = after.links.find((one) => one.name === old.name);
      return link === undefined
        ? []
        : dropped(old.sysctls, link.sysctls).map((key) => `${key} of ${old.name}`);
    }),
  ];
}
