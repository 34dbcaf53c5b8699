// A shape on the fake kernel, with all that netem can do: what is asked for is found again as it was asked for, any
// shape follows any other, and what is changed in place keeps its backlog.
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { needsNetem } from "../../lib/config/segments.ts";
import type { Shape } from "../../lib/config/types.ts";
import { netemDiffers, netemOf, netemWords } from "../../lib/vnode/netem.ts";
import { type FoundQdisc, qdiscLines, qdiscsOf, shapeDiffers } from "../../lib/vnode/shape.ts";
import { qdiscSteps } from "../../lib/vnode/shape_steps.ts";
import { createFakeHost } from "../fake/host.ts";
import { FakeKernel } from "../fake/kernel.ts";
import { tcLine } from "../fake/kernel_tc.ts";

/** A share as it can be written: six decimals, not nothing. */
const share = fc.integer({ min: 1, max: 100_000_000 }).map((millionths) => millionths / 1e6);
const anyShare = fc.integer({ min: 0, max: 100_000_000 }).map((millionths) => millionths / 1e6);
/** Present or not, and with it what leans on it. */
const maybe = <T extends object>(one: fc.Arbitrary<T>): fc.Arbitrary<Partial<T>> =>
  fc.option(one).map((value) => value ?? {});

const delay = fc.integer({ min: 1, max: 60_000_000 });
const timing = delay.chain((delayUs) =>
  fc.tuple(
    maybe(
      fc.tuple(
        fc.record({ jitterUs: fc.integer({ min: 1, max: delayUs }) }),
        maybe(fc.record({ jitterCorrelation: share })),
        maybe(fc.record({ distribution: fc.constantFrom("normal" as const, "pareto", "paretonormal") })),
      ).map(([jitter, correlation, table]) => ({ ...jitter, ...correlation, ...table })),
    ),
    maybe(
      fc.tuple(fc.record({ reorderPercent: share }), maybe(fc.record({ reorderCorrelation: share })))
        .map(([one, other]) => ({ ...one, ...other })),
    ),
  ).map(([jitter, reorder]) => ({ delayUs, ...jitter, ...reorder }))
);
const model = fc.record({ toBad: share, toGood: share, inBad: anyShare, inGood: anyShare });
const loss = fc.oneof(
  fc.tuple(fc.record({ lossPercent: share }), maybe(fc.record({ lossCorrelation: share })))
    .map(([one, other]) => ({ ...one, ...other })),
  fc.record({ lossModel: model }),
);
const duplicate = fc.tuple(
  fc.record({ duplicatePercent: share }),
  maybe(fc.record({ duplicateCorrelation: share })),
)
  .map(([one, other]) => ({ ...one, ...other }));
const corrupt = fc.tuple(
  fc.record({ corruptPercent: share }),
  maybe(fc.record({ corruptCorrelation: share })),
)
  .map(([one, other]) => ({ ...one, ...other }));
const rate = fc.record({ rateBps: fc.integer({ min: 8000, max: 10_000_000_000 }) });
const packets = fc.integer({ min: 1, max: 1_000_000 }).map((packets) => ({ packets }));
const bytes = fc.integer({ min: 1600, max: 2 ** 30 }).map((bytes) => ({ bytes }));

const shapes: fc.Arbitrary<Shape> = fc.tuple(
  maybe(rate),
  maybe(timing),
  maybe(loss),
  maybe(duplicate),
  maybe(corrupt),
  fc.option(fc.oneof(packets, bytes)),
).map(([rate, timing, loss, duplicate, corrupt, queue]) => {
  const shape: Shape = { ...rate, ...timing, ...loss, ...duplicate, ...corrupt };
  const fits = queue !== null && (shape.rateBps !== undefined || ("packets" in queue && needsNetem(shape)));
  return fits ? { ...shape, queue } : shape;
});

function device() {
  const host = createFakeHost({ commands: [] });
  const kernel = new FakeKernel(host.machine);
  kernel.add("d", "veth");
  const run = (lines: readonly string[]) => {
    for (const line of lines) tcLine(kernel, line);
  };
  return { kernel, run, found: () => kernel.qdiscs as readonly FoundQdisc[] };
}

/** Everything a change may be told apart by. */
function plain(shape: Shape): string {
  return JSON.stringify(qdiscsOf(shape, 1500));
}

test("what is asked for is found again as it was asked for, to the smallest step", () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const { run, found } = device();
      const wanted = qdiscsOf(shape, 1500);
      run(qdiscLines("d", wanted));
      assert.is(shapeDiffers(found(), wanted), null, JSON.stringify(found()));
    }),
    { numRuns: 1000 },
  );
});

test("any shape follows any other in one pass; what stays of one kind is changed in place, with its backlog", () => {
  const outer = (shape: Shape) => needsNetem(shape) ? "netem" : shape.rateBps === undefined ? null : "tbf";
  fc.assert(
    fc.property(shapes, shapes, (before, after) => {
      const { kernel, run, found } = device();
      const tell = JSON.stringify([before, after]);
      run(qdiscLines("d", qdiscsOf(before, 1500)));
      for (const one of kernel.qdiscs) one.backlog = 1;
      const wanted = qdiscsOf(after, 1500);
      const steps = qdiscSteps("shaping", "d", found(), wanted);
      run(steps.flatMap((step) => step.tc ?? []));
      assert.is(shapeDiffers(found(), wanted), null, tell);
      const tables = kernel.qdiscs.flatMap((one) => one.distribution ?? []);
      assert.equal(tables, after.distribution === undefined ? [] : [after.distribution], tell);
      const inPlace = outer(before) !== null && outer(before) === outer(after) &&
        before.distribution === after.distribution &&
        !(outer(after) === "netem" && before.rateBps !== undefined && after.rateBps === undefined);
      const root = kernel.qdiscs.find((one) => one.root);
      assert.is(root?.backlog, inPlace ? 1 : undefined, tell);
      if (plain(before) === plain(after)) assert.equal(steps, [], tell);
    }),
    { numRuns: 2000 },
  );
});

test("a difference of the smallest step in any one number is seen", () => {
  const full: Shape = {
    delayUs: 20_000,
    jitterUs: 1000,
    jitterCorrelation: 25,
    lossPercent: 1,
    lossCorrelation: 20,
    duplicatePercent: 0.5,
    duplicateCorrelation: 10,
    corruptPercent: 0.01,
    corruptCorrelation: 5,
    reorderPercent: 5,
    reorderCorrelation: 50,
  };
  const { run, found } = device();
  run(qdiscLines("d", qdiscsOf(full, 1500)));
  for (const [key, value] of Object.entries(full) as [keyof Shape, number][]) {
    // tc tells six digits of each number: a hundredth of a percent of it is well within them.
    const other = { ...full, [key]: key.endsWith("Us") ? value + 3 : value * 1.0001 };
    const differs = shapeDiffers(found(), qdiscsOf(other, 1500));
    assert.is(differs?.how, "replace", key);
    assert.match(differs!.why, /, wanted /, key);
    const { [key]: _, ...without } = full;
    // Without its base nothing may lean on it.
    if (key !== "delayUs") assert.ok(shapeDiffers(found(), qdiscsOf(without, 1500)), key);
  }
  const bare = device();
  bare.run(qdiscLines("d", qdiscsOf({ lossPercent: 1 }, 1500)));
  assert.is(shapeDiffers(bare.found(), qdiscsOf({ lossPercent: 1.000011 }, 1500))?.how, "replace");
  const tiny = device();
  tiny.run(qdiscLines("d", qdiscsOf({ delayUs: 2, lossPercent: 0.000001 }, 1500)));
  for (
    const other of [{ delayUs: 5, lossPercent: 0.000001 }, { delayUs: 2, lossPercent: 0.000002 }, {
      delayUs: 2,
    }]
  ) {
    assert.ok(shapeDiffers(tiny.found(), qdiscsOf(other, 1500)), JSON.stringify(other));
  }
});

test("netemWords() names everything each time, and a table only where there is one", () => {
  assert.is(
    netemWords(netemOf({ delayUs: 20_000 })),
    "netem limit 195313 delay 20000us 0us 0% loss random 0% 0% duplicate 0% 0% corrupt 0% 0% reorder 0% 0%",
  );
  assert.is(
    netemWords(netemOf({
      rateBps: 1_000_000,
      delayUs: 20_000,
      jitterUs: 2000,
      jitterCorrelation: 25,
      distribution: "pareto",
      lossModel: { toBad: 1, toGood: 20, inBad: 100, inGood: 0 },
      duplicatePercent: 0.000001,
    })),
    "netem limit 1000 delay 20000us 2000us 25% distribution pareto loss gemodel 1% 20% 100% 0% " +
      "duplicate 0.000001% 0% corrupt 0% 0% reorder 0% 0%",
  );
});

test("what somebody else has set on netem is seen; what cannot be unset is made anew", () => {
  const { kernel, run, found } = device();
  const wanted = qdiscsOf({ delayUs: 5000 }, 1500);
  run(qdiscLines("d", wanted));
  const [root] = kernel.qdiscs;
  const clean = root!.options;
  for (
    const [strange, how] of [
      [{ rate: { rate: 1000 } }, "anew"],
      [{ slot: { "min-delay": 1 } }, "anew"],
      [{ ecn: true }, "anew"],
      [{ gap: 5 }, "replace"],
      [{ corrupt: { corrupt: 0.1 } }, "replace"],
      [{ "loss-gemodel": { p: 0.1, r: 0.9 } }, "replace"],
      [{ delay: { delay: 0.005, jitter: 0.001 } }, "replace"],
      [{ limit: 10 }, "replace"],
    ] as const
  ) {
    root!.options = { ...clean, ...strange };
    assert.is(shapeDiffers(found(), wanted)?.how, how, JSON.stringify(strange));
  }
  root!.options = clean;
  assert.is(netemDiffers(found()[0]!, wanted.netem!), null);
  root!.handle = "8001:";
  assert.is(shapeDiffers(found(), wanted)?.how, "anew", "what somebody put in our place");
  assert.is(shapeDiffers(found(), {})?.how, "anew", "and where nothing is wanted");
});

test("a queue in packets is set again with each change of the rate, and gives way to one in bytes", () => {
  const { kernel, run, found } = device();
  const queue = () =>
    kernel.qdiscs.filter((one) => one.kind.endsWith("fifo")).map((one) => [one.kind, one.options]);
  const set = (shape: Shape) => {
    const steps = qdiscSteps("shaping", "d", found(), qdiscsOf(shape, 1500));
    run(steps.flatMap((step) => step.tc ?? []));
    assert.is(shapeDiffers(found(), qdiscsOf(shape, 1500)), null);
    return steps.flatMap((step) => step.tc ?? []);
  };
  set({ rateBps: 1_000_000, queue: { packets: 10 } });
  assert.equal(queue(), [["pfifo", { limit: 10 }]]);
  assert.equal(set({ rateBps: 2_000_000, queue: { packets: 10 } }), [
    "qdisc replace dev d root handle 1: tbf rate 2000000bit burst 3036b limit 75900b",
    "qdisc replace dev d parent 1:1 handle 3: pfifo limit 10",
  ]);
  assert.equal(queue(), [["pfifo", { limit: 10 }]]);
  set({ rateBps: 2_000_000, queue: { bytes: 1600 } });
  assert.equal(queue(), [["bfifo", { limit: 1600 }]]);
  set({ rateBps: 2_000_000 });
  assert.equal(queue(), [["bfifo", { limit: 75_900 }]], "never deleted: tbf would drop all");
  kernel.qdiscs.find((one) => one.kind === "bfifo")!.options = { limit: 5 };
  assert.is(
    shapeDiffers(found(), qdiscsOf({ rateBps: 2_000_000 }, 1500))?.why,
    "the queue takes 5, wanted 75900",
  );
});

test.run();
