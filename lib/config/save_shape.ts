// A link's shaping written into the file that declares it, with comments, order and style of the file kept. Text to
// text; reading and writing the file is the caller's. Pure.
import {
  type Document,
  isAlias,
  isMap,
  isSeq,
  type Node,
  parseDocument,
  visit,
  YAMLMap,
  type YAMLSeq,
} from "yaml";
import { BerthError } from "../log/error.ts";
import { parseConfig } from "./parse.ts";
import type { FileText } from "./parse.ts";
import { shapeKeys } from "./schema_shape.ts";
import { type Shapes, type ShapeText, shapeText, type Written } from "./shape_text.ts";
import type { Config, VnodeSpec } from "./types.ts";

/** Which link, and what is to stand of it. */
export interface SaveWish {
  /** Of `files`, the one that declares the vnode. */
  readonly path: string;
  readonly vnode: string;
  readonly link: string;
  readonly shapes: Shapes;
}

/**
 * The text of the file in which the link is declared so. Only keys that must are touched.
 *
 * @param files the whole configuration: what comes out is held against it.
 * @throws {BerthError} code `refused` where the file cannot be edited so that exactly this link changes (anchors, JSON).
 */
export function savedShape(files: readonly FileText[], wish: SaveWish): string {
  const before = parseConfig(files);
  const text = files.find((file) => file.path === wish.path)?.text;
  const declared = linkIn(before.vnodes, wish);
  if (text === undefined || declared === undefined) {
    throw refused(wish, `It does not declare ${wish.link} of ${wish.vnode}`, `berth vnode up ${wish.vnode}`);
  }
  if (/^\s*[{[]/.test(text)) throw refused(wish, "It is JSON, which is not edited", byHand(wish));
  const now = { egress: shapeText(declared.egress), ingress: shapeText(declared.ingress) };
  const wanted = { egress: shapeText(wish.shapes.egress), ingress: shapeText(wish.shapes.ingress) };
  const differing = KEYS.filter((key) =>
    !same(now.egress[key], wanted.egress[key]) || !same(now.ingress[key], wanted.ingress[key])
  );
  if (differing.length === 0) return text;
  // First the keys that differ; all of them where one left standing means something else by now.
  for (const keys of [differing, KEYS]) {
    const edited = edit(text, wish, wanted, keys);
    for (const one of [spliced(text, edited, wish), edited]) {
      if (one !== null && isWished(before, files, one, wish)) return one;
    }
  }
  throw refused(
    wish,
    "Editing it would change more than this link: it is written with anchors or merges",
    byHand(wish),
  );
}

const KEYS = Object.keys(shapeKeys);

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function linkIn(vnodes: readonly VnodeSpec[], { vnode, link }: SaveWish) {
  return vnodes.find((one) => one.name === vnode)?.links.find((one) => one.name === link);
}

function refused({ path }: SaveWish, message: string, next: string): BerthError {
  return new BerthError({ code: "refused", object: `file ${path}`, message, next });
}

/** What to write, for whoever does it with an editor. */
function byHand({ vnode, link, shapes }: SaveWish): string {
  const flow = (shape: ShapeText): string =>
    `{ ${
      Object.entries(shape).map(([key, value]) =>
        `${key}: ${typeof value === "string" ? value : flow(value)}`
      )
        .join(", ")
    } }`;
  const { egress, ingress } = shapes;
  return `Write at ${link} of ${vnode}: egress: ${flow(shapeText(egress))}, ingress: ${
    flow(shapeText(ingress))
  }`;
}

/** Whether the edited file says exactly what is wished: this link, and nothing else of any vnode or lan. */
function isWished(before: Config, files: readonly FileText[], edited: string, wish: SaveWish): boolean {
  let after: Config;
  try {
    after = parseConfig(files.map((file) => file.path === wish.path ? { ...file, text: edited } : file));
  } catch (error) {
    if (error instanceof BerthError) return false;
    throw error;
  }
  const link = linkIn(after.vnodes, wish);
  if (!same(link?.egress, wish.shapes.egress) || !same(link?.ingress, wish.shapes.ingress)) return false;
  // Single frames follow from the shapes; lines of the file move.
  const rest = ({ vnodes, ...config }: Config) => ({
    ...config,
    vnodes: vnodes.map(({ links, source: _, ...vnode }) => ({
      ...vnode,
      links: links.map(({ oneSegment: _, egress, ingress, ...one }) =>
        vnode.name === wish.vnode && one.name === wish.link ? one : { ...one, egress, ingress }
      ),
    })),
  });
  return same(rest(before), rest(after));
}

function edit(
  text: string,
  wish: SaveWish,
  wanted: { readonly egress: ShapeText; readonly ingress: ShapeText },
  keys: readonly string[],
): string {
  const document = parseDocument(text, { merge: true, version: "1.2" });
  const link = linkNode(document, wish);
  if (link === null || isStrange(link)) {
    throw refused(wish, "The link is written with anchors or merges", byHand(wish));
  }
  for (const key of keys) {
    const [out, into] = [wanted.egress[key], wanted.ingress[key]];
    const both = out !== undefined && same(out, into);
    put(document, link, [], key, both ? out : undefined);
    put(document, link, ["egress"], key, both ? undefined : out);
    put(document, link, ["ingress"], key, both ? undefined : into);
  }
  return document.toString({
    lineWidth: 0,
    indent: Math.max(2, /^( +)[^\s#-]/m.exec(text)?.[1]?.length ?? 2),
    indentSeq: !/^( *)[\w-]+:[^\S\n]*\n\1- /m.test(text),
    flowCollectionPadding: !/\{[^\s}]/.test(text),
  });
}

/** The file as it was, with the link's own part as it was edited: printing anew would change the style of the rest. */
function spliced(text: string, edited: string, wish: SaveWish): string | null {
  const [from, to] = [text, edited].map((one) =>
    linkNode(parseDocument(one, { merge: true, version: "1.2" }), wish)?.range
  );
  return from && to ? text.slice(0, from[0]) + edited.slice(to[0], to[1]) + text.slice(from[1]) : null;
}

/** Writes a key of a link, or of one way of it; undefined takes it away, and the way with its last key. */
function put(
  document: Document,
  link: YAMLMap,
  way: readonly string[],
  key: string,
  value: Written | undefined,
): void {
  const path = [...way, key];
  if (value === undefined) {
    if (!link.hasIn(path)) return;
    link.deleteIn(path);
    const map = way.length === 0 ? null : link.getIn(way);
    if (isMap(map) && map.items.length === 0) link.deleteIn(way);
    return;
  }
  if (way.length > 0 && !isMap(link.getIn(way))) link.setIn(way, inline(document, {}));
  // A scalar that stands keeps its comment.
  const found = link.getIn(path, true) as { value?: unknown } | undefined;
  if (typeof value === "string" && typeof found?.value === "string") found.value = value;
  else link.setIn(path, typeof value === "string" ? value : inline(document, value));
}

function inline(document: Document, value: object): YAMLMap {
  const node = document.createNode(value) as YAMLMap;
  node.flow = true;
  return node;
}

/** The link's own map, wherever the file's form puts it; null where there is an alias on the way. */
function linkNode(document: Document, { vnode, link }: SaveWish): YAMLMap | null {
  const top = document.contents;
  if (!isMap(top)) return null;
  const group = top.get("vnodes", true);
  const own = group === undefined
    ? top
    : isMap(group)
    ? group.get(vnode, true)
    : isSeq(group)
    ? (group as YAMLSeq).items.find((one) => isMap(one) && one.get("name") === vnode)
    : null;
  const links = isMap(own) ? own.get("links", true) : null;
  if (!isSeq(links)) return null;
  const found = links.items.find((one, at) => isMap(one) && (one.get("name") ?? `eth${at + 1}`) === link);
  return found instanceof YAMLMap ? found : null;
}

/** Whether other places share what would be edited, or it shares theirs. */
function isStrange(link: YAMLMap): boolean {
  let strange = link.anchor !== undefined;
  visit(link, (_, node) => {
    const { anchor } = node as Partial<Node> & { anchor?: string };
    if (isAlias(node) || anchor !== undefined) strange = true;
  });
  return strange;
}
