// Vnodes and links that an operator names, found in the records, or refused in words that tell which there are.
import type { LinkSpec } from "../config/types.ts";
import { DockerError } from "../docker/errors.ts";
import { BerthError } from "../log/error.ts";
import type { Ground } from "./ground.ts";
import { readRecord, readRecords, type VnodeRecord } from "./record.ts";
import { selectNames } from "./select.ts";

/** The record of a vnode that must be there. @throws {BerthError} code `usage`, naming those that are. */
export async function knownRecord(ground: Pick<Ground, "host">, vnode: string): Promise<VnodeRecord> {
  const record = await readRecord(ground.host, vnode);
  if (record !== null) return record;
  const names = (await readRecords(ground.host)).map((one) => one.name).filter((name) => name !== vnode);
  selectNames(names, [vnode]);
  throw new Error("unreachable: the name is not among them");
}

/**
 * Why the engine did not run a command in a vnode, in an operator's words: the engine's own name neither the vnode nor
 * the way on. Any other error is given back as it is.
 */
export async function whyNotRun(
  { docker }: Pick<Ground, "docker">,
  { name, containerId, wanted }: VnodeRecord,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof DockerError) || (error.status !== 409 && error.status !== 404)) return error;
  const container = await docker.inspectContainer(containerId);
  const told = (message: string, next: string) =>
    new BerthError({ code: "docker", object: `vnode ${name}`, message, next, cause: error });
  if (container === null) return told("Its container is gone", `berth vnode up ${name}`);
  if (container.state.paused) return told("It is paused", `docker unpause ${name}`);
  if (container.state.running) return error;
  return told(wanted.state === "halted" ? "It is halted" : "It does not run", `berth vnode boot ${name}`);
}

/** What of a link is asked for that needs an end on the host, in words, and what to do where it has none. */
export interface NeedsEnd {
  /** "shaped": it has no end on the host that could be so. */
  readonly what: string;
  readonly next: string;
}

/**
 * A link with an end on the host, as the vnode's spec has it.
 *
 * @throws {BerthError} code `usage` where there is no such link, `refused` where it is a macvlan or a device.
 */
export function knownLink({ name: vnode, spec }: VnodeRecord, name: string, needs: NeedsEnd): LinkSpec {
  const link = spec.links.find((one) => one.name === name);
  const object = `vnode ${vnode}`;
  if (link === undefined) {
    const names = spec.links.map((one) => one.name);
    throw new BerthError({
      code: "usage",
      object,
      message: names.length === 0
        ? "It has no links"
        : `It has no link "${name}"; there ${names.length === 1 ? "is" : "are"} ${names.join(", ")}`,
      next: `berth vnode show ${vnode}`,
    });
  }
  if (link.driver === undefined && link.device === undefined) return link;
  const kind = link.device === undefined ? "a macvlan" : "a device of the machine's own";
  throw new BerthError({
    code: "refused",
    object,
    message: `${name} has no end on the host that could be ${needs.what}: it is ${kind}`,
    next: needs.next,
  });
}
