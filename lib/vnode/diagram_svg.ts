// An experiment as a drawing in SVG: vnodes as boxes, lans as round ones, links between them with their addresses and
// what they do to frames. Pure: a graph (diagram.ts) in, text out, the same for the same graph. For `berth graph --svg`.
import { type Graph, type GraphLan, type GraphLink, type GraphVnode, linkWords } from "./diagram.ts";
import { layOut, type Point } from "./layout.ts";

/** Size of a vnode's box and of a lan's. */
const BOX = { width: 150, height: 48 } as const;
const LAN = { width: 130, height: 36 } as const;
/** What one of either takes with the space around it, so that words on links stay readable. */
const ROOM = { width: 180, height: 84 } as const;
/** From the middle of the outermost boxes to the edge. */
const MARGIN = 120;
/** Height of the line below the drawing that tells what the colours mean. */
const LEGEND = 40;
/** That line's width: a drawing is no narrower. */
const LEAST_WIDTH = 780;
/** With more links than this their words stand only in what is shown when pointed at. */
const LABELLED = 80;

const STYLE = `
text { font: 12px sans-serif; fill: #222; text-anchor: middle }
text.name { font-weight: bold; font-size: 13px }
text.word { font-size: 10px; fill: #444; paint-order: stroke; stroke: #fff; stroke-width: 3px }
text.legend { text-anchor: start; font-size: 11px }
.vnode rect { stroke-width: 2; rx: 6px }
.lan rect { fill: #eef3fb; stroke: #4a6fa5; stroke-width: 1.5 }
.up rect { fill: #eaf6ea; stroke: #2e8b3d }
.degraded rect { fill: #fff4e0; stroke: #d98200; stroke-dasharray: 8 3 }
.down rect { fill: #f0f0f0; stroke: #8a8a8a; stroke-dasharray: 3 3 }
.link line { stroke-width: 2 }
.link.up line { stroke: #2e8b3d }
.link.degraded line { stroke: #d98200; stroke-dasharray: 8 3 }
.link.down line { stroke: #8a8a8a; stroke-dasharray: 3 3 }
`;

/** Text for XML, in elements and attributes alike. What XML 1.0 has no place for becomes a question mark. */
export function escaped(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ud800-\udfff\ufffe\uffff]/gu, "?")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** Live state as one word: what stands, what runs without standing, what does not run. */
function stateOf(vnode: GraphVnode | undefined): "up" | "degraded" | "down" {
  if (vnode?.state !== "up") return "down";
  return vnode.wiring === "wired" ? "up" : "degraded";
}

/** Draws a graph as an SVG document. */
export function drawSvg(graph: Graph): string {
  const { lans } = graph;
  const at = new Map<string, number>();
  for (const { name } of graph.vnodes) at.set(`vnode ${name}`, at.size);
  for (const { name } of lans) at.set(`lan ${name}`, at.size);
  const joined = graph.links.filter((link) => at.has(`vnode ${link.vnode}`) && at.has(`lan ${link.lan}`));
  const places = layOut(
    at.size,
    joined.map((link) => [at.get(`vnode ${link.vnode}`)!, at.get(`lan ${link.lan}`)!]),
    ROOM,
  );
  const left = Math.min(0, ...places.map(({ x }) => x)) - MARGIN;
  const top = Math.min(0, ...places.map(({ y }) => y)) - MARGIN;
  const width = Math.max(LEAST_WIDTH, Math.max(0, ...places.map(({ x }) => x)) + MARGIN - left);
  const height = Math.max(0, ...places.map(({ y }) => y)) + MARGIN - top + LEGEND;
  const place = (key: string): Point => places[at.get(key)!]!;
  const states = new Map(graph.vnodes.map((vnode) => [vnode.name, stateOf(vnode)]));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${left} ${top} ${width} ${height}" ` +
    `width="${width}" height="${height}">`,
    `<title>${graph.vnodes.length} vnodes, ${lans.length} lans, ${graph.links.length} links</title>`,
    `<style>${STYLE}</style>`,
    ...joined.map((link) =>
      linkElement(
        link,
        link.up ? states.get(link.vnode)! : "down",
        place(`vnode ${link.vnode}`),
        place(`lan ${link.lan}`),
        joined.length <= LABELLED,
      )
    ),
    ...lans.map((lan) => lanElement(lan, place(`lan ${lan.name}`))),
    ...graph.vnodes.map((vnode) =>
      vnodeElement(
        vnode,
        graph.links.filter((link) => link.vnode === vnode.name),
        place(`vnode ${vnode.name}`),
      )
    ),
    `<text class="legend" x="${left + 10}" y="${top + height - 14}">` +
    "solid green: up and wired; dashed orange: up, not wired; dotted grey: down. " +
    "↑ what the vnode sends, ↓ what it receives</text>",
    "</svg>",
    "",
  ].join("\n");
}

function box(place: Point, { width, height }: { width: number; height: number }, round = 0): string {
  const corner = round === 0 ? "" : ` rx="${round}"`;
  return `<rect x="${place.x - width / 2}" y="${
    place.y - height / 2
  }" width="${width}" height="${height}"${corner}/>`;
}

function words(name: string, { x, y }: Point, text: string): string {
  return `<text class="${name}" x="${x}" y="${y}">${escaped(text)}</text>`;
}

function titled(lines: readonly string[]): string {
  return `<title>${escaped(lines.filter((line) => line !== "").join("\n"))}</title>`;
}

/** As much of a text as fits into a box of that width. */
function short(text: string, width: number): string {
  const room = Math.floor(width / 7);
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}

function vnodeElement(vnode: GraphVnode, links: readonly GraphLink[], place: Point): string {
  const { state, wiring, wanted, control } = vnode;
  const told = `${state}${state === "up" && wiring !== "wired" ? `, ${wiring}` : ""}` +
    (wanted === null || wanted === state ? "" : `, wanted ${wanted}`);
  return `<g class="vnode ${stateOf(vnode)}">` +
    titled([vnode.name, told, `control ${control}`, ...links.map(linkTitle)]) +
    box(place, BOX) +
    words("name", { x: place.x, y: place.y - 6 }, short(vnode.name, BOX.width)) +
    words("told", { x: place.x, y: place.y + 12 }, short(told, BOX.width)) + "</g>";
}

function lanElement(lan: GraphLan, place: Point): string {
  return '<g class="lan">' + titled([`lan ${lan.name}`, ...lan.subnets, `MTU ${lan.mtu}`]) +
    box(place, LAN, LAN.height / 2) +
    words("name", { x: place.x, y: place.y - 3 }, short(lan.name, LAN.width)) +
    words("told", { x: place.x, y: place.y + 12 }, short(lan.subnets.join(" "), LAN.width)) + "</g>";
}

function linkTitle(link: GraphLink): string {
  return [
    link.interface,
    ...link.addresses,
    link.mac,
    linkWords(link),
    link.up ? "" : "down",
    link.stands ? "" : "not wired at present",
  ]
    .filter((word) => word !== "").join(" ");
}

function linkElement(
  link: GraphLink,
  state: "up" | "degraded" | "down",
  from: Point,
  to: Point,
  labelled: boolean,
): string {
  // Halfway: nearer to the vnode its box covers the words, nearer to the lan several links write over each other.
  const label = { x: Math.round((from.x + to.x) / 2), y: Math.round((from.y + to.y) / 2) };
  const lines = [
    [link.interface, link.addresses[0] ?? link.mac].join(" "),
    linkWords(link),
    link.up ? "" : "down",
  ].filter((one) => one !== "");
  return `<g class="link ${state}">` + titled([`${link.vnode} on ${link.lan}`, linkTitle(link)]) +
    `<line x1="${from.x}" y1="${from.y}" x2="${to.x}" y2="${to.y}"/>` +
    (labelled
      ? lines.map((text, row) => words("word", { x: label.x, y: label.y - 2 + 12 * row }, text)).join("")
      : "") +
    "</g>";
}
