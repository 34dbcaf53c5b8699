// Shaping on a command line, over what a link does; and written into a file without disturbing the rest of it.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import { savedShape } from "../../lib/config/save_shape.ts";
import { type Shapes, shapesOf, shapeText } from "../../lib/config/shape_text.ts";
import type { Shape } from "../../lib/config/types.ts";
import { BerthError } from "../../lib/log/error.ts";

const NONE: Shapes = { egress: {}, ingress: {} };
const BOTH = (shape: Shape): Shapes => ({ egress: shape, ingress: shape });

test("shapesOf() gives a key to both ways, or to the one named", () => {
  assert.equal(
    shapesOf(NONE, ["rate=10mbit", "egress.delay=20ms", "egress.jitter=1ms", "ingress.rate=2mbit"]),
    {
      egress: { rateBps: 10_000_000, delayUs: 20_000, jitterUs: 1000 },
      ingress: { rateBps: 2_000_000 },
    },
  );
  const burst = shapesOf(NONE, ["lossModel.toBad=1%", "lossModel.toGood=20%"]).egress;
  assert.equal(burst, { lossModel: { toBad: 1, toGood: 20, inBad: 100, inGood: 0 } });
  assert.equal(shapesOf(BOTH(burst), ["lossModel.inBad=50%"]).ingress.lossModel?.inBad, 50);
});

test("an empty value takes a key away, with what leans on it; one kind of loss is instead of the other", () => {
  const all: Shape = {
    rateBps: 1e6,
    delayUs: 5,
    jitterUs: 1,
    reorderPercent: 2,
    lossPercent: 1,
    queue: { bytes: 3000 },
  };
  assert.equal(shapesOf(BOTH(all), ["egress.delay="]), {
    egress: { rateBps: 1e6, lossPercent: 1, queue: { bytes: 3000 } },
    ingress: all,
  });
  assert.equal(shapesOf(BOTH({ rateBps: 1e6, queue: { bytes: 3000 } }), ["rate="]), NONE);
  const model = { toBad: 1, toGood: 2, inBad: 100, inGood: 0 };
  assert.equal(shapesOf(BOTH({ lossModel: model }), ["loss=3%"]), BOTH({ lossPercent: 3 }));
  const bursts = shapesOf(BOTH({ lossPercent: 3, lossCorrelation: 5 }), [
    "lossModel.toBad=1%",
    "lossModel.toGood=2%",
  ]);
  assert.equal(bursts, BOTH({ lossModel: model }));
});

test("all that is wrong with the arguments is told at once, in the words of a file's", () => {
  const told = (args: readonly string[], base = NONE) => {
    try {
      shapesOf(base, args);
    } catch (error) {
      if (!(error instanceof BerthError)) throw error;
      assert.is(error.code, "usage");
      return error.issues.map(({ place, message }) => `${place}: ${message}`);
    }
    return [];
  };
  assert.equal(
    told([
      "delay=30",
      "egress.rate=1kbit",
      "speed=3",
      "30ms",
      "lossModel=1%",
      "loss.a=1%",
      "ingress.jitter=1ms",
    ]),
    [
      "argument 1: A delay needs its unit",
      "argument 2: Is too low",
      'argument 3: There is no key "speed"',
      "argument 4: Is no shaping",
      "argument 5: A model of loss has parts",
      "argument 6: loss has no parts",
    ],
  );
  assert.equal(told(["jitter=1ms"]), ["argument 1: Needs delay"]);
  assert.equal(told(["delay=1ms"], BOTH({ delayUs: 5000, jitterUs: 2000 })), [
    "jitter, as it is: Is more than the delay",
  ]);
});

const FILE = "/etc/berth/vnodes.d/pair.yaml";
const TEXT = `# Two of them.
lans:
  wire: { subnet: 10.1.0.0/24 } # the slow one
vnodes:
  left:
    image: box
    links:
      # To the right.
      - lan: wire
        address: 10.1.0.1
        rate: 10mbit # as ordered
        egress: { delay: 5ms }

  right: { image: box, links: [{ lan: wire, address: 10.1.0.2 }] }
`;
const saved = (text: string, vnode: string, shapes: Shapes, path = FILE) =>
  savedShape([{ path, text }], { path, vnode, link: "eth1", shapes });

test("savedShape() touches only the keys that must be", () => {
  const base = { egress: { rateBps: 10_000_000, delayUs: 5000 }, ingress: { rateBps: 10_000_000 } };
  assert.is(saved(TEXT, "left", base), TEXT);
  assert.is(
    saved(TEXT, "left", shapesOf(base, ["egress.delay=30ms"])),
    TEXT.replace("5ms", "30ms"),
  );
  assert.is(saved(TEXT, "left", shapesOf(base, ["rate=1mbit"])), TEXT.replace("10mbit", "1mbit"));
  assert.is(
    saved(TEXT, "left", shapesOf(base, ["ingress.loss=1%", "egress.delay="])),
    TEXT.replace("egress: { delay: 5ms }", "ingress: { loss: 1% }"),
  );
  assert.is(
    saved(TEXT, "left", shapesOf(base, ["egress.rate=1mbit"])),
    TEXT.replace("        rate: 10mbit # as ordered\n", "")
      .replace("{ delay: 5ms }", "{ delay: 5ms, rate: 1mbit }\n        ingress: { rate: 10mbit }"),
  );
  const flow = saved(TEXT, "right", BOTH({ lossModel: { toBad: 1, toGood: 20, inBad: 100, inGood: 0 } }));
  assert.is(
    flow,
    TEXT.replace(
      "address: 10.1.0.2 }",
      "address: 10.1.0.2, lossModel: { toBad: 1%, toGood: 20%, inBad: 100%, inGood: 0% } }",
    ),
  );
});

test("savedShape() knows lists, single vnodes and links by name, and keeps to the file's indentation", () => {
  const list = `lans: [{ name: w }]
vnodes:
- name: one
  image: box
  links:
  - { lan: w, name: out }
  - { lan: w, name: eth1, delay: 1ms }
`;
  assert.is(saved(list, "one", BOTH({ delayUs: 2000 })), list.replace("1ms", "2ms"));
  const lans = { path: "/etc/berth/vnodes.d/lans.yaml", text: "lans: { w: {} }\n" };
  const single = `name: one\nimage: box\nlinks:\n    - lan: w\n      delay: 1ms\n`;
  assert.is(
    savedShape([lans, { path: FILE, text: single }], {
      path: FILE,
      vnode: "one",
      link: "eth1",
      shapes: NONE,
    }),
    single.replace("      delay: 1ms\n", ""),
  );
});

test("savedShape() refuses what it cannot edit alone: anchors, merges, JSON", () => {
  const refuse = (text: string, what: RegExp) => {
    try {
      saved(text, "one", BOTH({ delayUs: 2000 }));
      assert.unreachable(text);
    } catch (error) {
      if (!(error instanceof BerthError)) throw error;
      assert.is(error.code, "refused");
      assert.match(error.message, what);
      assert.match(error.next!, /Write at eth1 of one: egress: \{ delay: 2ms \}/);
    }
  };
  const shared =
    "lans: { w: {} }\nvnodes:\n  one: { image: box, links: &l [{ lan: w }] }\n  two: { image: box, links: *l }\n";
  refuse(shared, /more than this link/);
  refuse("lans: { w: {} }\nvnodes:\n  one: { image: box, links: [&l { lan: w }] }\n", /anchors/);
  refuse(
    "lans: { w: {} }\nvnodes:\n  one: { image: box, links: [{ lan: w, egress: &e { delay: 1ms }, ingress: *e }] }\n",
    /anchors/,
  );
  refuse('{"lans": {"w": {}}, "vnodes": {"one": {"image": "box", "links": [{"lan": "w"}]}}}', /JSON/);
});

test("any shape is written so that it is read as it was, over any other", () => {
  const share = fc.integer({ min: 1, max: 1e8 }).map((millionths) => millionths / 1e6);
  const shape = fc.record({
    rateBps: fc.integer({ min: 8000, max: 1e10 }),
    delayUs: fc.integer({ min: 10, max: 6e7 }),
    jitterUs: fc.integer({ min: 1, max: 10 }),
    distribution: fc.constantFrom("normal" as const, "pareto" as const),
    lossPercent: share,
    lossCorrelation: share,
    duplicatePercent: share,
    corruptPercent: share,
    reorderPercent: share,
    queue: fc.constantFrom({ packets: 9 }, { bytes: 4096 }),
  }, { requiredKeys: [] }).map((one): Shape => ({
    ...one,
    ...(one.delayUs === undefined &&
      { jitterUs: undefined, distribution: undefined, reorderPercent: undefined }),
    ...(one.jitterUs === undefined && { distribution: undefined }),
    ...(one.lossPercent === undefined && { lossCorrelation: undefined }),
    ...(one.rateBps === undefined && { queue: undefined }),
  })).map((one) => shapesOf(NONE, argsOf(one)).egress);
  const argsOf = (one: Shape) => Object.entries(shapeText(one)).map(([key, value]) => `${key}=${value}`);
  fc.assert(
    fc.property(shape, shape, shape, shape, (a, b, c, d) => {
      assert.equal(
        shapesOf({ egress: b, ingress: c }, [...argsOf(a)]).egress.rateBps,
        a.rateBps ?? b.rateBps,
      );
      const first = saved(TEXT, "left", { egress: a, ingress: b });
      const second = saved(first, "left", { egress: c, ingress: d });
      const link = parseConfig([{ path: FILE, text: second }]).vnodes[0]!.links[0]!;
      assert.equal([link.egress, link.ingress], [c, d]);
      assert.match(second, /^# Two of them\.\n[^]*# the slow one\n[^]*# To the right\./);
    }),
    { numRuns: 60 },
  );
});

test.run();
