// One kernel parameter. Volatile: a reboot forgets it, the next run restores it. Files in /etc/sysctl.d are not ours.
import type { AnyResource } from "../ensure.ts";
import type { Resource } from "../types.ts";

/** A parameter's value with its white space made single spaces. */
export interface SysctlState {
  /** null: not there yet. */
  readonly value: string | null;
  /** The id of the thing it comes with, where that is not there yet either. */
  readonly comes?: string;
  /** Only shown in this network namespace: the machine's own decides. */
  readonly fixed?: boolean;
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
  /** The value is a bound: a number that is larger already (`least`), or smaller (`most`), stays as it is. */
  readonly bound?: "least" | "most";
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
      if (text !== null) {
        const mode = (await look.stat(`/proc/sys/${path}`))?.mode ?? 0o644;
        return { value: oneSpace(text), ...((mode & 0o200) === 0 ? { fixed: true } : {}) };
      }
      const { comesWith } = options;
      const isComing = comesWith !== undefined && comesWith.diff(await comesWith.observe(look)).length > 0;
      return isComing ? { value: null, comes: comesWith.id } : null;
    },
    diff(found) {
      if (found?.value === wanted || (options.optional && (found === null || found.fixed))) return [];
      if (isWithin(found?.value ?? null, wanted, options.bound)) return [];
      const why = found === null
        ? "missing: this kernel has no such parameter"
        : found.value === null
        ? `comes with ${found.comes}, wanted "${wanted}"`
        : `"${found.value}", wanted ${options.bound === undefined ? "" : `at ${options.bound} `}"${wanted}"`;
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

function isWithin(found: string | null, wanted: string, bound?: "least" | "most"): boolean {
  if (found === null || bound === undefined) return false;
  return bound === "least" ? Number(found) >= Number(wanted) : Number(found) <= Number(wanted);
}

function oneSpace(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}
