// The running experiment as a graph and as a drawing: vnodes as boxes on the left, lans as double lines, links
// between them. Pure: records and status in, nodes, edges and lines out. For `berth graph`.
import type { LinkSpec, Shape } from "../config/types.ts";
import { formatDelay, formatPercent, formatQueue, formatRate } from "../config/units.ts";
import { effectiveSpec } from "./live.ts";
import type { VnodeRecord } from "./record.ts";
import type { VnodeStatus } from "./status.ts";

/** A vnode as a node of the graph. */
export interface GraphVnode {
  readonly name: string;
  readonly state: string;
  readonly wanted: "up" | "halted" | null;
  readonly wiring: string;
  /** Its address on the control network; "-" where its record is lost. */
  readonly control: string;
}

/** A lan as a node of the graph, or a device of the machine's own that is lent to one vnode. */
export interface GraphLan {
  /** Of a device: "device ens5". */
  readonly name: string;
  readonly subnets: readonly string[];
  readonly mtu: number;
}

/** A link: the edge between a vnode and a lan. */
export interface GraphLink {
  readonly vnode: string;
  readonly lan: string;
  /** Its name inside the vnode. */
  readonly interface: string;
  readonly addresses: readonly string[];
  readonly mac: string;
  /** From the vnode into the lan. */
  readonly egress: Shape;
  /** From the lan into the vnode. */
  readonly ingress: Shape;
  /** Its carrier as it is asked for at this moment: by its spec, by what was changed live, or by the clock. */
  readonly up: boolean;
  /** True when the vnode runs and its wiring was seen in the kernel. */
  readonly stands: boolean;
}

/** Everything a drawing needs. */
export interface Graph {
  readonly vnodes: readonly GraphVnode[];
  readonly lans: readonly GraphLan[];
  readonly links: readonly GraphLink[];
}

function linksOf(record: VnodeRecord | undefined): readonly LinkSpec[] {
  return record === undefined ? [] : effectiveSpec(record).links;
}

/** The graph of the vnodes that are. Order: vnodes by name, lans by the first link on them. */
export function graphOf(records: readonly VnodeRecord[], statuses: readonly VnodeStatus[]): Graph {
  const byName = new Map(records.map((record) => [record.name, record]));
  const vnodes = [...statuses].sort((a, b) => a.name < b.name ? -1 : 1);
  const links = vnodes.flatMap((status) =>
    linksOf(byName.get(status.name)).map((link): GraphLink => ({
      vnode: status.name,
      lan: link.device === undefined ? link.lan : `device ${link.device}`,
      interface: link.name,
      addresses: link.addresses,
      mac: link.mac,
      egress: link.egress,
      ingress: link.ingress,
      up: link.up !== false,
      stands: status.state === "up" && status.wiring === "wired",
    }))
  );
  const known = new Map(records.flatMap((record) => record.lans).map((lan) => [lan.name, lan]));
  const used = [...new Set(links.map((link) => link.lan))];
  return {
    vnodes: vnodes.map(({ name, state, wanted, wiring, control }) => ({
      name,
      state,
      wanted,
      wiring,
      control,
    })),
    lans: used.map((name) => ({
      name,
      subnets: known.get(name)?.subnets ?? [],
      mtu: known.get(name)?.mtu ?? 1500,
    })),
    links,
  };
}

function shapeWords(shape: Shape): string {
  const share = (percent: number | undefined, what: string) =>
    percent ? `${formatPercent(percent)} ${what}` : "";
  const { queue } = shape;
  return [
    shape.rateBps === undefined ? "" : formatRate(shape.rateBps),
    queue === undefined ? "" : `queue ${formatQueue(queue)}`,
    shape.delayUs
      ? formatDelay(shape.delayUs) + (shape.jitterUs ? `±${formatDelay(shape.jitterUs)}` : "")
      : "",
    share(shape.lossPercent, "lost"),
    shape.lossModel === undefined ? "" : "lost in bursts",
    share(shape.duplicatePercent, "twice"),
    share(shape.corruptPercent, "corrupt"),
    share(shape.reorderPercent, "early"),
  ].filter((word) => word !== "").join(" ");
}

/** What a link does to frames: "↑↓ 10mbit", "↑ 10mbit ↓ 2mbit 5ms"; "" where it shapes nothing. */
export function linkWords({ egress, ingress }: Pick<GraphLink, "egress" | "ingress">): string {
  const [up, down] = [shapeWords(egress), shapeWords(ingress)];
  if (up === down) return up === "" ? "" : `↑↓ ${up}`;
  return [up === "" ? "" : `↑ ${up}`, down === "" ? "" : `↓ ${down}`].filter(Boolean).join(" ");
}

/** A row of a box; a link where one leaves it. */
interface Row {
  readonly text: string;
  readonly link?: GraphLink;
}

function titleOf(vnode: GraphVnode): string {
  const wiring = vnode.state !== "up" ? "" : vnode.wiring === "wired" ? ", wired" : ", not wired";
  const wanted = vnode.wanted === null || vnode.wanted === vnode.state ? "" : `, wanted ${vnode.wanted}`;
  return `${vnode.state}${wiring}${wanted}`;
}

function rowsOf(vnode: GraphVnode, links: readonly GraphLink[]): Row[] {
  const width = Math.max(...[...links, { interface: "eth0" }].map((link) => link.interface.length));
  const name = (text: string) => text.padEnd(width + 2);
  return [
    { text: `${name("eth0")}${vnode.control} control` },
    ...links.flatMap((link): Row[] => [
      { text: `${name(link.interface)}${link.addresses[0] ?? link.mac}`, link },
      ...link.addresses.slice(1).map((address) => ({ text: `${name("")}${address}` })),
    ]),
  ];
}

/** Columns between two lans' lines. */
const LAN_STEP = 4;

/**
 * Draws a graph as lines of text, in Unicode's box characters. What stands and is up is drawn through, what
 * is not is dashed. ╢ and ╜ join a link to a lan; ╫ only crosses it.
 */
export function drawGraph(graph: Graph): string[] {
  if (graph.vnodes.length === 0) return ["There are no vnodes"];
  const boxes = graph.vnodes.map((vnode) => {
    const rows = rowsOf(vnode, graph.links.filter((link) => link.vnode === vnode.name));
    return { vnode, title: titleOf(vnode), rows };
  });
  const inner = Math.max(...boxes.flatMap(({ vnode, title, rows }) => [
    vnode.name.length + title.length + 4,
    ...rows.map((row) => row.text.length),
  ]));
  const words = Math.max(0, ...graph.links.map((link) => lineWords(link).length));
  const canvas = lanCanvas(graph);
  const left = inner + 4;
  const lines = canvas.heads.map((head) => " ".repeat(left + words + 6) + head);
  for (const { vnode, title, rows } of boxes) {
    const rule = "─".repeat(inner - vnode.name.length - title.length - 2);
    lines.push(`┌ ${vnode.name} ${rule} ${title} ┐` + " ".repeat(words + 6) + canvas.through());
    for (const { text, link } of rows) {
      const body = `│ ${text.padEnd(inner)} `;
      if (link === undefined) lines.push(`${body}│` + " ".repeat(words + 6) + canvas.through());
      else lines.push(`${body}├` + edgeWords(link, words) + canvas.join(link));
    }
    lines.push(`└${"─".repeat(inner + 2)}┘` + " ".repeat(words + 6) + canvas.through());
  }
  return [...lines, ...notes(graph)].map((line) => line.trimEnd());
}

function stroke(link: GraphLink): string {
  return link.stands && link.up ? "─" : "╌";
}

/** What stands on a link's line. */
function lineWords(link: GraphLink): string {
  return [linkWords(link), link.up ? "" : "down"].filter((word) => word !== "").join(" ");
}

function edgeWords(link: GraphLink, width: number): string {
  const words = lineWords(link);
  const text = words === "" ? stroke(link).repeat(2) : ` ${words} `;
  return stroke(link).repeat(2) + text.padEnd(width + 2, stroke(link)) + stroke(link).repeat(2);
}

/** The right-hand side: a double line per lan, from its name down to the last link on it. */
function lanCanvas(graph: Graph) {
  const left = new Map(graph.lans.map(({ name }) => [
    name,
    graph.links.filter((link) => link.lan === name).length,
  ]));
  const mark = (name: string) => left.get(name)! > 0 ? "║" : " ";
  const row = (cells: readonly string[], fill: readonly string[]) =>
    cells.map((cell, index) => cell + (fill[index] ?? "").repeat(LAN_STEP - 1)).join("");
  return {
    heads: graph.lans.map(({ name, subnets }, index) =>
      row(graph.lans.slice(0, index).map((lan) => mark(lan.name)), Array(index).fill(" ")) +
      [name, ...subnets].join("  ")
    ),
    through: () => row(graph.lans.map(({ name }) => mark(name)), graph.lans.map(() => " ")),
    join(link: GraphLink): string {
      const at = graph.lans.findIndex(({ name }) => name === link.lan);
      const cells = graph.lans.map(({ name }, index) => {
        if (index > at) return mark(name);
        if (index < at) return mark(name) === "║" ? "╫" : stroke(link);
        return left.get(name)! > 1 ? "╢" : "╜";
      });
      left.set(link.lan, left.get(link.lan)! - 1);
      return row(cells, graph.lans.map((_, index) => index < at ? stroke(link) : " "));
    },
  };
}

function notes(graph: Graph): string[] {
  const shaped = graph.links.some((link) => linkWords(link) !== "");
  const dashed = graph.links.some((link) => !link.stands);
  return [
    ...(shaped ? ["↑ what the vnode sends, ↓ what it receives"] : []),
    ...(dashed ? ["╌ not wired at present"] : []),
    ...(graph.links.some((link) => link.stands && !link.up) ? ["╌ down: its carrier is off"] : []),
    ...graph.vnodes.filter(({ state, wiring }) => state === "up" && wiring !== "wired")
      .map(({ name, wiring }) => `! ${name}: ${wiring}`),
  ];
}
