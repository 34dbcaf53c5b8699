// Random experiments for property tests: choices made at random, and made into files that the configuration accepts
// whatever the choices (what does not go together is left out), so that shrinking needs no filters. In pairs, of which
// the second is the first with some of it changed. Owns no running of anything.
import fc from "fast-check";
import type { FileText } from "../../lib/config/parse.ts";

/** What a test can do without, because its world has it not. */
export interface SpecOptions {
  /** At most. @default {6} */
  readonly vnodes?: number;
  /** Lans that are more than a plain bridge: macvlan, vxlan. @default {true} */
  readonly kinds?: boolean;
  /** Vnodes that are made anew: another environment, another control address. @default {true} */
  readonly anew?: boolean;
}

/** One experiment and the one that takes its place. */
export interface SpecPair {
  readonly first: Choices;
  readonly second: Choices;
}

type Pair<Value> = readonly [first: Value, second: Value];
type Tree = Record<string, unknown>;

/** The same twice, or (once in `same` + 1) two of a kind. Shrinks towards the same. */
function either<Value>(arbitrary: fc.Arbitrary<Value>, same = 5): fc.Arbitrary<Pair<Value>> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: same, arbitrary: arbitrary.map((one): Pair<Value> => [one, one]) },
    { weight: 1, arbitrary: fc.tuple(arbitrary, arbitrary) },
  );
}

/** A record of such pairs as a pair of records; as a whole the same twice as often as not. */
function pairs<Fields>(fields: { [Key in keyof Fields]: fc.Arbitrary<Pair<Fields[Key]>> }) {
  const pick = (all: object, at: 0 | 1) =>
    Object.fromEntries(
      Object.entries(all).map(([key, pair]) => [key, (pair as Pair<unknown>)[at]]),
    ) as Fields;
  const every = fc.record(fields as Record<string, fc.Arbitrary<Pair<unknown>>>);
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 1, arbitrary: every.map((all): Pair<Fields> => [pick(all, 0), pick(all, 0)]) },
    { weight: 2, arbitrary: every.map((all): Pair<Fields> => [pick(all, 0), pick(all, 1)]) },
  );
}

/** Arrays of pairs of one length as a pair of arrays. */
function lists<Value>(one: fc.Arbitrary<Pair<Value>>, count: number): fc.Arbitrary<Pair<Value[]>> {
  return fc.array(one, { minLength: count, maxLength: count }).map((all): Pair<Value[]> => [
    all.map(([first]) => first),
    all.map(([, second]) => second),
  ]);
}

/** One of some values, the first being the plainest. */
const of = <const Value>(...values: Value[]) => fc.constantFrom(...values);
const some = <Value>(one: fc.Arbitrary<Value>, most: number) => fc.array(one, { maxLength: most });

interface LanChoice {
  readonly kind: "bridge" | "macvlan" | "vxlan";
  readonly subnets: "both" | "four" | "none";
  readonly mtu: number | null;
  readonly host: "none" | "four" | "both";
  readonly hub: boolean;
  readonly guarded: boolean;
  readonly peers: number;
}

interface WayChoice {
  readonly rate: string | null;
  readonly queue: string | null;
}

interface LinkChoice {
  readonly there: boolean;
  readonly lan: number;
  readonly name: number;
  readonly mac: number;
  readonly four: readonly number[];
  readonly six: readonly number[];
  readonly mtu: number | null;
  readonly cost: number | null;
  readonly down: boolean;
  readonly sysctls: Readonly<Record<string, number | null>>;
  readonly egress: WayChoice;
  readonly ingress: WayChoice;
}

interface RouteChoice {
  readonly to: number;
  readonly six: boolean;
  /** Number of a link; 4 is the control network. */
  readonly link: number;
  readonly via: number;
  readonly dev: boolean;
}

interface VnodeChoice {
  readonly there: boolean;
  readonly control: number;
  readonly env: number;
  readonly file: number;
  readonly routing: boolean;
  readonly forwarding: boolean | null;
  readonly sysctls: Readonly<Record<string, number | null>>;
  readonly hosts: readonly number[];
  readonly style: "none" | "open" | "basic" | "closed";
  readonly log: boolean;
  readonly rules: readonly number[];
  readonly forward: readonly number[];
  readonly links: readonly LinkChoice[];
  readonly routes: readonly RouteChoice[];
}

/** What was chosen at random, before it is made into files. */
export interface Choices {
  readonly lans: readonly LanChoice[];
  readonly vnodes: readonly VnodeChoice[];
}

const way = fc.record({
  rate: of(null, null, "10mbit", "64kbit", "1gbit", "100mbit"),
  queue: of(null, null, "20packets", "64KiB"),
});
const number = fc.integer({ min: 1, max: 12 });

/** Pairs of experiments. */
export function specPairs({ vnodes: most = 6, kinds = true, anew = true }: SpecOptions = {}) {
  const lan = pairs<LanChoice>({
    kind: either(kinds ? of("bridge", "bridge", "bridge", "macvlan", "vxlan") : of("bridge")),
    subnets: either(of("both", "both", "four", "none"), 9),
    mtu: either(of(null, null, 1400, 1280, 1000, 9000)),
    host: either(of("none", "none", "four", "both")),
    hub: either(of(false, false, true)),
    guarded: either(of(false, true)),
    peers: either(of(0, 1)),
  });
  const link = pairs<LinkChoice>({
    there: either(of(false, true, true), 8),
    lan: either(of(0, 1, 2, 3), 8),
    name: either(of(0, 0, 1, 2), 9),
    mac: either(fc.integer({ min: 0, max: 11 })),
    four: either(some(number, 3)),
    six: either(some(number, 2)),
    mtu: either(of(null, null, 1400, 1350, 1280, 1000, 576)),
    cost: either(of(null, 5, 10)),
    down: either(of(false, false, false, true)),
    sysctls: either(fc.record({
      "ipv4.rp_filter": of(null, null, 0, 1, 2),
      "ipv4.arp_ignore": of(null, null, 0, 1),
      "ipv6.accept_ra": of(null, null, 0, 2),
    })),
    egress: either(way),
    ingress: either(way),
  });
  const route = fc.record({
    to: fc.integer({ min: 0, max: 3 }),
    six: fc.boolean(),
    link: fc.integer({ min: 0, max: 4 }),
    via: number,
    dev: fc.boolean(),
  });
  const vnode = pairs<VnodeChoice>({
    there: either(of(false, true, true)),
    control: either(anew ? of(0, 0, 0, 1) : of(0), 9),
    env: either(anew ? of(0, 0, 1) : of(0), 9),
    file: either(of(0, 0, 1), 9),
    routing: either(fc.boolean()),
    forwarding: either(of(null, null, true, false)),
    sysctls: either(fc.record({
      "net.ipv4.tcp_ecn": of(null, null, 0, 1),
      "net.ipv4.ip_default_ttl": of(null, null, 33, 64),
    })),
    hosts: either(some(fc.integer({ min: 0, max: 3 }), 2)),
    style: either(of("none", "open", "basic", "closed")),
    log: either(of(false, false, true)),
    rules: either(some(fc.nat({ max: RULES.length - 1 }), 3)),
    forward: either(some(fc.integer({ min: 0, max: 3 }), 2)),
    links: lists(link, 4),
    routes: either(some(route, 3), 3),
  });
  return fc.tuple(lists(lan, 4), lists(vnode, most)).map(([lans, vnodes]): SpecPair => ({
    first: { lans: lans[0], vnodes: vnodes[0] },
    second: { lans: lans[1], vnodes: vnodes[1] },
  }));
}

const RULES: readonly Tree[] = [
  { in: "accept", protocol: "tcp", port: 80 },
  { in: "drop", protocol: "udp", ports: "8000-8010", log: true },
  { in: "reject", from: "172.16.0.0/16" },
  { out: "drop", protocol: "icmp", to: "192.0.2.0/24" },
  { out: "accept", protocol: "tcp", port: 443, to: "192.0.2.7" },
  { out: "reject", log: true },
];

/** Lans 2 and 3 have the same subnets. */
const netOf = (lan: number) => lan === 3 ? 2 : lan;
const FOUR = (lan: number, host: number | string) => `10.${netOf(lan) + 1}.0.${host}`;
const SIX = (lan: number, host: number | string) => `fd00:${netOf(lan) + 1}::${host}`;

/** A lan as it is written, and what its links may have. */
interface MadeLan {
  readonly name: string;
  readonly written: Tree;
  readonly isPlain: boolean;
  readonly mtu: number;
  readonly hasSix: boolean;
  readonly prefixed: boolean;
}

const LEAST_SIX = 1280;
/** What a tunnel over a device of 1500 bytes takes. */
const TUNNEL_MTU = 1450;

function madeLan(choice: LanChoice, at: number): MadeLan {
  const { kind, mtu: asked, host, hub, guarded, peers } = choice;
  const mtu = kind === "vxlan" ? Math.min(asked ?? TUNNEL_MTU, TUNNEL_MTU) : asked ?? 1500;
  const isPlain = kind !== "macvlan";
  const hasSix = mtu >= LEAST_SIX && choice.subnets !== "four";
  const subnets = choice.subnets === "none"
    ? []
    : [`${FOUR(at, 0)}/24`, ...(hasSix ? [`${SIX(at, "")}/64`] : [])];
  const long = choice.subnets === "none" ? ["/24", "/64"] : ["", ""];
  // The host cannot tell twins apart.
  const hosted = isPlain && at !== 3 && host !== "none"
    ? [FOUR(at, 254) + long[0], ...(host === "both" && hasSix ? [SIX(at, "fe") + long[1]] : [])]
    : [];
  return {
    name: `lan${at}`,
    isPlain,
    mtu,
    hasSix,
    prefixed: choice.subnets === "none",
    written: {
      ...(subnets.length > 0 && { subnets }),
      ...((asked !== null || kind === "vxlan") && { mtu }),
      ...(kind === "macvlan" && { driver: "macvlan" }),
      ...(kind === "vxlan" &&
        { vxlan: { id: 100 + at, peers: ["203.0.113.1", ...(peers === 1 ? ["203.0.113.2"] : [])] } }),
      ...(hosted.length > 0 && { host: hosted }),
      ...(isPlain && hub && { learning: false }),
      ...(isPlain && guarded && { antiSpoof: true }),
    },
  };
}

/** What only one may have, over all vnodes. */
class Taken {
  readonly #taken = new Set<string>();

  /** True the first time. */
  take(what: string): boolean {
    return !this.#taken.has(what) && this.#taken.add(what) !== undefined;
  }
}

const withoutNull = (all: Readonly<Record<string, number | null>>) =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));

function wayOf({ rate, queue }: WayChoice): Tree | null {
  return rate === null ? null : { rate, ...(queue !== null && { queue }) };
}

/** A link as it is written, with what routes by it may lean on. */
interface MadeLink {
  readonly written: Tree;
  readonly lan: number;
  readonly isFour: boolean;
  readonly isSix: boolean;
}

/** `at` is the number of its choice. */
function madeLink(choice: LinkChoice, at: number, lan: MadeLan, taken: Taken): MadeLink {
  const free = (text: string) => taken.take(`${lan.name} ${text}`);
  const mtu = Math.min(choice.mtu ?? lan.mtu, lan.mtu);
  const four = choice.four.map((host) => FOUR(choice.lan, host)).filter(free);
  const six = lan.hasSix && mtu >= LEAST_SIX
    ? choice.six.map((host) => SIX(choice.lan, host)).filter(free)
    : [];
  const addresses = lan.prefixed
    ? [...four.map((one) => `${one}/24`), ...six.map((one) => `${one}/64`)]
    : [...four, ...six];
  const name = [undefined, at === 0 ? "up" : `x.${at}`, `eth${9 - at}`][choice.name];
  const mac = `02:aa:00:00:00:0${choice.mac}`;
  const [egress, ingress] = [wayOf(choice.egress), wayOf(choice.ingress)];
  const both = egress !== null && JSON.stringify(egress) === JSON.stringify(ingress);
  const sysctls = withoutNull(choice.sysctls);
  if (mtu < LEAST_SIX) delete sysctls["ipv6.accept_ra"];
  return {
    lan: choice.lan,
    isFour: four.length > 0,
    isSix: six.length > 0,
    written: {
      lan: lan.name,
      ...(name !== undefined && { name }),
      ...(addresses.length > 0 && { addresses }),
      // Half of them keep the MAC that follows from their names.
      ...(choice.mac < 6 && taken.take(mac) && { mac }),
      ...(choice.mtu !== null && { mtu }),
      ...(choice.cost !== null && { cost: choice.cost }),
      ...(Object.keys(sysctls).length > 0 && { sysctls }),
      ...(lan.isPlain && choice.down && { up: false }),
      ...(lan.isPlain && both && egress),
      ...(lan.isPlain && !both && egress !== null && { egress }),
      ...(lan.isPlain && !both && ingress !== null && { ingress }),
    },
  };
}

const TO_FOUR = ["10.91.0.0/16", "10.92.0.0/24", "10.93.0.7", "default"];
const TO_SIX = ["fd91::/64", "fd92::/48", "fd93::7", "default"];
const CONTROL = 4;

function madeRoutes(choices: readonly RouteChoice[], links: ReadonlyMap<number, MadeLink>): Tree[] {
  const seen = new Set<string>();
  const own = [...links.values()].flatMap(({ written }) => (written["addresses"] ?? []) as string[])
    .map((one) => one.split("/")[0]!);
  return choices.flatMap(({ to, six: isSix, link: at, via: host, dev: isNamed }): Tree[] => {
    const key = `${to} ${isSix}`;
    const link = links.get(at);
    if (at === CONTROL ? isSix : isSix ? link?.isSix !== true : link?.isFour !== true) return [];
    const via = link === undefined ? "172.16.0.1" : (isSix ? SIX : FOUR)(link.lan, host);
    if (seen.has(key) || own.includes(via)) return [];
    seen.add(key);
    const dev = link === undefined ? "eth0" : link.written["name"];
    return [{ to: (isSix ? TO_SIX : TO_FOUR)[to], via, ...(isNamed && dev !== undefined && { dev }) }];
  });
}

function madeVnode(choice: VnodeChoice, number: number, lans: readonly MadeLan[], taken: Taken): Tree {
  // On one of the twins only.
  const isOn = (lan: number) => choice.links.some((link) => link.there && link.lan === lan);
  const links = new Map(
    choice.links.flatMap((link, at): [number, MadeLink][] =>
      link.there && !(link.lan === 3 && isOn(2)) ? [[at, madeLink(link, at, lans[link.lan]!, taken)]] : []
    ),
  );
  const sysctls = withoutNull(choice.sysctls);
  const forward = choice.forward.filter((port) => taken.take(`port ${port}`));
  const routes = madeRoutes(choice.routes, links);
  const hosts = choice.hosts.map((host) => [`other${host}`, `192.0.2.${host + 1 + choice.env}`]);
  return {
    image: "box",
    command: ["sleep", "100000"],
    ...(choice.env === 1 && { env: { BOX: "1" } }),
    ...(choice.control === 1 && { control: { address: `172.16.9.${number}` } }),
    ...(choice.routing && { routing: "static" }),
    ...(choice.forwarding !== null && { forwarding: choice.forwarding }),
    ...(Object.keys(sysctls).length > 0 && { sysctls }),
    ...(hosts.length > 0 && { hosts: Object.fromEntries(hosts) }),
    ...(choice.style !== "none" && {
      firewall: {
        style: choice.style,
        ...(choice.log && { log: true }),
        ...(choice.rules.length > 0 && { rules: choice.rules.map((at) => RULES[at]) }),
      },
    }),
    ...(forward.length > 0 && { forward: forward.map((port) => ({ port: 8000 + port, to: 22 })) }),
    ...(links.size > 0 && { links: [...links.values()].map(({ written }) => written) }),
    ...(routes.length > 0 && { routes }),
  };
}

/** Vnodes that are always there. */
const LEAST_VNODES = 2;

/** Two files of two experiments, as they stand in /etc/berth/vnodes.d. JSON is YAML. */
export function filesOf({ lans: lanChoices, vnodes: choices }: Choices): readonly FileText[] {
  const taken = new Taken();
  const lans = lanChoices.map(madeLan);
  const vnodes = choices.map((choice, at): [number, string, Tree] => [
    choice.file,
    `node${at}`,
    choice.there || at < LEAST_VNODES ? madeVnode(choice, at + 1, lans, taken) : {},
  ]).filter(([, , written]) => "image" in written);
  const of = (file: number) =>
    Object.fromEntries(vnodes.filter(([its]) => its === file).map(([, name, written]) => [name, written]));
  return [
    {
      path: "/etc/berth/vnodes.d/one.yaml",
      text: JSON.stringify({
        lans: Object.fromEntries(lans.map((lan) => [lan.name, lan.written])),
        vnodes: of(0),
      }),
    },
    { path: "/etc/berth/vnodes.d/two.yaml", text: JSON.stringify({ vnodes: of(1) }) },
  ];
}
