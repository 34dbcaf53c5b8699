// One option of a bridge. Volatile. Which bridge that is, and whose, is link.ts'.
import { ipBatch } from "../../host/batch.ts";
import type { AnyResource } from "../ensure.ts";
import type { Resource } from "../types.ts";
import { linkOf } from "./link.ts";

/** The option's value, or null where the bridge is not there yet. */
export interface BridgeOptionState {
  readonly value: number | null;
}

/** An option of a bridge, by the name that `ip link set type bridge` knows it by. `bridge` is what brings it. */
export function bridgeOption(
  name: string,
  option: string,
  value: number,
  bridge: AnyResource,
): Resource<BridgeOptionState> {
  const id = `bridge option ${name} ${option}`;
  const set = (to: number) => ({ run: ipBatch([`link set dev ${name} type bridge ${option} ${to}`]) });
  return {
    id,
    desired: { value },
    volatile: true,
    async observe(look) {
      const found = (await linkOf(look, name))?.linkinfo?.info_data?.[option];
      return { value: typeof found === "number" ? found : null };
    },
    diff(found) {
      if (found?.value === value) return [];
      const why = found === null || found.value === null
        ? `comes with ${bridge.id}, wanted ${value}`
        : `${found.value}, wanted ${value}`;
      const undo = found === null || found.value === null ? [] : [set(found.value)];
      return [{ resource: id, verb: "update", why, risk: "safe", do: [set(value)], undo }];
    },
    prior: (found) => found,
    revert(prior, found) {
      if (found?.value !== value || prior === null || prior.value === null || prior.value === value) {
        return [];
      }
      const why = `${value} was set by berth`;
      return [{
        resource: id,
        verb: "update",
        why,
        risk: "safe",
        do: [set(prior.value)],
        undo: [set(value)],
      }];
    },
  };
}
