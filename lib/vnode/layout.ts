// Where the nodes of a graph stand on a plane: d3-force's springs along the edges, and everything keeps apart. Pure and
// always the same for the same graph: d3-force starts from a spiral, and its chance is always the same.
import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY } from "d3-force";

/** A place. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How far apart two nodes that are joined come to stand, at least. */
const APART = 150;
/** How much all push each other away, in d3-force's own unit: less draws a torus with more links crossing. */
const CHARGE = -3000;
/** How much all are drawn to the middle, or what is not joined would fly apart. */
const GRAVITY = 0.05;
/** Rounds of moving, d3-force's own number; fewer where there are so many nodes that each round counts. */
const ROUNDS = { most: 300, least: 60, nodes: 150_000 } as const;
/** What is left of the first round's heat in the last one: d3-force's own. */
const COLD = 0.001;

/** Places for `count` nodes joined by edges (pairs of their numbers). Boxes of that size do not overlap. */
export function layOut(
  count: number,
  edges: readonly (readonly [number, number])[],
  box: { readonly width: number; readonly height: number },
): readonly Point[] {
  const nodes = Array.from({ length: count }, (): { x?: number; y?: number } => ({}));
  const links = edges.map(([source, target]) => ({ source, target }));
  const rounds = Math.round(Math.max(ROUNDS.least, Math.min(ROUNDS.most, ROUNDS.nodes / Math.max(1, count))));
  forceSimulation(nodes).stop()
    .alphaDecay(1 - COLD ** (1 / rounds))
    .force("apart", forceManyBody().strength(CHARGE))
    .force("joined", forceLink(links).distance(APART).strength(1))
    .force("across", forceX().strength(GRAVITY))
    .force("along", forceY().strength(GRAVITY))
    .force("boxes", forceCollide(Math.hypot(box.width, box.height) / 2))
    .tick(rounds);
  return nodes.map(({ x = 0, y = 0 }) => ({ x: Math.round(x), y: Math.round(y) }));
}
