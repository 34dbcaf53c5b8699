// What the kernel says without a packet being sent: vnodes up and wired, links inside as their specs have them, lans
// and rules as they were made, no address of the host's on a lan. Reads only, and repairs nothing.
import type { LanSpec, VnodeSpec } from "../../config/types.ts";
import type { Look } from "../../host/types.ts";
import { type AnyResource, differences } from "../../resource/ensure.ts";
import { lanResources } from "../lan.ts";
import { bridgeName } from "../names.ts";
import { unknownWiring, type VnodeStatus } from "../status.ts";
import { type InsideLink, parseJson, readInside } from "../view.ts";
import { type Entrance, inLife, reasonOf } from "./ground.ts";
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

/** What could not be told, and why: no blame on anybody. */
function unknown(...parts: Parameters<typeof finding>): Finding {
  return { ...finding(...parts), verdict: "unknown" };
}

/** Findings of a look; where it cannot be had, those that `blind` makes of the reason. */
async function looked(
  look: () => Promise<readonly Finding[]>,
  blind: (why: string) => readonly Finding[],
): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    return blind(`It cannot be looked at: ${reasonOf(error)}`);
  }
}

/** Whether each vnode that is wanted up is up and wired. Of one that is wanted halted nothing can be told. */
export function stateOfVnodes(statuses: readonly VnodeStatus[]): readonly Finding[] {
  return statuses.map(({ name, state, wanted, wiring }) => {
    if (wanted === "halted" && state !== "up") return unknown("state", name, "halted", `it is ${state}`);
    const why = unknownWiring(wiring);
    if (why !== null) return unknown("state", name, "up and wired", `It cannot be looked at: ${why}`);
    return finding(
      "state",
      name,
      "up and wired",
      state !== "up" ? `it is ${state}` : wiring === "wired" ? null : wiring,
    );
  });
}

/** Whether the links inside a vnode are as its spec has them. A vnode's user may change them: that is told here. */
export function stateInside(ground: Entrance, spec: VnodeSpec): Promise<readonly Finding[]> {
  return looked(async () => {
    const inside = await inLife(ground, spec.name, (pid) => readInside(ground.host, pid));
    return spec.links.map((link) => {
      const differs = insideDiffers(link, inside.get(link.name));
      return finding("state", `${spec.name}/${link.name}`, "as in its spec", differs);
    });
  }, (why) => [unknown("state", spec.name, "links as in its spec", why)]);
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
    ...(link.mtu === 0 || found.mtu === link.mtu ? [] : [`MTU ${found.mtu}, wanted ${link.mtu}`]),
    ...(link.mac === "" || found.address === link.mac ? [] : [`MAC ${found.address}, wanted ${link.mac}`]),
    ...(found.flags.includes("UP") ? [] : ["it is down"]),
  ];
  return why.length === 0 ? null : why.join("; ");
}

/** Whether the lans stand as they were made. One look for all. */
export function stateOfLans(look: Look, lans: readonly LanSpec[]): Promise<readonly Finding[]> {
  const asked = "as it was made";
  return looked(async () => {
    const resources = lans.map(lanResources);
    const reasons = await differing(look, resources.flat());
    return lans.map(({ name }, at) => {
      const why = resources[at]!.flatMap(({ id }) => reasons.get(id) ?? []);
      return finding("state", `lan ${name}`, asked, why.length === 0 ? null : why.join("; "));
    });
  }, (why) => lans.map(({ name }) => unknown("state", `lan ${name}`, asked, why)));
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
export function hostOnLans(look: Look, all: readonly LanSpec[]): Promise<readonly Finding[]> {
  const lans = all.filter((lan) => lan.host === undefined);
  const told = (of: typeof finding, { name }: LanSpec, why: string | null) =>
    of("isolation", "host", "no address", why, `lan ${name}`);
  return looked(async () => {
    const { stdout } = await look.query({ argv: ["ip", "-j", "addr", "show"] });
    type Found = { ifname: string; addr_info?: { local?: string; prefixlen?: number }[] };
    const found = new Map(
      parseJson<Found[]>(stdout, "ip addr show").map((one) => [one.ifname, one.addr_info ?? []]),
    );
    return lans.map((lan) => {
      const own = (found.get(bridgeName(lan.name)) ?? []).map(({ local, prefixlen }) =>
        `${local}/${prefixlen}`
      );
      return told(finding, lan, own.length === 0 ? null : `${bridgeName(lan.name)} has ${own.join(" ")}`);
    });
  }, (why) => lans.map((lan) => told(unknown, lan, why)));
}

/** Whether the rules that keep everything apart stand: one finding for each table. */
export function rulesStand(
  look: Look,
  rules: () => Promise<readonly AnyResource[]>,
): Promise<readonly Finding[]> {
  const asked = "rules as made";
  return looked(async () => {
    const resources = await rules();
    const reasons = await differing(look, resources);
    return resources.map(({ id }) =>
      finding("isolation", "host", asked, reasons.get(id)?.join("; ") ?? null, id)
    );
  }, (why) => [unknown("isolation", "host", asked, why, "rules")]);
}
