// Devices of the machine's own before they are handed in: there, the kernel's to give back, and nobody's. Looks only;
// asked before anything is changed. What they are in a vnode is devices.ts's.
import type { VnodeSpec } from "../config/types.ts";
import type { Look } from "../host/types.ts";
import type { Issue } from "../log/error.ts";
import { deviceOn, unfitness } from "./devices.ts";
import type { VnodeRecord } from "./record.ts";
import { type FoundLink, type HostView, parseJson, readHostView } from "./view.ts";

/** An interface as `ip -j addr show` prints it; only what is read. */
interface Addressed {
  readonly ifname: string;
  readonly addr_info?: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly scope?: string;
  }[];
}

/** What stands in the way of handing in the devices of these vnodes. Those that they have already are not looked at. */
export async function deviceIssues(
  look: Look,
  specs: readonly VnodeSpec[],
  records: readonly VnodeRecord[],
): Promise<Issue[]> {
  const wanted = specs.flatMap(({ name: vnode, links }) =>
    links.flatMap(({ name, device }) => device === undefined ? [] : [{ vnode, name, device }])
  );
  if (wanted.length === 0) return [];
  const has = new Set(records.flatMap(({ spec }) => spec.links.flatMap(({ device }) => device ?? [])));
  const view = await readHostView(look);
  const { stdout } = await look.query({ argv: ["ip", "-j", "-d", "addr", "show"] });
  const addressed = parseJson<Addressed[]>(stdout, "ip addr show");
  return wanted.flatMap(({ vnode, name, device }): Issue[] => {
    const found = deviceOn(view, vnode, device)?.found;
    // In a vnode, or on its way back.
    if (found === undefined && has.has(device)) return [];
    const why = found === undefined ? "is not on this machine" : whyNot(found, view, addressed);
    return why === null ? [] : [{
      place: `device ${device}`,
      message: `It cannot be handed in as ${name} of ${vnode}: it ${why}`,
      wanted: "a network card of the machine's own that nothing uses",
      next: "ip -d addr show",
    }];
  });
}

function whyNot(found: FoundLink, view: HostView, addressed: readonly Addressed[]): string | null {
  const unfit = unfitness(found);
  if (unfit !== null) return unfit;
  const { addr_info: all = [] } = addressed.find(({ ifname }) => ifname === found.ifname) ?? {};
  const [address] = all.filter(({ scope }) => scope === "global");
  if (address !== undefined) {
    return `has the address ${address.local}/${address.prefixlen} of the machine's own`;
  }
  const upper = [...view.links.values()].find(({ link }) => link === found.ifname);
  return upper === undefined ? null : `carries "${upper.ifname}"`;
}
