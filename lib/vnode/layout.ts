// Where the nodes of a graph stand on a plane: springs along the edges, and everything keeps apart. Pure and always the
// same for the same graph: no chance in it.

/** A place. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How far apart two nodes that are joined come to stand, roughly. */
const APART = 150;
/** Rounds of moving; fewer where there are so many nodes that each round counts. */
const ROUNDS = 150;
/** Pairs of nodes that all rounds together look at. */
const PAIRS = 40_000_000;
/** How much closer to the middle all are drawn in a round, or what is not joined would fly apart. */
const GRAVITY = 0.02;

/**
 * Places for `count` nodes joined by edges (pairs of their numbers), by Fruchterman and Reingold's springs, from a
 * circle. Boxes of that size do not overlap afterwards, save in graphs that are too dense for any plane.
 */
export function layOut(
  count: number,
  edges: readonly (readonly [number, number])[],
  box: { readonly width: number; readonly height: number },
): readonly Point[] {
  const radius = APART * Math.max(1, Math.sqrt(count));
  // Not quite a circle: a symmetric start would stay symmetric, with nodes on top of each other.
  const x = Float64Array.from({ length: count }, (_, at) => radius * Math.cos(2 * Math.PI * at / count));
  const y = Float64Array.from(
    { length: count },
    (_, at) => radius * Math.sin(2 * Math.PI * at / count) + (at * 7) % 11,
  );
  const rounds = Math.max(10, Math.min(ROUNDS, Math.floor(PAIRS / Math.max(1, count * count))));
  for (let round = 0; round < rounds; round++) {
    const step = radius / 4 * (1 - round / rounds) + 1;
    const [dx, dy] = [new Float64Array(count), new Float64Array(count)];
    for (let a = 0; a < count; a++) {
      for (let b = a + 1; b < count; b++) push(x, y, dx, dy, a, b);
      dx[a]! -= x[a]! * GRAVITY;
      dy[a]! -= y[a]! * GRAVITY;
    }
    for (const [a, b] of edges) pull(x, y, dx, dy, a, b);
    for (let at = 0; at < count; at++) {
      const length = Math.hypot(dx[at]!, dy[at]!);
      if (length === 0) continue;
      const part = Math.min(length, step) / length;
      x[at]! += dx[at]! * part;
      y[at]! += dy[at]! * part;
    }
  }
  separate(x, y, box);
  return Array.from({ length: count }, (_, at) => ({ x: Math.round(x[at]!), y: Math.round(y[at]!) }));
}

function push(
  x: Float64Array,
  y: Float64Array,
  dx: Float64Array,
  dy: Float64Array,
  a: number,
  b: number,
): void {
  const [ax, ay] = [x[a]! - x[b]!, y[a]! - y[b]!];
  const square = Math.max(1, ax * ax + ay * ay);
  const force = APART * APART / square;
  dx[a]! += ax * force;
  dy[a]! += ay * force;
  dx[b]! -= ax * force;
  dy[b]! -= ay * force;
}

function pull(
  x: Float64Array,
  y: Float64Array,
  dx: Float64Array,
  dy: Float64Array,
  a: number,
  b: number,
): void {
  const [ax, ay] = [x[a]! - x[b]!, y[a]! - y[b]!];
  const force = Math.hypot(ax, ay) / APART;
  dx[a]! -= ax * force;
  dy[a]! -= ay * force;
  dx[b]! += ax * force;
  dy[b]! += ay * force;
}

/** Rounds in which boxes that overlap are moved apart. */
const SEPARATIONS = 60;

/** Moves overlapping boxes apart, along the way that is shorter. */
function separate(
  x: Float64Array,
  y: Float64Array,
  { width, height }: { width: number; height: number },
): void {
  for (let round = 0; round < SEPARATIONS; round++) {
    let moved = false;
    for (let a = 0; a < x.length; a++) {
      for (let b = a + 1; b < x.length; b++) {
        const across = width - Math.abs(x[a]! - x[b]!);
        const along = height - Math.abs(y[a]! - y[b]!);
        if (across <= 0 || along <= 0) continue;
        moved = true;
        if (across < along) {
          const half = across / 2 * (x[a]! < x[b]! ? -1 : 1);
          x[a]! += half;
          x[b]! -= half;
        } else {
          const half = along / 2 * (y[a]! < y[b]! ? -1 : 1);
          y[a]! += half;
          y[b]! -= half;
        }
      }
    }
    if (!moved) return;
  }
}
