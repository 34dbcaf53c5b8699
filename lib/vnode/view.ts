// One look at all host-side kernel state that wiring is about, whatever the number of vnodes: three
// processes (ip, tc, nft), read as JSON. And one look inside a vnode's namespace. Reads only.
import type { Look } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { CONTROL_SETS, CONTROL_TABLE } from "../resource/firewall.ts";
import { readBootId } from "./life.ts";
import type { FoundQdisc } from "./shape.ts";

/** An interface as `ip -j -d link show` prints it; only what is read. */
export interface FoundLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly link_index?: number;
  readonly mtu: number;
  readonly master?: string;
  readonly address?: string;
  readonly flags: readonly string[];
  readonly ifalias?: string;
  /** Segments that may leave as one packet. */
  readonly gso_max_segs?: number;
  readonly linkinfo?: { readonly info_kind?: string };
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

interface NftElement {
  concat?: readonly (string | number)[];
}

function elementsOf(listing: unknown, set: string): Set<string> {
  const items = (listing as { nftables?: readonly Record<string, unknown>[] }).nftables ?? [];
  for (const item of items) {
    const found = item["set"] as { name: string; elem?: readonly (string | NftElement)[] } | undefined;
    if (found?.name !== set) continue;
    return new Set(
      (found.elem ?? []).map((element) =>
        typeof element === "string" ? element : (element.concat ?? []).join(" ")
      ),
    );
  }
  return new Set();
}

/** Looks at the host once: all interfaces, all qdiscs, the control network's sets. */
export async function readHostView(look: Look): Promise<HostView> {
  const [bootId, links, qdiscs, control] = await Promise.all([
    readBootId(look),
    look.query({ argv: ["ip", "-j", "-d", "link", "show"] }),
    look.query({ argv: ["tc", "-j", "qdisc", "show"] }),
    look.query({
      argv: ["nft", "-j", "list", "table", CONTROL_TABLE.family, CONTROL_TABLE.name],
      okExit: [0, 1],
    }).catch((error) => {
      // A machine that is not prepared may lack nft: then it has no table either.
      if (error instanceof BerthError && error.code === "missing") return { exit: 1, stdout: "" };
      throw error;
    }),
  ]);
  const byDevice = new Map<string, FoundQdisc[]>();
  for (const qdisc of parseJson<FoundQdisc[]>(qdiscs.stdout, "tc qdisc show")) {
    const list = byDevice.get(qdisc.dev);
    if (list === undefined) byDevice.set(qdisc.dev, [qdisc]);
    else list.push(qdisc);
  }
  const listing = control.exit === 0 ? parseJson<unknown>(control.stdout, "nft list table") : null;
  return {
    bootId,
    links: new Map(parseJson<FoundLink[]>(links.stdout, "ip link show").map((link) => [link.ifname, link])),
    qdiscs: byDevice,
    control: listing === null
      ? null
      : { allow: elementsOf(listing, CONTROL_SETS.ports), names: elementsOf(listing, CONTROL_SETS.names) },
    elements: new Map(),
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
