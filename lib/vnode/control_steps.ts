// What stands between a vnode's registration on the control network and what it should be: elements of the sets that
// the firewall lets through. Pure. The table and its sets are lib/resource/firewall.ts's.
import { CONTROL_SETS, CONTROL_TABLE } from "../resource/firewall.ts";
import type { Seen, Step } from "./step.ts";
import type { HostView } from "./view.ts";
import type { Wiring } from "./wiring.ts";

/** The element of the allow-list, as nft reads and as the view prints it. */
function controlElement(port: string, mac: string, address: string): { nft: string; seen: string } {
  return { nft: `{ "${port}" . ${mac} . ${address} }`, seen: `${port} ${mac} ${address}` };
}

/** The steps that register a vnode's control port, and take away what an earlier life had. */
export function controlSteps(wiring: Wiring, seen: Seen): Step[] {
  const { control } = seen.view;
  if (control === null) return [];
  const { mac, address } = wiring.control;
  const table = `${CONTROL_TABLE.family} ${CONTROL_TABLE.name}`;
  const wanted = seen.port === null ? null : controlElement(seen.port, mac, address);
  const add: string[] = [];
  if (wanted !== null && !control.allow.has(wanted.seen)) {
    add.push(`add element ${table} ${CONTROL_SETS.ports} ${wanted.nft}`);
  }
  if (seen.port !== null && !control.names.has(seen.port)) {
    add.push(`add element ${table} ${CONTROL_SETS.names} { "${seen.port}" }`);
  }
  const remove = staleControlLines(
    seen.view,
    (port, itsMac, itsAddress) => port !== seen.port && (itsMac === mac || itsAddress === address),
  );
  const resource = `control ${wiring.vnode}`;
  return [
    ...(add.length === 0 ? [] : [{ resource, verb: "create" as const, why: "not registered", nft: add }]),
    ...(remove.length === 0
      ? []
      : [{ resource, verb: "delete" as const, why: "of an earlier life", nft: remove }]),
  ];
}

/** nft lines that take away the elements a predicate picks, and the port names that go with them. */
export function staleControlLines(
  view: HostView,
  picks: (port: string, mac: string, address: string) => boolean,
): string[] {
  if (view.control === null) return [];
  const table = `${CONTROL_TABLE.family} ${CONTROL_TABLE.name}`;
  const lines: string[] = [];
  for (const element of view.control.allow) {
    const [port = "", mac = "", address = ""] = element.split(" ");
    if (!picks(port, mac, address)) continue;
    // Added first: somebody else may have taken it away since the look, and deleting what is not there fails.
    for (const verb of ["add", "delete"]) {
      lines.push(`${verb} element ${table} ${CONTROL_SETS.ports} ${controlElement(port, mac, address).nft}`);
      lines.push(`${verb} element ${table} ${CONTROL_SETS.names} { "${port}" }`);
    }
  }
  return lines;
}
