// Shortest paths over vnodes and the nets between them (Dijkstra): what it costs one vnode to reach each net, and the
// neighbour and link it leaves by. Pure, numbers only; what a net is, and what becomes of the paths, is topology.ts's.

/** One interface: the vnode at `vnode` is on the net at `net`, and pays `cost` (1 to 65535) to send into it. */
export interface GraphLink {
  readonly vnode: number;
  readonly net: number;
  readonly cost: number;
}

/** Vnodes and nets by number. Rows of links are kept flat: those of vnode v are at `linkStart[v]` to `linkStart[v + 1]`. */
export interface Graph {
  readonly vnodes: number;
  readonly nets: number;
  readonly linkStart: Int32Array;
  readonly linkNet: Int32Array;
  readonly linkCost: Float64Array;
  readonly memberStart: Int32Array;
  readonly member: Int32Array;
  /** 1 where a vnode hands on what is not for it. */
  readonly transit: Uint8Array;
}

/** What `shortestPaths` found for one vnode. */
export interface Paths {
  /** By net: the distance, comparable only; Infinity where no path leads. See `costOf` and `hopsOf`. */
  readonly distance: Float64Array;
  /** By net: the neighbour that is the next hop; -1 for nets of its own, and where no path leads. */
  readonly neighbour: Int32Array;
  /** By net: which of the vnode's links, counted from 0 in the graph's order, leads to that neighbour; -1 as above. */
  readonly link: Int32Array;
}

/**
 * A distance is cost × STEP + steps, so that one comparison settles cost and then length. Both fit: 2^21 steps, and a
 * cost of 2^32, in the 53 bits of a number.
 */
const STEP = 2 ** 21;

/** The sum of costs in a distance. */
export function costOf(distance: number): number {
  return Math.floor(distance / STEP);
}

/** How many links a packet leaves by on its way: 1 for a net of one's own. */
export function hopsOf(distance: number): number {
  return ((distance % STEP) + 1) / 2;
}

/** Puts links in rows. Each vnode's links keep the order they are given in. */
export function graphOf(
  size: { readonly vnodes: number; readonly nets: number },
  links: readonly GraphLink[],
  isTransit: (vnode: number) => boolean,
): Graph {
  const linkStart = starts(size.vnodes, links.map((link) => link.vnode));
  const memberStart = starts(size.nets, links.map((link) => link.net));
  const [nextLink, nextMember] = [linkStart.slice(), memberStart.slice()];
  const linkNet = new Int32Array(links.length);
  const linkCost = new Float64Array(links.length);
  const member = new Int32Array(links.length);
  for (const link of links) {
    const at = nextLink[link.vnode]!++;
    linkNet[at] = link.net;
    linkCost[at] = link.cost;
    member[nextMember[link.net]!++] = link.vnode;
  }
  const transit = Uint8Array.from({ length: size.vnodes }, (_, vnode) => isTransit(vnode) ? 1 : 0);
  return { ...size, linkStart, linkNet, linkCost, memberStart, member, transit };
}

/** Where each row starts when `rows` says of each item which row it is of. */
function starts(count: number, rows: readonly number[]): Int32Array {
  const start = new Int32Array(count + 1);
  for (const row of rows) start[row + 1]!++;
  for (let row = 0; row < count; row++) start[row + 1]! += start[row]!;
  return start;
}

/**
 * The shortest paths from one vnode to all nets, through vnodes that hand on.
 *
 * Among paths of equal cost the one with fewer hops wins, then the next hop with the smaller number, then the vnode's
 * own earlier link: the same answer for the same graph, always. Takes O(links × log links).
 */
export function shortestPaths(graph: Graph, source: number): Paths {
  const { vnodes, nets, linkStart, linkNet, linkCost, memberStart, member, transit } = graph;
  // Nets first, then vnodes. Each weight is above 0, so whoever is taken from the heap has its final first hop.
  const distance = new Float64Array(nets + vnodes).fill(Infinity);
  const degree = linkStart[source + 1]! - linkStart[source]!;
  /** neighbour × degree + own link: the smaller is the better. -1 within the vnode's own nets. */
  const first = new Float64Array(nets + vnodes).fill(-1);
  const ownLink = new Int32Array(nets).fill(-1);
  const heap = new Heap(2 * linkNet.length + 1);
  distance[nets + source] = 0;
  heap.push(0, nets + source);
  const reach = (node: number, at: number, by: number): boolean => {
    if (at > distance[node]!) return false;
    if (at === distance[node]!) {
      if (by < first[node]!) first[node] = by;
      return false;
    }
    distance[node] = at;
    first[node] = by;
    return true;
  };
  for (let at = heap.pop(); at >= 0; at = heap.pop()) {
    const node = heap.node;
    if (at > distance[node]!) continue;
    const by = first[node]!;
    if (node >= nets) {
      const vnode = node - nets;
      for (let link = linkStart[vnode]!; link < linkStart[vnode + 1]!; link++) {
        const net = linkNet[link]!;
        const far = at + linkCost[link]! * STEP + 1;
        if (!reach(net, far, by)) continue;
        heap.push(far, net);
        if (vnode === source) ownLink[net] = link - linkStart[source]!;
      }
      continue;
    }
    for (let index = memberStart[node]!; index < memberStart[node + 1]!; index++) {
      const vnode = member[index]!;
      const hop = by >= 0 ? by : vnode * degree + ownLink[node]!;
      // Who does not hand on is the end of every path: no need to go there.
      if (transit[vnode] === 1 && reach(nets + vnode, at + 1, hop)) heap.push(at + 1, nets + vnode);
    }
  }
  const neighbour = new Int32Array(nets).fill(-1);
  const link = new Int32Array(nets).fill(-1);
  for (let net = 0; net < nets; net++) {
    if (first[net]! < 0) continue;
    neighbour[net] = Math.floor(first[net]! / degree);
    link[net] = first[net]! % degree;
  }
  return { distance: distance.subarray(0, nets), neighbour, link };
}

/** A binary heap of numbered nodes, least distance on top; of room enough from the start. */
class Heap {
  readonly #keys: Float64Array;
  readonly #nodes: Int32Array;
  #size = 0;
  /** The node that `pop` took last. */
  node = -1;

  constructor(room: number) {
    this.#keys = new Float64Array(room);
    this.#nodes = new Int32Array(room);
  }

  push(key: number, node: number): void {
    const [keys, nodes] = [this.#keys, this.#nodes];
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      nodes[at] = nodes[parent]!;
      at = parent;
    }
    keys[at] = key;
    nodes[at] = node;
  }

  /** Takes the least away: its distance, with `node` set to it; -1 where none is left. */
  pop(): number {
    if (this.#size === 0) return -1;
    const [keys, nodes] = [this.#keys, this.#nodes];
    const top = keys[0]!;
    this.node = nodes[0]!;
    const size = --this.#size;
    const [key, node] = [keys[size]!, nodes[size]!];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[at] = keys[child]!;
      nodes[at] = nodes[child]!;
      at = child;
    }
    keys[at] = key;
    nodes[at] = node;
    return top;
  }
}
