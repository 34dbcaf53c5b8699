// What two looks at the world (_readback.ts) differ in although both specs say the same of it: it should not have been
// touched. Pure.
import type { LinkSpec, VnodeSpec } from "../../lib/config/types.ts";
import { bridgeName, hostEndName, ifbName, lanTableName, tunnelName } from "../../lib/vnode/names.ts";
import { ownChainName } from "../../lib/vnode/vnode_rules.ts";
import type { Seen, Wanted } from "./_readback.ts";

const same = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other);
/** Where a spec stands in its file is nothing of the vnode's. */
const bare = ({ source: _, ...spec }: VnodeSpec) => spec;

/** What a container is made from: all else is changed while it runs. */
const madeFrom = ({ image, command, env, control }: VnodeSpec) => [image, command, env, control];

/** What was touched between two looks and should not have been, one line each. */
export function touched(before: Seen, after: Seen, first: Wanted, second: Wanted): string[] {
  const told: string[] = [];
  const hold = (what: string, old: unknown, now: unknown) => {
    if (!same(old, now)) told.push(`${what}: ${JSON.stringify(now)}, was ${JSON.stringify(old)}`);
  };
  const index = (dev: string) =>
    hold(`${dev}'s index`, before.links.get(dev)?.ifindex, after.links.get(dev)?.ifindex);
  for (const spec of second.vnodes) {
    const old = first.vnodes.find(({ name }) => name === spec.name);
    const [was, is] = [before.vnodes.get(spec.name), after.vnodes.get(spec.name)];
    if (old === undefined || was === undefined || is === undefined || !same(madeFrom(old), madeFrom(spec))) {
      continue;
    }
    hold(`${spec.name}'s container`, [was.id, was.pid], [is.id, is.pid]);
    const inner = (seen: typeof is, name: string) =>
      seen.links.find(({ ifname }) => ifname === name)?.ifindex;
    for (const link of spec.links) {
      const before = old.links.find(({ name }) => name === link.name);
      if (before === undefined) continue;
      const [device, other] = [link, before].map(({ driver, parent }) => [driver, parent]);
      const isMoved = !same(device, other) || (link.driver !== undefined && link.lan !== before.lan);
      if (!isMoved) {
        hold(`${spec.name} ${link.name}'s index inside`, inner(was, link.name), inner(is, link.name));
      }
      if (link.driver !== undefined || isMoved) continue;
      index(hostEndName(spec.name, link.name));
      for (const line of queuesReset(spec.name, before, link)) told.push(line);
    }
    if (!same(bare(old), bare(spec))) continue;
    hold(`${spec.name}'s links`, was.links.map(settled), is.links.map(settled));
    hold(`${spec.name}'s routes`, was.routes, is.routes);
    hold(`${spec.name}'s hosts`, was.hosts, is.hosts);
    const keys = [spec.control.address, ...spec.links.map(({ name }) => hostEndName(spec.name, name))];
    const elements = (seen: Seen) =>
      [...seen.elements].filter((one) => keys.some((key) => one.includes(`"${key}"`))).sort();
    hold(`${spec.name}'s elements`, elements(before), elements(after));
  }
  for (const lan of second.lans) {
    const old = first.lans.find(({ name }) => name === lan.name);
    if (!same(old, lan) || !isUsed(first, lan.name) || !isUsed(second, lan.name)) continue;
    for (const dev of lan.driver === undefined ? [bridgeName(lan.name)] : []) index(dev);
    if (lan.vxlan !== undefined) index(tunnelName(lan.name));
  }
  for (const [name] of before.links) if (!/^(b(ve|if|br|vx)-|veth)/.test(name)) index(name);
  told.push(...rulesTouched(before, after, first, second));
  return told;

  function queuesReset(vnode: string, old: LinkSpec, link: LinkSpec): string[] {
    return [[hostEndName(vnode, link.name), old.ingress, link.ingress], [
      ifbName(vnode, link.name),
      old.egress,
      link.egress,
    ]]
      .flatMap((one) => {
        const [dev, before, after] = one as [string, LinkSpec["egress"], LinkSpec["egress"]];
        return before.rateBps === undefined || after.rateBps === undefined ? [] : queueReset(dev);
      });
  }

  function queueReset(dev: string): string[] {
    const find = (seen: Seen) => seen.queues.find((one) => one.dev === dev && one.root === true);
    const [old, now] = [find(before), find(after)];
    if (dev.startsWith("bif-")) index(dev);
    if (old?.handle === now?.handle && old !== undefined && now!.packets >= old.packets) return [];
    return [
      `${dev}'s queue has counted ${now?.packets} (${now?.kind} ${now?.handle}), had ${old?.packets} (${old?.kind} ${old?.handle})`,
    ];
  }
}

/** An interface without what changes by itself. */
function settled(
  { ifname, ifindex, address, mtu, flags, addr_info = [] }: Seen["links"] extends
    ReadonlyMap<string, infer One> ? One
    : never,
) {
  // The carrier of one follows from the other ends of its lan where that is a macvlan's.
  const states = flags.filter((flag) => flag === "UP");
  return [
    ifname,
    ifindex,
    address,
    mtu,
    states,
    addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  ];
}

const isUsed = ({ vnodes }: Wanted, lan: string) =>
  vnodes.some(({ links }) => links.some((link) => link.lan === lan));

/** Rules stay, with their handles and counters, but in the chains of vnodes and tables of lans that changed. */
function rulesTouched(before: Seen, after: Seen, first: Wanted, second: Wanted): string[] {
  const free = new Set([
    ...[...first.vnodes, ...second.vnodes].flatMap(({ name }) => {
      const [old, now] = [first, second].map(({ vnodes }) =>
        vnodes.find((one) => one.name === name)?.firewall
      );
      return same(old, now) ? [] : [ownChainName(name, "in"), ownChainName(name, "out")];
    }),
    ...[...first.vnodes, ...second.vnodes].flatMap(({ name }) => {
      const isThere = [first, second].every(({ vnodes }) => vnodes.some((one) => one.name === name));
      return isThere ? [] : [ownChainName(name, "in"), ownChainName(name, "out")];
    }),
    ...[...first.lans, ...second.lans].flatMap(({ name }) => {
      const [old, now] = [first, second].map((one) =>
        isUsed(one, name) && one.lans.find((lan) => lan.name === name)
      );
      return same(old, now) ? [] : [lanTableName(name)];
    }),
  ]);
  const isFree = ({ table, chain }: Seen["rules"][number]) => free.has(table) || free.has(chain);
  const keyOf = ({ family, table, chain, handle }: Seen["rules"][number]) =>
    `${family} ${table} ${chain} ${handle}`;
  const now = new Map(after.rules.map((rule) => [keyOf(rule), rule]));
  return before.rules.filter((rule) => !isFree(rule)).flatMap((rule) => {
    const found = now.get(keyOf(rule));
    const counted = (one: typeof rule) =>
      one.expr.flatMap((part) => (part as { counter?: { packets: number } }).counter?.packets ?? [])[0] ?? 0;
    const text = (one: typeof rule) => JSON.stringify(one.expr).replace(/"(packets|bytes)": ?\d+/g, "");
    if (found !== undefined && text(found) === text(rule) && counted(found) >= counted(rule)) return [];
    return [
      `rule ${keyOf(rule)} is ${found === undefined ? "gone" : JSON.stringify(found.expr)}, was ${
        JSON.stringify(rule.expr)
      }`,
    ];
  });
}
