// The ready-made batches of a vnode, written when its spec or its container changed, so that the gate's
// script can wire a start in some 20 ms without starting berth at all. Pure data out of the wiring.
import type { Host } from "../host/types.ts";
import { elementLines } from "../vnode/element_steps.ts";
import { effectiveSpec } from "../vnode/live.ts";
import { GATE_DIRECTORY, gatePath } from "../vnode/paths.ts";
import type { VnodeRecord } from "../vnode/record.ts";
import {
  hostLinkLines,
  hostNames,
  hostsBlock,
  ifbLines,
  insideLinkLines,
  PLACE,
  routeLines,
  shapeLines,
  sysctlsOf,
  wiringOf,
} from "../vnode/wiring.ts";

function text(lines: readonly string[]): string {
  return lines.map((line) => line + "\n").join("");
}

/**
 * The files of a container's gate directory, by name.
 *
 * `vnode`: its name. `ends`: host-side interface names. `host.ip`: `ip -batch` on the host, with places for pid
 * and generation. `inside.ip`: `ip -batch` inside. `sysctls`: "PATH VALUE" lines, below /proc/sys inside; without it
 * (a directory of an earlier berth, a vnode with a device of the machine's) the script leaves the start to berth. `tc`: `tc -batch`.
 * `control`: MAC and address on the control network. `nft`: lines of the transaction that registers the control
 * port, without places. `hosts`: our block of /etc/hosts. `hosts.path`: where.
 */
export function gateFiles(record: VnodeRecord): Readonly<Record<string, string>> {
  const wiring = wiringOf(effectiveSpec(record));
  const host = wiring.links.flatMap((link) => [
    ...hostLinkLines(wiring, link, PLACE.pid, PLACE.generation),
    ...ifbLines(wiring, link, PLACE.generation),
  ]);
  return {
    "vnode": text([record.name]),
    "ends": text(hostNames(wiring)),
    "host.ip": text(host),
    "inside.ip": text([...wiring.links.flatMap(insideLinkLines), ...routeLines(wiring)]),
    ...(wiring.links.some(({ kind }) => kind === "device")
      ? {}
      : { "sysctls": text(sysctlsOf(wiring).map(([path, value]) => `${path} ${value}`)) }),
    "tc": text(wiring.links.flatMap(shapeLines)),
    "control": text([`${wiring.control.mac} ${wiring.control.address}`]),
    "nft": text(elementLines(wiring.elements)),
    "hosts": hostsBlock(wiring),
    "hosts.path": text([record.hostsPath]),
  };
}

/** Writes a container's gate directory. `vnode` comes last: the script looks for it. */
export async function prepareGate(host: Host, record: VnodeRecord): Promise<void> {
  const directory = gatePath(record.containerId);
  await host.makeDirectory(directory, { mode: 0o700 });
  const { vnode, ...files } = gateFiles(record);
  if (files["sysctls"] === undefined) await host.remove(`${directory}/sysctls`);
  for (const [name, content] of Object.entries(files)) {
    await host.writeText(`${directory}/${name}`, content, { mode: 0o600 });
  }
  await host.writeText(`${directory}/vnode`, vnode!, { mode: 0o600 });
}

/** Removes a container's gate directory. Does nothing where there is none. */
export async function forgetGate(host: Host, containerId: string): Promise<void> {
  const directory = gatePath(containerId);
  const names = (await host.list(directory)) ?? [];
  // `vnode` first: without it the script no longer takes the rest for a vnode's.
  for (const name of ["vnode", ...names.filter((one) => one !== "vnode")]) {
    await host.remove(`${directory}/${name}`);
  }
  await host.remove(directory);
}

/** Container ids that have a gate directory. */
export async function preparedContainers(host: Pick<Host, "list">): Promise<readonly string[]> {
  return (await host.list(GATE_DIRECTORY)) ?? [];
}
