// A macvlan of our own on a device of the machine: the host's own leg on a control network without a bridge. Volatile.
// It is ours by its alias; without it, it is foreign.
import { ipBatch } from "../../host/batch.ts";
import { BerthError } from "../../log/error.ts";
import type { Op, Resource } from "../types.ts";
import { linkOf } from "./link.ts";

/** What a macvlan is. */
export interface MacvlanState {
  readonly kind: string;
  readonly parent: string;
  readonly mac: string;
  readonly alias: string;
  readonly up: boolean;
}

/**
 * A macvlan in bridge mode, up.
 *
 * @throws {BerthError} code `refused` when a link of that name is there and is not ours, or is something else.
 */
export function macvlan(
  name: string,
  options: { readonly parent: string; readonly mac: string; readonly alias: string },
): Resource<MacvlanState> {
  const id = `macvlan ${name}`;
  const desired: MacvlanState = { kind: "macvlan", up: true, ...options };
  const remove: Op = { run: ipBatch([`link del dev ${name}`], { okExit: [0, 1] }) };
  const create: Op = {
    run: ipBatch([
      `link add link ${options.parent} name ${name} address ${options.mac} type macvlan mode bridge`,
      `link set dev ${name} addrgenmode none`,
      `link set dev ${name} alias "${options.alias}" up`,
    ]),
  };
  const isOurs = (found: MacvlanState) => found.alias.startsWith("berth");
  return {
    id,
    desired,
    volatile: true,
    async observe(look) {
      const link = await linkOf(look, name);
      return link === undefined ? null : {
        kind: link.linkinfo?.info_kind ?? "none",
        parent: link.link ?? "",
        mac: link.address ?? "",
        alias: link.ifalias ?? "",
        up: link.flags?.includes("UP") ?? false,
      };
    },
    diff(found) {
      const change = { resource: id, risk: "safe" } as const;
      if (found === null) {
        return [{ ...change, verb: "create", why: "missing", do: [create], undo: [remove] }];
      }
      // A bridge of ours may have the machine's own device as a port: that is not to be lost with it.
      if (!isOurs(found) || found.kind !== "macvlan") {
        throw new BerthError({
          code: "refused",
          object: id,
          message: isOurs(found)
            ? `Link "${name}" is a ${found.kind} of berth's, wanted a macvlan`
            : `Link "${name}" is not berth's: found kind "${found.kind}" with alias "${found.alias}"`,
          next: isOurs(found)
            ? "Set controlNet.driver back, run berth host down, then set it again"
            : `Rename or remove link "${name}"`,
        });
      }
      const why = (["kind", "parent", "mac", "alias", "up"] as const)
        .filter((key) => found[key] !== desired[key])
        .map((key) => `${key} ${JSON.stringify(found[key])}, wanted ${JSON.stringify(desired[key])}`);
      if (why.length === 0) return [];
      return [{
        ...change,
        verb: "replace",
        why: why.join("; "),
        risk: "disruptive",
        do: [remove, create],
        undo: [],
      }];
    },
    prior: (found) => found,
    revert(prior, found) {
      if (found === null || prior !== null || !isOurs(found) || found.kind !== "macvlan") return [];
      return [{
        resource: id,
        verb: "delete",
        why: "made by berth",
        risk: "disruptive",
        do: [remove],
        undo: [create],
      }];
    },
  };
}
