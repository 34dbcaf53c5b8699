// The drawing for browsers: well-formed whatever the names are, every vnode and lan in it once, nothing on top of each
// other, live state as class, the same text for the same graph.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Graph, GraphLink, GraphVnode } from "../../lib/vnode/diagram.ts";
import { drawSvg } from "../../lib/vnode/diagram_svg.ts";
import { golden } from "../cli/_berth.ts";

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
const plain = (text: string) => {
  assert.not.match(text, /&(?!(amp|lt|gt|quot|#39);)/, "a bare &");
  return text.replace(/&([^;]+);/g, (_, name: string) => ENTITIES[name]!);
};

/** Reads XML of elements, attributes and text. @throws {Error} where it is not well-formed. */
function parseXml(text: string): Element {
  const stack: Element[] = [{ name: "", attributes: {}, children: [], text: "" }];
  let at = 0;
  for (const match of text.matchAll(/<(\/?)([a-z]+)((?:\s+[A-Za-z0-9-]+="[^"<]*")*)\s*(\/?)>/g)) {
    const between = text.slice(at, match.index);
    if (between.includes("<")) throw new Error(`A stray "<" in ${JSON.stringify(between)}`);
    stack.at(-1)!.text += plain(between);
    at = match.index + match[0].length;
    const [, closes, name, attributes, alone] = match;
    if (closes) {
      const open = stack.pop()!;
      if (open.name !== name) throw new Error(`</${name}> closes <${open.name}>`);
      continue;
    }
    const pairs = [...attributes!.matchAll(/([A-Za-z0-9-]+)="([^"]*)"/g)].map((
      one,
    ) => [one[1]!, plain(one[2]!)]);
    const element = { name: name!, attributes: Object.fromEntries(pairs), children: [], text: "" };
    stack.at(-1)!.children.push(element);
    if (!alone) stack.push(element);
  }
  if (stack.length !== 1 || text.slice(at).trim() !== "") throw new Error("It does not end where it should");
  return stack[0]!.children[0]!;
}

const all = (element: Element): Element[] => [element, ...element.children.flatMap(all)];
const named = (svg: Element, name: string, kind?: string) =>
  all(svg).filter((one) =>
    one.name === name && (kind === undefined || one.attributes["class"]?.startsWith(kind))
  );

const vnode = (name: string, more: Partial<GraphVnode> = {}): GraphVnode => ({
  name,
  state: "up",
  wanted: "up",
  wiring: "wired",
  control: "172.16.0.2",
  ...more,
});
const link = (vnode: string, lan: string, more: Partial<GraphLink> = {}): GraphLink => ({
  vnode,
  lan,
  interface: "eth1",
  addresses: ["10.1.0.1/24"],
  mac: "02:00:00:00:00:01",
  egress: {},
  ingress: {},
  up: true,
  stands: true,
  ...more,
});
const lan = (name: string) => ({ name, subnets: ["10.1.0.0/24"], mtu: 1500 });

const PAIR: Graph = {
  vnodes: [vnode("left"), vnode("right", { wiring: "not wired: link right/eth1: missing" })],
  lans: [lan("wire")],
  links: [
    link("left", "wire", { egress: { rateBps: 10_000_000 }, ingress: { delayUs: 5000 } }),
    link("right", "wire", { addresses: ["10.1.0.2/24"], stands: false }),
  ],
};

test("a pair on one wire is drawn", () => {
  golden("graph/pair_svg", drawSvg(PAIR));
});

test("live state is the class of what is drawn", () => {
  const svg = parseXml(
    drawSvg({ ...PAIR, vnodes: [...PAIR.vnodes, vnode("off", { state: "halted", wiring: "-" })] }),
  );
  assert.equal(named(svg, "g", "vnode").map((one) => one.attributes["class"]), [
    "vnode up",
    "vnode degraded",
    "vnode down",
  ]);
  assert.equal(named(svg, "g", "link").map((one) => one.attributes["class"]), ["link up", "link degraded"]);
  const [title] = named(named(svg, "g", "link")[0]!, "title");
  assert.is(title!.text, "left on wire\neth1 10.1.0.1/24 02:00:00:00:00:01 ↑ 10mbit ↓ 5ms");
});

test("hostile names are text, and nothing but text", () => {
  const names = [
    `<script>alert("x")</script>`,
    `a"b' onload='x`,
    "&lt;",
    "]]><!--",
    "\u0000\u001b[31m\ud800",
  ];
  const svg = drawSvg({
    vnodes: names.map((name) => vnode(name, { wiring: name })),
    lans: names.map((name) => ({ name: `l${name}`, subnets: [name], mtu: 1500 })),
    links: names.map((name) => link(name, `l${name}`, { interface: name, addresses: [name] })),
  });
  const tree = parseXml(svg);
  const known = ["svg", "title", "style", "g", "rect", "text", "line"];
  assert.equal([...new Set(all(tree).map(({ name }) => name))].sort(), known.sort());
  // deno-lint-ignore no-control-regex
  assert.not.match(svg, /[\u0000\u001b]/);
  assert.ok(named(tree, "g", "vnode").some((one) => one.children[0]!.text.startsWith(names[0]!)));
});

function torus(size: number): Graph {
  const name = (x: number, y: number) => `n${(x + size) % size}-${(y + size) % size}`;
  const cells = Array.from({ length: size * size }, (_, at) => [at % size, Math.floor(at / size)] as const);
  const lans = cells.flatMap(([x, y]) => [`h${x}-${y}`, `v${x}-${y}`]);
  return {
    vnodes: cells.map(([x, y]) => vnode(name(x, y))),
    lans: lans.map(lan),
    links: cells.flatMap(([x, y]) => [
      link(name(x, y), `h${x}-${y}`),
      link(name(x + 1, y), `h${x}-${y}`),
      link(name(x, y), `v${x}-${y}`),
      link(name(x, y + 1), `v${x}-${y}`),
    ]),
  };
}

/** Many vnodes on few lans, each on all of them. */
function dense(vnodes: number, lans: number): Graph {
  const all = (count: number, letter: string) => Array.from({ length: count }, (_, at) => `${letter}${at}`);
  return {
    vnodes: all(vnodes, "v").map((name) => vnode(name)),
    lans: all(lans, "l").map(lan),
    links: all(vnodes, "v").flatMap((name) => all(lans, "l").map((lan) => link(name, lan))),
  };
}

test("in a torus and in dense graphs every name stands once, and no box on another", () => {
  for (const graph of [torus(3), torus(5), dense(200, 1), dense(30, 8), dense(20, 0)]) {
    const text = drawSvg(graph);
    assert.is(drawSvg(graph), text, "the same text for the same graph");
    const svg = parseXml(text);
    const names = named(svg, "text", "name").map((one) => one.text);
    assert.equal([...names].sort(), [...graph.vnodes, ...graph.lans].map(({ name }) => name).sort());
    const boxes = named(svg, "rect").map(({ attributes: { x, y, width, height } }) =>
      [Number(x), Number(y), Number(width), Number(height)] as const
    );
    for (const [at, a] of boxes.entries()) {
      for (const b of boxes.slice(at + 1)) {
        const apart = a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] ||
          b[1] + b[3] <= a[1];
        assert.ok(apart, `${a} and ${b}`);
      }
    }
    const [left, top, width, height] = svg.attributes["viewBox"]!.split(" ").map(Number) as [
      number,
      number,
      number,
      number,
    ];
    for (const [x, y, wide, high] of boxes) {
      assert.ok(x >= left && y >= top && x + wide <= left + width && y + high <= top + height);
    }
  }
});

test("nothing is drawn as nothing", () => {
  const svg = parseXml(drawSvg({ vnodes: [], lans: [], links: [] }));
  assert.is(named(svg, "g").length, 0);
  assert.match(svg.children[0]!.text, /^0 vnodes/);
});

test.run();
