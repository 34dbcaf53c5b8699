// One look at all host-side kernel state that wiring is about, whatever the number of vnodes: three
// processes (ip, tc, nft), read as JSON. And one look inside a vnode's namespace. Reads only.
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { CONTROL_SETS } from "../resource/firewall.ts";
import { NAT_TABLE, VNODES_TABLE } from "../resource/firewall_vnodes.ts";
import { listTable } from "../resource/nft_listing.ts";
import { parseElements } from "../resource/nft_elements.ts";
import { BRIDGE_TABLE } from "./elements.ts";
import { readBootId } from "./life.ts";
import type { FoundQdisc } from "./shape.ts";

/** An interface as `ip -j -d link show` prints it; only what is read. */
export interface FoundLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly link_index?: number;
  /** The interface of this namespace that it sits on. */
  readonly link?: string;
  readonly mtu: number;
  readonly master?: string;
  readonly address?: string;
  readonly flags: readonly string[];
  readonly ifalias?: string;
  /** Segments that may leave as one packet. */
  readonly gso_max_segs?: number;
  readonly linkinfo?: {
    readonly info_kind?: string;
    /** Of a bridge's port. */
    readonly info_slave_data?: { readonly learning?: boolean };
  };
}

/** The state of the host's kernel, as far as vnodes are concerned. */
export interface HostView {
  readonly bootId: string;
  readonly links: ReadonlyMap<string, FoundLink>;
  readonly qdiscs: ReadonlyMap<string, readonly FoundQdisc[]>;
  /** Elements of the control network's sets, as "port mac address" and "port"; null without the table. */
  readonly control: { readonly allow: ReadonlySet<string>; readonly names: ReadonlySet<string> } | null;
  /** Elements of berth's sets and maps: "bridge berth/lan_macs" → key → data, "" in a set. */
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Where what enters a host end is led, by device; absent where only a vnode's own are asked for (wire.ts). */
  readonly redirects?: ReadonlyMap<string, string>;
}

/** What an interface inside a vnode is. */
export interface InsideLink extends FoundLink {
  readonly addresses: readonly string[];
}

interface AddrInfo {
  local: string;
  prefixlen: number;
  scope: string;
}

/** Reads JSON that `ip`, `tc` or `nft` printed; an empty answer is an empty list (tc prints nothing for none). */
export function parseJson<T>(text: string, tool: string): T {
  try {
    return (text.trim() === "" ? [] : JSON.parse(text)) as T;
  } catch (error) {
    throw new BerthError({
      code: "fault",
      object: tool,
      message: `Cannot read what "${tool}" printed: "${text.slice(0, 80)}"`,
      cause: error,
    });
  }
}

/** Elements of a set with the parts of their keys parted by blanks. */
function controlOf(elements: HostView["elements"], set: string): Set<string> {
  const keys = elements.get(`${BRIDGE_TABLE}/${set}`)?.keys() ?? [];
  return new Set([...keys].map((key) => key.replaceAll(" . ", " ")));
}

/** Looks at the host once: all interfaces, all qdiscs, all elements of berth's sets and maps. */
export async function readHostView(look: Look): Promise<HostView> {
  const [bootId, links, qdiscs, bridge, vnodes, nat] = await Promise.all([
    readBootId(look),
    look.query({ argv: ["ip", "-j", "-d", "link", "show"] }),
    look.query({ argv: ["tc", "-j", "qdisc", "show"] }),
    listTable(look, BRIDGE_TABLE),
    listTable(look, VNODES_TABLE),
    listTable(look, NAT_TABLE),
  ]);
  const byDevice = new Map<string, FoundQdisc[]>();
  for (const qdisc of parseJson<FoundQdisc[]>(qdiscs.stdout, "tc qdisc show")) {
    const list = byDevice.get(qdisc.dev);
    if (list === undefined) byDevice.set(qdisc.dev, [qdisc]);
    else list.push(qdisc);
  }
  const elements = new Map<string, ReadonlyMap<string, string>>();
  for (
    const [table, listing] of [[BRIDGE_TABLE, bridge], [VNODES_TABLE, vnodes], [NAT_TABLE, nat]] as const
  ) {
    for (const [set, found] of listing === null ? [] : parseElements(listing)) {
      elements.set(`${table}/${set}`, found);
    }
  }
  return {
    bootId,
    links: new Map(parseJson<FoundLink[]>(links.stdout, "ip link show").map((link) => [link.ifname, link])),
    qdiscs: byDevice,
    control: bridge === null ? null : {
      allow: controlOf(elements, CONTROL_SETS.ports),
      names: controlOf(elements, CONTROL_SETS.names),
    },
    elements,
  };
}

/** Looks at the interfaces inside a network namespace, with their global addresses. */
export async function readInside(look: Look, pid: number): Promise<Map<string, InsideLink>> {
  const output = await look.query({ argv: ["ip", "-j", "-d", "addr", "show"], netns: `/proc/${pid}/ns/net` });
  const links = parseJson<(FoundLink & { addr_info?: AddrInfo[] })[]>(output.stdout, "ip addr show");
  return new Map(links.map((link) => [link.ifname, {
    ...link,
    addresses: (link.addr_info ?? []).filter((one) => one.local !== undefined && one.scope !== "link")
      .map((one) => `${one.local}/${one.prefixlen}`),
  }]));
}

/** The host-side name of an interface seen inside: found by index both ways, never by text. */
export function peerOf(view: HostView, inside: FoundLink): FoundLink | null {
  for (const link of view.links.values()) {
    if (link.ifindex === inside.link_index && link.link_index === inside.ifindex) return link;
  }
  return null;
}
