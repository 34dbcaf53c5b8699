// What the kernel says without a packet being sent: vnodes up and wired, links inside as their specs have them, lans
// and rules as they were made, no address of the host's on a lan. Reads only, and repairs nothing.
import type { LanSpec, VnodeSpec } from "../../config/types.ts";
import type { Look } from "../../host/types.ts";
import { type AnyResource, differences } from "../../resource/ensure.ts";
import { lanResources } from "../lan.ts";
import { bridgeName } from "../names.ts";
import type { VnodeStatus } from "../status.ts";
import { type InsideLink, parseJson, readInside } from "../view.ts";
import { readAddress } from "./members.ts";
import type { Finding } from "./types.ts";

function finding(
  check: "state" | "isolation",
  from: string,
  asked: string,
  why: string | null,
  to = "",
): Finding {
  return { check, from, to, asked, measured: null, verdict: why === null ? "pass" : "fail", why: why ?? "" };
}

/** Whether each vnode that is wanted up is up and wired. Of one that is wanted halted nothing can be told. */
export function stateOfVnodes(statuses: readonly VnodeStatus[]): readonly Finding[] {
  return statuses.map((one) =>
    one.wanted === "halted" && one.state !== "up"
      ? { ...finding("state", one.name, "halted", `it is ${one.state}`), verdict: "unknown" as const }
      : finding(
        "state",
        one.name,
        "up and wired",
        one.state !== "up" ? `it is ${one.state}` : one.wiring === "wired" ? null : one.wiring,
      )
  );
}

/** Whether the links inside a vnode are as its spec has them. A vnode's user may change them: that is told here. */
export async function stateInside(look: Look, spec: VnodeSpec, pid: number): Promise<readonly Finding[]> {
  const inside = await readInside(look, pid).catch(() => null);
  if (inside === null) {
    return [finding("state", spec.name, "links as in its spec", "it cannot be looked into")];
  }
  return spec.links.map((link) => {
    const differs = insideDiffers(link, inside.get(link.name));
    return finding("state", `${spec.name}/${link.name}`, "as in its spec", differs);
  });
}

/** What differs inside, in words; null where nothing does. Additional addresses are the vnode's own affair. */
export function insideDiffers(
  link: VnodeSpec["links"][number],
  found: InsideLink | undefined,
): string | null {
  if (found === undefined) return "there is no such interface inside";
  const canonical = (text: string) => {
    const read = readAddress(text);
    return read === null ? text : `${read.address.text}/${read.subnet.prefix}`;
  };
  const there = found.addresses.map(canonical);
  const missing = link.addresses.map(canonical).filter((address) => !there.includes(address));
  const why = [
    ...(missing.length === 0 ? [] : [`address ${missing.join(" ")} is missing`]),
    ...(found.mtu === link.mtu ? [] : [`MTU ${found.mtu}, wanted ${link.mtu}`]),
    ...(found.address === link.mac ? [] : [`MAC ${found.address}, wanted ${link.mac}`]),
    ...(found.flags.includes("UP") ? [] : ["it is down"]),
  ];
  return why.length === 0 ? null : why.join("; ");
}

/** Whether the lans stand as they were made. One look for all. */
export async function stateOfLans(look: Look, lans: readonly LanSpec[]): Promise<readonly Finding[]> {
  const resources = lans.map(lanResources);
  const reasons = await differing(look, resources.flat());
  return lans.map((lan, at) => {
    const why = resources[at]!.flatMap(({ id }) => reasons.get(id) ?? []);
    return finding("state", `lan ${lan.name}`, "as it was made", why.length === 0 ? null : why.join("; "));
  });
}

/** Why each of these differs from what it should be; those that do not are not in it. */
async function differing(look: Look, resources: readonly AnyResource[]): Promise<Map<string, string[]>> {
  const reasons = new Map<string, string[]>();
  for (const { resource, why } of await differences(look, resources)) {
    reasons.set(resource, [...reasons.get(resource) ?? [], why]);
  }
  return reasons;
}

/** Whether the host has no address on a lan where none is asked for: it would be reachable there. */
export async function hostOnLans(look: Look, lans: readonly LanSpec[]): Promise<readonly Finding[]> {
  const { stdout } = await look.query({ argv: ["ip", "-j", "addr", "show"] });
  type Found = { ifname: string; addr_info?: { local?: string; prefixlen?: number }[] };
  const found = new Map(
    parseJson<Found[]>(stdout, "ip addr show").map((one) => [one.ifname, one.addr_info ?? []]),
  );
  return lans.filter((lan) => lan.host === undefined).map((lan) => {
    const own = (found.get(bridgeName(lan.name)) ?? []).map(({ local, prefixlen }) =>
      `${local}/${prefixlen}`
    );
    const why = own.length === 0 ? null : `${bridgeName(lan.name)} has ${own.join(" ")}`;
    return finding("isolation", "host", "no address", why, `lan ${lan.name}`);
  });
}

/** Whether the rules that keep everything apart stand: one finding for each table. */
export async function rulesStand(look: Look, resources: readonly AnyResource[]): Promise<readonly Finding[]> {
  const reasons = await differing(look, resources);
  return resources.map(({ id }) =>
    finding("isolation", "host", "rules as made", reasons.get(id)?.join("; ") ?? null, id)
  );
}
