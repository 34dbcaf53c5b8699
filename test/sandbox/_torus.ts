// A torus of vnodes as an experiment: each with four shaped links to its neighbours, two lans a vnode. Used by the test
// of a large topology. Owns no running of anything.

/** Vnodes in a row, and rows. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** An experiment file of a torus. `more` goes over its top keys. */
export function torus({ width, height }: Size, more: Record<string, unknown> = {}): Record<string, unknown> {
  const count = width * height;
  const name = (at: number) => `t${String(at).padStart(3, "0")}`;
  const lanOf = (at: number, way: "r" | "b") => `${way}${String(at).padStart(3, "0")}`;
  const address = (lan: number, host: number) => `10.64.${lan >> 6}.${(lan & 63) * 4 + host}`;
  const lans: Record<string, unknown> = {};
  const links: { lan: string; address: string; rate: string }[][] = Array.from({ length: count }, () => []);
  for (let at = 0; at < count; at++) {
    const right = Math.floor(at / width) * width + (at + 1) % width;
    const below = (at + width) % count;
    for (const [way, other, lan] of [["r", right, 2 * at], ["b", below, 2 * at + 1]] as const) {
      lans[lanOf(at, way)] = { subnet: `${address(lan, 0)}/30` };
      links[at]!.push({ lan: lanOf(at, way), address: address(lan, 1), rate: "100mbit" });
      links[other]!.push({ lan: lanOf(at, way), address: address(lan, 2), rate: "100mbit" });
    }
  }
  const vnodes = Object.fromEntries(
    links.map((all, at) => [name(at), { image: "box", command: ["sleep", "100000"], links: all }]),
  );
  return { ...more, lans, vnodes };
}

/** The names of its vnodes, in order. */
export function torusNames({ width, height }: Size): string[] {
  return Array.from({ length: width * height }, (_, at) => `t${String(at).padStart(3, "0")}`);
}
