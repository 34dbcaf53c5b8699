// Names of vnodes: the lines of /etc/hosts by which one vnode knows the others of its experiment. Pure. Whose block it
// goes into and when is wire.ts's and topology.ts's.
import { carries, type Place, type Standpoint } from "./nets.ts";

/** RFC 1035's most for a label; a longer name is no host's. */
const LABEL_MOST = 63;

/**
 * Lines of /etc/hosts for every other vnode, sorted by vnode and link: `ADDRESS<tab>NODE-LAN NODE-INDEX [NODE]`, the
 * index counted from 0. Each address of a link has a line of its own.
 *
 * A vnode's bare name stands at one address of each family that can be reached: on a lan that both are on (our first
 * such link), else where the shortest path arrives; where no path leads, at its first link with an address, and
 * without any at its control address. A name that is a vnode's, another link's or written in the spec's `hosts`
 * already is left out.
 */
export function namesFrom(standpoint: Standpoint): string[] {
  const { topology, vnode } = standpoint;
  const { specs } = topology;
  const written = new Set(Object.keys(specs[vnode]!.hosts).map((name) => name.toLowerCase()));
  const holders = new Map<string, string>(
    ["localhost", ...specs.map((spec) => spec.name)].map((name) => [name, name]),
  );
  return specs.flatMap((spec, other) => {
    if (other === vnode) return [];
    const bare = new Set(bareAddresses(standpoint, other));
    const name = (at: string) => bare.has(at) && !written.has(spec.name) ? [spec.name] : [];
    const lines = spec.links.flatMap((link, index) => {
      const aliases = [...(link.lan === "" ? [] : [`${spec.name}-${link.lan}`]), `${spec.name}-${index}`]
        .filter((alias) => alias.length <= LABEL_MOST && !written.has(alias))
        .filter((alias) => {
          const holder = `${spec.name} ${index}`;
          if (!holders.has(alias)) holders.set(alias, holder);
          return holders.get(alias) === holder;
        });
      return link.addresses.map((text) => {
        const address = text.slice(0, text.indexOf("/"));
        return { address, names: [...aliases, ...name(`${index} ${address}`)] };
      });
    });
    if (bare.has(spec.control.address)) {
      lines.push({ address: spec.control.address, names: name(spec.control.address) });
    }
    return lines.filter(({ names }) => names.length > 0)
      .map(({ address, names }) => `${address}\t${names.join(" ")}`);
  });
}

/** Where a vnode's bare name stands: "LINK ADDRESS", at most one of each family, or its control address. */
function bareAddresses({ topology, vnode, paths }: Standpoint, other: number): string[] {
  const key = ({ link, address }: Place) => `${link} ${address}`;
  const reached = topology.families.flatMap((family, at) => {
    const theirs = family.places[other]!;
    const shared = family.places[vnode]!.map((own) => theirs.find((place) => place.net === own.net))
      .find((place) => place !== undefined);
    if (shared !== undefined) return [key(shared)];
    const { distance } = paths[at]!;
    const near = theirs.reduce<Place | undefined>(
      (best, place) =>
        distance[place.net]! < (best === undefined ? Infinity : distance[best.net]!) ? place : best,
      undefined,
    );
    return near === undefined ? [] : [key(near)];
  });
  if (reached.length > 0) return reached;
  const { links, control } = topology.specs[other]!;
  const first = links.findIndex((link) => link.addresses.length > 0 && carries(link));
  const link = first >= 0 ? first : links.findIndex((one) => one.addresses.length > 0);
  if (link < 0) return [control.address];
  const ofFamily = (isSix: boolean) => links[link]!.addresses.find((text) => text.includes(":") === isSix);
  return [ofFamily(false), ofFamily(true)].flatMap((text) =>
    text === undefined ? [] : [`${link} ${text.slice(0, text.indexOf("/"))}`]
  );
}
