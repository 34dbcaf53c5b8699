// The address of docker0, which berth moves out of the control network's way and gives back. A daemon without "bip"
// first makes docker0 as its own store tells, then takes what it finds there, so only "bip" moves it, either way.
// Source: moby, libnetwork/drivers/bridge (populateNetworks) and daemon/daemon_unix.go, initBridgeDriver (20.10, 26.1)
// and selectBIP (28). Pure, save the look.
import { ipBatch } from "../host/batch.ts";
import type { Look } from "../host/types.ts";
import { addressesOf } from "./kinds/link.ts";
import type { Op } from "./types.ts";

/** IPv4 addresses of docker0 with prefix length, or null where it is not there. */
export type Docker0 = readonly string[] | null;

/** What the journal keeps of it. */
export interface Docker0Prior {
  readonly addresses: Docker0;
  /** Addresses our runs have given it: any other found later is others' edit. */
  readonly ours: readonly string[];
}

/** Reads docker0's addresses. Asks `ip` only where the link is there. */
export async function observeDocker0(look: Look): Promise<Docker0> {
  return await look.stat("/sys/class/net/docker0") === null
    ? null
    : await addressesOf(look, "docker0", "inet");
}

/** Why a running engine's docker0 is not where "bip" puts it, or null. No "bip": wherever it is will do. */
export function docker0Differs(found: Docker0, bip: unknown): string | null {
  if (typeof bip !== "string" || found?.includes(bip)) return null;
  const seen = found === null ? "missing" : `at "${found.join(" ")}"`;
  return `docker0 is ${seen}, wanted at "${bip}"`;
}

/** The address that docker0 must be given back, or null: it has it, or others have moved it, or it is gone. Pure. */
export function docker0Former(prior: Docker0Prior, found: Docker0): string | null {
  const former = prior.addresses?.[0];
  if (former === undefined || found === null || found.includes(former)) return null;
  return found.every((address) => prior.ours.includes(address)) ? former : null;
}

/** What gives docker0 its former addresses where no engine runs any more: [] where it has them already. Pure. */
export function docker0Back(prior: Docker0Prior, found: Docker0): readonly Op[] {
  if (found === null) return [];
  if (prior.addresses === null) return [DELETE_DOCKER0];
  const former = docker0Former(prior, found);
  if (former === null) return [];
  return [{
    run: ipBatch([
      ...found.map((address) => `addr del ${address} dev docker0`),
      `addr add ${former} brd + dev docker0`,
    ], { force: true, okExit: [0, 1, 2] }),
  }];
}

/** dockerd leaves its bridge behind. It may also be gone already. */
const DELETE_DOCKER0: Op = { run: { argv: ["ip", "link", "delete", "docker0"], okExit: [0, 1] } };
