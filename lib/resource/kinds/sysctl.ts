// One kernel parameter. Volatile: a reboot forgets it, the next run restores it. Files in /etc/sysctl.d are not ours.
import type { AnyResource } from "../ensure.ts";
import type { Resource } from "../types.ts";

/** A parameter's value with its white space made single spaces. */
export interface SysctlState {
  /** null: not there yet. */
  readonly value: string | null;
  /** The id of the thing it comes with, where that is not there yet either. */
  readonly comes?: string;
}

/** What it was before us, and what our runs have set: anything else found later is others' edit. */
export interface SysctlPrior {
  readonly value: string | null;
  readonly ours: readonly string[];
}

/** What a parameter needs beside its value. */
export interface SysctlOptions {
  /** Fine if this kernel has no such parameter (a feature that is not built in). @default {false} */
  readonly optional?: boolean;
  /** What brings the parameter (a module, a device): as long as that is to be made, a missing parameter will come. */
  readonly comesWith?: AnyResource;
}

/**
 * A kernel parameter with this value. The name has dots ("net.ipv4.ip_forward"), or slashes where a part of it
 * holds a dot ("net/ipv4/conf/eth0.5/rp_filter"). Undo sets the former value unless somebody set another since.
 */
export function sysctl(
  name: string,
  value: string,
  options: SysctlOptions = {},
): Resource<SysctlState, SysctlPrior> {
  const id = `sysctl ${name}`;
  const path = name.includes("/") ? name : name.replaceAll(".", "/");
  const wanted = oneSpace(value);
  const set = (to: string) => ({ run: { argv: ["sysctl", "-qw", `${path}=${to}`] } });
  return {
    id,
    desired: { value: wanted },
    volatile: true,
    async observe(look) {
      const text = await look.readText(`/proc/sys/${path}`);
      if (text !== null) return { value: oneSpace(text) };
      const { comesWith } = options;
      const isComing = comesWith !== undefined && comesWith.diff(await comesWith.observe(look)).length > 0;
      return isComing ? { value: null, comes: comesWith.id } : null;
    },
    diff(found) {
      if (found?.value === wanted || (found === null && options.optional)) return [];
      const why = found === null
        ? "missing: this kernel has no such parameter"
        : found.value === null
        ? `comes with ${found.comes}, wanted "${wanted}"`
        : `"${found.value}", wanted "${wanted}"`;
      const undo = found === null || found.value === null ? [] : [set(found.value)];
      return [{ resource: id, verb: "update", why, risk: "safe", do: [set(wanted)], undo }];
    },
    prior: (found) => ({ value: found?.value ?? null, ours: [wanted] }),
    mergePriors: (first, later) => ({ ...first, ours: [...first.ours, ...later.ours] }),
    revert(prior, found) {
      if (found === null || found.value === null) return [];
      if (prior.value === null || found.value === prior.value) return [];
      if (!prior.ours.includes(found.value)) return [];
      const why = `"${found.value}" was set by berth`;
      return [{
        resource: id,
        verb: "update",
        why,
        risk: "safe",
        do: [set(prior.value)],
        undo: [set(found.value)],
      }];
    },
  };
}

function oneSpace(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}
