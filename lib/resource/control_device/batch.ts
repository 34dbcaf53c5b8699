// The lines of `ip -batch` that carry everything from one device to another while traffic flows: what is added stands
// before what it replaces goes. Pure: facts in, lines out. The same lines, the other way round, carry it back.
import { parseInterfaceAddress, type Subnet, subnetAround } from "../../config/address.ts";
import { Problem } from "../../config/problem.ts";
import { type DeviceAddress, type DeviceFacts, KERNEL_PROTOCOL } from "./facts.ts";

/** `ip -batch` lines, and those that need `ip -6 -batch` after them (rules, say, which do not tell their family). */
export interface Lines {
  readonly main: readonly string[];
  readonly six: readonly string[];
}

/** What is carried from where to where. */
export interface Transfer {
  /** What hangs on `from` (or did, when this was computed). */
  readonly facts: DeviceFacts;
  readonly from: string;
  readonly to: string;
  /** Lines between what is added and what is replaced: the change of membership. */
  readonly between: readonly string[];
  /** Whether everything else on `from` goes, too. */
  readonly flush: boolean;
}

/** Forever, in the kernel's words (INFINITY_LIFE_TIME). */
const FOREVER = 4294967295;

/** Lines that give a device everything in the facts; nothing is taken from anywhere. */
export function giveLines(facts: DeviceFacts, to: string): Lines {
  const route = (family: 4 | 6) => (line: string) =>
    `route replace ${routeText(line, family, facts.name, to)}`;
  const rule = (line: string) => `rule add pref ${ruleText(line, facts.name, to)}`;
  return {
    main: [
      ...facts.addresses.map((address) => addressLine(address, facts.name, to)),
      ...orderedRoutes(facts.routes4, facts).map(route(4)),
      ...orderedRoutes(facts.routes6, facts).map(route(6)),
      ...facts.rules4.map(rule),
    ],
    six: facts.rules6.map(rule),
  };
}

/** Lines that carry everything in the facts from one device to another. */
export function transferLines({ facts, from, to, between, flush }: Transfer): Lines {
  const route = (family: 4 | 6) => (line: string) =>
    `route replace ${routeText(line, family, facts.name, to)}`;
  const rule = (verb: "add" | "del", dev: string) => (line: string) =>
    `rule ${verb} pref ${ruleText(line, facts.name, dev)}`;
  const rules = (lines: readonly string[]) => [
    ...lines.map(rule("add", to)),
    ...lines.map(rule("del", from)),
  ];
  return {
    main: [
      ...facts.addresses.map((address) => addressLine(address, facts.name, to)),
      ...between,
      // After it: a bridge that is given another MAC forgets its neighbours, permanent ones included.
      ...neighbourLines(facts, to),
      ...orderedRoutes(facts.routes4, facts).map(route(4)),
      ...orderedRoutes(facts.routes6, facts).map(route(6)),
      ...rules(facts.rules4),
      // Backwards: with a subnet's first address the kernel would take its others away.
      ...(flush
        ? [`addr flush dev ${from}`]
        : facts.addresses.toReversed().map((one) => removeLine(one, from))),
    ],
    six: [
      ...rules(facts.rules6),
      // The kernel leaves the subnet's route of an address with a lifetime behind, to expire.
      ...(facts.addresses.some(({ family }) => family === "inet6")
        ? [`route flush table main dev ${from} proto kernel`]
        : []),
    ],
  };
}

function addressLine(one: DeviceAddress, from: string, to: string): string {
  const own = `${one.local}/${one.prefixlen}`;
  const lifetimes =
    (one.valid_life_time ?? FOREVER) >= FOREVER && (one.preferred_life_time ?? FOREVER) >= FOREVER
      ? []
      : ["valid_lft", lifetime(one.valid_life_time), "preferred_lft", lifetime(one.preferred_life_time)];
  const label = labelOf(one, from, to);
  return [
    "addr replace",
    ...(one.address === undefined ? [own] : [one.local, "peer", `${one.address}/${one.prefixlen}`]),
    ...(one.broadcast === undefined ? [] : ["broadcast", one.broadcast]),
    "scope",
    one.scope,
    ...(label === null ? [] : ["label", label]),
    "dev",
    to,
    ...lifetimes,
    ...(one.metric === undefined ? [] : ["metric", String(one.metric)]),
    ...(one.noprefixroute ? ["noprefixroute"] : []),
    ...(one.family === "inet6"
      // It was checked for duplicates where it comes from; a second check would hold it back for a second.
      ? ["nodad", ...(one.mngtmpaddr ? ["mngtmpaddr"] : []), ...(one.home ? ["home"] : [])]
      : []),
    ...(one.autojoin ? ["autojoin"] : []),
  ].join(" ");
}

function lifetime(seconds: number | undefined): string {
  return seconds === undefined || seconds >= FOREVER ? "forever" : String(seconds);
}

/** A label begins with its device's name (iproute2 insists): "eth0:1" becomes "_dockercnet:1", 15 characters at most. */
function labelOf({ label }: DeviceAddress, from: string, to: string): string | null {
  if (label === undefined || label === from || !label.startsWith(`${from}:`)) return null;
  return `${to}${label.slice(from.length)}`.slice(0, 15);
}

function removeLine(one: DeviceAddress, from: string): string {
  const peer = one.address === undefined ? "" : ` peer ${one.address}/${one.prefixlen}`;
  return `addr del ${
    one.address === undefined ? `${one.local}/${one.prefixlen}` : one.local
  }${peer} dev ${from}`;
}

/** Those that were heard of lately stay known; the gateway is asked anew in any case. */
function neighbourLines(facts: DeviceFacts, to: string): string[] {
  return facts.neighbours.flatMap(({ dst, lladdr, state }) => {
    const nud = state.includes("PERMANENT")
      ? "permanent"
      : state.includes("REACHABLE")
      ? "reachable"
      : state.some((one) => ["STALE", "DELAY", "PROBE"].includes(one))
      ? "stale"
      : null;
    return nud === null ? [] : [`neigh replace ${dst} lladdr ${lladdr} nud ${nud} dev ${to}`];
  });
}

/**
 * Routes that must be made by hand, those without a gateway first: a gateway is reached by them. What the kernel
 * makes with an address is left to it.
 */
function orderedRoutes(routes: readonly string[], facts: DeviceFacts): string[] {
  const own = routes.filter((line) => !isMadeByAddress(line, facts));
  const direct = own.filter((line) => !/\bvia\b/.test(line));
  return [...direct, ...own.filter((line) => !direct.includes(line))];
}

function isMadeByAddress(line: string, facts: DeviceFacts): boolean {
  const words = line.split(" ");
  const after = (word: string) => words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
  if (words[0] !== "unicast" || after("proto") !== KERNEL_PROTOCOL) return false;
  return facts.addresses.some((one) => {
    const subnet = subnetOf(one);
    const metric = one.metric ?? (one.family === "inet6" ? 256 : undefined);
    return !one.noprefixroute && subnet !== null &&
      words[1]!.replace(/^([^/]+)$/, `$1/${subnet.prefix}`) === subnet.text &&
      after("metric") === (metric === undefined ? undefined : String(metric));
  });
}

/** The subnet that an address brings a route to. */
export function subnetOf(one: DeviceAddress): Subnet | null {
  const parsed = parseInterfaceAddress(`${one.address ?? one.local}/${one.prefixlen}`);
  return parsed instanceof Problem ? null : subnetAround(parsed.address, one.prefixlen);
}

function routeText(line: string, family: 4 | 6, from: string, to: string): string {
  return renamed(line.split(" "), ["dev"], from, to)
    // Without -6 a bare "default" is IPv4's.
    .map((word, at) => family === 6 && at <= 1 && word === "default" ? "::/0" : word)
    .join(" ");
}

function ruleText(line: string, from: string, to: string): string {
  return renamed(line.split(" "), ["iif", "oif"], from, to).join(" ");
}

function renamed(words: readonly string[], keywords: readonly string[], from: string, to: string): string[] {
  return words.map((word, at) => word === from && keywords.includes(words[at - 1] ?? "") ? to : word);
}

/** Addresses that routes of the device give as their source and that stand elsewhere (on lo, say). */
export function foreignSources(facts: DeviceFacts): string[] {
  const own = new Set(facts.addresses.map(({ local }) => local));
  const sources = [...facts.routes4, ...facts.routes6].flatMap((line) => {
    const words = line.split(" ");
    const source = words.includes("src") ? words[words.indexOf("src") + 1] : undefined;
    return source === undefined || own.has(source) ? [] : [source];
  });
  return [...new Set(sources)];
}

/** Gateways of default routes by the device, else of any route; each once. */
export function gatewaysOf(facts: DeviceFacts): string[] {
  const vias = (lines: readonly string[]) =>
    lines.flatMap((line) => {
      const words = line.split(" ");
      return words.flatMap((word, at) =>
        word === "via" ? [words[at + 1] === "inet6" ? words[at + 2]! : words[at + 1]!] : []
      );
    });
  const all = [...facts.routes4, ...facts.routes6];
  const byDefault = vias(all.filter((line) => line.split(" ").slice(0, 2).includes("default")));
  return [...new Set(byDefault.length > 0 ? byDefault : vias(all))];
}
